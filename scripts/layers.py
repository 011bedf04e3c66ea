#!/usr/bin/env python3
"""Check that includes under src/ point down the layers, and that libduckdb stays in its folder.

base <- model <- wire, destinations <- engine <- runtime <- platform <- worker <- http <- api <- dashboard <- server;
cli above runtime
"""

import os
import re
import sys

from steps import ROOT

RANK = {
    "base": 0,
    "model": 1,
    "wire": 2,
    "destinations": 2,
    "engine": 3,
    "runtime": 4,
    "platform": 5,
    "worker": 6,
    "http": 7,
    "api": 8,
    "dashboard": 9,
    "server": 10,
    "cli": 5,
}
INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')


def complaint(layer, path, target):
    head = target.split("/")[0]
    if target == "duckdb.h":
        return (
            None
            if path.startswith("destinations/duckdb/")
            else "only destinations/duckdb may use duckdb.h"
        )
    if head not in RANK:
        return 'write the path from src/, as in "base/err.h"'
    if head != layer and RANK[head] >= RANK[layer]:
        return "%s must not include %s" % (layer, head)
    return None


def main():
    src = os.path.join(ROOT, "src")
    wrong = 0
    for folder, _, files in sorted(os.walk(src)):
        for file in sorted(f for f in files if f.endswith((".c", ".h"))):
            path = os.path.relpath(os.path.join(folder, file), src)
            with open(os.path.join(folder, file), encoding="utf-8") as f:
                for number, text in enumerate(f, 1):
                    match = INCLUDE.match(text)
                    why = match and complaint(path.split("/")[0], path, match.group(1))
                    if why:
                        print('src/%s:%d: "%s": %s' % (path, number, match.group(1), why))
                        wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
