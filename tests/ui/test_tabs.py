"""The tabs of a connection in a real browser: schema, data, usage, setup. What a connector names and writes is hostile."""

import json
import re
import time
import urllib.parse

import pytest
from conftest import ADMIN, Browser, add_user, log_in

EVIL = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>\"'&"
HOSTILE = f"""
from fivetran_connector_sdk import Connector, Operations as op
EVIL = {EVIL!r}

def schema(configuration):
    return [{{"table": "plain", "primary_key": ["id"]}}, {{"table": EVIL, "primary_key": [EVIL]}}]

def update(configuration, state):
    n = state.get("n", 0) + 1
    for i in range(60):
        long = i == 3
        op.upsert("plain", {{
            "id": i, "text": "é" * 5000 if long else EVIL, "amount": 1.5, "none": "x" if i == 2 else None,
            "raw": b"\\x01" * 5000 if long else b"\\x00\\xff", "run": n,
        }})
    op.delete("plain", {{"id": 59}})
    op.upsert(EVIL, {{EVIL: EVIL, EVIL + "2": n}})
    op.checkpoint({{"n": n, "big": 123456789012345678901234567890, "evil": EVIL}})

connector = Connector(update=update, schema=schema)
"""


def url(con, tab, **query):
    text = urllib.parse.urlencode(query)
    return f"{con.server.url}/dashboard/connections/{con.id}/{tab}" + (f"?{text}" if text else "")


def said(page, text):
    page.locator("#said").get_by_text(text, exact=True).wait_for()
    page.evaluate("document.getElementById('said').textContent = ''")


def confirm(page, label, name=None):
    dialog = page.get_by_role("dialog")
    if name:
        assert dialog.get_by_role("button", name=label).is_disabled()
        dialog.get_by_role("textbox").fill(name)
    dialog.get_by_role("button", name=label).click()


def unharmed(page):
    assert "owned" not in page.title()
    assert page.locator("main script, main img").count() == 0


@pytest.fixture
def hostile(server):
    con = server.deploy("hostile", {"connector.py": HOSTILE}, {EVIL: EVIL})
    con.unpause()
    con.wait_for_sync()
    con.pause()
    return con


def test_schema_data_and_usage(hostile, page):
    page.goto(url(hostile, "schema"))
    plain = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="plain"))
    plain.get_by_text("59 + 1 deleted").wait_for()
    assert plain.get_by_text("id", exact=True).count() == 1
    assert page.get_by_role("rowheader").filter(has_text=EVIL).count() == 1
    unharmed(page)

    # Off, kept, and on again: of the table and of a column, whatever their names are.
    switch = page.get_by_role("switch", name=f"Sync {EVIL}")
    switch.click()
    page.locator("[role=switch][aria-checked=false]").wait_for()
    shown = hostile.server.ok("GET", hostile.path + "/schemas")["schemas"]["hostile"]["tables"]
    assert (shown[EVIL]["enabled"], shown["plain"]["enabled"]) == (False, True)
    page.get_by_role("link", name=EVIL).click()
    page.wait_for_url("**schema=hostile**")
    page.locator("#schema:not([data-count])").wait_for()
    detail = page.locator("#table")
    column = detail.get_by_role("switch", name=f"Sync {EVIL}2")
    column.click()
    detail.locator("[role=switch][aria-checked=false]").wait_for()
    columns = hostile.server.ok(
        "GET", f"{hostile.path}/schemas/hostile/tables/{urllib.parse.quote(EVIL, safe='')}/columns"
    )["columns"]
    assert columns[EVIL]["enabled"] and not columns[EVIL + "2"]["enabled"]
    unharmed(page)

    page.get_by_label("When the source changes").select_option("BLOCK_ALL")
    page.get_by_role("button", name="Save").click()
    said(page, "Saved")
    page.get_by_placeholder("Search tables").fill("PLAI")
    page.get_by_text("1 table of 2").wait_for()
    before = hostile.ended()
    page.get_by_role("button", name="Re-sync").last.click()
    assert "plain" in page.get_by_role("dialog").inner_text()
    confirm(page, "Re-sync")
    said(page, "The table will be re-synced")
    hostile.unpause()
    hostile.wait_for_sync(before)
    assert hostile.history()[0]["only_tables"] == ["hostile.plain"]

    page.goto(url(hostile, "data", at=json.dumps(["hostile", "plain"])))
    rows = page.locator("table.rows tbody tr")
    page.get_by_text("The first 50 of 60 rows, 1 of them marked as deleted").wait_for()
    assert rows.count() == 50
    long, short = (
        rows.filter(has=page.locator("td.num").get_by_text(i, exact=True)) for i in ("3", "4")
    )
    cells = [cell.inner_text() for cell in long.first.locator("td").all()]
    assert any(re.fullmatch(r"é{1000}… \(10000 bytes\)", cell) for cell in cells), cells
    assert any(cell.startswith("AQEB") and cell.endswith("… (5000 bytes)") for cell in cells)
    assert EVIL in short.inner_text() and "NULL" in short.inner_text()
    assert "AP8=" in short.inner_text()
    page.get_by_label("Table").select_option(label=f"hostile.{EVIL}")
    page.get_by_text("1 row in hostile.").wait_for()
    unharmed(page)

    page.goto(url(hostile, "usage"))
    page.get_by_role("row").filter(has_text="plain").get_by_text("60").wait_for()
    assert "upper bound" in page.locator("#usage").inner_text()
    assert page.locator(".months rect[data-here=true]").count() == 1
    unharmed(page)


