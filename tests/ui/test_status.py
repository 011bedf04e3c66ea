"""What a connection did: visible when it fails, in words and as a picture; and the list by the keyboard alone."""

from harness import ONE_ROW, connector

FLAKY = connector(
    "if state.get('n') == 1 and configuration.get('mended') != 'yes':\n"
    "    raise ValueError('the source is <away>')\n"
    "op.upsert('t', {'id': state.get('n', 0)})\n"
    "op.checkpoint({'n': state.get('n', 0) + 1})"
)


def test_a_failing_connection_looks_like_one(server, page):
    con = server.deploy("flaky", {"connector.py": FLAKY})
    con.sync()
    con.sync(success=False)
    page.goto(f"{server.url}/dashboard/connections")
    row = page.get_by_role("row").filter(has_text="flaky")
    row.get_by_text("last sync failed").wait_for()
    reason = row.locator(".failing").get_attribute("title")
    assert "the source is <away>" in reason, reason
    page.goto(f"{server.url}/dashboard/connections/{con.id}/status")
    page.locator("#head").get_by_text("last sync failed").wait_for()
    problem = page.locator("#status > .note.bad")
    assert "ValueError: the source is <away>" in problem.inner_text()
    chart = page.get_by_role("img", name="Time of the last 2 syncs")
    assert chart.locator("path.mark").count() == 1
    # What it says is the first thing in its details, the traceback the second.
    detail = page.locator("details.sync").first
    assert "the source is <away>" in detail.locator("summary").inner_text()
    detail.locator("summary").click()
    parts = detail.locator("> *").evaluate_all(
        "(all) => all.map((el) => el.className || el.tagName)"
    )
    assert parts[1:3] == ["note bad", "PRE"], parts
    good = page.locator("details.sync").nth(1)
    good.locator("summary").click()
    cells = good.locator("table tbody tr").first.locator("th, td").all_inner_texts()
    assert cells == ["t", "1", "0", "0", "0"], cells
    assert "connector" in good.locator("summary").inner_text()
    width = good.evaluate("(el) => el.offsetWidth / el.closest('table').offsetWidth")
    assert width > 0.9, "the details have the table's width"
    # It says so until a sync succeeds.
    server.ok(
        "PATCH",
        f"/v1/connections/{con.id}",
        {"config": {"secrets_list": [{"key": "mended", "value": "yes"}]}, "run_setup_tests": False},
    )
    con.sync()
    page.locator("#head .failing").wait_for(state="detached")


def test_the_list_by_keyboard(server, page):
    for name in ("alpha_one", "alpha_two", "beta"):
        server.deploy(name, {"connector.py": ONE_ROW})
    page.goto(f"{server.url}/dashboard/connections")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("/")
    page.keyboard.type("alpha")
    page.get_by_role("link", name="beta").wait_for(state="detached")
    for key, name in (
        ("Down", "alpha_one"),
        ("Down", "alpha_two"),
        ("Down", "alpha_two"),
        ("Up", "alpha_one"),
    ):
        page.keyboard.press("Arrow" + key)
        assert page.evaluate("document.activeElement.textContent") == name
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="alpha_one").wait_for()
