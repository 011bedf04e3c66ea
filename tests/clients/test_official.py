"""The official CLI 2.13.1, unmodified and redirected by its own configuration file, deploys here."""

import hashlib
import io
import subprocess
import zipfile

import pytest
from conftest import PYTHON, client

from harness import Connection, connector

pytestmark = pytest.mark.once  # the CLI is the same in the second pass, and slow

CONNECTOR = connector(
    "op.upsert('t', {'id': 1, 'text': configuration['greeting']})\nop.checkpoint({'n': 1})"
)
GREETING = "a greeting nobody may read"


@pytest.fixture
def project(official):
    return official.write("connector.py", CONNECTOR).write(
        "configuration.json", {"greeting": GREETING, "other": "second value"}
    )


def deploy(project, *args, **options):
    return project.deploy(
        *("--destination", "warehouse", "--connection", "hello_connection"), *args, **options
    )


def first_deploy(project):
    ran = deploy(project, "--configuration", "configuration.json")
    assert ran.code == 0, ran
    return ran.found(r"connection id: (\S+)"), ran.found(r"package id: (\S+)")


def test_it_is_2_13_1_and_has_no_core():
    python = client("official", "bin/python")
    probe = (
        "import importlib.metadata as m, importlib.util as u\n"
        "print(m.version('fivetran_connector_sdk'), u.find_spec('fivetran_connector_sdk_core'))"
    )
    done = subprocess.run([python, "-c", probe], capture_output=True, text=True, timeout=60)
    assert done.stdout == "2.13.1 None\n", done.stderr


def test_deploy_then_run(project, server):
    ran = deploy(project, "--configuration", "configuration.json")
    assert ran.code == 0, ran
    id, package = ran.found(r"connection id: (\S+)"), ran.found(r"package id: (\S+)")
    made = server.ok("GET", f"/v1/connections/{id}")
    ran.has(
        f"ℹ\ufe0f using custom production url: {server.url}",
        "› packaging project for upload",
        "✓ project packaged for upload",
        "› uploading package",
        "✓ package uploaded",
        f"  package id: {package}",
        "› creating connection",
        "✓ connection created",
        f"  connection id: {id}",
        f"  runtime python version: {made['config']['python_version']}",
        "  naming strategy: FIVETRAN_NAMING",
    )
    assert made["paused"] is True
    assert made["sync_frequency"] == 360
    assert made["schema"] == "hello_connection"
    assert made["status"]["setup_state"] == "connected"
    assert made["status"]["sync_state"] == "paused"
    assert made["config"]["package_id"] == package
    masked = sorted(made["config"]["secrets_list"], key=lambda x: x["key"])
    assert masked == [{"key": "greeting", "value": "******"}, {"key": "other", "value": "******"}]

    found = server.ok("GET", f"/v1/connector-sdk/packages/{package}")
    assert found["connection_ids"] == [id]
    zipped = server.call("GET", f"/v1/connector-sdk/packages/{package}/download").body
    assert hashlib.sha256(zipped).hexdigest() == found["file_sha256_hash"]
    assert "connector.py" in zipfile.ZipFile(io.BytesIO(zipped)).namelist()
    assert GREETING.encode() not in zipped

    con = Connection(server, id)
    con.unpause()
    con.wait_for_sync()
    assert server.rows("select id, text from hello_connection.t") == [(1, GREETING)]


