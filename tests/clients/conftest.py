"""Other people's clients, unmodified, against a real server.

The clients are made by scripts/clients.py in build/clients (SLUICE_CLIENTS names another folder). Run one test alone:
    build/tools/bin/python scripts/clients.py official
    SLUICE_TEST_BIN=…/bin pytest tests/clients/test_official.py -k redeploy
"""

import base64
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness import *  # noqa: F403  (fixtures and the report hook)

CLIENTS = Path(os.environ.get("SLUICE_CLIENTS") or Path(__file__).parents[2] / "build" / "clients")
# The Python that both the tests and the server have.
PYTHON = "%d.%d" % sys.version_info[:2]
TIMEOUT = 180


def client(name, program):
    """Path of a client's program; skips the test when its registry could not be reached."""
    missing = CLIENTS / (name + ".missing")
    if missing.exists():
        pytest.skip(f"{name}: {missing.read_text().strip()}")
    path = CLIENTS / name / program
    if not path.exists():
        pytest.fail(f"{path} is not there: scripts/clients.py {name} makes it", pytrace=False)
    return str(path)


def key_and_secret(server):
    return base64.b64decode(server.key).decode().split(":", 1)


class Ran:
    """How a command ended, and what it printed without colours."""

    def __init__(self, done):
        self.code = done.returncode
        self.out = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)

    def found(self, pattern):
        match = re.search(pattern, self.out)
        assert match, f"no {pattern!r} in\n{self.out}"
        return match.group(1)

    def has(self, *lines):
        """Every one of the lines, in this order."""
        printed, at = [x.rstrip() for x in self.out.splitlines()], 0
        for line in lines:
            assert line in printed[at:], f"no line {line!r} (in this order) in\n{self.out}"
            at = printed.index(line, at) + 1

    def __repr__(self):
        return f"exit code {self.code}\n{self.out}"


class Official:
    """The official CLI, redirected by its own configuration file, with a project of its own."""

    def __init__(self, home, server, program):
        self.home, self.server, self.program = home, server, program
        settings = home / ".fivetran" / "connector_sdk"
        settings.mkdir(parents=True)
        (settings / "_config.json").write_text(json.dumps({"production_base_url": server.url}))
        # It asks a public index for a newer release unless it did so in the last hours.
        (settings / "_last_version_check").write_text(str(int(time.time())))
        self.project = home / "my_project"
        self.project.mkdir()

    def write(self, name, content):
        text = content if isinstance(content, str) else json.dumps(content)
        (self.project / name).write_text(text)
        return self

    def run(self, *args, answer=None, key=""):
        """With the server's key unless another (or None: no --api-key) is given; `answer` is typed in."""
        key = self.server.key if key == "" else key
        env = {
            "HOME": str(self.home),
            "PATH": os.path.dirname(self.program) + os.pathsep + os.defpath,
            "LANG": "C.UTF-8",
        }
        done = subprocess.run(
            [self.program, *args, *(["--api-key", key] if key else [])],
            cwd=self.project,
            env=env,
            input=answer or "",
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=TIMEOUT,
        )
        return Ran(done)

    def deploy(self, *args, **options):
        return self.run("deploy", *args, **options)


@pytest.fixture
def official(tmp_path, server):
    return Official(tmp_path / "home", server, client("official", "bin/fivetran"))
