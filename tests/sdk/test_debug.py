"""Connector.debug: the connector in this process, a small engine in Python as its child."""
# ruff: noqa: E501 (tables of cases)

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap

import pytest

import wire

# Speaks the protocol, writes what it was told and what it got to $RECORD, ends with $CODE.
ENGINE = """\
#!{python}
import json, os, signal, socket, sys
sys.path.insert(0, {here!r})
import wire

options = dict(zip(sys.argv[2::2], sys.argv[3::2]))
engine = wire.Engine(socket.socket(fileno=int(options.pop("--fd"))))
record = {{"command": sys.argv[1], "options": options, "environment": dict(os.environ)}}
record["leads a session"] = os.getsid(0) == os.getpid()
prepare = engine.read_frame()
record["prepare"] = prepare.json
record["first"] = prepare.name
code = int(os.environ.get("CODE", "0"))
if code < 0:
    os.kill(os.getpid(), -code)

def on_frame(frame):
    if frame.name == "CHECKPOINT" and os.environ.pop("INTERRUPT", None):
        os.kill(os.getppid(), signal.SIGINT)  # once: a second one means "at once"
    if frame.name == "CHECKPOINT" and "LEAVE" in os.environ:
        os._exit(7)

engine.on_frame = on_frame
engine.serve(configuration=record["prepare"]["configuration"], state=record["prepare"]["state"])
record["frames"] = [[frame.name, frame.id, frame.payload.decode("latin-1")] for frame in engine.frames[1:]]
with open(os.environ["RECORD"], "w") as file:
    json.dump(record, file)
if engine.frames[-1].name == "ERROR":
    code = code or (130 if engine.frames[-1].json["type"] == "KeyboardInterrupt" else 1)
print("the engine's own output", flush=True)
sys.exit(code)
"""

HEAD = """\
from fivetran_connector_sdk import Connector, Logging as log, Operations as op
def update(configuration, state):
    op.upsert("t", {"c": configuration.get("key", ""), "s": state.get("n", 0)})
    op.checkpoint({"n": 1})
connector = Connector(update=update)
"""


class Project:
    def __init__(self, path, frames):
        self.path = path
        self.frames = frames
        self.engine = path / "engine"
        here = os.path.dirname(os.path.abspath(wire.__file__))
        self.engine.write_text(ENGINE.format(python=sys.executable, here=here))
        self.engine.chmod(self.engine.stat().st_mode | stat.S_IXUSR)
        (path / "project").mkdir()

    def start(self, text, **environment):
        (self.path / "project" / "connector.py").write_text(text)
        env = {
            "SLUICE_ENGINE": str(self.engine),
            "SLUICE_FRAMES": self.frames,
            "RECORD": str(self.path / "record"),
        }
        return subprocess.Popen(
            [sys.executable, str(self.path / "project" / "connector.py")],
            env={**os.environ, "PYTHONPATH": wire.package_path(), **env, **environment},
            cwd=self.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, text, **environment):
        process = self.start(text, **environment)
        self.stdout, self.stderr = process.communicate(timeout=30)
        return process.returncode

    @property
    def record(self):
        return json.loads((self.path / "record").read_text())

    @property
    def rows(self):
        frames = [
            wire.Frame(kind, ident, payload.encode("latin-1"))
            for kind, ident, payload in self.raw()
        ]
        return wire.Reader().feed(frames).rows()

    def raw(self):
        kinds = {name: kind for kind, name in wire.NAMES.items()}
        return [(kinds[name], ident, payload) for name, ident, payload in self.record["frames"]]


@pytest.fixture
def project(tmp_path, frames):
    return Project(tmp_path, frames)


def test_a_sync(project):
    code = project.run(
        HEAD
        + "assert connector.debug() is None\nassert op.upsert('t', {'after': 1}) == ()\nprint('after')\n"
    )
    assert (code, project.stderr) == (0, "")
    assert project.stdout == "the engine's own output\nafter\n"
    record = project.record
    assert record["command"] == "_session" and record["first"] == "PREPARE"
    assert record["options"] == {
        "--project": os.path.realpath(project.path / "project"),
        "--log-level": "1",
    }
    assert record["prepare"] == {"configuration": {}, "state": None}
    assert record["leads a session"], "Ctrl-C must not reach it"
    assert record["frames"][-1][0] == "DONE"
    assert project.rows == [{"c": (wire.STRING, ""), "s": (wire.LONG, 0)}]


@pytest.mark.parametrize(
    "call",
    [
        "connector.debug(PATH, {'key': 'secret'}, {'n': 5}, 'SOURCE', log.Level.WARNING)",
        "connector.debug(project_path=PATH, configuration={'key': 'secret'}, state={'n': 5}, naming='SOURCE', log_level=log.Level.WARNING)",
    ],
    ids=["positional", "named"],
)
def test_arguments(project, call):
    other = project.path / "other"
    other.mkdir()
    assert project.run(HEAD + call.replace("PATH", repr(str(other)))) == 0, project.stderr
    record = project.record
    assert record["options"] == {
        "--project": os.path.realpath(other),
        "--log-level": "4",
        "--naming": "SOURCE",
    }
    assert record["prepare"] == {"configuration": {"key": "secret"}, "state": {"n": 5}}
    assert project.rows == [{"c": (wire.STRING, "secret"), "s": (wire.LONG, 5)}]
    assert "secret" not in json.dumps([record["options"], record["environment"]])


def test_configuration_json_of_the_project(project):
    (project.path / "project" / "configuration.json").write_text('{"key": "from the file"}')
    assert project.run(HEAD + "connector.debug()") == 0
    assert project.record["prepare"]["configuration"] == {"key": "from the file"}
    assert project.run(HEAD + "connector.debug(configuration={})") == 0
    assert project.record["prepare"]["configuration"] == {}


