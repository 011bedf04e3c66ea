#!/usr/bin/env python3
"""make check: everything there is to run. Ends with one line of counts; exit 1 if anything failed.

scripts/check.py [--quick | --long | --conformance | --screenshots] [pytest arguments]
--quick:       unit tests, and the suites once, on one Python
--long:        only what is left out otherwise: tests/clients with the clients that are slow to install
--conformance: only tests/conformance, with 300 cuts and kills per server
--screenshots: only pictures of the pages of the dashboard (scripts/screenshots.py)

The suites get two folders to run commands from:
    SLUICE_TEST_BIN    bin of a venv with the wheel installed, nothing else in it
    SLUICE_FAULT_BIN   the same, but `fivetran` and `sluiced` are the debug build: sanitizers, crash points
In the second pass SLUICE_TEST_BIN is the debug build, too, and SLUICE_SANITIZED is set: loops may be shorter.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import time

import clients
import lint
import wheel
from build import build
from steps import (
    BUILD,
    PACKAGE,
    PYTEST,
    ROOT,
    THIRD_PARTY,
    Failed,
    default_python,
    line,
    main,
    make_venv,
    name,
    pip,
    pythons,
    step,
    tail,
    tool,
)

VENVS = os.path.join(BUILD, "venv")
# Nobody may end up with the other implementation's core.
NO_OTHER_CORE = (
    "import importlib.util as u, sys; "
    "sys.exit(u.find_spec('%s_core') and 'the other SDK is installed')" % PACKAGE
)
ASAN = "detect_leaks=0:abort_on_error=1"
UBSAN = "halt_on_error=1:print_stacktrace=1"
# Locks: libduckdb takes more of them before a fork than TSan can follow. Forks: a test plays a server that is killed.
TSAN = "detect_deadlocks=0:die_after_fork=0:suppressions=" + os.path.join(
    ROOT, "tests", "tsan.supp"
)
# TSan of today's compilers cannot place its memory where addresses are more random than this.
TSAN_RANDOM_BITS = 28
TIMEOUT = 1500
UI = os.path.join("tests", "ui")
# What the tests of one Python read warehouses and make certificates with.
WAREHOUSE = ["duckdb==1.5.5", "pytz", "cryptography==44.0.2", "psycopg[binary]==3.3.9"]
# Drives the system's Chromium (tests/ui); its own browsers are never fetched. The second brings axe-core's script.
BROWSER = ["playwright==1.65.2", "axe-playwright-python==0.1.8"]

counts = {"failed": 0, "passed": 0, "skipped": 0, "error": 0}


def count(ok, log, what):
    """Add what pytest, or a step without counts of its own, came to."""
    text = tail(log, 400)
    summary = re.findall(r"^=* ?((?:\d+ \w+(?:, )?)+) in [\d.]+s", text, re.M)
    numbers = (
        re.findall(r"(\d+) (passed|failed|skipped|error|xfailed|xpassed)", summary[-1])
        if summary
        else []
    )
    for number, kind in numbers:
        counts[{"xfailed": "skipped", "xpassed": "failed"}.get(kind, kind)] += int(number)
    if ok and not numbers:
        counts["passed"] += 1
    if not ok and not any(kind in ("failed", "error") for _, kind in numbers):
        counts["error"] += 1
    if not ok:
        found = [x for x in text.splitlines(True) if x.startswith(("FAILED ", "ERROR "))]
        sys.stdout.writelines(found[:30] or text.splitlines(True)[-30:])
        print("%s: full log: %s" % (what, os.path.relpath(log, ROOT)), flush=True)


def attempt(label, *commands, **more):
    ok, log = step(label, *commands, check=False, timeout=more.pop("timeout", TIMEOUT), **more)
    count(ok, log, label)
    return ok


def unit_tests(folder):
    ok, log = step(
        "unit tests",
        [tool("meson"), "test", "-C", folder, "--no-rebuild", "--print-errorlogs"],
        check=False,
        timeout=TIMEOUT,
    )
    cases = failed = 0
    results = os.path.join(folder, "meson-logs", "testlog.json")
    if os.path.exists(results):
        with open(results) as f:
            for result in map(json.loads, f):
                said = result.get("stdout", "") + result.get("stderr", "")
                cases += int((re.findall(r"\[  PASSED  \] (\d+) test", said) or ["1"])[-1])
                failed += result["result"] not in ("OK", "SKIP", "EXPECTEDFAIL")
    counts["passed"] += cases - failed
    counts["failed"] += failed
    if not ok:
        counts["error"] += not failed
        sys.stdout.write(tail(log, 60))


def threaded_tests():
    """Unit tests that start threads: [("worker", "engines"), …]."""
    for path in sorted(glob.glob(os.path.join(ROOT, "src", "*", "*_test.c"))):
        with open(path) as f:
            if "pthread_create" in f.read():
                layer, name = path.split(os.sep)[-2:]
                yield layer, name[: -len("_test.c")]


def threads(runner, extra, env):
    """ThreadSanitizer where there are threads: their unit tests, and a server with its engine process."""
    tests = list(threaded_tests())
    folder = build("threads", *wheel.PROGRAMS, *("%s_%s_test" % t for t in tests))
    env = {**env, "TSAN_OPTIONS": TSAN}
    with open("/proc/sys/vm/mmap_rnd_bits") as f:
        prefix = ["setarch", "-R"] if int(f.read()) > TSAN_RANDOM_BITS else []
    attempt(
        "unit tests with TSan",
        [
            *(*prefix, tool("meson"), "test", "-C", folder, "--no-rebuild", "--print-errorlogs"),
            *("%s/%s" % t for t in tests),
        ],
        env=env,
    )
    attempt(
        "tests/api/test_syncs.py with TSan in the command",
        [*prefix, *pytest(runner, "tests/api/test_syncs.py", *extra)],
        env={
            **env,
            "SLUICE_TEST_BIN": folder,
            "SLUICE_PACKAGE_DIR": os.path.join(ROOT, "python", PACKAGE),
            "SLUICE_DUCKDB_LIB": os.path.join(THIRD_PARTY, "libduckdb.so"),
            "SLUICE_SANITIZED": "1",
        },
    )


def fresh(folder, python, *packages, with_pip=False):
    """A venv with these packages; returns its bin folder."""
    path = os.path.join(VENVS, folder)
    bin_dir = os.path.join(path, "bin")
    step(
        "venv: %s" % folder,
        make_venv(path, python, with_pip),
        pip(os.path.join(bin_dir, "python"), "install", "--quiet", *packages),
        [os.path.join(bin_dir, "python"), "-c", NO_OTHER_CORE],
    )
    return bin_dir


def only_uv():
    """A folder for the end of PATH with uv in it: the environments are tested with and without it."""
    folder = os.path.join(BUILD, "uv")
    os.makedirs(folder, exist_ok=True)
    if not os.path.lexists(os.path.join(folder, "uv")):
        os.symlink(tool("uv"), os.path.join(folder, "uv"))
    return folder


def suites():
    """Folders under tests/ that hold Python tests, tests/sdk apart."""
    top = os.path.join(ROOT, "tests")
    found = glob.glob(os.path.join(top, "*", "**", "test_*.py"), recursive=True)
    folders = {os.path.relpath(f, top).split(os.sep)[0] for f in found} - {"sdk"}
    return [os.path.join("tests", d) for d in sorted(folders)]


def pytest(bin_dir, *args):
    return [
        os.path.join(bin_dir, "python"),
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--durations=15",
        *args,
    ]


def prepared():
    """(runner, environment) of the default Python with the wheel, for one suite on its own."""
    found = pythons()
    default = default_python(found)
    python = found[default]["path"]
    built = wheel.build_all()
    test_bin = fresh("test", python, built[default], with_pip=True)
    runner = fresh("python" + name(default), python, built[default], *PYTEST, *WAREHOUSE)
    return runner, {"SLUICE_TEST_BIN": test_bin, "PYTHONDONTWRITEBYTECODE": "1"}


def long(extra):
    runner, env = prepared()
    clients.make(clients.SLOW)
    attempt(
        "tests/clients, the long ones",
        pytest(runner, "tests/clients", "-m", "long", *extra),
        env=env,
    )


def conformance(extra):
    runner, env = prepared()
    env["SLUICE_FAULT_BIN"] = build("debug")
    env["SLUICE_TRIALS"] = os.environ.get("SLUICE_TRIALS", "300")
    attempt(
        "tests/conformance, %s cuts and kills" % env["SLUICE_TRIALS"],
        pytest(runner, "tests/conformance", *extra),
        env={**env, "ASAN_OPTIONS": ASAN, "UBSAN_OPTIONS": UBSAN},
        timeout=4 * 3600,
    )


def screenshots(extra):
    found = pythons()
    default = default_python(found)
    python = found[default]["path"]
    built = wheel.build_all()
    test_bin = fresh("test", python, built[default], with_pip=True)
    packages = [built[default], *PYTEST, *WAREHOUSE, *BROWSER]
    runner = fresh("python" + name(default), python, *packages)
    attempt(
        "pictures in build/screenshots",
        [os.path.join(runner, "python"), "scripts/screenshots.py", *extra],
        env={"SLUICE_TEST_BIN": test_bin, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def check(quick, extra):
    found = pythons()
    default = default_python(found)
    line("Pythons found", ", ".join(name(m) for m in found))
    debug = build("debug")
    if not quick:
        counts["error"] += lint.lint()
    unit_tests(debug)

    # The wheels, and what is installed from them.
    wheels = wheel.build_all()
    test_bin = fresh("test", found[default]["path"], wheels[default], with_pip=True)
    fault_bin = fresh("fault", found[default]["path"], wheels[default], with_pip=True)
    for program in wheel.PROGRAMS:
        shutil.copy2(os.path.join(debug, program), os.path.join(fault_bin, program))
    env = {
        "SLUICE_TEST_BIN": test_bin,
        "SLUICE_FAULT_BIN": fault_bin,
        "ASAN_OPTIONS": ASAN,
        "UBSAN_OPTIONS": UBSAN,
        "PYTHONDONTWRITEBYTECODE": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "PATH": os.environ["PATH"] + os.pathsep + only_uv(),
    }
    runners = {}
    for minor in [default] if quick else found:
        packages = [
            *PYTEST,
            *([*WAREHOUSE, *BROWSER] if minor == default else []),
        ]
        runners[minor] = fresh(
            "python" + name(minor), found[minor]["path"], wheels[minor], *packages
        )

    clients.make(clients.QUICK)
    for minor, bin_dir in runners.items():
        attempt(
            "tests/sdk on Python %s" % name(minor), pytest(bin_dir, "tests/sdk", *extra), env=env
        )
    # One run a folder: each has a conftest of its own. The pages run once, and that with the sanitizers.
    for suite in suites():
        if suite == UI and not quick:
            continue
        attempt(suite, pytest(runners[default], suite, *extra), env=env)
    if quick:
        return

    # 3.9 has a wheel of its own.
    if (3, 9) in runners and default != (3, 9):
        attempt(
            "tests/ship on Python 3.9",
            pytest(runners[(3, 9)], "tests/ship", *extra),
            env={**env, "SLUICE_TEST_BIN": runners[(3, 9)]},
        )

    # Again with the sanitizers: the extension inside Python, then the command.
    with_asan = wheel.build_wheel(
        default,
        found[default],
        os.path.join(BUILD, "wheels-asan"),
        variant="-asan",
        setup_args=[
            "-Db_sanitize=address,undefined",
            "-Db_lundef=false",
            "-Dbuildtype=debug",
            "-Doptimization=1",
            "-Dfaults=true",
        ],
    )
    asan_bin = fresh("asan", found[default]["path"], with_asan, *PYTEST)
    libasan = [
        subprocess.run(
            ["cc", "-print-file-name=" + lib], stdout=subprocess.PIPE, text=True
        ).stdout.strip()
        for lib in ("libasan.so", "libubsan.so", "libstdc++.so")
    ]
    attempt(
        "tests/sdk with ASan and UBSan in the extension",
        pytest(asan_bin, "tests/sdk", *extra),
        env={
            **env,
            "LD_PRELOAD": " ".join(libasan),
            "PYTHONMALLOC": "malloc",
            "SLUICE_TEST_BIN": asan_bin,
        },
    )
    # tests/faults and the fold test run that build in the first place; tests/ship is about the wheel.
    twice = [s for s in suites() if s not in (os.path.join("tests", n) for n in ("faults", "ship"))]
    for suite in twice:
        attempt(
            "%s with ASan and UBSan in the command" % suite,
            pytest(
                runners[default],
                suite,
                *("-m", "not long" if suite == UI else "not long and not once"),
                *("--deselect", "tests/engine/test_fold.py"),
                *extra,
            ),
            env={
                **env,
                "SLUICE_TEST_BIN": fault_bin,
                "SLUICE_SANITIZED": "1",
                # The engine's own suite has DuckDB under the sanitizers already.
                "SLUICE_DESTINATIONS": "postgres",
            },
        )

    threads(runners[default], extra, env)
    if os.path.exists(os.path.join(ROOT, "tests", "fuzz", "frame_fuzz.c")):
        attempt("fuzz: frame decoder, a short run", [tool("python"), "scripts/fuzz.py", "20"])
    attempt("the wheel in a bare Debian root", ["sh", "scripts/bare-root"])


def run():
    assert os.path.exists(os.path.join(THIRD_PARTY, "libduckdb.so")), "run make setup first"
    os.chdir(ROOT)
    started = time.monotonic()
    args = sys.argv[1:]
    quick = "--quick" in args
    stopped = False
    extra = [a for a in args if a not in ("--quick", "--long", "--conformance", "--screenshots")]
    try:
        if "--long" in args:
            long(extra)
        elif "--conformance" in args:
            conformance(extra)
        elif "--screenshots" in args:
            screenshots(extra)
        else:
            check(quick, extra)
    except Failed:
        counts["error"] += 1
        stopped = True
    seconds = time.monotonic() - started
    words = [
        "%d %s%s" % (n, kind, "s" if kind == "error" and n > 1 else "")
        for kind, n in counts.items()
        if n
    ]
    text = " %s in %.2fs (%d:%02d)%s " % (
        ", ".join(words) or "no tests ran",
        seconds,
        seconds // 60,
        seconds % 60,
        ", stopped early" if stopped else "",
    )
    print(text.center(100, "="), flush=True)
    if counts["failed"] or counts["error"]:
        raise Failed("check")


if __name__ == "__main__":
    main(run)
