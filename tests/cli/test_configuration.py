"""Configuration and state as given by the user."""

import json
import os

import pytest
from conftest import ONE_ROW, connector

SHOW = connector(
    "log.info(f'configuration {sorted(configuration.items())} state {state}')\nop.upsert('t', {'id': 1})"
)


@pytest.fixture
def shows(project):
    return project.write("connector.py", SHOW)


def test_order_of_sources(shows):
    shows.write("configuration.json", {"a": "file"}).write("env.json", {"a": "env"}).write(
        "flag.json", {"a": "flag"}
    )
    assert "('a', 'file')" in shows.debug().out
    assert "('a', 'env')" in shows.debug(env={"FIVETRAN_CONFIGURATION": "env.json"}).out
    assert (
        "('a', 'flag')"
        in shows.debug(
            "--configuration", "flag.json", env={"FIVETRAN_CONFIGURATION": "env.json"}
        ).out
    )


def test_none_at_all_is_empty(shows):
    result = shows.debug()
    assert result.code == 0
    assert "configuration [] state {}" in result.out


def test_byte_order_mark(shows):
    (shows.path / "configuration.json").write_bytes(b"\xef\xbb\xbf" + b'{"a": "b"}')
    assert "('a', 'b')" in shows.debug().out


@pytest.mark.parametrize(
    "text, place, hint",
    [
        ('{\n  "a": "b",\n}', "line 3, column 1", "comma"),
        ("{'a': 'b'}", "line 1, column", "double quotes"),
        ('{"a": "b"', "line 1, column", ""),
        ('{"a" "b"}', "line 1, column", ""),
        ("", "line 1, column 0", "{}"),
    ],
)
def test_invalid_json(shows, text, place, hint):
    shows.write("configuration.json", text)
    result = shows.debug()
    assert result.code == 2
    assert "configuration.json is not valid JSON" in result.err
    assert place in result.err
    assert hint in result.err
    assert not (shows.path / "files").exists()


@pytest.mark.parametrize(
    "value, words, hint",
    [
        (5432, "is a number", '"port": "5432"'),
        (True, "is a boolean", '"port": "true"'),
        (None, "is null", '"port": ""'),
        ({"a": 1}, "is an object", "json.loads"),
        ([1], "is a list", "json.loads"),
    ],
)
def test_values_that_are_no_strings(shows, value, words, hint):
    shows.write("configuration.json", {"ok": "x", "port": value})
    result = shows.debug()
    assert result.code == 2
    assert "all values must be strings" in result.err
    assert '"port" ' + words in result.err
    assert hint in result.err


def test_not_an_object(shows):
    shows.write("configuration.json", ["a"])
    result = shows.debug()
    assert result.code == 2
    assert "is a list, not an object" in result.err


def test_a_hundred_fields(shows):
    shows.write("configuration.json", {f"k{n}": "v" for n in range(101)})
    result = shows.debug()
    assert result.code == 2
    assert "Configuration field count exceeds maximum of 100" in result.err
    shows.write("configuration.json", {f"k{n}": "v" for n in range(100)})
    assert shows.debug().code == 0


def test_missing_files(shows):
    for option in ("--configuration", "--state"):
        result = shows.debug(option, "nothing.json")
        assert result.code == 2
        assert "there is no file nothing.json" in result.err


def test_explicit_state(shows):
    shows.write("s.json", {"cursor": 12345678901234567890123, "x": 1.5})
    result = shows.debug("--state", "s.json")
    assert result.code == 0, result
    assert "'cursor': 12345678901234567890123, 'x': 1.5" in result.out
    shows.write("s.json", "[1]")
    result = shows.debug("--state", "s.json")
    assert result.code == 2
    assert "is a list, not an object" in result.err


def test_state_is_carried_on_and_mirrored(project):
    project.write("connector.py", connector("op.checkpoint({'n': state.get('n', 0) + 1})"))
    for n in (1, 2, 3):
        assert project.debug().code == 0
        assert json.loads((project.path / "files/state.json").read_text()) == {"n": n}
    project.write("files/state.json", {"n": 40})
    assert project.debug().code == 0
    assert project.state() == {"n": 41}


def test_a_state_without_its_warehouse(project):
    project.write("connector.py", ONE_ROW)
    assert project.debug().code == 0
    os.remove(project.path / "files/warehouse.db")
    result = project.debug()
    assert result.code == 1
    assert "Sync FAILED" in result.out
    assert "fivetran reset" in result.out
    assert project.run("reset", "--yes").code == 0
    assert project.debug().code == 0


def test_naming(project):
    project.write("connector.py", ONE_ROW.replace("'t'", "'MyTable'").replace('"t"', '"MyTable"'))
    assert project.debug("--naming", "source").code == 0
    assert "MyTable" in project.tables()


def test_log_level(project):
    project.write(
        "connector.py", connector("log.fine('small')\nlog.info('normal')\nlog.warning('big')")
    )
    out = project.debug("--log-level", "WARNING").out
    assert "WARNING - big" in out
    assert "INFO - normal" not in out
    assert "FINE - small" in project.debug().out
