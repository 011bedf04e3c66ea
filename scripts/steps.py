"""What the other scripts share: steps with one line and a log each, and the Pythons found here."""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
LOGS = os.path.join(BUILD, "logs")
TOOLS = os.path.join(BUILD, "tools", "bin")
THIRD_PARTY = os.path.join(ROOT, "third_party")
PACKAGE = "fivetran_connector_sdk"
DISTRIBUTION = "fivetran-connector-sdk"
# What 3.9 is tested with; from 3.10 on a venv gets the versions of requirements-tools.txt.
PYTEST = ["pytest==8.4.2 ; python_version < '3.10'", "pytest==9.2.0 ; python_version >= '3.10'"]


class Failed(Exception):
    """A step failed; its message is printed already."""


def tool(name):
    return os.path.join(TOOLS, name)


def tail(path, lines=40):
    with open(path, errors="replace") as f:
        return "".join(f.readlines()[-lines:])


def line(label, outcome):
    print("%-52s %s" % (label, outcome), flush=True)


def step(label, *commands, log=None, cwd=ROOT, env=None, check=True, timeout=None):
    """Run commands one after the other, their output into a log. Returns (ok, log path)."""
    os.makedirs(LOGS, exist_ok=True)
    path = os.path.join(LOGS, (log or re.sub(r"[^a-z0-9.]+", "-", label.lower())) + ".log")
    started = time.monotonic()
    code = 0
    with open(path, "wb") as out:
        for command in commands:
            out.write(("+ %s\n" % " ".join(command)).encode())
            out.flush()
            try:
                code = subprocess.run(
                    command,
                    cwd=cwd,
                    env={**os.environ, **(env or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    timeout=timeout,
                ).returncode
            except subprocess.TimeoutExpired:
                out.write(b"stopped: it took longer than %d s\n" % timeout)
                code = 124
            except OSError as e:
                out.write(("%s\n" % e).encode())
                code = 127
            if code:
                break
    seconds = time.monotonic() - started
    line(label, "%s (%.0f s)" % ("ok" if code == 0 else "FAILED", seconds))
    if code and check:
        sys.stdout.write(tail(path))
        print("full log: %s" % os.path.relpath(path, ROOT), flush=True)
        raise Failed(label)
    return code == 0, path


def _describe(python):
    probe = (
        "import json, os, sys, sysconfig, venv, ensurepip; print(json.dumps({"
        "'path': os.path.realpath(sys.executable) if sys.prefix == sys.base_prefix else '',"
        "'version': list(sys.version_info[:3]), 'final': sys.version_info[3] == 'final',"
        "'implementation': sys.implementation.name,"
        "'headers': os.path.exists(os.path.join(sysconfig.get_paths()['include'], 'Python.h'))}))"
    )
    try:
        done = subprocess.run(
            [python, "-c", probe], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20
        )
        return json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def pythons():
    """{(3, 11): {path, version, headers}, ...}: one CPython per minor version from 3.9 to 3.14."""
    places = [shutil.which("python3") or ""]
    for minor in range(9, 15):
        places.append(shutil.which("python3.%d" % minor) or "")
        places.append("/usr/bin/python3.%d" % minor)
    home = os.path.expanduser("~")
    for pattern in (
        "%s/.pyenv/versions/3.*/bin/python3" % home,
        "%s/.local/share/uv/python/cpython-3.*/bin/python3" % home,
        "/opt/python/*/bin/python3",
        "/usr/local/bin/python3.*[0-9]",
    ):
        places += sorted(glob.glob(pattern))
    found = {}
    for place in dict.fromkeys(os.path.abspath(p) for p in places if p and os.path.exists(p)):
        info = _describe(place)
        if not info or not info["path"] or not info["final"] or info["implementation"] != "cpython":
            continue
        minor = tuple(info["version"][:2])
        best = found.get(minor)
        if (3, 9) <= minor <= (3, 14) and (
            best is None or (info["headers"] and not best["headers"])
        ):
            found[minor] = info
    return dict(sorted(found.items()))


def default_python(found):
    """The minor version used where one is enough: that of build/tools."""
    done = subprocess.run(
        [tool("python"), "-c", "import sys; print(*sys.version_info[:2])"],
        stdout=subprocess.PIPE,
        text=True,
    )
    minor = tuple(int(n) for n in done.stdout.split())
    return minor if minor in found else max(found)


def name(minor):
    return "%d.%d" % minor


def pip(python, *args):
    """A pip command that works on `python`, which need not have a pip of its own."""
    return [tool("pip"), "--disable-pip-version-check", "--python", python, *args]


def make_venv(path, python, with_pip=False):
    """The commands that make a fresh venv at path."""
    shutil.rmtree(path, ignore_errors=True)
    return [python, "-m", "venv", *([] if with_pip else ["--without-pip"]), path]


def main(run):
    # Started in the background of a script, we would pass an ignored Ctrl-C on to every test.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    except Failed:
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
