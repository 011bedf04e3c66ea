"""Who only reads: without scripts, on a phone, as a viewer; and programs, by the JSON twin of every page."""

import re

import sample
from conftest import ADMIN, Browser, add_user, log_in
from records import Store

PHONES = (320, 390)
# What sticks out: tables may, in a box of their own that scrolls.
WIDER = """() => [document.documentElement.scrollWidth - innerWidth,
    ...[...document.querySelectorAll('main *')].filter((el) => el.getBoundingClientRect().right > innerWidth + 1
        && !el.closest('.scroll, pre, .small')).slice(0, 3).map((el) => el.outerHTML.slice(0, 120))]"""
SEEN = """(el) => { const a = el.getBoundingClientRect(), b = el.parentElement.getBoundingClientRect();
    return a.left >= b.left - 1 && a.right <= b.right + 1 && a.right <= innerWidth + 1; }"""


def test_every_page(server, window, admin):
    con = sample.fill(server)
    pages = sample.paths(server, con)
    pages["pending_setup"] = "/dashboard/connections/payroll/setup"
    plain = window(java_script_enabled=False)
    log_in(plain, server)
    phone = window(width=390, height=844)
    log_in(phone, server)
    for name, path in pages.items():
        # Without scripts all is there, and no time is left to be filled in.
        plain.goto(server.url + path)
        assert plain.locator("main h1").inner_text(), name
        assert plain.locator("main noscript .note").is_visible(), name
        times = plain.locator("main time").all_inner_texts()
        assert all(re.search(r"\d\d:\d\d", text) for text in times if text), (name, times)
        # On a phone nothing sticks out, whatever is open, and where one is can be seen.
        for width in PHONES:
            phone.set_viewport_size({"width": width, "height": 844})
            phone.goto(server.url + path)
            phone.locator("main h1").wait_for()
            phone.evaluate(
                "document.querySelectorAll('main details').forEach((el) => { el.open = true; })"
            )
            assert phone.evaluate(WIDER)[0] <= 0, (name, width, phone.evaluate(WIDER))
            for here in phone.locator(":is(.top nav, .tabs) [aria-current=page]").all():
                assert here.evaluate(SEEN), (name, width, here.inner_text())
        # Its twin.
        file, _, query = path.partition("?")
        twin = server.call("GET", f"{file}.json" + (f"?{query}" if query else ""))
        assert twin.status == 200 and isinstance(twin.data, dict), (name, twin)


def test_a_viewer_is_told_whom_to_ask(server, window, admin):
    st = Store(server)
    st.connection("new_one")
    st.connection("no_code", setup_state="incomplete")
    add_user(server, "vic@example.com", "viewer", ADMIN[1])
    page = window()
    log_in(page, server, "vic@example.com", ADMIN[1])
    page.goto(server.url + "/dashboard/connections/new_one/status")
    page.get_by_text("An operator or administrator can switch the connection on").wait_for()
    assert page.get_by_role("switch").count() == 0
    page.goto(server.url + "/dashboard/connections/new_one/data")
    page.get_by_text("Rows are shown to operators and administrators").wait_for()
    page.goto(server.url + "/dashboard/connections/new_one/setup")
    page.get_by_text("It syncs every 6 hours.").wait_for()
    page.goto(server.url + "/dashboard/connections/no_code/status")
    page.get_by_text("The first one can start when the setup is finished").wait_for()
    assert page.locator("main").get_by_role("button").count() == 0


def test_a_connection_without_code_gives_the_line(server, browser_client):
    Store(server).connection("no_code", setup_state="incomplete")
    browser_client.log_in()
    text = browser_client.get("/dashboard/connections/no_code/setup").text
    assert f"fivetran deploy --url {server.url} --api-key " in text
    assert "--destination warehouse --connection no_code " in text


def test_times_are_the_viewers(server, window, admin):
    con = server.deploy("orders_api", {"connector.py": sample.ORDERS})
    con.sync()
    ended = con.history()[0]["start_time"]  # 2026-11-25T16:20:41…Z
    seen = {}
    for zone in ("UTC", "Asia/Tokyo", "Asia/Kathmandu"):
        page = window(timezone_id=zone, locale="en-GB")
        log_in(page, server)
        page.goto(f"{server.url}/dashboard/connections/{con.id}/status")
        first = page.locator(".history time").first
        seen[zone] = first.inner_text()
        assert first.get_attribute("datetime")[:19] == ended[:19]
    hour, minute = int(ended[11:13]), int(ended[14:16])
    assert seen["UTC"].endswith(f"{hour:02}:{minute:02}"), seen
    assert seen["Asia/Tokyo"].endswith(f"{(hour + 9) % 24:02}:{minute:02}"), seen
    assert seen["Asia/Kathmandu"].endswith(f"{(minute + 45) % 60:02}"), seen
    assert Browser(server).get("/dashboard/connections").status in (302, 303), "log in first"
