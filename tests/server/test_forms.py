"""Configuration forms on a server: read from packages, shown, checked, their tests run; a connection that waits for its values."""

import base64
import json
import os
import subprocess

from harness import Connection

# A package as `fivetran deploy` makes it is packed by the command itself: configuration_form.pb is as it will be.
FORM = """
from fivetran_connector_sdk import ConfigurationForm, Connector, Logging as log, Operations as op, Test, form_field

def connection(configuration):
    if configuration["pin"] != "a7b1":
        return Test.failure("the pin " + configuration["pin"] + " is wrong on " + configuration["host"])
    return Test.success()

def broken(configuration):
    return configuration["absent"]

def configuration_form():
    form = ConfigurationForm()
    form.add_field(form_field.TextField("host", "Host", required=True))
    form.add_field(form_field.TextField("pin", "PIN", form_field.TextField.password, required=True))
    form.add_field(form_field.DropdownField("region", "Region", fields=["eu", "us"]))
    form.add_field(form_field.ToggleField("fast", "Fast"))
    form.add_test(label="Connection", func=connection)
    return form

def schema(configuration):
    return [{"table": "t", "primary_key": ["id"]}]

def update(configuration, state):
    log.info("pin " + configuration["pin"] + " host " + configuration["host"])
    op.upsert("t", {"id": 1})
    op.checkpoint({})

connector = Connector(update=update, schema=schema, configuration_form=configuration_form)
"""
GOOD = {"host": "h1", "pin": "a7b1"}


