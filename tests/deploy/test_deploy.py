"""fivetran deploy: the requests, in their order, and what is said."""

import io
import json
import os
import threading
import zipfile

import pytest
from conftest import KEY, SECRET, Say

GROUPS = "GET /v1/groups?limit=500"
LOOK_UP = "GET /v1/groups/decent_dropsy/connectors?schema=hello_connection"
UPLOAD = "POST /v1/connector-sdk/packages"
CREATE = "POST /v1/connectors"

TUTORIAL = (
    *("--destination", "MyWarehouse", "--connection", "hello_connection"),
    *("--configuration", "configuration.json"),
)


def test_tutorial(project, server):
    result = project.deploy("--api-key", KEY, *TUTORIAL, env={"FIVETRAN_API_URL": server.url})
    assert result.code == 0, result
    assert server.lines == [GROUPS, LOOK_UP, UPLOAD, CREATE]
    assert server.requests[3].json == {
        "group_id": "decent_dropsy",
        "service": "connector_sdk",
        "config": {
            "schema": "hello_connection",
            "secrets_list": [{"key": "my_key", "value": SECRET}],
            "package_id": "happy_1",
        },
        "paused": True,
        "run_setup_tests": True,
        "destination_schema_names": "FIVETRAN_NAMING",
        "hybrid_deployment_agent_id": None,
    }
    assert server.requests[3].headers["Content-Type"] == "application/json"
    assert result.err == ""
    assert "✓ connection created\n  connection id: speak_1\n" in result.out
    assert "  runtime python version: 3.13\n  naming strategy: FIVETRAN_NAMING\n" in result.out
    assert "the connection is paused" in result.out
    assert f"\n{server.url}/dashboard/connections/speak_1/status\n" in result.out


def test_every_request_is_authorised_and_named(ready, server):
    assert ready.deploy(*TUTORIAL).code == 0
    for request in server.requests:
        assert request.headers["Authorization"] == f"Basic {KEY}"
        assert request.headers["User-Agent"].startswith("sluice-fivetran/")


def test_upload_is_one_part_with_its_length(ready, server):
    ready.write("helper.py", "X = 1\n").write("data/blob.bin", "x" * 100_000)
    assert ready.deploy(*TUTORIAL).code == 0
    upload = server.requests[2]
    assert int(upload.headers["Content-Length"]) == len(upload.body)
    assert "Transfer-Encoding" not in upload.headers
    ((headers, content),) = upload.parts()
    assert headers["Content-Disposition"] == 'form-data; name="file"; filename="my_project.zip"'
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert sorted(archive.namelist()) == [
            "configuration_form.pb",
            "connector.py",
            "data/blob.bin",
            "helper.py",
        ]


def test_large_upload(ready, server):
    ready.write("noise.txt", os.urandom(6_000_000).hex())
    result = ready.deploy(*TUTORIAL)
    assert result.code == 0, result
    ((_, content),) = server.requests[2].parts()
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
    assert len(content) > 6_000_000


def test_nothing_is_left_behind(ready, server, tmp_path):
    assert ready.deploy(*TUTORIAL).code == 0
    assert os.listdir(tmp_path / "tmp") == []
    assert sorted(os.listdir(ready.path)) == ["configuration.json", "connector.py"]


def test_no_secret_is_shown(ready):
    for args in (TUTORIAL, (*TUTORIAL, "--force")):
        result = ready.deploy(*args)
        assert result.code == 0
        assert SECRET not in result.all
        assert KEY not in result.all
        assert "--api-key YWJjZGVm********" in result.out


def test_key_is_wiped_from_the_command_line(project, server):
    server.script(
        "GET", "/v1/groups", Say(429, code="TooManyRequests", headers={"Retry-After": "30"})
    )
    process = project.start("deploy", "--url", server.url, "--api-key", KEY, *TUTORIAL)
    server.wait_for("GET /v1/groups")
    with open(f"/proc/{process.pid}/cmdline") as f:
        shown = f.read()
    process.kill()
    process.communicate()
    assert "deploy" in shown
    assert KEY not in shown


# ---- the destination


def test_only_destination_needs_no_name(ready, server):
    result = ready.deploy("--connection", "c")
    assert result.code == 0
    assert "destination: MyWarehouse (the only one in the account)" in result.out


