"""`fivetran configuration`: the form asked on a terminal; and configuration_form.pb in packages."""

import base64
import fcntl
import json
import os
import stat
import subprocess
import termios
import zipfile

import pytest
import terminal

FORM = """
import os
from fivetran_connector_sdk import ConfigurationForm, Connector, Logging as log, Operations as op, Test, form_field

def connection(configuration):
    log.info("looking at " + configuration["host"])
    if configuration["api_key"] != "opensesame-1":
        return Test.failure("the key " + configuration["api_key"] + " is wrong")
    return Test.success()

def configuration_form():
    form = ConfigurationForm()
    form.add_field(form_field.TextField("host", "Host", required=True, description="Name of the machine",
                                        placeholder="db.example.com"))
    form.add_field(form_field.TextField("api_key", "API key", form_field.TextField.password, required=True))
    form.add_field(form_field.DropdownField("region", "Region", fields=[
        form_field.DropdownFieldParam("eu", "Europe", "all of it"), form_field.DropdownFieldParam("us")]))
    form.add_field(form_field.ToggleField("fast", "Fast"))
    form.add_test(label="Connection", func=connection)
    return form

def update(configuration, state):
    op.upsert("t", {"id": 1})
    op.checkpoint({})

connector = Connector(update=update, configuration_form=configuration_form)
"""
HOST, KEY, REGION, FAST, TESTS = (
    "host.*: $",
    "api_key.*: $",
    "number.*: $",
    r"fast.*: $",
    "Y/n.*: $",
)


@pytest.fixture
def formed(project):
    return project.write("connector.py", FORM)


def stored(project):
    return json.loads((project.path / "configuration.json").read_text())


def talk(project, answers, *args, **options):
    def start(side):
        def own_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        return subprocess.Popen(
            [os.path.join(project.bin, "fivetran"), "configuration", *args],
            cwd=project.path,
            env=project.env,
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
            preexec_fn=own_terminal,  # so that Ctrl-C reaches it
        )

    return terminal.talk(start, answers, session=True, **options)


def test_filled_in(formed):
    code, shown = talk(
        formed,
        [(HOST, ""), ("is required.*" + HOST, "h1"), (KEY, "opensesame-1"), (REGION, "9"),
         ("none of its choices: eu, us.*" + REGION, "1"), (FAST, "perhaps"), ("true or false.*" + FAST, "y"), (TESTS, "")],
    )  # fmt: skip
    assert code == 0, shown
    assert stored(formed) == {
        "host": "h1",
        "api_key": "opensesame-1",
        "region": "eu",
        "fast": "true",
    }
    assert stat.S_IMODE((formed.path / "configuration.json").stat().st_mode) == 0o600
    assert "opensesame" not in shown, "a secret is not shown while it is typed"
    for text in ("Host (required)\n  Name of the machine\n", "(e.g. db.example.com)", "1) Europe (eu): all of it\n  2) us\n",
                 "INFO - looking at h1", "✓ Connection\n"):  # fmt: skip
        assert text in shown, shown


def test_values_are_kept_and_cleared(formed):
    formed.write("configuration.json", {"host": "h1", "api_key": "opensesame-1", "region": "us", "fast": "true", "own": "x"})  # fmt: skip
    code, shown = talk(formed, [(HOST, ""), (KEY, ""), (REGION, "-"), (FAST, "n"), (TESTS, "n")])
    assert code == 0, shown
    assert stored(formed) == {"host": "h1", "api_key": "opensesame-1", "fast": "false", "own": "x"}
    assert (
        "[h1]" in shown
        and "[keep the stored value]" in shown
        and "[us]" in shown
        and "[y]" in shown
    )
    assert "opensesame" not in shown
    assert "later: fivetran configuration --test" in shown


def test_ctrl_c_changes_nothing(formed):
    formed.write("configuration.json", {"host": "h1"})
    echo = []
    code, shown = talk(
        formed,
        [(HOST, "other"), (KEY, terminal.CTRL_C)],
        on_end=lambda side: echo.append(terminal.echoes(side)),
    )
    assert code == 130, shown
    assert "configuration.json was not changed" in shown
    assert stored(formed) == {"host": "h1"}
    assert echo == [True], "the terminal shows again what is typed"


def test_a_failed_test(formed):
    code, shown = talk(formed, [(HOST, "h"), (KEY, "asdf"), (REGION, ""), (FAST, "")], "--yes")
    assert code == 1, shown
    assert stored(formed)["fast"] == "false" and "region" not in stored(formed)
    assert "✗ Connection: the key ****** is wrong" in shown and "1 of 1 tests failed" in shown
    assert "asdf" not in shown, "a password of the form is hidden although it is short"


