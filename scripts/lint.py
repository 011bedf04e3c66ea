#!/usr/bin/env python3
"""make lint: formatting, layers, ruff, mypy. With --fix (make fmt) format in place instead."""

import glob
import os
import sys

from steps import ROOT, Failed, main, step, tool

PYTHON_DIRS = ["python", "tests", "scripts", "bench", "examples"]


def c_files():
    return [
        f
        for top in ("src", "python", "tests")
        for kind in "ch"
        for f in sorted(glob.glob(os.path.join(ROOT, top, "**", "*." + kind), recursive=True))
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


def lint():
    """Run every check even after one failed. Returns how many failed."""
    results = [
        step(
            "lint: clang-format", ["clang-format", "--dry-run", "-Werror", *c_files()], check=False
        ),
        step("lint: layers", [tool("python"), "scripts/layers.py"], check=False),
        step("lint: ruff", [tool("ruff"), "check", "--no-cache", *PYTHON_DIRS], check=False),
        step(
            "lint: ruff format",
            [tool("ruff"), "format", "--no-cache", "--diff", *PYTHON_DIRS],
            check=False,
        ),
        step("lint: mypy --strict", [tool("mypy"), "--cache-dir", "build/mypy-cache"], check=False),
    ]
    for ok, log in results:
        if not ok:
            with open(log, errors="replace") as f:
                sys.stdout.writelines(f.readlines()[1:60])
    return sum(not ok for ok, _ in results)


def run():
    if "--fix" in sys.argv:
        fmt()
    elif lint():
        raise Failed("lint")


if __name__ == "__main__":
    main(run)
