"""The second half of the tutorial: log in, find the connection, switch it on, watch it, read its log."""

import json
import re

from conftest import TUTORIAL

from harness import ONE_ROW


def deploy_tutorial(server):
    files = {n: (TUTORIAL / n).read_text() for n in ("connector.py", "requirements.txt")}
    return server.deploy(
        "hello_connection", files, json.loads((TUTORIAL / "configuration.json").read_text())
    )


def test_the_tutorial(server, page):
    line = page.locator(".copy code").inner_text()
    assert line.startswith(f"fivetran deploy --url {server.url} --api-key "), line
    page.evaluate("window.sameDocument = true")

    # It appears without reloading.
    con = deploy_tutorial(server)
    row = page.get_by_role("row").filter(has_text="hello_connection")
    row.get_by_text("Paused").wait_for()
    row.get_by_role("link", name="hello_connection").click()
    page.wait_for_url(f"**/dashboard/connections/{con.id}/status")

    page.evaluate("window.sameDocument = true")
    switch = page.get_by_role("switch", name="Enabled")
    assert switch.get_attribute("aria-checked") == "false"
    switch.click()
    page.locator("#head .status[data-status=Active]").wait_for()
    page.locator("#status .status[data-status=Successful]").wait_for()
    assert page.get_by_role("switch", name="Enabled").get_attribute("aria-checked") == "true"
    page.get_by_text("ann@example.com enabled the connection").wait_for()
    assert page.evaluate("window.sameDocument"), "the page was reloaded"

    page.get_by_role("link", name="Connector SDK logs").click()
    warning = page.locator("#log li[data-level=WARNING]")
    assert "Example: QuickStart Examples - Configuration" in warning.inner_text()
    assert server.rows("select msg from hello_connection.crypto") == [
        ("If you can read this, you have the correct key",)
    ]


def test_sync_now_and_cancel(server, page):
    endless = """
from fivetran_connector_sdk import Connector, Operations as op
import time
def update(configuration, state):
    n = 0
    while True:
        n += 1
        op.upsert("t", {"id": n})
        op.checkpoint({"n": n})
        time.sleep(0.01)
connector = Connector(update=update)
"""
    con = server.deploy("endless", {"connector.py": endless})
    page.goto(f"{server.url}/dashboard/connections/{con.id}/status")
    page.get_by_role("button", name="Start initial sync").click()
    progress = page.locator(f'.card [data-progress="{con.id}"]')
    progress.get_by_text(re.compile(r"update\(\), [1-9]")).wait_for()
    page.get_by_role("button", name="Cancel sync").click()
    page.get_by_role("row").filter(has_text="Canceled").wait_for()
    page.get_by_role("button", name="Start initial sync").wait_for()


def test_the_json_twin(server):
    con = server.deploy("one_row", {"connector.py": ONE_ROW})
    for path in ("connections.json", "connections?format=json"):
        listed = server.ok("GET", "/dashboard/" + path)
        assert [(i["id"], i["name"], i["status"]) for i in listed["items"]] == [
            (con.id, "one_row", "Paused")
        ]
    for tab in ("status", "logs"):
        shown = server.ok("GET", f"/dashboard/connections/{con.id}/{tab}.json")
        assert shown["connection"]["display_status"] == "Paused" and shown["tab"]
