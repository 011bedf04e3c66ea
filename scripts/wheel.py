#!/usr/bin/env python3
"""Build the wheels into dist/ and check what is in them.

One wheel serves every Python from 3.10 on (stable ABI), a second one Python 3.9, if there is a 3.9
here to build it.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

from steps import BUILD, PACKAGE, ROOT, Failed, line, main, name, pip, pythons, step, tool

PROGRAMS = ("fivetran", "sluiced")
DIST = os.path.join(ROOT, "dist")
# All that the programs in the wheel may ask of the system; libduckdb.so adds the C++ runtime.
SYSTEM = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"}
CPP = {"libstdc++.so.6", "libgcc_s.so.1"}


def build_wheel(minor, info, out, variant="", setup_args=()):
    """Build one wheel with this interpreter; returns its path."""
    python_tag = "cp39" if minor == (3, 9) else "cp310"
    work = os.path.join(BUILD, "wheel-%s%s" % (name(minor), variant))
    with tempfile.TemporaryDirectory(prefix="sluice-wheel-") as fresh:
        settings = ["build-dir=%s" % work, *("setup-args=%s" % a for a in setup_args)]
        step(
            "wheel: %s%s with Python %s" % (python_tag, variant, name(minor)),
            pip(
                info["path"],
                "wheel",
                "--no-deps",
                "-w",
                fresh,
                *("--config-settings=%s" % s for s in settings),
                ROOT,
            ),
        )
        (built,) = glob.glob(os.path.join(fresh, "*.whl"))
        # meson-python names the interpreter that built it; the extension asks for 3.10 and no more.
        if minor > (3, 10):
            subprocess.run(
                [tool("wheel"), "tags", "--remove", "--python-tag", python_tag, built],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            (built,) = glob.glob(os.path.join(fresh, "*.whl"))
        os.makedirs(out, exist_ok=True)
        for old in glob.glob(os.path.join(out, "*-%s-*.whl" % python_tag)):
            os.remove(old)
        return shutil.move(built, out)


def needed(path):
    text = subprocess.run(
        ["readelf", "-d", path], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return {lib for lib in re.findall(r"NEEDED.*\[(.*)\]", text) if not lib.startswith("ld-linux")}


def check_wheel(path):
    """A list of what is wrong with a wheel."""
    wrong = []
    with (
        tempfile.TemporaryDirectory(prefix="sluice-wheel-") as folder,
        zipfile.ZipFile(path) as wheel,
    ):
        names = wheel.namelist()
        programs = {p: [n for n in names if n.endswith(".data/scripts/" + p)] for p in PROGRAMS}
        extension = [n for n in names if re.search(r"/_cframes\.[^/]*so$", n)]
        library = [n for n in names if n.endswith("%s/lib/libduckdb.so" % PACKAGE)]
        for what, found in (
            *(("the program %s" % p, found) for p, found in programs.items()),
            ("the C extension", extension),
            ("libduckdb.so", library),
            *(
                ("the licence of %s" % x, [n for n in names if n.endswith("/LICENSE." + x)])
                for x in ("duckdb", "curl", "libpq")
            ),
            ("the libraries' licences", [n for n in names if n.endswith("/LICENSES.libraries")]),
            ("py.typed", [n for n in names if n.endswith("%s/py.typed" % PACKAGE)]),
            ("templates", [n for n in names if "%s/templates/" % PACKAGE in n]),
        ):
            if not found:
                wrong.append("%s is missing" % what)
        for entry, allowed in [(n, SYSTEM) for n in sum(programs.values(), extension)] + [
            (n, SYSTEM | CPP) for n in library
        ]:
            extra = needed(wheel.extract(entry, folder)) - allowed
            if extra:
                wrong.append("%s needs %s" % (entry, ", ".join(sorted(extra))))
        wrong += [
            "%s does not belong there" % n
            for n in names
            if "__pycache__" in n or n.endswith((".c", ".h"))
        ]
        metadata = next(n for n in names if n.endswith(".dist-info/METADATA"))
        if "Requires-Dist" in wheel.read(metadata).decode():
            wrong.append("it has dependencies")
    return wrong


def build_all(out=DIST):
    """{minor: wheel path} for every Python found that a wheel serves."""
    found = pythons()
    usable = [m for m in found if found[m]["headers"]]
    stable = next((m for m in usable if m >= (3, 10)), None)
    if stable is None:
        line("wheel", "FAILED: no Python >= 3.10 with its headers (Python.h) was found")
        raise Failed("wheel")
    wheels = {}
    for minor in [m for m in usable if m == (3, 9)] + [stable]:
        path = build_wheel(minor, found[minor], out)
        wrong = check_wheel(path)
        line(
            "wheel: %s" % os.path.basename(path),
            "; ".join(wrong) or "%.1f MB" % (os.path.getsize(path) / 1e6),
        )
        if wrong:
            raise Failed("wheel")
        wheels.update({m: path for m in found if (m == (3, 9)) == (minor == (3, 9))})
    return wheels


if __name__ == "__main__":
    sys.exit(main(build_all))
