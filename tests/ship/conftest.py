"""What is installed: the programs of the wheel, and the wheel that a server hands out.

SLUICE_TEST_BIN names the bin folder of a virtual environment in which the wheel is installed.
"""

import json
import os
import re
import subprocess
import threading
import urllib.request
from pathlib import Path

import pytest

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


class Server:
    """A running `sluiced serve` with a directory of its own."""

    def __init__(self, program, data, *flags, **variables):
        self.data, self.said = Path(data), []
        self.ready = threading.Event()
        self.url = None
        self.process = subprocess.Popen(
            [str(program), "serve", "--data", str(data), "--listen", "127.0.0.1:0", *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=clean_env(**variables),
        )
        threading.Thread(target=self._read, daemon=True).start()
        assert self.ready.wait(30) and self.url, "did not start:\n" + "".join(self.said)

    def _read(self):
        for line in self.process.stdout:
            self.said.append(line)
            found = re.search(r"https?://127\.0\.0\.1:\d+", line)
            if found and not self.url:
                self.url = found.group()
                self.ready.set()
        self.ready.set()

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=TIMEOUT) as answer:
            return answer.read()

    def json(self, path):
        return json.loads(self.get(path))

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("did not stop within 30 s:\n" + "".join(self.said)) from None


@pytest.fixture(scope="session")
def bin_dir():
    path = os.environ.get("SLUICE_TEST_BIN")
    for name in ("fivetran", "sluiced", "python"):
        if not path or not os.access(os.path.join(path, name), os.X_OK):
            pytest.fail("SLUICE_TEST_BIN=%s has no program %s" % (path, name), pytrace=False)
    return Path(path)


@pytest.fixture(scope="module")
def server(bin_dir, tmp_path_factory):
    running = Server(bin_dir / "sluiced", tmp_path_factory.mktemp("server") / "data")
    yield running
    assert running.stop() == 0, "".join(running.said)