def test_a_default_timeout_of_sockets_does_not_matter(project):
    text = HEAD.replace(
        "op.checkpoint(",
        "[op.upsert('t', {'text': 'x' * 100}) for _ in range(30000)]; op.checkpoint(",
    )
    text = "import socket\nsocket.setdefaulttimeout(0.5)\n" + text + "connector.debug()"
    assert project.run(text) == 0, project.stderr
    assert len(project.rows) == 30001


@pytest.mark.parametrize(
    "configuration, message",
    [
        (
            "{'a': 1}",
            "ValueError: invalid configuration: all values must be strings, but 'a' is int",
        ),
        (
            "{'a': None}",
            "ValueError: invalid configuration: all values must be strings, but 'a' is NoneType",
        ),
        ("[]", "TypeError: invalid configuration: a dict of names and values is needed, got list"),
        (
            "{str(i): '' for i in range(101)}",
            "ValueError: Configuration field count exceeds maximum of 100.",
        ),
    ],
)
def test_configuration_is_checked(project, configuration, message):
    assert project.run(HEAD + f"connector.debug(configuration={configuration})") == 1
    assert message in project.stderr
    assert not (project.path / "record").exists()


def test_broken_configuration_json(project):
    (project.path / "project" / "configuration.json").write_text('{"key": ')
    assert project.run(HEAD + "connector.debug()") == 1
    assert "configuration.json is not valid JSON" in project.stderr


def test_failure_of_update(project):
    text = HEAD.replace(
        "op.checkpoint", "raise KeyError('k')\n    op.checkpoint"
    ) + textwrap.dedent("""
        from fivetran_connector_sdk import SyncFailed
        try:
            connector.debug()
        except SyncFailed as error:
            assert isinstance(error, RuntimeError)
            print("caught:", error)
            raise
    """)
    assert project.run(text) == 1
    assert (
        "caught: the sync failed: the engine ended with exit code 1; the lines above say why"
        in project.stdout
    )
    assert project.stderr.count("SyncFailed: the sync failed") == 1
    assert "KeyError" not in project.stderr, "the engine prints it, once"
    error = json.loads(project.record["frames"][-1][2])
    assert (error["type"], error["file"], error["line"]) == ("KeyError", "connector.py", 4)


def test_failure_of_the_engine(project):
    assert project.run(HEAD + "connector.debug()", CODE="4") == 1
    assert (
        "\nfivetran_connector_sdk.SyncFailed: the sync failed: the engine ended with exit code 4"
        in project.stderr
    )
    assert project.stderr.count("  File ") == 2, "no noise"
    assert project.run(HEAD + "connector.debug()", CODE="-9") == 1
    assert "SyncFailed: the sync failed: the engine ended by signal 9" in project.stderr


def test_the_engine_leaves_while_update_sleeps(project):
    text = (
        HEAD.replace(
            'op.checkpoint({"n": 1})', "op.checkpoint({'n': 1}); import time; time.sleep(60)"
        )
        + "connector.debug()"
    )
    assert project.run(text, LEAVE="1") == 1
    assert "SyncFailed: the sync failed: the engine ended with exit code 7" in project.stderr


def test_interrupt_stops_at_the_next_checkpoint(project):
    text = HEAD.replace(
        'op.checkpoint({"n": 1})',
        "[(time.sleep(0.01), op.checkpoint({'n': n})) for n in iter(int, 1)]",
    )
    code = project.run("import time\n" + text + "connector.debug()", INTERRUPT="1")
    assert code == 130, project.stderr
    assert "stopping at the next checkpoint" in project.stderr and "Traceback" not in project.stderr
    assert [name for name, _, _ in project.record["frames"][-2:]] == ["CHECKPOINT", "ERROR"]


def test_a_second_interrupt_stops_at_once(project):
    text = HEAD.replace('op.checkpoint({"n": 1})', "print('asleep', flush=True); time.sleep(60)")
    process = project.start("import time\n" + text + "connector.debug()")
    assert process.stdout.readline() == "asleep\n"
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "\n"
    assert process.stderr.readline().startswith("stopping at the next checkpoint")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert project.record["frames"][-1][0] == "ERROR"


def test_no_engine(project):
    text = HEAD + "connector.debug()"
    assert project.run(text, SLUICE_ENGINE="/nonexistent/fivetran") == 1
    assert (
        "the engine `fivetran` was not found (SLUICE_ENGINE=/nonexistent/fivetran)"
        in project.stderr
    )


def test_where_the_engine_is_looked_for(monkeypatch, tmp_path):
    from fivetran_connector_sdk import _debug

    monkeypatch.delenv("SLUICE_ENGINE", raising=False)
    places = {}
    for name in ("package/bin", "venv/bin", "path"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        places[name] = str(folder / "fivetran")
        (folder / "fivetran").write_text("")
        (folder / "fivetran").chmod(0o755)
    monkeypatch.setattr(_debug, "__file__", str(tmp_path / "package" / "_debug.py"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    for name in places:
        assert _debug.find_engine() == places[name]
        os.unlink(places[name])
    with pytest.raises(FileNotFoundError, match="install the package again"):
        _debug.find_engine()


def test_what_is_not_here():
    from fivetran_connector_sdk import Connector

    connector = Connector(update=print)
    for name in ("run", "deploy", "generate_configuration"):
        with pytest.raises(NotImplementedError, match=rf"Connector.{name}\(\) is not available"):
            getattr(connector, name)("x", y=1)
