#!/usr/bin/env python3
"""Make files part of a program, as C.

scripts/embed.py FILE.json OUT.c NAME    const char NAME[], const size_t NAME_len
scripts/embed.py --assets OUT.c FILE...  what the dashboard's pages load: src/dashboard/assets.h
                                         All CSS becomes one style.css, in the order given.
"""

import hashlib
import json
import os
import sys

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def rows(data):
    for at in range(0, len(data), 20):
        yield "    %s\n" % "".join("%d," % byte for byte in data[at : at + 20])


def one(path, out, name):
    with open(path, encoding="utf-8") as f:
        data = json.dumps(json.load(f), separators=(",", ":")).encode()
    with open(out, "w", encoding="ascii") as f:
        f.write('#include "api/%s.h"\n\n' % name.replace("sl_", "", 1))
        f.write("const char %s[] = {\n" % name)
        f.writelines(rows(data))
        f.write("    0\n};\nconst size_t %s_len = %d;\n" % (name, len(data)))


def assets(out, *paths):
    files = {}
    for path in paths:
        with open(path, "rb") as f:
            name = "style.css" if path.endswith(".css") else os.path.basename(path)
            files[name] = files.get(name, b"") + f.read()
    version = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]
    with open(out, "w", encoding="ascii") as f:
        f.write('#include "dashboard/assets.h"\n\n')
        f.write('const char sl_assets_version[] = "%s";\n' % version)
        for number, data in enumerate(files.values()):
            f.write("static const unsigned char file_%d[] = {\n" % number)
            f.writelines(rows(data))
            f.write("    0\n};\n")
        f.write("const struct sl_asset sl_assets[] = {\n")
        for number, (name, data) in enumerate(files.items()):
            kind = TYPES[os.path.splitext(name)[1]]
            f.write('    { "%s", "%s", file_%d, %d },\n' % (name, kind, number, len(data)))
        f.write("    { 0 }\n};\n")


if __name__ == "__main__":
    if sys.argv[1] == "--assets":
        assets(*sys.argv[2:])
    else:
        one(*sys.argv[1:])
