"""What a person should look at: found, counted, explained."""

from records import MINUTE, Store


def fill(server):
    st = Store(server)
    late = st.now - 120 * MINUTE
    st.connection("fine", paused=0, next_run_at=st.now + MINUTE * 100)
    st.connection("off", failures=4)
    st.connection("unready", setup_state="incomplete")
    st.connection("late", paused=0, next_run_at=late)
    st.connection("soon", paused=0, next_run_at=st.now - MINUTE // 2)
    st.connection("failing", paused=0, failures=3, failed_at=late)
    st.sync("failing", 1, status="FAILURE", reason="the source said no", hint="ask it nicely")
    st.connection("broken", paused=0, failures=1, setup_state="broken", failed_at=late)
    st.sync("broken", 1, status="FAILURE_WITH_TASK", reason="the key was revoked")
    for name, first in (("once", "SUCCESSFUL"), ("again", "RESCHEDULED")):
        st.connection(name, paused=0, rescheduled_for=st.now + MINUTE)
        st.sync(name, 1, status=first)
        st.sync(name, 2, status="RESCHEDULED", reason="it ran out of memory")
    st.db.execute("update destination set setup_status = 'broken'")


def test_alerts(server, browser_client):
    assert server.ok("GET", "/v1/alerts") == {"items": [], "count": 0}
    fill(server)
    found = server.ok("GET", "/v1/alerts")
    assert found["count"] == len(found["items"]) == 6
    assert [(a["kind"], a["name"]) for a in found["items"]] == [
        ("destination", "warehouse"),
        ("broken", "broken"),
        ("failing", "failing"),
        ("delayed", "late"),
        ("rescheduled", "again"),
        ("setup_pending", "unready"),
    ]
    by = {a["kind"]: a for a in found["items"]}
    assert by["failing"]["cause"] == "3 syncs in a row failed. the source said no"
    assert by["failing"]["fix"] == "ask it nicely"
    assert by["broken"]["cause"] == "the key was revoked" and by["broken"]["fix"]
    assert "out of memory" in by["rescheduled"]["cause"]
    assert "no code yet" in by["setup_pending"]["cause"]
    browser_client.log_in()
    assert server.ok("GET", "/dashboard/alerts.json")["items"] == found["items"]
    text = browser_client.get("/dashboard/connections").text
    assert "data-live class=alerts>6<" in text, "the navigation tells how many"


def test_the_page_follows(server, page):
    page.goto(server.url + "/dashboard/alerts")
    page.get_by_text("All is well").wait_for()
    fill(server)
    server.ok("PATCH", "/v1/connections/fine", {"sync_frequency": 60})  # an event
    page.reload()
    page.locator(".alert[data-kind=failing]").get_by_text("ask it nicely").wait_for()
    page.locator("#alerts-count").get_by_text("6").wait_for()
    page.get_by_role("link", name="failing").click()
    page.wait_for_url("**/dashboard/connections/failing/status")
    page.go_back()
    page.get_by_role("link", name="unready").click()
    page.wait_for_url("**/dashboard/connections/unready/setup")
