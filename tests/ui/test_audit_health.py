"""The audit log and the server's health."""

from conftest import Browser, add_user


def test_audit(server, browser_client):
    browser_client.log_in()
    for n in range(120):
        server.ok("PATCH", f"/v1/groups/{server.group}", {"name": f"warehouse{n}"})
    first = server.ok("GET", "/dashboard/audit.json?action=group.update")["audit"]
    assert len(first["items"]) == 100
    rest = server.ok(
        "GET", f"/dashboard/audit.json?action=group.update&cursor={first['next_cursor']}"
    )["audit"]
    assert len(rest["items"]) == 20 and "next_cursor" not in rest
    key = first["items"][0]["actor"]
    assert key.startswith("key:")
    page = browser_client.get(f"/dashboard/audit?actor={key}&action=&start_time=&end_time=")
    assert (
        page.status == 200
        and "Older" in page.text
        and "user.login" not in page.text.split("tbody")[1]
    )
    nothing = browser_client.get("/dashboard/audit?start_time=2099-01-01")
    assert "Nothing matches" in nothing.text
    assert browser_client.get("/dashboard/audit?start_time=yesterday").status == 400


def test_health(server, browser_client):
    browser_client.log_in()
    shown = server.ok("GET", "/dashboard/health.json")
    assert shown["version"] and shown["uptime_us"] > 0 and shown["resident"] > 1 << 20
    assert shown["store_bytes"] > 0 and shown["disk"]["free"] > 0
    assert shown["queue"] == {"waiting": 0, "longest_us": shown["queue"]["longest_us"]}
    assert shown["running"] == [] and shown["engines"] == [] and shown["places"] > 0
    assert shown["sandbox"] == "best" and shown["data"] == str(server.data)
    text = browser_client.get("/dashboard/health").text
    assert (
        f"{server.url}/simple/" in text
        and f"sluiced backup sluice-backup.tar --data {server.data}" in text
    )
    add_user(server, "vic@example.com", "viewer", "many quiet words here")
    vic = Browser(server)
    vic.log_in("vic@example.com", "many quiet words here")
    text = vic.get("/dashboard/health").text
    assert "Waiting for a place" in text and str(server.data) not in text
