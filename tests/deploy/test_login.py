"""fivetran login and logout, what they keep, and what doctor says of it."""

import json
import os
import stat

from conftest import KEY


def stored(project):
    return os.path.join(project.env["HOME"], ".config", "sluice", "login.json")


def test_login(project, server):
    result = project.run("login", "--url", server.url + "/v1", "--api-key", KEY)
    assert result.code == 0, result
    assert f"logged in to {server.url}, account Test" in result.out
    assert KEY not in result.all
    with open(stored(project)) as f:
        assert json.load(f) == {"url": server.url, "api_key": KEY}
    assert stat.S_IMODE(os.stat(stored(project)).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(stored(project))).st_mode) == 0o700
    assert server.lines == ["GET /v1/account/info"]
    result = project.deploy("--connection", "c")
    assert result.code == 0, result
    assert f"server: {server.url} (from fivetran login)" in result.out


def test_login_elsewhere(project, server, tmp_path):
    project.env["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    assert project.run("login", "--url", server.url, "--api-key", KEY).code == 0
    assert os.path.exists(tmp_path / "config" / "sluice" / "login.json")
    assert not os.path.exists(stored(project))


def test_wrong_key_is_not_kept(project, server):
    result = project.run("login", "--url", server.url, "--api-key", "d3Jvbmc6a2V5")
    assert result.code == 1
    assert "401" in result.err
    assert not os.path.exists(stored(project))


def test_login_that_fails_keeps_the_old_one(project, server):
    assert project.run("login", "--url", server.url, "--api-key", KEY).code == 0
    assert project.run("login", "--api-key", "d3Jvbmc6a2V5").code == 1
    with open(stored(project)) as f:
        assert json.load(f)["api_key"] == KEY


def test_login_asks(project, server):
    result = project.on_terminal(
        "login", answers=[("Address of the server:", server.url), ("Provide your API Key", KEY)]
    )
    assert result.code == 0, result
    assert KEY not in result.out
    result = project.on_terminal(
        "login",
        answers=[
            (rf"Address of the server \[{server.url}\]:", ""),
            ("Provide your API Key", KEY),
        ],
    )
    assert result.code == 0, result


def test_login_without_a_terminal_says_what_is_missing(project, server):
    result = project.run("login")
    assert result.code == 2
    assert "no server is set" in result.err
    result = project.run("login", "--url", server.url)
    assert result.code == 2
    assert "--api-key is required" in result.err


def test_key_goes_to_its_own_server_only(project, server):
    assert project.run("login", "--url", server.url, "--api-key", KEY).code == 0
    result = project.deploy("--connection", "c", "--url", "http://127.0.0.1:1")
    assert result.code == 2
    assert "--api-key is required" in result.err


def test_variables_win_over_login(project, server):
    assert project.run("login", "--url", server.url, "--api-key", KEY).code == 0
    result = project.deploy("--connection", "c", env={"FIVETRAN_API_KEY": "d3Jvbmc6a2V5d3Jvbmc6"})
    assert result.code == 1
    assert "(from FIVETRAN_API_KEY)" in result.err


def test_key_of_the_tutorials_variable(project, server):
    result = project.deploy(
        "--connection", "c", env={"FIVETRAN_API_URL": server.url, "FIVETRAN_APIKEY": KEY}
    )
    assert result.code == 0, result


def test_logout(project, server):
    for command in (["logout"], ["login", "--remove"]):
        assert project.run("login", "--url", server.url, "--api-key", KEY).code == 0
        result = project.run(*command)
        assert result.code == 0
        assert "still valid on the server" in result.out
        assert not os.path.exists(stored(project))
    assert "there was nothing to remove" in project.run("logout").out


def test_file_that_is_damaged(project, server):
    os.makedirs(os.path.dirname(stored(project)))
    for text in ("{", "[]", '{"api_key": "x"}', '{"url": 5}'):
        with open(stored(project), "w") as f:
            f.write(text)
        result = project.deploy("--connection", "c")
        assert result.code == 2, result
        assert "login.json" in result.err
        assert "fivetran login" in result.err
    assert project.run("logout").code == 0


def test_doctor(project, server):
    assert "server" not in project.run("doctor").out
    result = project.run("doctor", env={"FIVETRAN_API_URL": server.url, "FIVETRAN_API_KEY": KEY})
    assert (
        f"OK    server {server.url} (from FIVETRAN_API_URL) answers and takes the API key, "
        "account Test" in result.out
    )
    result = project.run("doctor", env={"FIVETRAN_API_URL": server.url, "FIVETRAN_API_KEY": "bad"})
    assert "FAIL  request failed error: 401" in result.out
    result = project.run("doctor", env={"FIVETRAN_API_URL": server.url})
    assert "there is no API key for it" in result.out
