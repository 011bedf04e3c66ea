"""By keyboard alone: the switch, dialogs, a configuration; and fields of a form that depend on others."""

import json

import pytest

from harness import ONE_ROW, connector

FORM = """
from fivetran_connector_sdk import ConfigurationForm, Connector, Operations as op, form_field

def configuration_form():
    form = ConfigurationForm()
    form.add_field(form_field.TextField("host", "Host"))
    form.add_field(form_field.ToggleField("tls", "Use TLS"))
    form.add_field(form_field.TextField("authority", "Authority", required=True))
    form.add_field(form_field.DropdownField("auth", "Auth", fields=["none", "password"]))
    form.add_field(form_field.TextField("pin", "PIN", form_field.TextField.password, required=True))
    return form

def update(configuration, state):
    op.checkpoint({})

connector = Connector(update=update, configuration_form=configuration_form)
"""
# Forms of other tools have conditions; the Python classes cannot say them.
WHEN = {"authority": {"field": "tls", "is": True}, "pin": {"field": "auth", "is": "password"}}


@pytest.fixture
def formed(server):
    con = server.deploy("formed", {"connector.py": FORM}, check=False)
    (kept,) = [f for f in (server.data / "packages").glob("*.form")]
    form = json.loads(kept.read_text())
    for field in form["fields"]:
        if field["name"] in WHEN:
            field["when"] = [WHEN[field["name"]]]
    kept.write_text(json.dumps(form))
    return con


def test_fields_that_depend_on_others(formed, server, page):
    page.goto(f"{server.url}/dashboard/connections/{formed.id}/setup")
    authority, pin = page.get_by_label("Authority"), page.get_by_label("PIN")
    assert authority.is_hidden() and pin.is_hidden()
    page.get_by_label("Use TLS").check()
    page.locator("[name=auth]").select_option("password")
    assert authority.is_visible() and pin.is_visible()
    authority.fill("ours")
    page.locator("[name=auth]").select_option("none")
    assert authority.is_visible() and pin.is_hidden()
    # What is hidden is not asked for.
    page.get_by_role("button", name="Save and test").click()
    page.locator("#head .status[data-status=Paused]").wait_for()
    shown = {f["name"]: f for f in server.ok("GET", formed.path + "/form")["fields"]}
    assert shown["tls"]["value"] == "true" and not shown["pin"]["has_value"]
    # A choice is no secret, whatever its field is called; a text of such a name is.
    assert shown["auth"]["value"] == "none" and shown["authority"]["value"] is None
    assert page.locator("[name=auth]").input_value() == "none"


def focused(page):
    return page.evaluate(
        "document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText"
    )


def press(page, name, key="Enter", role="button"):
    page.get_by_role(role, name=name, exact=True).focus()
    page.keyboard.press(key)


def test_the_switch_and_dialogs(server, page):
    con = server.deploy("by_keys", {"connector.py": ONE_ROW})
    page.goto(f"{server.url}/dashboard/connections/{con.id}/status")
    press(page, "Enabled", "Space", "switch")
    page.locator("#head .status[data-status=Active]").wait_for()
    page.locator("#status .status[data-status=Successful]").wait_for()
    page.locator("[role=switch]:not([aria-disabled])").wait_for()
    assert focused(page) == "Enabled", "who works by keyboard stays where they were"

    page.goto(f"{server.url}/dashboard/connections/{con.id}/setup")
    press(page, "Re-sync everything")
    assert focused(page) == "Cancel", "the harmless one"
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    assert focused(page) == "Re-sync everything"

    press(page, "Delete")
    page.keyboard.type("by_key")
    page.keyboard.press("Enter")  # not yet the name: nothing happens
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.type("s")
    page.keyboard.press("Enter")
    page.wait_for_url("**/dashboard/connections")
    assert server.call("GET", con.path).status == 404


def test_a_key_is_added_and_why_it_failed_is_told(server, page):
    needs = connector("op.checkpoint({})", schema='[{"table": configuration["table"]}]')
    con = server.deploy("needs_a_key", {"connector.py": needs}, check=False)
    page.goto(f"{server.url}/dashboard/connections/{con.id}/setup")
    page.locator("#setup-call").get_by_text("KeyError: 'table' (connector.py:").wait_for()
    page.locator("#setup-tests summary").focus()
    page.keyboard.press("Enter")
    page.locator("#setup-tests pre").get_by_text("Traceback").wait_for()
    press(page, "Add a key")
    page.keyboard.type("table")
    page.keyboard.press("Tab")
    page.keyboard.type("t")
    page.keyboard.press("Enter")
    page.locator("#head .status[data-status=Paused]").wait_for()
    assert server.ok("GET", con.path + "/form")["other_keys"] == ["table"]


def test_where_one_is_can_be_seen(server, page):
    con = server.deploy("seen", {"connector.py": ONE_ROW})
    for path in ("", f"/{con.id}/status", f"/{con.id}/setup"):
        page.goto(f"{server.url}/dashboard/connections{path}")
        page.locator("main h1").wait_for()
        for _ in range(20):
            page.keyboard.press("Tab")
            outline = page.evaluate("""() => { const el = document.activeElement, style = getComputedStyle(el);
                return el === document.body ? 'solid 2px' : `${style.outlineStyle} ${style.outlineWidth} ${el.outerHTML.slice(0, 80)}`; }""")
            assert outline.startswith("solid 2px"), outline
