#!/usr/bin/env python3
"""What web/ may weigh: people wait for it, and each of its files has to fit a head."""

import glob
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MOST = {".js": 60_000, ".css": 40_000}
MOST_LINES = 300


def problems():
    weight = dict.fromkeys(MOST, 0)
    for path in sorted(glob.glob("web/*")):
        kind = os.path.splitext(path)[1]
        if kind not in MOST:
            continue
        with open(path, "rb") as f:
            data = f.read()
        weight[kind] += len(data)
        lines = data.count(b"\n")
        if lines > MOST_LINES:
            yield "%s:%d: more than %d lines: split it" % (path, lines, MOST_LINES)
    for kind, most in MOST.items():
        if weight[kind] > most:
            yield "web:1: all *%s: %d bytes, more than %d" % (kind, weight[kind], most)
        print("all *%s: %d of %d bytes" % (kind, weight[kind], most))


if __name__ == "__main__":
    os.chdir(ROOT)
    found = list(problems())
    print("\n".join(found))
    sys.exit(1 if found else 0)