def test_several_destinations(ready, server):
    server.groups["calm_river"] = "Other"
    result = ready.deploy("--connection", "c")
    assert result.code == 2
    assert "multiple destinations found and --destination not provided" in result.err
    assert "MyWarehouse, Other" in result.err
    assert server.lines == [GROUPS]
    assert ready.deploy("--connection", "c", "--destination", "Other").code == 0
    assert server.requests[-1].json["group_id"] == "calm_river"


def test_unknown_destination(ready, server):
    server.groups["calm_river"] = "Other"
    result = ready.deploy("--connection", "c", "--destination", "MyWarehose")
    assert result.code == 1
    assert "destination 'MyWarehose' not found in account" in result.err
    assert "did you mean 'MyWarehouse'?" in result.err
    assert "MyWarehouse, Other" in result.err
    result = ready.deploy("--connection", "c", "--destination", "a name of quite another kind")
    assert "did you mean" not in result.err


def test_no_destination(ready, server):
    server.groups.clear()
    result = ready.deploy("--connection", "c")
    assert result.code == 1
    assert "no destinations defined in account" in result.err


def test_destinations_are_paged(ready, server):
    server.groups = {f"g{i}": f"Warehouse {i}" for i in range(7)}
    server.page = 3
    assert ready.deploy("--connection", "c", "--destination", "Warehouse 6").code == 0
    assert server.lines[:3] == [GROUPS, GROUPS + "&cursor=c3", GROUPS + "&cursor=c6"]


def test_a_list_without_end(ready, server):
    page = Say(data={"items": [{"id": "g", "name": "n"}], "next_cursor": "same"})
    server.script("GET", "/v1/groups", *[page] * 5)
    result = ready.deploy("--connection", "c", "--destination", "x")
    assert result.code == 1
    assert "has no end" in result.err
    assert len(server.requests) == 2


# ---- options


def test_options_reach_the_server(ready, server):
    result = ready.deploy(
        *("--connection", "c", "--python", "3.12", "--naming", "SOURCE"),
        *("--hybrid-deployment-agent-id", "agent"),
    )
    assert result.code == 0, result
    body = server.requests[-1].json
    assert body["config"]["python_version"] == "3.12"
    assert body["destination_schema_names"] == "SOURCE_NAMING"
    assert body["hybrid_deployment_agent_id"] == "agent"


def test_variables(project, server):
    project.write("production.json", {"a": "from production.json"})
    result = project.deploy(
        env={
            "FIVETRAN_API_URL": server.url + "/v1/",
            "FIVETRAN_API_KEY": KEY,
            "FIVETRAN_DESTINATION_NAME": "MyWarehouse",
            "FIVETRAN_CONNECTION_NAME": "c",
            "FIVETRAN_CONFIGURATION": "production.json",
            "FIVETRAN_PYTHON_VERSION": "3.11",
        }
    )
    assert result.code == 0, result
    assert "reading api key from FIVETRAN_API_KEY environment variable" in result.out
    assert "reading destination from FIVETRAN_DESTINATION_NAME" in result.out
    config = server.requests[-1].json["config"]
    assert config["schema"] == "c"
    assert config["python_version"] == "3.11"
    assert config["secrets_list"] == [{"key": "a", "value": "from production.json"}]


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/"])
def test_address_with_and_without_version(project, server, tail):
    result = project.deploy("--url", server.url + tail, "--api-key", KEY, "--connection", "c")
    assert result.code == 0, result
    assert server.lines[0] == GROUPS


def test_flags_win_over_variables(project, server):
    result = project.deploy(
        *("--url", server.url, "--api-key", KEY, "--connection", "mine"),
        env={
            "FIVETRAN_API_URL": "http://127.0.0.1:1",
            "FIVETRAN_API_KEY": "wrong",
            "FIVETRAN_CONNECTION_NAME": "other",
        },
    )
    assert result.code == 0, result
    assert server.requests[-1].json["config"]["schema"] == "mine"


def test_another_folder(ready, server, tmp_path):
    ready.path = tmp_path
    assert ready.deploy("my_project", "--connection", "c").code == 0
    assert server.requests[-1].json["config"]["secrets_list"][0]["value"] == SECRET


def test_link_of_the_server(ready, server):
    link = "https://sluice.example/dashboard/connections/speak_1"
    data = {"id": "speak_1", "config": {}, "setup_tests": []}
    server.script("POST", "/v1/connectors$", Say(201, data={**data, "dashboard_url": link + "/a"}))
    assert f"\n{link}/a\n" in ready.deploy("--connection", "c").out
    server.script(
        "POST", "/v1/connectors$", Say(201, data=data, headers={"X-Sluice-Dashboard": link + "/b"})
    )
    assert f"\n{link}/b\n" in ready.deploy("--connection", "c").out


