"""The same commands against the real server."""

import os

import pytest
from conftest import SECRET

PARTICULAR = """
from fivetran_connector_sdk import Connector

def schema(configuration):
    assert configuration == {"kept": "old", "changed": "new"}, configuration
    return []

def update(configuration, state):
    pass

connector = Connector(update=update, schema=schema)
"""


@pytest.fixture
def mine(project, sluiced):
    """A project that is logged in."""
    result = project.run("login", "--url", sluiced.url, "--api-key", sluiced.key)
    assert result.code == 0, result
    return project


def deployed(project, *args):
    result = project.deploy(*args)
    assert result.code == 0, result
    (line,) = [x for x in result.out.splitlines() if x.startswith("  connection id: ")]
    return line.split(": ")[1], result


def test_tutorial(project, sluiced):
    ident, result = deployed(
        project,
        *("--url", sluiced.url + "/v1", "--api-key", sluiced.key, "--destination", "warehouse"),
        *("--connection", "hello_connection", "--configuration", "configuration.json"),
    )
    connection = sluiced.get(f"/v1/connections/{ident}")
    assert connection["schema"] == "hello_connection"
    assert connection["paused"] is True
    assert connection["sync_frequency"] == 15
    assert connection["config"]["secrets_list"] == [{"key": "my_key", "value": "******"}]
    assert connection["dashboard_url"] in result.out
    assert SECRET not in result.all and sluiced.key not in result.all


def test_update_replaces_the_package_and_keeps_the_configuration(mine, sluiced):
    ident, _ = deployed(mine, "--connection", "updated")
    before = sluiced.get(f"/v1/connections/{ident}")["config"]
    mine.write("more.py", "X = 1\n")
    again, _ = deployed(mine, "--connection", "updated", "--force")
    after = sluiced.get(f"/v1/connections/{ident}")["config"]
    assert again == ident
    assert after["package_id"] != before["package_id"]
    assert after["secrets_list"] == before["secrets_list"]


def test_null_keeps_a_stored_value(mine, sluiced):
    """As the official command sends it: a key with null stays as it is, others are replaced, missing ones go."""
    mine.write("configuration.json", {"kept": "old", "changed": "old", "gone": "old"})
    ident, _ = deployed(mine, "--connection", "nulls")
    mine.write("configuration.json", {"kept": None, "changed": "new"})
    mine.write("connector.py", PARTICULAR)  # its setup tests fail with any other values
    again, result = deployed(
        mine, *("--connection", "nulls", "--configuration", "configuration.json", "--force")
    )
    assert again == ident
    assert "null in configuration.json keeps the stored value of: kept" in result.out
    assert sluiced.get(f"/v1/connections/{ident}")["status"]["setup_state"] == "connected"

    mine.write("configuration.json", {"kept": None, "changed": "new", "unknown": None})
    packages = sluiced.get("/v1/connector-sdk/packages")["items"]
    refused = mine.deploy(
        *("--connection", "nulls", "--configuration", "configuration.json", "--force")
    )
    assert refused.code == 1
    assert "null, which keeps a stored value, and none of 'unknown' is stored" in refused.all
    assert sluiced.get("/v1/connector-sdk/packages")["items"] == packages


def test_large_package(mine, sluiced):
    mine.write("noise.txt", os.urandom(5_000_000).hex())
    result = mine.run("package", "create")
    assert result.code == 0, result
    (line,) = [x for x in result.out.splitlines() if x.startswith("  package id: ")]
    ident = line.split(": ")[1]
    assert len(sluiced.get(f"/v1/connector-sdk/packages/{ident}")["file_sha256_hash"]) == 64
    assert ident in mine.run("package", "list").out
    assert mine.run("package", "update", ident).code == 0
    ident, _ = deployed(mine, "--connection", "given", "--package-id", ident)
    assert sluiced.get(f"/v1/connections/{ident}")["schema"] == "given"


def test_failed_setup_tests(mine, sluiced):
    mine.write("connector.py", "raise ValueError('not today')\n")
    result = mine.deploy("--connection", "broken")
    assert result.code == 1, result
    assert "connection created but setup tests failed" in result.out
    assert "not today" in result.out


def test_refused_create_leaves_no_package(mine, sluiced):
    packages = mine.run("package", "list").out
    result = mine.deploy("--connection", "old_python", "--python-version", "3.1")
    assert result.code == 1, result
    assert "failed to create connection" in result.err
    assert "✓ cleaned up orphaned package" in result.out
    assert mine.run("package", "list").out == packages


def test_wrong_key(project, sluiced):
    result = project.deploy(
        *("--url", sluiced.url, "--connection", "c", "--api-key", "bm9ib2R5Om5vdGhpbmc=")
    )
    assert result.code == 1, result
    assert "401" in result.err


def test_unknown_destination(mine):
    result = mine.deploy("--connection", "c", "--destination", "warehous")
    assert result.code == 1
    assert "did you mean 'warehouse'?" in result.err


def test_doctor(mine, sluiced):
    assert f"server {sluiced.url} (from fivetran login) answers" in mine.run("doctor").out