FORM = f"""
from fivetran_connector_sdk import ConfigurationForm, Connector, Operations as op, Test, form_field
EVIL = {EVIL!r}

def connection(configuration):
    if configuration["pin"] != "a7b1":
        return Test.failure("wrong pin " + EVIL.upper())
    return Test.success()

def configuration_form():
    form = ConfigurationForm()
    form.add_field(form_field.TextField("host", EVIL, required=True, description=EVIL))
    form.add_field(form_field.TextField("pin", "PIN", form_field.TextField.password, required=True))
    form.add_field(form_field.DropdownField("region", "Region", fields=["eu", EVIL]))
    form.add_field(form_field.ToggleField("fast", "Fast"))
    form.add_test(label=EVIL, func=connection)
    return form

def schema(configuration):
    return [{{"table": "t", "primary_key": ["id"]}}]

def update(configuration, state):
    op.upsert("t", {{"id": 1}})
    op.checkpoint({{"n": state.get("n", 0) + 1}})

connector = Connector(update=update, schema=schema, configuration_form=configuration_form)
"""


def test_setup_pending_is_filled_in(server, page):
    con = server.deploy("pending", {"connector.py": FORM}, check=False)
    row = page.get_by_role("row").filter(has_text="pending")
    row.get_by_role("link", name="pending").click()
    page.wait_for_url(url(con, "setup"))
    assert "is required and has no value" in page.locator("#setup-call").inner_text()
    unharmed(page)

    # The browser asks for what is required; what it lets through, the server answers at its field.
    page.get_by_label(EVIL).first.fill("h1")
    page.get_by_role("button", name="Save and test").click()
    assert page.evaluate("document.activeElement.name") == "pin"
    page.evaluate("document.querySelector('[name=pin]').required = false")
    page.get_by_role("button", name="Save and test").click()
    problem = page.locator("[data-field=pin] [data-problem]")
    problem.get_by_text("is required and has no value").wait_for()
    assert page.locator("[name=pin]").get_attribute("aria-invalid") == "true"
    # The browser itself writes refused requests into its console.
    assert [c for c in page.complaints if "400 (Bad Request)" not in c] == []
    page.complaints.clear()

    page.get_by_label("PIN").fill("0000")
    page.get_by_label("Region").select_option(EVIL)
    page.locator("[data-test]").first.click()
    page.locator("#test-results").get_by_text(f"wrong pin {EVIL.upper()}").wait_for()
    assert page.locator("#test-results .status").inner_text() == "Failed"
    unharmed(page)

    page.get_by_label("PIN").fill("a7b1")
    page.get_by_label("Fast").check()
    page.evaluate("window.sameDocument = true")
    page.get_by_role("button", name="Save and test").click()
    page.locator("#head .status[data-status=Paused]").wait_for()
    said(page, "Saved: the connection is ready")
    assert page.locator("#setup-call").inner_text() == ""
    assert page.evaluate("window.sameDocument") and page.get_by_label("PIN").input_value() == ""
    assert "a7b1" not in page.content()

    # What is stored and not typed again stays.
    page.get_by_label(EVIL).first.fill("h2")
    page.get_by_role("button", name="Save and test").click()
    said(page, "Saved: the connection is ready")
    fields = {f["name"]: f for f in server.ok("GET", con.path + "/form")["fields"]}
    assert [fields[n]["value"] for n in ("host", "region", "fast")] == ["h2", EVIL, "true"]
    assert fields["pin"]["has_value"]


