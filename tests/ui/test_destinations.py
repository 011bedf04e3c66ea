"""Destinations: a form drawn from what the type wants to know, tested, renamed, removed when unused."""

import pg as postgres
from conftest import Browser, add_user
from pg_fixtures import need_postgresql


def test_a_destination(server, page):
    page.goto(server.url + "/dashboard/destinations")
    page.get_by_role("row").filter(has_text="warehouse").get_by_text("DuckDB").wait_for()
    page.get_by_text("Add a destination", exact=True).click()
    page.get_by_label("Name").fill("second")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="Set it up").wait_for()
    page.get_by_label("File").fill("/etc/second.db")
    page.get_by_role("button", name="Save and test").click()
    page.locator("#said").get_by_text("outside the server's data directory").wait_for()
    page.complaints.clear()  # of the refusal
    page.get_by_label("File").fill("second.db")
    page.get_by_role("button", name="Save and test").click()
    page.locator("#tests").get_by_text("Database file passed").wait_for()
    page.locator("#head .status[data-status=connected]").wait_for()
    made = next(
        d for d in server.items("/v1/destinations") if d["config"]["path"].endswith("second.db")
    )

    (server.data / "second.db").write_text("this is no database at all")
    page.get_by_role("button", name="Test", exact=True).click()
    page.locator("#tests .note.bad").get_by_text("is no DuckDB database").wait_for()
    page.locator("#head .status[data-status=broken]").wait_for()
    page.get_by_label("Time zone").fill("2")
    page.get_by_label("File").fill("third.db")
    page.get_by_role("button", name="Save and test").click()
    page.locator("#head .status[data-status=connected]").wait_for()
    assert server.ok("GET", f"/v1/destinations/{made['id']}")["time_zone_offset"] == "2"

    page.get_by_role("button", name="Remove this destination").click()
    page.locator("dialog").get_by_role("button", name="Remove").click()
    page.wait_for_url("**/dashboard/destinations")
    assert [g["name"] for g in server.items("/v1/groups")] == ["warehouse"]


def test_postgresql_by_its_form(server, page):
    need_postgresql()
    group = server.ok("POST", "/v1/groups", {"name": "team"})["id"]
    with postgres.Cluster() as pg:
        page.goto(server.url + "/dashboard/destinations/" + group)
        page.get_by_role("link", name="PostgreSQL").click()
        for name in ("host", "port", "database", "user"):
            page.locator(f"[name='config.{name}']").fill(str(pg.options()[name]))
        page.locator("[name='config.password']").fill("wrong")
        page.get_by_role("button", name="Save and test").click()
        page.locator("#tests .note.bad").get_by_text("password").wait_for()
        page.locator("[name='config.password']").fill(postgres.PASSWORD)
        page.get_by_role("button", name="Save and test").click()
        page.locator("#head .status[data-status=connected]").wait_for()
        # What is stored stays when nothing else is typed, and never comes back.
        page.reload()
        assert postgres.PASSWORD not in page.content()
        page.locator("[name='config.connect_timeout']").fill("20")
        page.get_by_role("button", name="Save and test").click()
        page.locator("#tests").get_by_text("Writing passed").wait_for()
        shown = server.ok("GET", "/v1/destinations/" + group)
        assert shown["setup_status"] == "connected" and shown["config"]["connect_timeout"] == 20
        assert shown["config"]["password"] == "******"


def test_who_sees_what(server, admin):
    words = "many quiet words here"
    group = server.group
    server.ok(
        "POST",
        "/v1/connections",
        {
            "group_id": group,
            "service": "connector_sdk",
            "run_setup_tests": False,
            "config": {"schema": "user_of_it"},
        },
    )
    seen = {}
    for role in ("viewer", "operator", "admin"):
        add_user(server, role + "@example.com", role, words)
        client = Browser(server)
        client.log_in(role + "@example.com", words)
        text = client.get("/dashboard/destinations/" + group).text
        assert "user_of_it" in text and "warehouse.db" in text
        seen[role] = [w for w in ("Save and test", "data-tests", "Rename") if w in text]
        assert "Remove this destination" not in text, "it is used"
    assert seen == {
        "viewer": [],
        "operator": ["data-tests"],
        "admin": ["Save and test", "data-tests", "Rename"],
    }
    listed = server.ok("GET", "/dashboard/destinations.json")
    assert [(i["name"], i["connections"]) for i in listed["items"]] == [("warehouse", 1)]
    assert server.call("GET", "/dashboard/destinations/nothing.json").status == 404