def test_redeploy(project, server):
    id, package = first_deploy(project)
    con = Connection(server, id)
    con.unpause()
    first = con.wait_for_sync()

    project.write("connector.py", CONNECTOR.replace("'id': 1", "'id': 2"))
    refused = deploy(project, "--configuration", "configuration.json", answer="n\n")
    assert refused.code == 1
    assert "connection 'hello_connection' already exists in destination 'warehouse'" in refused.out
    assert "update cancelled" in refused.out
    assert con.details()["config"]["package_id"] == package

    ran = deploy(project, "--configuration", "configuration.json", answer="y\n")
    assert ran.code == 0, ran
    newer = ran.found(r"package id: (\S+)")
    assert newer != package
    assert ran.found(r"connection id: (\S+)") == id
    ran.has("✓ package uploaded", "✓ connection updated", "  naming strategy: FIVETRAN_NAMING")
    after = con.details()
    assert after["config"]["package_id"] == newer
    assert after["succeeded_at"] == first["succeeded_at"], "a deploy alone runs nothing"
    assert server.ok("GET", f"/v1/connector-sdk/packages/{package}")["connection_ids"] == []
    con.sync()
    assert server.rows("select id from hello_connection.t order by 1") == [(1,), (2,)]


def test_redeploy_with_another_python_and_without_values(project, server):
    id, _ = first_deploy(project)
    ran = deploy(project, "--python-version", PYTHON, "--yes")
    assert ran.code == 0, ran
    ran.has("✓ connection updated", f"  runtime python version: {PYTHON}")
    con = Connection(server, id)
    assert con.details()["config"]["python_version"] == PYTHON
    con.unpause()
    con.wait_for_sync()
    assert server.rows("select text from hello_connection.t") == [(GREETING,)], (
        "the values are kept"
    )
    assert con.history()[0]["python_version"].startswith(PYTHON)


def test_a_value_changes(project, server):
    id, _ = first_deploy(project)
    project.write("configuration.json", {"greeting": "another"})
    assert deploy(project, "--configuration", "configuration.json", "--yes").code == 0
    con = Connection(server, id)
    assert [x["key"] for x in con.details()["config"]["secrets_list"]] == ["greeting"]
    con.unpause()
    con.wait_for_sync()
    assert server.rows("select text from hello_connection.t") == [("another",)]


def test_packages(project, server):
    made = project.run("package", "create")
    assert made.code == 0, made
    package = made.found(r"package id: (\S+)")
    listed = project.run("package", "list")
    assert listed.code == 0
    assert listed.found(package + r"\s+(\d+)") == "0"

    ran = project.deploy(
        *("--destination", "warehouse", "--connection", "from_package", "--package-id", package),
        *("--configuration", "configuration.json"),
    )
    assert ran.code == 0, ran
    con = Connection(server, ran.found(r"connection id: (\S+)"))
    assert con.details()["config"]["package_id"] == package
    assert project.run("package", "list").found(package + r"\s+(\d+)") == "1"
    again = project.deploy(
        *("--destination", "warehouse", "--connection", "from_package", "--package-id", package),
        "--yes",
    )
    assert again.code == 0
    assert f"connection 'from_package' already uses package '{package}'" in again.out

    before = server.ok("GET", f"/v1/connector-sdk/packages/{package}")
    project.write("connector.py", CONNECTOR.replace("'id': 1", "'id': 7"))
    changed = project.run("package", "update", package)
    assert changed.code == 0, changed
    changed.has("✓ package updated", f"  package id: {package}")
    after = server.ok("GET", f"/v1/connector-sdk/packages/{package}")
    assert after["file_sha256_hash"] != before["file_sha256_hash"]
    assert after["updated_at"] > before["updated_at"]
    con.unpause()
    con.wait_for_sync()
    assert server.rows("select id from from_package.t") == [(7,)]


def test_package_list_over_pages(project, server):
    made = sorted(server.upload({"connector.py": CONNECTOR + f"# {n}\n"})["id"] for n in range(7))
    listed = project.run("package", "list", "--limit", "5")
    assert sum(id in listed.out for id in made) == 5, listed
    everything = project.run("package", "list")
    assert all(id in everything.out for id in made), everything


def test_package_that_is_not_there(project):
    ran = project.run("package", "update", "no_such_package")
    assert ran.code == 1
    assert "package-id not found: no_such_package" in ran.out