def test_keys_without_a_form(server, page):
    text = FORM.replace(", configuration_form=configuration_form", "").replace(
        '"primary_key": ["id"]', '"primary_key": [configuration["key_of"]]'
    )
    con = server.deploy("plain", {"connector.py": text}, {EVIL: "x", "old": "y"}, check=False)
    page.goto(url(con, "setup"))
    assert "KeyError: 'key_of'" in page.locator("#setup-call").inner_text()
    unharmed(page)
    page.locator("[data-remove=old]").check()
    page.get_by_role("button", name="Add a key").click()
    page.get_by_label("Key", exact=True).fill("key_of")
    page.get_by_label("Value", exact=True).fill("id")
    page.get_by_role("button", name="Save and test").click()
    said(page, "Saved: the connection is ready")
    assert server.ok("GET", con.path + "/form")["other_keys"] == [EVIL, "key_of"]


def test_setup_of_one_that_ran(hostile, server, page):
    page.goto(url(hostile, "setup"))
    state = page.locator("pre.state")
    assert "123456789012345678901234567890" in state.inner_text()
    assert json.dumps(EVIL) in state.inner_text()
    unharmed(page)

    page.get_by_label("How often").select_option("1440")
    page.get_by_label("At (UTC").select_option("03:00")
    page.get_by_role("button", name="Save the schedule").click()
    said(page, "The schedule is saved")
    details = hostile.details()
    assert (details["sync_frequency"], details["daily_sync_time"]) == (1440, "03:00")
    page.get_by_label("At (UTC").select_option("any time")
    page.get_by_role("button", name="Save the schedule").click()
    said(page, "The schedule is saved")
    details = hostile.details()
    assert (details["sync_frequency"], details["daily_sync_time"]) == (1440, None)
    page.get_by_label("Syncs start").select_option("manual")
    assert page.get_by_label("How often").is_hidden()
    page.get_by_role("button", name="Save the schedule").click()
    said(page, "The schedule is saved")
    page.get_by_label("Memory of the connector").select_option("512 MiB")
    page.get_by_role("button", name="Save", exact=True).click()
    said(page, "Saved")
    assert hostile.details()["memory_limit"] == 512 << 20

    hostile.sync()
    page.reload()
    assert '"n": 2' in state.inner_text()
    page.get_by_text("Earlier checkpoints").click()
    page.get_by_role("button", name="Go back to it").last.click()
    confirm(page, "Go back")
    page.get_by_text("Set by hand").wait_for()
    assert '"n": 1' in state.inner_text() and hostile.state()["n"] == 1

    server.redeploy(hostile, {"connector.py": HOSTILE + "\n# second\n"})
    page.reload()
    versions = page.get_by_role("region", name="Versions")
    assert versions.get_by_role("row").nth(1).get_by_text("runs now").count() == 1
    first = server.items(hostile.path + "/deployments")[-1]["package_sha256"]
    versions.get_by_role("button", name="Roll back").last.click()
    confirm(page, "Roll back")
    said(page, "Version 1 runs from now on")
    versions.get_by_text("rollback to 1").wait_for()
    assert server.items(hostile.path + "/deployments")[0]["package_sha256"] == first

    hostile.pause()
    page.reload()
    before = hostile.ended()
    page.get_by_role("button", name="Re-sync everything").click()
    confirm(page, "Re-sync everything")
    said(page, "It is paused: the re-sync starts when it is switched on")
    hostile.unpause()
    hostile.wait_for_sync(before)
    assert hostile.state()["n"] == 1

    page.get_by_role("button", name="Delete", exact=True).click()
    confirm(page, "Delete", name="hostile")
    page.wait_for_url("**/dashboard/connections")
    said(page, "The connection was deleted")
    assert server.call("GET", hostile.path).status == 404


