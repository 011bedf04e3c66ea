#!/usr/bin/env python3
"""make lint: formatting, layers, docs, ruff, mypy. With --fix (make fmt) format in place instead."""

import glob
import os
import re
import sys

from steps import ROOT, Failed, main, step, tool

PYTHON_DIRS = ["python", "tests", "scripts", "bench", "examples"]


def c_files():
    return [
        f
        for top in ("src", "python", "tests")
        for kind in "ch"
        for f in sorted(glob.glob(os.path.join(top, "**", "*." + kind), recursive=True))
    ]


def fmt():
    step("fmt: clang-format", ["clang-format", "-i", *c_files()])
    step(
        "fmt: ruff",
        [
            tool("ruff"),
            "check",
            "--no-cache",
            "--fix",
            "--exit-zero",
            "--select",
            "I",
            *PYTHON_DIRS,
        ],
        [tool("ruff"), "format", "--no-cache", *PYTHON_DIRS],
    )
    step("fmt: tables in docs", [tool("python"), "scripts/docs.py", "--fix"])


def lint():
    """Run every check even after one failed. Returns how many failed."""
    brief = ["--no-cache", "--output-format", "concise"]
    checks = {
        "lint: clang-format": ["clang-format", "--dry-run", "-Werror", *c_files()],
        "lint: layers": [tool("python"), "scripts/layers.py"],
        "lint: docs": [tool("python"), "scripts/docs.py"],
        "lint: web": [tool("python"), "scripts/web.py"],
        "lint: ruff": [tool("ruff"), "check", *brief, *PYTHON_DIRS],
        "lint: ruff format": [tool("ruff"), "format", "--check", *brief, *PYTHON_DIRS],
        "lint: mypy --strict": [tool("mypy"), "--cache-dir", "build/mypy-cache"],
    }
    failed = 0
    for label, command in checks.items():
        ok, log = step(label, command, check=False)
        if not ok:
            failed += 1
            with open(log, errors="replace") as f:
                said = [x for x in f if re.match(r"\S+:\d+:", x)]
            # The first of each file; `make fmt` mends the formatting.
            first = list({x.split(":")[0]: x for x in reversed(said)}.values())[::-1]
            sys.stdout.writelines(first[:20])
            print(
                "%d places in %d files; full log: %s"
                % (len(said), len(first), os.path.relpath(log, ROOT))
            )
    return failed


def run():
    os.chdir(ROOT)
    if "--fix" in sys.argv:
        fmt()
    elif lint():
        raise Failed("lint")


if __name__ == "__main__":
    main(run)
