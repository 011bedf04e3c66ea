#!/usr/bin/env python3
"""Compile the C side in place: scripts/build.py release debug

release  build/release/fivetran, sluiced   as they ship
debug    build/debug/fivetran, sluiced     AddressSanitizer, UBSan, named crash points; the unit tests
threads  build/threads/fivetran, sluiced   ThreadSanitizer, named crash points; unit tests when asked for
"""

import os
import sys

from steps import BUILD, main, step, tool

OPTIONS = {
    "release": ["-Dbuildtype=release", "-Doptimization=2"],
    "debug": [
        "-Dbuildtype=debug",
        "-Doptimization=1",
        "-Dfaults=true",
        "-Db_sanitize=address,undefined",
    ],
    "threads": [
        "-Dbuildtype=debug",
        "-Doptimization=1",
        "-Dfaults=true",
        "-Db_sanitize=thread",
    ],
}
USUAL = ["release", "debug"]


def build(kind, *targets):
    """Configure (once) and compile the targets, or all; returns the build folder."""
    folder = os.path.join(BUILD, kind)
    commands = [[tool("ninja"), "-C", folder, *targets]]
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        commands.insert(
            0, [tool("meson"), "setup", folder, "-Dpython=false", "-Dtests=true", *OPTIONS[kind]]
        )
    step("build: %s" % kind, *commands)
    return folder


if __name__ == "__main__":
    main(lambda: [build(kind) for kind in sys.argv[1:] or USUAL])