def test_who_may_what(hostile, server, window):
    """Viewers see no rows and no buttons; operators see rows, and may re-sync. Without scripts all is there to read."""
    add_user(server, ADMIN[0], "admin", ADMIN[1])
    add_user(server, "vic@example.com", "viewer", ADMIN[1])
    add_user(server, "olga@example.com", "operator", ADMIN[1])
    viewer, operator = window(), window()
    log_in(viewer, server, "vic@example.com")
    for tab in ("schema", "data", "usage", "setup"):
        viewer.goto(url(hostile, tab))
        assert viewer.locator("main [data-call]").count() == 0, tab
        unharmed(viewer)
    viewer.goto(url(hostile, "data"))
    assert "Rows are shown to operators" in viewer.locator("#data").inner_text()
    client = Browser(server)
    client.log_in("vic@example.com")
    path = f"{hostile.path}/data?schema=hostile&table=plain"
    assert client.get(path).status == 403
    log_in(operator, server, "olga@example.com")
    operator.goto(url(hostile, "schema"))
    assert operator.get_by_role("button", name="Re-sync").count() == 2
    assert operator.get_by_role("switch", name="Sync").count() == 0
    operator.goto(url(hostile, "setup"))
    assert operator.get_by_role("button", name="Delete").count() == 0
    assert operator.locator("#configuration-form").count() == 0
    operator.goto(url(hostile, "data", at=json.dumps(["hostile", "plain"])))
    assert operator.locator("table.rows tbody tr").count() == 50
    for tab in ("schema", "data", "usage", "setup"):
        assert server.ok("GET", f"/dashboard/connections/{hostile.id}/{tab}.json")["tab"]


def test_rows_by_the_api(hostile, server):
    def data(**query):
        return server.call("GET", f"{hostile.path}/data?" + urllib.parse.urlencode(query))

    plain = data(schema="hostile", table="plain", limit=2).data
    assert [c["name"] for c in plain["columns"] if c["key"]] == ["id"]
    assert (plain["total_rows"], plain["live_rows"], len(plain["rows"])) == (60, 59, 2)
    names = [c["name"] for c in plain["columns"]]
    rows = [
        dict(zip(names, r, strict=True))
        for r in data(schema="hostile", table="plain", limit=60).data["rows"]
    ]
    fourth = next(r for r in rows if r["id"] == "4")
    assert (fourth["text"], fourth["amount"], fourth["none"], fourth["raw"]) == (
        EVIL,
        "1.5",
        None,
        "AP8=",
    )
    assert data(schema="hostile", table=EVIL).data["rows"][0][0] == EVIL
    assert data(schema="hostile", table="plain", limit=0).data["rows"] == []
    assert data(schema="hostile", table="other").code == "NotFound_Table"
    assert (
        data(schema="hostile").status
        == data(schema="hostile", table="plain", limit=201).status
        == 400
    )
    # What others wrote into the same warehouse is not this connection's.
    other = server.deploy("other", {"connector.py": HOSTILE})
    mine = f"{other.path}/data?schema=hostile&table=plain"
    assert server.call("GET", mine).status == 404
    new = server.call("GET", f"{other.path}/data?schema=other&table=plain")
    assert new.status == 404 and "Nothing of table 'plain' is in the warehouse yet" in new.message


MANY = """
from fivetran_connector_sdk import Connector, Operations as op

def schema(configuration):
    columns = {f"c{k}": "STRING" for k in range(10)}
    return [{"table": f"table_{i}", "primary_key": ["id"], "columns": columns} for i in range(3000)]

def update(configuration, state):
    op.upsert("table_0", {"id": 1})

connector = Connector(update=update, schema=schema)
"""


def test_many_tables(server, page):
    con = server.deploy("many", {"connector.py": MANY})
    page.goto(url(con, "schema"))
    page.get_by_text("3,000 tables").wait_for()
    assert page.locator("#schema tbody tr").count() == 50
    page.get_by_placeholder("Search tables").fill("table_299")
    page.get_by_text("11 tables of 3,000").wait_for()
    page.get_by_role("link", name="table_2999").click()
    page.locator("#table").get_by_text("c9").first.wait_for()
    # Work of the server for one page, on a debug build of a busy machine: what is quadratic would take minutes.
    path = f"/dashboard/connections/{con.id}/schema.json?page=60"
    before = time.monotonic()
    listed = server.ok("GET", path)["tab"]
    assert time.monotonic() - before < 5
    assert (len(listed["tables"]), listed["pages"], listed["found"]) == (50, 60, 3000)
