#!/usr/bin/env python3
"""Make a JSON file part of a program: scripts/embed.py FILE OUT.c NAME  ->  const char NAME[], const size_t NAME_len"""

import json
import sys


def main(path, out, name):
    with open(path, encoding="utf-8") as f:
        data = json.dumps(json.load(f), separators=(",", ":")).encode()
    rows = (data[i : i + 20] for i in range(0, len(data), 20))
    with open(out, "w", encoding="ascii") as f:
        f.write('#include "api/%s.h"\n\n' % name.replace("sl_", "", 1))
        f.write("const char %s[] = {\n" % name)
        f.writelines("    %s\n" % "".join("%d," % byte for byte in row) for row in rows)
        f.write("    0\n};\nconst size_t %s_len = %d;\n" % (name, len(data)))


if __name__ == "__main__":
    main(*sys.argv[1:])
