#!/usr/bin/env python3
"""Fuzz the frame decoder with libFuzzer: scripts/fuzz.py SECONDS

The corpus grows in build/fuzz/corpus; seeds are in tests/fuzz/corpus. An input that fails is kept
in build/fuzz.
"""

import glob
import os
import sys

from steps import BUILD, ROOT, Failed, line, main, step, tool


def fuzz(seconds):
    target = os.path.join(ROOT, "tests", "fuzz", "frame_fuzz.c")
    folder = os.path.join(BUILD, "fuzz")
    corpus = os.path.join(folder, "corpus")
    if not os.path.exists(target):
        line("fuzz: frame decoder", "FAILED: tests/fuzz/frame_fuzz.c is missing")
        raise Failed("fuzz")
    os.makedirs(corpus, exist_ok=True)
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        step(
            "fuzz: configure",
            [
                tool("meson"),
                "setup",
                folder,
                "-Dpython=false",
                "-Dbuildtype=debugoptimized",
                "-Dfuzz=true",
                "-Db_sanitize=address,undefined",
                "-Db_lundef=false",
            ],
            env={"CC": "clang"},
        )
    step("fuzz: build", [tool("ninja"), "-C", folder, "frame_fuzz"])
    seeds = os.path.join(ROOT, "tests", "fuzz", "corpus")
    ok, log = step(
        "fuzz: frame decoder for %d s" % seconds,
        [
            os.path.join(folder, "frame_fuzz"),
            "-max_total_time=%d" % seconds,
            "-rss_limit_mb=2048",
            "-timeout=10",
            "-max_len=65536",
            "-print_final_stats=1",
            "-artifact_prefix=%s/" % folder,
            corpus,
            *([seeds] if os.path.isdir(seeds) else []),
        ],
        check=False,
        env={"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"},
    )
    with open(log, errors="replace") as f:
        text = f.readlines()
    sys.stdout.writelines(
        x for x in text if x.startswith(("stat::number_of_executed", "stat::average_exec"))
    )
    if not ok:
        sys.stdout.writelines(text[-40:])
        for kind in ("crash", "leak", "oom", "timeout"):
            for found in glob.glob(os.path.join(folder, kind + "-*")):
                print("run it alone: %s %s" % (os.path.join(folder, "frame_fuzz"), found))
        raise Failed("fuzz")


if __name__ == "__main__":
    main(lambda: fuzz(int(sys.argv[1]) if len(sys.argv) > 1 else 600))