def test_shared_package(project, server):
    """It refuses to overwrite one connection's package when another runs it, and offers --package-id."""
    id, package = first_deploy(project)
    other = server.ok(
        "POST",
        "/v1/connections",
        {
            "group_id": server.group,
            "service": "connector_sdk",
            "run_setup_tests": False,
            "config": {"schema": "shares_it", "package_id": package},
        },
    )
    both = server.ok("GET", f"/v1/connector-sdk/packages/{package}")["connection_ids"]
    assert sorted(both) == sorted([id, other["id"]])
    ran = deploy(project, "--yes")
    assert ran.code == 1
    assert "shared with other connections" in ran.out


def test_wrong_key(project, server):
    ran = deploy(project, key="bm90OmtleQ==")
    assert ran.code == 1
    assert "request failed error: 401" in ran.out
    assert "ensure you're using a valid base64-encoded API key" in ran.out
    assert server.items("/v1/connections") == []
    assert server.items("/v1/connector-sdk/packages") == []


def test_unknown_destination(project, server):
    ran = project.deploy("--destination", "Nope", "--connection", "hello_connection")
    assert ran.code == 1
    assert "failed to deploy; destination 'Nope' not found in account" in ran.out
    assert server.items("/v1/connector-sdk/packages") == []


def test_broken_name(project, server):
    """The rule is checked before any request; the server has it, too."""
    ran = project.deploy("--destination", "warehouse", "--connection", "Hello-Connection")
    assert ran.code == 1
    assert "invalid connection name: 'Hello-Connection'" in ran.out
    assert (
        "connection names must use only [a-z0-9_] and begin with '_' or a lowercase letter"
        in ran.out
    )
    package = server.upload({"connector.py": CONNECTOR})
    body = {
        "group_id": server.group,
        "service": "connector_sdk",
        "config": {"schema": "Hello-Connection", "package_id": package["id"]},
    }
    answer = server.call("POST", "/v1/connections", body)
    assert answer.status == 400
    assert "Hello-Connection" in answer.message


def test_failing_setup_test_then_mended(project, server):
    """The connection stays, incomplete, and the CLI says why; the next deploy mends it."""
    project.write(
        "connector.py",
        CONNECTOR.replace("return [", "raise ValueError('no such shop')\n    return ["),
    )
    ran = deploy(project, "--configuration", "configuration.json")
    assert ran.code == 1
    assert "connection created but setup tests failed" in ran.out
    ran.has("✗ failed setup tests:", "  status: FAILED")
    assert "no such shop" in ran.found(r"message: (.*)")
    con = Connection(server, ran.found(r"connection id: (\S+)"))
    found = con.details()
    assert found["status"]["setup_state"] == "incomplete"
    assert found["paused"] is True

    project.write("connector.py", CONNECTOR)
    again = deploy(project, "--configuration", "configuration.json", "--yes")
    assert again.code == 0, again
    assert con.details()["status"]["setup_state"] == "connected"


def test_a_requirement_that_does_not_exist(project, server):
    # --force: the CLI itself would look at requirements.txt with the help of a public index.
    project.write("requirements.txt", "surely-no-such-package-here==9.9.9\n")
    ran = deploy(project, "--configuration", "configuration.json", "--force")
    assert ran.code == 1
    assert "connection created but setup tests failed" in ran.out
    assert "surely-no-such-package-here" in ran.found(r"message: (.*)")


def test_refused_package(project, server):
    """An error of the upload reaches the person; nothing is left behind."""
    project.write("connector.py", CONNECTOR)
    drivers = project.project / "drivers"
    drivers.mkdir()
    (drivers / "installation.sh").write_text("apt-get install -y something\n")
    ran = deploy(project, "--configuration", "configuration.json")
    assert ran.code == 1, ran
    said = " ".join(ran.out.split())
    assert "installation.sh" in said and "--allow-drivers" in said, ran


