"""fivetran package create, update and list; the local `package` stays as it was."""

import io
import os
import zipfile

from conftest import Say


def names(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return sorted(archive.namelist())


def test_create(ready, server):
    result = ready.run("package", "create")
    assert result.code == 0, result
    assert "package id: happy_1" in result.out
    assert "fivetran deploy --package-id happy_1" in result.out
    assert server.lines == ["POST /v1/connector-sdk/packages"]
    assert names(server.packages["happy_1"]) == ["configuration_form.pb", "connector.py"]


def test_create_from_another_folder(ready, server, tmp_path):
    ready.path = tmp_path
    assert ready.run("package", "create", "my_project").code == 0
    assert names(server.packages["happy_1"]) == ["configuration_form.pb", "connector.py"]


def test_update(ready, server):
    assert ready.run("package", "create").code == 0
    ready.write("more.py", "")
    result = ready.run("package", "update", "happy_1")
    assert result.code == 0, result
    assert names(server.packages["happy_1"]) == ["configuration_form.pb", "connector.py", "more.py"]
    assert server.lines[1:] == [
        "GET /v1/connector-sdk/packages/happy_1",
        "PATCH /v1/connector-sdk/packages/happy_1",
    ]


def test_update_of_one_in_use_asks(ready, server):
    server.add_connection("c", "used")
    result = ready.run("package", "update", "used")
    assert result.code == 2
    assert "package 'used' is used by 1 connection" in result.out
    assert "add --yes" in result.err
    assert server.packages["used"] == b""
    result = ready.on_terminal("package", "update", "used", answers=[("continue with update", "n")])
    assert result.code == 1
    assert "update cancelled" in result.out
    assert server.packages["used"] == b""
    assert ready.run("package", "update", "used", "--yes").code == 0
    assert names(server.packages["used"]) == ["configuration_form.pb", "connector.py"]


def test_update_is_repeated(ready, server):
    server.packages["p"] = b""
    server.script("PATCH", "packages", Say(503, code="Unavailable"))
    assert ready.run("package", "update", "p").code == 0
    assert names(server.packages["p"]) == ["configuration_form.pb", "connector.py"]


def test_update_of_an_unknown_one(ready, server):
    result = ready.run("package", "update", "nope")
    assert result.code == 1
    assert "Cannot find nope" in result.err
    assert "fivetran package list" in result.err


def test_update_needs_an_id(ready, server):
    result = ready.run("package", "update")
    assert result.code == 2
    assert "needs the package's id" in result.err
    assert server.requests == []


def test_list(ready, server):
    assert "there are no packages" in ready.run("package", "list").out
    server.add_connection("c", "first")
    server.packages.update({f"p{i}": b"" for i in range(6)})
    server.page = 3
    result = ready.run("package", "list")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0].split() == ["package", "id", "connections", "updated", "sha256"]
    assert [x.split()[0] for x in lines[1:]] == ["first", *(f"p{i}" for i in range(6))]
    assert lines[1].split()[1] == "1"
    result = ready.run("package", "list", "--limit", "2")
    assert len(result.out.splitlines()) == 3
    assert server.lines[-1] == "GET /v1/connector-sdk/packages?limit=2"


def test_bad_values(ready, server):
    for args, words in (
        (["list", "--limit", "many"], "--limit is a number"),
        (["list", "more"], 'does not know what to do with "more"'),
        (["my_project", "more"], 'does not know what to do with "more"'),
    ):
        result = ready.run("package", *args)
        assert result.code == 2, result
        assert words in result.err
    assert server.requests == []


def test_without_a_server(project):
    result = project.run("package", "list")
    assert result.code == 2
    assert "no server is set" in result.err


def test_local_package_needs_no_server(project):
    result = project.run("package")
    assert result.code == 0, result
    assert os.path.exists(project.path / "files" / "my_project.zip")
