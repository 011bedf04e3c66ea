"""What is wrong with what was given is said before the first request."""

import os

import pytest
from conftest import KEY, SECRET


def refused(project, server, *args, code=2, env=None):
    result = project.deploy(*args, env=env)
    assert result.code == code, result
    assert server.requests == []
    return result.err


@pytest.mark.parametrize(
    "name, mended",
    [
        ("Hello Connection", "hello_connection"),
        ("Hello-Connection", "hello_connection"),
        ("1st", "_1st"),
        ("größe", "gr__e"),
        ("a.b", "a_b"),
    ],
)
def test_connection_name(ready, server, name, mended):
    err = refused(ready, server, "--connection", name)
    assert f"invalid connection name: '{name}'" in err
    assert "must use only [a-z0-9_] and begin with '_' or a lowercase letter" in err
    if name.isascii():
        assert f"--connection {mended}\n" in err


@pytest.mark.parametrize("name", ["_", "a", "_1", "hello_connection", "x9"])
def test_good_connection_names(ready, name):
    assert ready.deploy("--connection", name).code == 0


def test_everything_missing_is_said_at_once(project, server):
    err = refused(project, server)
    for option, variable in (
        ("url", "FIVETRAN_API_URL"),
        ("api-key", "FIVETRAN_API_KEY"),
        ("connection", "FIVETRAN_CONNECTION_NAME"),
    ):
        assert (
            f"--{option} is required; provide it via the --{option} flag or the {variable} "
            "environment variable." in err
        )
    assert "destination" not in err
    assert "fivetran login" in err


def test_state_is_refused_with_the_reason(ready, server):
    err = refused(ready, server, "--connection", "c", "--state", "state.json")
    assert "--state is not for deploy" in err
    assert "PATCH /v1/connections/ID/state" in err


@pytest.mark.parametrize("version", ["3", "2.7", "3.x", "three", "3.12.", "3.12 ", "3.12.1.1"])
def test_python_version(ready, server, version):
    assert "is a version like 3.12" in refused(
        ready, server, "--connection", "c", "--python-version", version
    )


def test_naming(ready, server):
    assert "FIVETRAN or SOURCE" in refused(ready, server, "--connection", "c", "--naming", "snake")


def test_yes_and_non_interactive(ready, server):
    err = refused(ready, server, "--connection", "c", "--yes", "--non-interactive")
    assert "cannot be used together" in err


def test_empty_shell_variable(ready, server):
    err = refused(ready, server, "--api-key", "--destination", "MyWarehouse", "--connection", "c")
    assert "--api-key has no value" in err
    assert "empty" in err
    assert "--api-key has no value" in refused(ready, server, "--connection", "c", "--api-key", "")


@pytest.mark.parametrize("key", ["two words", "line\nX-Injected: yes", "schlüssel"])
def test_key_that_is_none(ready, server, key):
    assert "is not an API key" in refused(ready, server, "--connection", "c", "--api-key", key)


@pytest.mark.parametrize(
    "url, words",
    [
        ("127.0.0.1:8080", "must begin with https:// or http://"),
        ("ftp://host", "must begin with https:// or http://"),
        ("http://", "cannot be read as one"),
        ("http://host:port", "cannot be read as one"),
        ("http://user:secret@host", "does not belong in it"),
        ("http://host/path", "nothing but /v1 may follow"),
        ("http://host/?a=b", "nothing but /v1 may follow"),
    ],
)
def test_address(ready, server, url, words):
    err = refused(ready, server, "--connection", "c", "--url", url)
    assert words in err
    assert "https://sluice.example.com" in err


def test_no_connector(ready, server):
    os.remove(ready.path / "connector.py")
    err = refused(ready, server, "--connection", "c", code=1)
    assert "connector.py not found" in err


def test_project_that_is_not_there(ready, server):
    assert "does not exist" in refused(ready, server, "nowhere", "--connection", "c", code=1)


@pytest.mark.parametrize(
    "content, words",
    [
        ("{", "is not valid JSON"),
        ("[]", "is a list, not an object"),
        ({"a": 1}, 'all values must be strings or null, but "a" is a number'),
        ({"a": {"b": "c"}}, 'all values must be strings or null, but "a" is an object'),
        ({f"k{i}": "v" for i in range(101)}, "maximum of 100"),
    ],
)
def test_configuration(ready, server, content, words):
    ready.write("configuration.json", content)
    err = refused(ready, server, "--connection", "c")
    assert words in err


def test_null_for_a_new_connection(ready, server):
    """Only a look tells that it is new: nothing but reading was asked of the server."""
    ready.write("configuration.json", {"a": "b", "c": None, "d": None})
    result = ready.deploy("--connection", "c")
    assert result.code == 2
    assert "the new connection 'c' has none for: c, d" in result.err
    assert {r.method for r in server.requests} == {"GET"}


def test_configuration_that_is_not_there(ready, server):
    err = refused(ready, server, "--connection", "c", "--configuration", "nowhere.json")
    assert "there is no file nowhere.json" in err


def test_requirements_that_cannot_be_read(ready, server):
    ready.write("requirements.txt", "cryptography ==\n")
    err = refused(ready, server, "--connection", "c", code=3)
    assert "requirements.txt" in err


def test_drivers_without_installation(ready, server):
    ready.write("drivers/driver.bin", "x")
    result = ready.deploy("--connection", "c")
    assert result.code == 1
    assert "installation.sh not found" in result.err
    assert not [r for r in server.requests if r.method != "GET"]


def test_time_out_that_is_none(ready, server):
    err = refused(ready, server, "--connection", "c", env={"SLUICE_HTTP_TIMEOUT": "soon"})
    assert "SLUICE_HTTP_TIMEOUT is a number of seconds" in err


def test_unknown_option(ready, server):
    err = refused(ready, server, "--conection", "c")
    assert "did you mean --connection?" in err


def test_help_lists_the_options(ready):
    result = ready.deploy("--help")
    assert result.code == 0
    for word in ("--api-key", "--destination", "--connection", "--configuration", "--force"):
        assert word in result.out
    assert "--state" not in result.out
    assert KEY not in result.out and SECRET not in result.out