# ---- configuration


def test_new_connection_takes_the_projects_configuration(ready, server):
    result = ready.deploy("--connection", "c")
    assert result.code == 0
    assert "configuration: configuration.json of the project" in result.out
    assert server.requests[-1].json["config"]["secrets_list"] == [
        {"key": "my_key", "value": SECRET}
    ]


def test_new_connection_needs_a_configuration(ready, server):
    os.remove(ready.path / "configuration.json")
    result = ready.deploy("--connection", "c")
    assert result.code == 2
    assert "configuration is required" in result.err
    assert "pass an empty one" in result.err
    assert not [r for r in server.requests if r.method != "GET"]
    ready.write("configuration.json", {})
    assert ready.deploy("--connection", "c").code == 0
    assert server.requests[-1].json["config"]["secrets_list"] == []


def test_values_arrive_as_they_are(ready, server):
    values = {"empty": "", "text": 'quote " back \\ snow ☃ tab \t', "long": "x" * 100_000}
    ready.write("configuration.json", values)
    assert ready.deploy("--connection", "c").code == 0
    sent = server.requests[-1].json["config"]["secrets_list"]
    assert {s["key"]: s["value"] for s in sent} == values


# ---- an existing connection


def test_update(ready, server):
    server.add_connection("hello_connection", "old_package")
    result = ready.deploy(*TUTORIAL, "--python-version", "3.12", "--force")
    assert result.code == 0, result
    assert server.lines == [
        GROUPS,
        LOOK_UP,
        "GET /v1/connectors/speak_inexact",
        "GET /v1/connector-sdk/packages/old_package",
        UPLOAD,
        "PATCH /v1/connectors/speak_inexact",
    ]
    assert server.requests[-1].json == {
        "config": {
            "schema": "hello_connection",
            "secrets_list": [{"key": "my_key", "value": SECRET}],
            "python_version": "3.12",
            "package_id": "happy_2",
        },
        "run_setup_tests": True,
    }
    assert "✓ connection updated\n  connection id: speak_inexact" in result.out
    assert "to manage the connection" in result.out


@pytest.mark.parametrize("flag", ["--force", "-f", "--yes"])
def test_flags_that_answer_the_question(ready, server, flag):
    server.add_connection("c")
    assert ready.deploy("--connection", "c", flag).code == 0


def test_update_without_configuration_keeps_the_stored_one(ready, server):
    server.add_connection("c")
    result = ready.deploy("--connection", "c", "--yes")
    assert result.code == 0
    assert "secrets_list" not in server.requests[-1].json["config"]
    assert "the stored configuration is kept" in result.out
    os.remove(ready.path / "configuration.json")
    assert ready.deploy("--connection", "c", "--yes").code == 0
    assert "secrets_list" not in server.requests[-1].json["config"]


def test_update_is_not_made_without_an_answer(ready, server):
    server.add_connection("c")
    result = ready.deploy("--connection", "c")
    assert result.code == 2
    assert "add --yes" in result.err
    result = ready.deploy("--connection", "c", "--non-interactive")
    assert result.code == 1
    assert "update cancelled" in result.err
    assert not [r for r in server.requests if r.method != "GET"]


def test_connection_of_another_service(ready, server):
    server.add_connection("c", service="postgres")
    result = ready.deploy("--connection", "c", "--force")
    assert result.code == 1
    assert "cannot update connection 'c'; not a Connector SDK connection" in result.err
    assert "postgres" in result.err
    assert not [r for r in server.requests if r.method != "GET"]


def test_shared_package_is_refused(ready, server):
    server.add_connection("c", "shared")
    server.connections["other"] = {**server.connections["speak_inexact"], "schema": "other"}
    result = ready.deploy("--connection", "c", "--force")
    assert result.code == 1
    assert "shares its package 'shared' with 1 other" in result.err
    assert "fivetran package update shared" in result.err


def test_package_that_is_gone_is_not_shared(ready, server):
    server.add_connection("c", "gone")
    del server.packages["gone"]
    assert ready.deploy("--connection", "c", "--force").code == 0


def test_naming_cannot_be_changed(ready, server):
    server.add_connection("c")
    result = ready.deploy("--connection", "c", "--force", "--naming", "SOURCE")
    assert result.code == 2
    assert "was made with FIVETRAN_NAMING" in result.err
    assert ready.deploy("--connection", "c", "--force", "--naming", "FIVETRAN").code == 0