def test_only_the_tests(formed):
    missing = formed.run("configuration", "--test")
    assert missing.code == 2 and "host (Host) is required and has no value" in missing.err
    formed.write("configuration.json", {"host": "h", "api_key": "opensesame-1"})
    good = formed.run("configuration", "--test")
    assert good.code == 0 and "✓ Connection" in good.out, good
    formed.write("configuration.json", {"host": "h", "api_key": "opensesame-1", "region": "mars"})
    wrong = formed.run("configuration", "--test")
    assert wrong.code == 2 and "'mars' is none of its choices: eu, us" in wrong.err


def test_without_a_terminal(formed):
    result = formed.run("configuration")
    assert result.code == 2
    assert "asks on a terminal, and there is none" in result.err and "--test" in result.err
    assert "region               Region: eu, us" in result.out
    assert not (formed.path / "configuration.json").exists()


def test_without_a_form(project):
    project.write("connector.py", FORM.replace(", configuration_form=configuration_form", ""))
    result = project.run("configuration")
    assert result.code == 1 and "the connector has no configuration form" in result.err


@pytest.mark.parametrize("command", ["configuration", "package"])
def test_a_form_that_fails(formed, command):
    broken = FORM.replace('"Fast")', '"")')
    formed.write("connector.py", broken)
    line = broken[: broken.index('form_field.ToggleField("fast"')].count("\n") + 1
    result = formed.run(command)
    assert result.code == 1
    assert f"ValueError: label must not be empty (connector.py:{line})" in result.err, result
    assert f"connector.py:{line}: in configuration_form()" in result.out
    assert not list(formed.path.glob("files/*.zip"))


def test_a_form_that_ends_the_process(formed):
    formed.write("connector.py", FORM.replace("    form = ", "    os._exit(7)\n    form = "))
    result = formed.run("package")
    assert result.code == 1 and "exited with status 7" in result.err


def test_in_a_package(formed):
    first = formed.run("package")
    assert first.code == 0, first
    (zipped,) = formed.path.glob("files/*.zip")
    archive = zipfile.ZipFile(zipped)
    assert archive.namelist() == ["configuration_form.pb", "connector.py"]
    pb = archive.read("configuration_form.pb")
    assert b"\x0a\x04host\x12\x04Host\x18\x01\x22\x13Name of the machine" in pb
    # One that lies in the project is not taken, and does not change the bytes.
    formed.write("configuration_form.pb", "stale")
    before = zipped.read_bytes()
    assert formed.run("package").code == 0
    assert zipped.read_bytes() == before


def test_a_package_without_a_form_runs_nothing(project):
    project.write("connector.py", "import absent_module\nraise SystemExit(5)\n")
    result = project.run("package", env={"PATH": "/nonexistent", "SLUICE_PYTHON": "/nonexistent"})
    assert result.code == 0, result
    (zipped,) = project.path.glob("files/*.zip")
    assert zipfile.ZipFile(zipped).read("configuration_form.pb") == b""


UPLOAD = """
from fivetran_connector_sdk import ConfigurationForm, Connector, form_field

class Upload(form_field.Field):
    kind = "upload"
    def to_json(self):
        return {**super().to_json(), "allowed": [".pem"], "max_bytes": 4}

class When(form_field.TextField):
    def to_json(self):
        return {**super().to_json(), "when": [{"field": "kind", "is": "a"}]}

def form():
    first = form_field.DropdownField("kind", "Kind", fields=["a", "b"])
    first.default_value = "b"
    return ConfigurationForm().add_field(first).add_field(When("only_a", "Only A", required=True)).add_field(
        Upload("pem", "Key file", None, False))

connector = Connector(update=print, configuration_form=form)
"""


def test_conditions_defaults_and_files(project):
    project.write("connector.py", UPLOAD).write("key.pem", "abcd").write("large.pem", "a" * 9)
    path = "path of the file.*: $"
    code, shown = talk(
        project,
        [(REGION, ""), (path, "absent.pem"), ("absent.pem.*" + path, "large.pem"), ("larger than 4 bytes.*" + path, "key.pem")],
    )  # fmt: skip
    assert code == 0, shown
    assert stored(project) == {"kind": "b", "pem": base64.b64encode(b"abcd").decode()}
    assert "Only A" not in shown and "[b]" in shown
    code, shown = talk(project, [(REGION, "a"), ("only_a.*: $", "x"), (path, "")])
    assert code == 0, shown
    assert stored(project) == {"kind": "a", "pem": "YWJjZA==", "only_a": "x"}
