#!/usr/bin/env python3
"""Write the notices of the libraries that are linked into the programs: scripts/licences.py OUT

They are the copyright files of the Debian packages the build links. meson.build runs this for a
static build; the wheel carries the result beside libduckdb.so.
"""

import os
import subprocess
import sys

# What meson.build links statically, by the package that has the static library.
PACKAGES = """
libarchive-dev libbz2-dev libgmp-dev libgnutls28-dev libidn2-dev libjansson-dev liblzma-dev
libmicrohttpd-dev libseccomp-dev libsodium-dev libsqlite3-dev libssl-dev libtasn1-6-dev
libunistring-dev libutf8proc-dev libxxhash-dev libzstd-dev nettle-dev zlib1g-dev
""".split()

HEAD = """\
The programs fivetran and sluiced contain the libraries below, linked statically from the packages
of a Debian system. Their sources are Debian's source packages of these versions. Those under the
LGPL may be replaced: the programs are built from source with other versions of them, or with
shared ones (-Dstatic_deps=false), by `pip install .` in a clone. DuckDB, which is loaded when it
is needed, has its own licence file here, as libcurl and PostgreSQL's libpq have.
"""


def version(package):
    try:
        done = subprocess.run(
            ["dpkg-query", "-W", "-f", "${source:Package} ${Version}", package],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def notice(package):
    path = "/usr/share/doc/%s/copyright" % package
    if not os.path.exists(path):
        return "The notice was not on the machine that built this; the library's source has it.\n"
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def main(out):
    with open(out, "w", encoding="utf-8") as f:
        f.write(HEAD)
        for package in PACKAGES:
            title = "%s (%s)" % (package, version(package) or "not a Debian package here")
            f.write("\n\n%s\n%s\n\n%s" % (title, "=" * len(title), notice(package)))


if __name__ == "__main__":
    main(sys.argv[1])
