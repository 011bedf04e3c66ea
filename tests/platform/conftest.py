"""Tests of the commands of `sluiced`, beside a running server and without one.

SLUICE_TEST_BIN names the bin folder of a virtual environment in which the package is installed (sluiced and python).
Run one test alone: SLUICE_TEST_BIN=…/venv/bin pytest tests/platform -k backup
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from harness import *  # noqa: F403  (fixtures and the report hook)
from harness import KEPT


class Sluiced:
    """Runs `sluiced` commands on a data directory, as from a shell."""

    def __init__(self, program, data):
        self.program, self.data = program, Path(data)

    def run(self, *args, data=True, env=None, timeout=60):
        where = ["--data", str(self.data)] if data else []
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_") or k in KEPT}
        return subprocess.run(
            [self.program, *map(str, args), *where],
            env={**clean, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def ok(self, *args, **more):
        done = self.run(*args, **more)
        assert done.returncode == 0, f"{args}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *args, **more):
        return json.loads(self.ok(*args, "--json", **more))

    def refused(self, code, *args, **more):
        done = self.run(*args, **more)
        assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.stdout == ""
        return done.stderr


@pytest.fixture
def program():
    return os.path.join(os.environ["SLUICE_TEST_BIN"], "sluiced")


@pytest.fixture
def sluiced(program, tmp_path):
    """On a directory that does not exist yet."""
    return Sluiced(program, tmp_path / "data")