def packed(server, tmp_path, text=FORM, **files):
    """The bytes of a package that the command makes."""
    folder = tmp_path / "project"
    folder.mkdir(exist_ok=True)
    for name, content in {"connector.py": text, **files}.items():
        (folder / name).write_text(content)
    made = subprocess.run(
        [f"{server.bin}/fivetran", "package", str(folder)],
        env=server.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return (folder / "files/project.zip").read_bytes()


def key_of(server, role):
    made = server.ok("POST", "/v1/keys", {"name": role, "role": role})
    return base64.b64encode(f"{made['key']}:{made['secret']}".encode()).decode()


def secrets(values):
    return [{"key": k, "value": v} for k, v in values.items()]


def patch(con, values, **more):
    return con.server.call(
        "PATCH", f"/v1/connections/{con.id}", {"config": {"secrets_list": secrets(values)}, **more}
    )


def form_of(con, **more):
    return con.server.ok("GET", f"/v1/connections/{con.id}/form", **more)


def setup_state(con):
    return con.details()["status"]["setup_state"]


def results(data):
    return [(t["title"], t["status"]) for t in data["setup_tests"]]


def test_pending_until_filled_in(server, tmp_path):
    con = server.deploy("pending", packed(server, tmp_path), check=False)
    details = con.details()
    assert details["status"]["setup_state"] == "incomplete"
    assert results(details) == [
        ("Reading the configuration", "PASSED"),
        ("Checking the configuration form", "FAILED"),
    ]
    assert details["setup_tests"][1]["message"].startswith(
        "host (Host) is required and has no value"
    )
    form = form_of(con)
    assert form["source"] == "connector" and form["setup_state"] == "incomplete"
    assert "host (Host) is required and has no value" in form["problem"]
    assert [f["name"] for f in form["fields"]] == ["host", "pin", "region", "fast"]
    assert not any(f["has_value"] for f in form["fields"])
    refused = server.call("POST", f"/v1/connections/{con.id}/sync")
    assert refused.status == 409 and "host (Host) is required" in refused.message

    # Switched on before it is ready: it runs as soon as it is.
    server.ok("PATCH", f"/v1/connections/{con.id}", {"paused": False})
    assert con.history() == []
    done = patch(con, GOOD)
    assert done.status == 200, done
    assert results(done.data) == [
        ("Reading the configuration", "PASSED"),
        ("Checking the configuration form", "PASSED"),
        ("Installing dependencies", "PASSED"),
        ("Running connector.py and schema()", "PASSED"),
        ("Connection", "PASSED"),
    ]
    assert done.data["status"]["setup_state"] == "connected"
    con.wait_for_sync()
    assert server.rows("select id from pending.t") == [(1,)]
    line = next(x for x in con.logs() if "host h1" in x["message"])
    assert "a7b1" not in line["message"], "the form says password: four characters are hidden"


def test_it_stays_paused_when_it_was(server, tmp_path):
    con = server.deploy("stays", packed(server, tmp_path), check=False)
    assert patch(con, GOOD).data["status"]["setup_state"] == "connected"
    assert con.details()["paused"] is True and con.history() == []


def test_the_form_as_it_is_shown(server, tmp_path):
    con = server.deploy(
        "shown",
        packed(server, tmp_path),
        {**GOOD, "region": "us", "api_token": "x", "fast": "true"},
    )
    form = form_of(con)
    by_name = {f["name"]: f for f in form["fields"]}
    assert by_name["host"]["value"] == "h1" and not by_name["host"]["secret"]
    assert by_name["pin"] == {
        "name": "pin", "label": "PIN", "kind": "password", "required": True, "description": None, "placeholder": None,
        "default": None, "when": [], "secret": True, "shown": True, "has_value": True, "value": None,
    }  # fmt: skip
    assert [o["value"] for o in by_name["region"]["options"]] == ["eu", "us"]
    assert form["tests"] == [{"name": "connection", "label": "Connection"}]
    assert form["other_keys"] == ["api_token"] and form["may_add_keys"] is False
    assert form["problem"] is None
    viewer = key_of(server, "viewer")
    assert [f["value"] for f in form_of(con, auth=viewer)["fields"]] == [None] * 4


UNFIT = [
    ({**GOOD, "region": "mars"}, "region (Region): 'mars' is none of its choices: eu, us"),
    ({**GOOD, "fast": "maybe"}, "fast (Fast): it is true or false, not 'maybe'"),
    ({"host": "h1"}, "pin (PIN) is required and has no value"),
    ({"host": "", "pin": "a7b1"}, "host (Host) is required and has no value"),
]


def test_values_that_do_not_fit(server, tmp_path):
    con = server.deploy("unfit", packed(server, tmp_path), GOOD)
    for values, says in UNFIT:
        refused = patch(con, values)
        assert refused.status == 400 and says in refused.message, refused
    assert setup_state(con) == "connected"
    assert form_of(con)["fields"][0]["value"] == "h1"
    # null keeps what is stored.
    assert patch(con, {"host": "h2", "pin": None}).status == 200
    assert form_of(con)["fields"][0]["value"] == "h2"


def test_a_new_connection_with_a_wrong_choice(server, tmp_path):
    package = server.upload(packed(server, tmp_path))
    config = {
        "schema": "wrong",
        "package_id": package["id"],
        "secrets_list": secrets({"region": "mars"}),
    }
    refused = server.call(
        "POST", "/v1/connections", {"group_id": server.group, "service": "connector_sdk", "config": config}
    )  # fmt: skip
    assert refused.status == 400 and "none of its choices" in refused.message


def test_tests_of_the_form(server, tmp_path):
    text = FORM.replace(
        "    return form\n", '    form.add_test(label="Broken", func=broken)\n    return form\n'
    )
    con = server.deploy(
        "tested", packed(server, tmp_path, text), {"host": "h1", "pin": "x111"}, check=False
    )
    line = text[: text.index('configuration["absent"]')].count("\n") + 1
    failed = con.details()["setup_tests"][-2:]
    assert [(t["title"], t["status"], t["message"]) for t in failed] == [
        ("Connection", "FAILED", "the pin ****** is wrong on h1"),
        ("Broken", "FAILED", f"KeyError: 'absent' (connector.py:{line})"),
    ]
    assert setup_state(con) == "incomplete"
    tests = f"/v1/connections/{con.id}/form/tests"
    stored = server.ok("POST", tests + "/connection")["tests"]
    assert stored == [
        {"name": "connection", "label": "Connection", "passed": False, "message": "the pin ****** is wrong on h1"}
    ]  # fmt: skip
    given = server.ok("POST", tests + "/connection", {"values": {"pin": "a7b1"}})["tests"]
    assert [t["passed"] for t in given] == [True]
    both = server.ok("POST", tests, {"values": {"pin": "y222", "absent": "x"}})["tests"]
    assert [t["message"] for t in both] == [
        "the pin ****** is wrong on h1",
        "test 'broken' must return Test.success() or Test.failure(...), got str",
    ]
    assert form_of(con)["fields"][1]["has_value"] and setup_state(con) == "incomplete"
    absent = server.call("POST", tests + "/nonsense")
    assert absent.status == 404 and "no test 'nonsense'" in absent.message
    assert server.call("POST", tests, {"values": {"pin": 5}}).status == 400
    operator = key_of(server, "operator")
    assert server.call("POST", tests, auth=operator).status == 200
    refused = server.call("POST", tests, {"values": {"host": "evil"}}, auth=operator)
    assert refused.status == 403 and "role admin" in refused.message


def test_a_package_that_does_not_say(server):
    """Uploaded by something that knows nothing of forms: the connector is asked, once."""
    con = server.deploy("asked", {"connector.py": FORM}, check=False)
    assert results(con.details())[-1] == ("Checking the configuration form", "FAILED")
    assert [f["name"] for f in form_of(con)["fields"]] == ["host", "pin", "region", "fast"]
    assert patch(con, GOOD).data["status"]["setup_state"] == "connected"


def test_a_form_that_fails(server):
    text = FORM.replace("    form = Conf", "    raise ValueError(GONE)\n    form = Conf").replace(
        "GONE", '"no form today"'
    )
    con = server.deploy("fails", {"connector.py": text}, GOOD, check=False)
    last = con.details()["setup_tests"][-1]
    line = text[: text.index("raise ValueError")].count("\n") + 1
    assert last["title"] == "Reading the configuration form" and last["status"] == "FAILED"
    assert f"ValueError: no form today (connector.py:{line})" in last["message"]
    assert form_of(con)["source"] == "unknown"
    tests = server.call("POST", f"/v1/connections/{con.id}/form/tests")
    assert tests.status == 409 and "no form today" in tests.message


def test_a_damaged_form_in_a_package(server):
    for n, pb in enumerate([b"\xff\xff\xff", b"\x1a\x05hello", os.urandom(1_500_000)]):
        con = server.deploy(
            f"damaged_{n}", {"connector.py": FORM, "configuration_form.pb": pb}, GOOD
        )
        assert form_of(con)["source"] == "connector"


def test_without_a_form(server):
    text = FORM.replace(", configuration_form=configuration_form", "").replace(
        "ConfigurationForm", "Nothing"
    )
    text = text.replace("Nothing, ", "").replace(
        '"primary_key": ["id"]', '"primary_key": [configuration["key_of"]]'
    )
    con = server.deploy("plain", {"connector.py": text}, {"host": "h"}, check=False)
    form = form_of(con)
    assert form["source"] == "none" and form["fields"] == [] and form["may_add_keys"] is True
    assert form["other_keys"] == ["host"]
    line = text[: text.index('[configuration["key_of"]]')].count("\n") + 1
    assert f"KeyError: 'key_of' (connector.py:{line})" in form["problem"]
    done = patch(con, {"host": None, "pin": "12345678", "key_of": "id"})
    assert done.data["status"]["setup_state"] == "connected"
    assert form_of(con)["other_keys"] == ["host", "pin", "key_of"]
    con.unpause()
    con.wait_for_sync()


def test_new_code_brings_a_new_form(server, tmp_path):
    con = server.deploy("newer", packed(server, tmp_path), GOOD)
    text = FORM.replace('add_field(form_field.ToggleField("fast", "Fast"))',
                        'add_field(form_field.TextField("team", "Team", required=True))')  # fmt: skip
    package = server.upload(packed(server, tmp_path, text))
    changed = server.ok(
        "PATCH", f"/v1/connections/{con.id}", {"config": {"package_id": package["id"]}}
    )
    assert changed["status"]["setup_state"] == "incomplete"
    assert "team (Team) is required" in form_of(con)["problem"]
    assert (
        patch(con, {"host": None, "pin": None, "team": "t"}).data["status"]["setup_state"]
        == "connected"
    )


def test_the_form_outlives_a_restart(server, tmp_path):
    con = server.deploy("restarted", packed(server, tmp_path), GOOD)
    before = form_of(con)
    for kept in (server.data / "packages").glob("*.form"):
        json.loads(kept.read_text())
        kept.unlink()  # as after a restore: it is made from the package again
    server.restart()
    assert form_of(Connection(server, con.id)) == before