def test_a_refused_create_cleans_up(project, server):
    """A create that fails makes the CLI remove the package that it uploaded for it."""
    ran = deploy(project, "--python-version", "3.2")
    assert ran.code == 1
    assert "3.2" in ran.found(r"failed to create connection error: (.*)")
    ran.has("✓ cleaned up orphaned package")
    assert server.items("/v1/connections") == []
    assert server.items("/v1/connector-sdk/packages") == []


FORM = """
from fivetran_connector_sdk import ConfigurationForm, Connector, Operations as op, Test, form_field

def connection(configuration):
    return Test.success() if configuration["api_key"] == "sesame-1" else Test.failure("wrong key")

def configuration_form():
    form = ConfigurationForm()
    form.add_field(form_field.TextField(
        name="api_key", label="API key", field_type=form_field.TextField.password, required=True,
        description="From the account page", placeholder="sk-..."))
    form.add_field(form_field.DropdownField(
        name="region", label="Region", placeholder="pick one",
        fields=[form_field.DropdownFieldParam(value="eu", label="Europe", description="all of it"),
                form_field.DropdownFieldParam(value=2)]))
    form.add_field(form_field.ToggleField(name="fast", label="Fast"))
    form.add_test(label="Check the key", func=connection)
    return form

def update(configuration, state):
    op.upsert('t', {'id': 1})
    op.checkpoint({})

connector = Connector(update=update, configuration_form=configuration_form)
"""


def zipped_form(data):
    return zipfile.ZipFile(io.BytesIO(data)).read("configuration_form.pb")


def test_a_form_packed_by_either_is_the_same(official, server):
    """The connector is written for the official SDK; its own .pb is understood, and ours says the same to its own classes."""
    official.write("connector.py", FORM).write("configuration.json", {"api_key": "sesame-1"})
    ran = deploy(official, "--configuration", "configuration.json")
    assert ran.code == 0, ran
    id, package = ran.found(r"connection id: (\S+)"), ran.found(r"package id: (\S+)")
    form = server.ok("GET", f"/v1/connections/{id}/form")
    assert form["source"] == "connector"
    assert [(f["name"], f["kind"], f["required"], f["has_value"]) for f in form["fields"]] == [
        ("api_key", "password", True, True), ("region", "dropdown", False, False), ("fast", "toggle", False, False),
    ]  # fmt: skip
    assert [t["title"] for t in server.ok("GET", f"/v1/connections/{id}")["setup_tests"]][
        -1
    ] == "Check the key"
    theirs = zipped_form(server.call("GET", f"/v1/connector-sdk/packages/{package}/download").body)

    packed = subprocess.run(
        [f"{server.bin}/fivetran", "package", "--output", str(official.home / "ours.zip"), str(official.project)],
        env=server.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert packed.returncode == 0, packed.stdout + packed.stderr
    ours = zipped_form((official.home / "ours.zip").read_bytes())
    probe = (
        "import sys\n"
        "from google.protobuf.json_format import MessageToJson as text\n"
        "from fivetran_connector_sdk.protos.common_pb2 import ConfigurationFormResponse as Form\n"
        "a, b = (Form.FromString(bytes.fromhex(x)) for x in sys.argv[1:])\n"
        "assert text(a) == text(b), text(a) + text(b)\n"
        "assert len(a.fields) == 3 and len(a.tests) == 1\n"
    )
    done = subprocess.run(
        [client("official", "bin/python"), "-c", probe, theirs.hex(), ours.hex()],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_form_that_waits_for_its_values(official, server):
    official.write("connector.py", FORM).write("configuration.json", {"region": "eu"})
    ran = deploy(official, "--configuration", "configuration.json")
    id = ran.found(r"connection id: (\S+)")
    assert "api_key (API key) is required and has no value" in ran.out
    filled = {
        "secrets_list": [{"key": "api_key", "value": "sesame-1"}, {"key": "region", "value": None}]
    }
    done = server.ok("PATCH", f"/v1/connections/{id}", {"config": filled})
    assert done["status"]["setup_state"] == "connected"
