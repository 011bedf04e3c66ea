"""The log of a connection: a hundred thousand lines, what comes while one looks, one line and its address."""

import sqlite3
import time
import urllib.parse
from pathlib import Path

import pytest
from conftest import log_in

from harness import connector

LINES = 100_000
FREEZE_MS = 200
# Longest task of the page's thread since the last call; how many elements there are.
WATCH = """
window.longest = 0;
new PerformanceObserver((list) => list.getEntries().forEach((e) => {
  window.longest = Math.max(window.longest, e.duration);
})).observe({ type: 'longtask', buffered: false });
"""
TRACEBACK = (
    'Traceback (most recent call last):\n  File "connector.py", line 7\nValueError: <b>no</b>'
)
MORE = connector(
    "for i in range(state.get('more', 2)):\n    log.info('fresh %d' % i)\nop.checkpoint({'more': 300})"
)


def write_log(server, con, lines=LINES):
    """As many lines as if they had been logged, faster; every 1000th a warning, one with a traceback."""
    db = sqlite3.connect(Path(server.data) / "logs.db")
    (number,) = db.execute("SELECT id FROM connection WHERE name = ?", (con,)).fetchone() or (0,)
    if not number:
        number = db.execute(
            "INSERT INTO connection (name, bytes) VALUES (?, ?)", (con, lines * 100)
        ).lastrowid
    sync = db.execute("INSERT INTO sync (name, connection) VALUES ('s1', ?)", (number,)).lastrowid
    now = int(time.time() * 1e6)
    db.executemany(
        "INSERT INTO line (time, connection, sync, level, origin, text) VALUES (?, ?, ?, ?, 0, ?)",
        (
            (
                now - (lines - i) * 1000,
                number,
                sync,
                3 if i % 1000 == 0 else 2,
                (f"line {i}" + (f"\n{TRACEBACK}" if i == 500 else "")).encode(),
            )
            for i in range(lines)
        ),
    )
    db.commit()
    (last,) = db.execute("SELECT max(seq) FROM line").fetchone()
    db.close()
    return last - lines + 1


@pytest.fixture
def con(server):
    return server.deploy("chatty", {"connector.py": MORE})


def texts(page):
    return page.locator("#log li > span:nth-child(3)").all_inner_texts()


def scroll_to(page, part):
    page.locator("#log").evaluate("(el, part) => { el.scrollTop = part * el.scrollHeight; }", part)


def see(page, text):
    page.locator("#log li").filter(has_text=text).first.wait_for()


def test_a_hundred_thousand_lines(server, page, con):
    page.goto("about:blank")  # which misses no server
    server.stop()
    first = write_log(server, con.id)
    server.start()
    path = f"{server.url}/dashboard/connections/{con.id}/logs"
    page.add_init_script(WATCH)
    # The server is at another port now; cookies know no ports.
    page.goto(path)
    see(page, f"line {LINES - 1}")
    total = page.locator("#log-state").inner_text()
    assert total.startswith("100,0"), total
    for part in (0, 0.5, 0.25, 0.999, 0.1, 0.75):
        scroll_to(page, part)
        see(page, f"line {min(LINES - 1, int(part * LINES) + 3)}")
        assert page.locator("#log li").count() < 150
    # By level, by text: counted and found on the server.
    page.get_by_label("Level").select_option("WARNING")
    page.get_by_text("100 lines match").wait_for()
    see(page, "line 99000")
    page.get_by_label("Search in the log").fill("LINE 77")
    page.get_by_text("1 line match").wait_for()
    assert "level=WARNING&q=LINE+77" in page.url
    see(page, "line 77000")
    assert texts(page) == ["line 77000"]
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.path().read_text().endswith(" WARNING  connector: line 77000\n")
    page.get_by_label("Search in the log").fill("no such words")
    page.get_by_text("No line matches.").wait_for()
    page.get_by_label("Search in the log").fill("")
    page.get_by_label("Level").select_option("")
    page.get_by_text(total).wait_for()
    # A line has an address; all of a traceback is text.
    page.goto(f"{path}#L{first + 500}")
    line = page.locator("#log li.open")
    line.locator("pre").wait_for()
    assert line.locator("pre").inner_text() == f"line 500\n{TRACEBACK}"
    assert page.evaluate("document.activeElement.id") == f"L{first + 500}"
    page.keyboard.press("Enter")
    line.wait_for(state="detached")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.innerText").endswith("line 501")
    page.keyboard.press("End")
    see(page, f"line {LINES - 1}")
    assert page.evaluate("window.longest") < FREEZE_MS
    assert page.evaluate("document.querySelectorAll('*').length") < 1500


def test_it_follows_what_comes_unless_one_reads(server, page, con):
    page.goto(f"{server.url}/dashboard/connections/{con.id}/logs")
    follow = page.get_by_role("button", name="Follow")
    con.sync()
    see(page, "fresh 1")
    con.sync()
    see(page, "fresh 299")
    assert follow.get_attribute("aria-pressed") == "true"
    page.locator("#log").hover()
    page.mouse.wheel(0, -3000)
    page.locator("#log-follow[aria-pressed=false]").wait_for()
    before = page.locator("#log").evaluate("(el) => el.scrollTop")
    con.sync()
    button = page.locator("#log-fresh")
    button.filter(has_text="new lines").wait_for()
    assert page.locator("#log").evaluate("(el) => el.scrollTop") == before, "it jumped"
    button.click()
    page.locator("#log-follow[aria-pressed=true]").wait_for()
    button.wait_for(state="hidden")
    # An old sync can be chosen; only its lines are shown.
    oldest = con.history()[-1]["sync_id"]
    page.goto(f"{server.url}/dashboard/connections/{con.id}/logs?sync_id={oldest}")
    see(page, "fresh 1")
    assert page.locator("select[name=sync_id]").input_value() == oldest
    assert "fresh 2" not in texts(page)


def test_without_scripts(server, window, admin, con):
    con.sync()
    page = window(java_script_enabled=False)
    log_in(page, server)
    oldest = con.history()[-1]["sync_id"]
    page.goto(f"{server.url}/dashboard/connections/{con.id}/logs?sync_id={oldest}&q=FRESH")
    assert [t.split()[-1] for t in page.locator("#log li").all_inner_texts()] == ["0", "1"]
    link = page.get_by_role("link", name="Download").get_attribute("href")
    assert urllib.parse.parse_qs(urllib.parse.urlsplit(link).query) == {
        "download": ["true"],
        "sync_id": [oldest],
        "q": ["FRESH"],
    }
    page.get_by_label("Level").select_option("SEVERE")
    page.get_by_role("button", name="Search").click()
    page.get_by_text("No line matches.").wait_for()
