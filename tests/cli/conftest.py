"""End-to-end tests of the command `fivetran`, run as a user runs it.

SLUICE_TEST_BIN names the bin folder of a virtual environment in which the package is installed (fivetran and python).
Run one test alone: SLUICE_TEST_BIN=…/venv/bin pytest tests/cli/test_tutorial.py -k wrong_key
"""

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import textwrap
import time
import zipfile
from pathlib import Path

import pytest

TIMEOUT = 120

HELLO = """
from fivetran_connector_sdk import Connector, Logging as log, Operations as op

def schema(configuration):
    return [{"table": "t", "primary_key": ["id"]}]

def update(configuration, state):
%s

connector = Connector(update=update, schema=schema)
"""


def connector(body):
    """Text of a connector.py whose update() is `body`."""
    return HELLO % textwrap.indent(textwrap.dedent(body).strip(), "    ")


ONE_ROW = connector("op.upsert('t', {'id': 1})\nop.checkpoint({'n': 1})")


class Result:
    """What a command printed and how it ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err
        self.all = out + err

    def __repr__(self):
        return f"exit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Project:
    """A connector's folder and the commands run in it."""

    def __init__(self, path, bin_dir, env):
        self.path, self.bin, self.env = Path(path), bin_dir, env

    def write(self, name, text):
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text if isinstance(text, str) else json.dumps(text))
        return self

    def start(self, *args, env=None, program="fivetran", **options):
        merged = {**self.env, **(env or {})}
        merged = {key: value for key, value in merged.items() if value is not None}
        return subprocess.Popen(
            [os.path.join(self.bin, program), *map(str, args)],
            cwd=self.path,
            env=merged,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            **options,
        )

    def run(self, *args, env=None, program="fivetran", timeout=TIMEOUT, **options):
        process = self.start(*args, env=env, program=program, **options)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(
                f"fivetran {args} did not end within {timeout} s\n{out}\n{err}"
            ) from None
        return Result(process.returncode, out, err)

    def debug(self, *args, **options):
        return self.run("debug", *args, **options)

    def tables(self):
        """What `show --json` says: table name -> (columns, rows)."""
        result = self.run("show", "--json", "--rows", "1000")
        assert result.code == 0, result
        shown = json.loads(result.out)
        return {t["table"]: t for t in shown["tables"]}

    def state(self):
        return json.loads(self.run("show", "--json").out)["state"]


def wait_for(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {seconds} s: {what}")
        time.sleep(0.02)


@pytest.fixture(scope="session")
def bin_dir():
    path = os.environ.get("SLUICE_TEST_BIN")
    if not path:
        pytest.fail(
            "SLUICE_TEST_BIN is not set: name the bin folder of a venv with the package installed",
            pytrace=False,
        )
    for name in ("fivetran", "python"):
        if not os.access(os.path.join(path, name), os.X_OK):
            pytest.fail(f"SLUICE_TEST_BIN={path} has no program {name}", pytrace=False)
    return path


@pytest.fixture(scope="session")
def base_env(bin_dir, tmp_path_factory):
    """The environment a user with the venv activated has; one cache for all tests, so that each install runs once."""
    env = {
        k: v for k, v in os.environ.items() if not k.startswith(("FIVETRAN_", "SLUICE_", "PYTHON"))
    }
    env["PATH"] = bin_dir + os.pathsep + env.get("PATH", os.defpath)
    env["VIRTUAL_ENV"] = os.path.dirname(bin_dir)
    env["SLUICE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    return env


@pytest.fixture
def project(tmp_path, bin_dir, base_env):
    """An empty project folder; write() fills it."""
    path = tmp_path / "project"
    path.mkdir()
    return Project(path, bin_dir, dict(base_env))


@pytest.fixture(params=["uv", "pip"])
def installer(request, bin_dir, base_env):
    """Runs a test with each installer."""
    if request.param == "uv" and not shutil.which("uv", path=base_env["PATH"]):
        pytest.skip("uv is not on PATH")
    return {"SLUICE_INSTALLER": request.param}


@pytest.fixture
def wheels(tmp_path, project):
    """Makes small wheels in a folder that stands for the package index. What they are called says nothing of what is in
    them, so that such a test has a cache of its own."""
    project.env["SLUICE_CACHE"] = str(tmp_path / "own cache")
    return Wheels(tmp_path / "wheels")


class Wheels:
    def __init__(self, path):
        self.path = path
        path.mkdir()

    @property
    def env(self):
        return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.path)}

    def add(self, name, version, requires=(), files=None):
        stem = f"{name.replace('-', '_')}-{version}"
        info = f"{stem}.dist-info"
        contents = dict(
            files
            if files is not None
            else {f"{name.replace('-', '_')}.py": f"VERSION = '{version}'\n"}
        )
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        contents[f"{info}/METADATA"] = (
            "\n".join(lines + [f"Requires-Dist: {r}" for r in requires]) + "\n"
        )
        contents[f"{info}/WHEEL"] = (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        record = ""
        for path, text in contents.items():
            digest = (
                base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
                .rstrip(b"=")
                .decode()
            )
            record += f"{path},sha256={digest},{len(text.encode())}\n"
        contents[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
        with zipfile.ZipFile(self.path / f"{stem}-py3-none-any.whl", "w") as archive:
            for path, text in contents.items():
                archive.writestr(path, text)
        return self

    def add_source(self, name, version, setup):
        """A source distribution whose setup.py is `setup`."""
        import io
        import tarfile

        stem = f"{name}-{version}"
        with tarfile.open(self.path / f"{stem}.tar.gz", "w:gz") as archive:
            for path, text in {
                "setup.py": setup,
                "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
                "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
                "backend.py": "def build_wheel(*a, **k):\n    exec(open('setup.py').read(), {})\n",
            }.items():
                data = text.encode()
                member = tarfile.TarInfo(f"{stem}/{path}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return self


def interrupt(process, times=1):
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