# ---- --package-id


def test_given_package(ready, server):
    server.packages["ready_made"] = b"zip"
    os.remove(ready.path / "connector.py")
    assert ready.deploy("--connection", "c", "--package-id", "ready_made").code == 0
    assert server.lines[2:] == ["GET /v1/connector-sdk/packages/ready_made", CREATE]
    assert server.requests[-1].json["config"]["package_id"] == "ready_made"


def test_given_package_for_an_existing_connection(ready, server):
    server.add_connection("c", "old_package")
    server.packages["ready_made"] = b"zip"
    result = ready.deploy("--connection", "c", "--package-id", "old_package")
    assert result.code == 0
    assert "connection 'c' already uses package 'old_package'" in result.out
    assert not [r for r in server.requests if r.method != "GET"]
    assert ready.deploy("--connection", "c", "--package-id", "ready_made", "--yes").code == 0
    assert server.requests[-1].json["config"]["package_id"] == "ready_made"


def test_unknown_package(ready, server):
    result = ready.deploy("--connection", "c", "--package-id", "nope")
    assert result.code == 1
    assert "Cannot find nope" in result.err
    assert "fivetran package list" in result.err


# ---- setup tests


def test_failed_setup_tests(ready, server):
    server.tests = [
        {"title": "Validate package", "status": "PASSED", "message": "fine"},
        {
            "title": "Installing dependencies",
            "status": "FAILED",
            "message": "No matching distribution found for nosuchpkg==1.0",
        },
        {"title": "Own test", "status": "JOB_FAILED", "message": f"leaked {SECRET} \x1b[31m"},
    ]
    result = ready.deploy("--connection", "c")
    assert result.code == 1
    assert "connection created but setup tests failed" in result.out
    assert "✗ failed setup tests:\n  Installing dependencies: FAILED\n    No matching" in result.out
    assert "connection id: speak_1" in result.out
    assert "Validate package" not in result.out
    assert SECRET not in result.all
    assert "\x1b" not in result.all
    assert not [r for r in server.requests if r.method == "DELETE"]


def test_warnings_of_setup_tests_are_shown(ready, server):
    server.tests = [{"title": "Slow", "status": "WARNING", "message": "took a while"}]
    result = ready.deploy("--connection", "c")
    assert result.code == 0
    assert "  Slow: WARNING\n    took a while" in result.out


# ---- on a terminal


def test_asks_for_what_is_missing(project, server):
    server.groups["calm_river"] = "Other"
    result = project.on_terminal(
        *("deploy", "--url", server.url),
        answers=[
            (r"connection name \[my_project\]:", "Not-A-Name"),
            (r"only lower-case.*connection name \[my_project\]:", ""),
            ("Provide your API Key", KEY),
            (r"destinations: MyWarehouse, Other.*Provide the destination name", "Other"),
        ],
    )
    assert result.code == 0, result
    body = server.requests[-1].json
    assert body["config"]["schema"] == "my_project"
    assert body["group_id"] == "calm_river"
    assert KEY not in result.out


def test_overwrite_question(ready, server):
    server.add_connection("hello_connection")
    question = r"continue with update\? \(y/N\):"
    result = ready.on_terminal("deploy", *TUTORIAL, answers=[(question, "")])
    assert result.code == 1
    assert (
        "connection 'hello_connection' already exists in destination 'MyWarehouse'." in result.out
    )
    assert "overwrite the existing code and replace its configuration" in result.out
    assert "from configuration.json" in result.out
    assert "any missing keys will be deleted" in result.out
    assert "update cancelled" in result.out
    assert not [r for r in server.requests if r.method != "GET"]
    result = ready.on_terminal("deploy", *TUTORIAL, answers=[(question, "y")])
    assert result.code == 0, result
    assert "✓ connection updated" in result.out


def test_progress_on_a_terminal(ready, server):
    ready.write("noise.txt", os.urandom(3_000_000).hex())
    result = ready.on_terminal("deploy", *TUTORIAL)
    assert result.code == 0, result
    assert "uploading · " in result.out
    assert json.loads(server.requests[-1].body)["paused"] is True


def test_waiting_is_shown_on_a_terminal(ready, server):
    slow = threading.Event()

    def answer(request):
        slow.wait(1.2)
        return server.create_connection(request, {})

    server.script("POST", "connectors$", answer)
    result = ready.on_terminal("deploy", *TUTORIAL)
    assert result.code == 0, result
    assert "waiting for the server · 1 s" in result.out
