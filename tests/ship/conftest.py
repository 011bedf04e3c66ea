"""What is installed: the programs of the wheel, and the wheel that a server hands out.

SLUICE_TEST_BIN names the bin folder of a virtual environment in which the wheel is installed.
"""

import json
import os
import subprocess
import urllib.request
from pathlib import Path

import pytest

import harness
from harness import pytest_runtest_makereport  # noqa: F401  (what a server said, when a test fails)

TIMEOUT = 120


def clean_env(**more):
    """The environment of a user who has set nothing up."""
    ours = ("FIVETRAN_", "SLUICE_", "PYTHON", "PIP_", "UV_", "VIRTUAL_ENV")
    env = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return {**env, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **more}


def run(*command, **more):
    """Run to the end; returns what was printed. Anything but exit code 0 fails the test."""
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        **{"env": clean_env(), **more},
    )
    assert done.returncode == 0, "%s: exit code %d\n%s" % (command, done.returncode, done.stdout)
    return done.stdout


class Server(harness.Server):
    """As somebody runs it who has set nothing up."""

    env = property(lambda self: clean_env(**self.extra_env))

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=TIMEOUT) as answer:
            return answer.read()

    def json(self, path):
        return json.loads(self.get(path))


@pytest.fixture(scope="session")
def bin_dir():
    path = os.environ.get("SLUICE_TEST_BIN")
    for name in ("fivetran", "sluiced", "python"):
        if not path or not os.access(os.path.join(path, name), os.X_OK):
            pytest.fail("SLUICE_TEST_BIN=%s has no program %s" % (path, name), pytrace=False)
    return Path(path)


@pytest.fixture(scope="module")
def server(bin_dir, tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("server") / "data", bin_dir).start()
    yield running
    assert running.stop() == 0, running.log
