#!/usr/bin/env python3
"""The other people's clients that tests/clients runs against a server: venvs and a Go program under build/clients, made once.

scripts/clients.py [NAME …]    all but the slow ones, or those named

A client that is not there because its registry cannot be reached leaves a file NAME.missing with the reason: its tests are skipped
and say so. Any other failure to install is a failure.
"""

import json
import os
import shutil
import subprocess
import sys

from steps import (
    BUILD,
    PACKAGE,
    ROOT,
    Failed,
    default_python,
    line,
    main,
    pip,
    pythons,
    step,
    tail,
)

CLIENTS = os.path.join(BUILD, "clients")
HERE = os.path.join(ROOT, "tests", "clients")
QUICK = ["official", "dagster", "go", "schemathesis"]
SLOW = ["airflow"]
# How pip and go say that the network, not the package, is the trouble.
UNREACHABLE = (
    "Could not fetch URL",
    "NewConnectionError",
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Connection timed out",
    "ReadTimeoutError",
    "ProxyError",
    "dial tcp",
    "no such host",
    "i/o timeout",
)
TIMEOUT = 900


def path(name, *more):
    return os.path.join(CLIENTS, name, *more)


def _same(stamp, wanted):
    try:
        with open(stamp) as f:
            return json.load(f) == wanted
    except (OSError, ValueError):
        return False


def _missing(name, reason):
    line("clients: %s" % name, "left out: %s" % reason)
    shutil.rmtree(path(name), ignore_errors=True)
    with open(path(name + ".missing"), "w") as f:
        f.write(reason + "\n")


def _make(name, wanted, commands, **more):
    """Runs the commands unless the stamp says they were run for the same wishes."""
    os.makedirs(CLIENTS, exist_ok=True)
    if os.path.exists(path(name + ".missing")):
        os.unlink(path(name + ".missing"))
    stamp = path(name, "stamp.json")
    if _same(stamp, wanted):
        return
    ok, log = step("clients: %s" % name, *commands, check=False, timeout=TIMEOUT, **more)
    if ok:
        with open(stamp, "w") as f:
            json.dump(wanted, f)
        return
    said = tail(log, 400)
    if not any(sign in said for sign in UNREACHABLE):
        sys.stdout.write(tail(log))
        raise Failed(name)
    _missing(name, "its registry cannot be reached")


def _venv(name):
    found = pythons()
    base = found[default_python(found)]
    requirements = os.path.join(HERE, "requirements", name + ".txt")
    with open(requirements) as f:
        wanted = {"requirements": f.read(), "python": base["version"]}
    _make(
        name,
        wanted,
        [
            [base["path"], "-m", "venv", "--clear", "--without-pip", path(name)],
            pip(path(name, "bin", "python"), "install", "--quiet", "-r", requirements),
        ],
    )
    if not os.path.isdir(path(name)):
        return
    probe = "import importlib.util as u; print(u.find_spec('%s_core'))" % PACKAGE
    done = subprocess.run(
        [path(name, "bin", "python"), "-c", probe], stdout=subprocess.PIPE, text=True
    )
    if done.stdout.strip() != "None":
        shutil.rmtree(path(name))
        line("clients: %s" % name, "FAILED: it brought %s_core, removed" % PACKAGE)
        raise Failed(name)


def _go(name):
    source = os.path.join(HERE, "go")
    wanted = {}
    for file in ("main.go", "go.mod", "go.sum"):
        with open(os.path.join(source, file)) as f:
            wanted[file] = f.read()
    if shutil.which("go") is None:
        os.makedirs(CLIENTS, exist_ok=True)
        _missing(name, "there is no go on PATH")
        return
    os.makedirs(path(name), exist_ok=True)
    _make(
        name,
        wanted,
        [["go", "build", "-o", path(name, "client"), "."]],
        cwd=source,
        env={"GOFLAGS": "-mod=readonly -buildvcs=false"},
    )


def make(names):
    for name in names:
        if name == "go":
            _go(name)
        else:
            _venv(name)


if __name__ == "__main__":
    main(lambda: make(sys.argv[1:] or QUICK))
