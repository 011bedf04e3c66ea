"""axe on every page and tab: light and dark, wide and phone; without a violation."""

from importlib import resources

import pytest
import sample
from conftest import log_in

AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
# Everything it holds against WCAG A and AA and good practice, once; then what depends on colours and width.
RUN = """(rules) => axe.run(document, {
    resultTypes: ['violations'], preload: false, iframes: false,
    ...(rules ? { runOnly: { type: 'rule', values: rules } } : {}),
})"""
VIEWS = [
    ({"width": 1280, "height": 900}, "light", None),
    ({"width": 1280, "height": 900}, "dark", ["color-contrast"]),
    ({"width": 390, "height": 844}, "light", ["scrollable-region-focusable", "target-size"]),
    ({"width": 390, "height": 844}, "dark", ["color-contrast"]),
]
OPEN = "[...document.querySelectorAll('main details')].slice(0, 3).forEach((el) => { el.open = true; })"


def look(page, found, name):
    page.evaluate(AXE)
    for size, scheme, only in VIEWS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        for v in page.evaluate(RUN, only)["violations"]:
            nodes = [n["html"][:160] + " " + n["failureSummary"] for n in v["nodes"][:3]]
            found.append((name, scheme, size["width"], v["id"], nodes))


@pytest.mark.once
def test_every_page(server, window, admin):
    page, found = window(), []
    page.emulate_media(reduced_motion="reduce")
    page.goto(server.url + "/dashboard/login")
    look(page, found, "login")
    log_in(page, server)
    look(page, found, "empty list")
    con = sample.fill(server)
    for name, path in sample.paths(server, con).items():
        page.goto(server.url + path)
        page.locator("main h1").wait_for()
        page.evaluate(
            "document.querySelectorAll('main details').forEach((el) => { el.open = true; })"
        )
        look(page, found, name)
    assert page.complaints == []
    page.goto(server.url + "/dashboard/nothing")
    look(page, found, "not found")
    page.complaints.clear()  # the 404 of the last page
    assert found == [], "\n".join(map(str, found))
