"""Deploying a connector that has a configuration form."""

import pytest

FORM = """
from fivetran_connector_sdk import ConfigurationForm, Connector, Operations as op, Test, form_field

def configuration_form():
    form = ConfigurationForm()
    form.add_field(form_field.TextField("api_key", "API key", form_field.TextField.password, required=True))
    form.add_test(label="Connection", func=connection)
    return form

def connection(configuration):
    return Test.success() if configuration["api_key"] == "open sesame" else Test.failure("the key is wrong")

def update(configuration, state):
    op.upsert("t", {"id": 1})

connector = Connector(update=update, configuration_form=configuration_form)
"""


@pytest.fixture
def formed(project, sluiced):
    (project.path / "configuration.json").unlink()
    project.write("connector.py", FORM)
    assert project.run("login", "--url", sluiced.url, "--api-key", sluiced.key).code == 0
    return project


def test_without_its_values(formed, sluiced):
    refused = formed.deploy("--connection", "waits")
    assert refused.code == 2
    assert "configuration is required" in refused.err
    assert "which writes it: fivetran configuration" in refused.err
    formed.write("configuration.json", {})
    result = formed.deploy("--connection", "waits")
    assert result.code == 1, result
    assert "does not fit the connector's form: api_key (API key) is required" in result.err
    assert "fill in the form with fivetran configuration" in result.err
    assert "api_key (API key) is required and has no value" in result.out
    (line,) = [x for x in result.out.splitlines() if x.startswith("  connection id: ")]
    path = f"/v1/connections/{line.split(': ')[1]}"
    assert sluiced.get(path)["status"]["setup_state"] == "incomplete"
    # The next deploy brings them; one more without a file keeps what is stored.
    formed.write("configuration.json", {"api_key": "open sesame"})
    again = formed.deploy(
        "--connection", "waits", "--configuration", "configuration.json", "--force"
    )
    assert again.code == 0 and again.err == "", again
    assert sluiced.get(path)["status"]["setup_state"] == "connected"
    kept = formed.deploy("--connection", "waits", "--force")
    assert kept.code == 0 and kept.err == "", kept
    assert [f["has_value"] for f in sluiced.get(path + "/form")["fields"]] == [True]


def test_a_failed_test_of_the_form(formed):
    formed.write("configuration.json", {"api_key": "wrong wrong"})
    result = formed.deploy("--connection", "fails")
    assert result.code == 1
    assert "Connection: FAILED\n    the key is wrong" in result.out, result


def test_a_form_that_fails_sends_nothing(formed, sluiced):
    formed.write("connector.py", FORM.replace('"API key"', '""')).write("configuration.json", {})
    before = sluiced.get("/v1/connector-sdk/packages")
    result = formed.deploy("--connection", "broken")
    assert result.code == 1
    assert "label must not be empty (connector.py:6)" in result.err, result
    assert sluiced.get("/v1/connector-sdk/packages") == before
