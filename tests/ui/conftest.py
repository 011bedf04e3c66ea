"""The dashboard in a real browser: Debian's Chromium, driven by Playwright.

The fixtures `server` (a fresh one) and `page` (a browser window that is logged in as an administrator there). What the browser's console
complains of fails the test: a blocked script or a missing file is never fine.
"""

import http.client
import json
import os
import shutil
import subprocess
import urllib.parse
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from harness import *  # noqa: F403  (fixtures and the report hook)

TUTORIAL = Path(__file__).parents[2] / "examples" / "tutorial"
ADMIN = ("ann@example.com", "correct horse battery")
PATIENCE_MS = 60_000


def add_user(server, email, role, password):
    """`sluiced user add`, as a person would: the password on stdin."""
    done = subprocess.run(
        [
            os.path.join(server.bin, "sluiced"),
            "user",
            "add",
            email,
            "--role",
            role,
            "--data",
            server.data,
        ],
        env=server.env,
        input=password + "\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


class Browser:
    """A client that keeps cookies and follows nothing: what a browser sends, to see each answer."""

    def __init__(self, server):
        self.server, self.cookies = server, {}
        url = urllib.parse.urlsplit(server.url)
        self.host = url.netloc
        self.origin = server.url

    def send(self, method, path, body=None, **headers):
        """headers: names with _ for -; None leaves one out."""
        sent = {"Origin": self.origin if method != "GET" else None, "Accept": "text/html,*/*"}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        sent.update({k.replace("_", "-"): v for k, v in headers.items()})
        if isinstance(body, dict):
            body = urllib.parse.urlencode(body)
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        if self.server.tls:
            conn = http.client.HTTPSConnection(self.host, timeout=60, context=self.server.tls)
        else:
            conn = http.client.HTTPConnection(self.host, timeout=60)
        conn.request(method, path, body, {k: v for k, v in sent.items() if v is not None})
        got = conn.getresponse()
        answer = Answer(got.status, got.headers, got.read())  # noqa: F405
        conn.close()
        for cookie in got.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.split(";")[0].partition("=")
            self.cookies[name] = value
            if not value:
                del self.cookies[name]
        return answer

    def get(self, path, **headers):
        return self.send("GET", path, **headers)

    def log_in(self, email=ADMIN[0], password=ADMIN[1], **headers):
        return self.send(
            "POST", "/dashboard/login", {"email": email, "password": password}, **headers
        )

    def csrf(self):
        return self.get("/dashboard/connections").text.split('name="csrf" content="')[1][:64]

    def api(self, method, path, body=None, **headers):
        """As the scripts of the pages call the API."""
        if body is not None:
            body = json.dumps(body)
            headers = {"Content_Type": "application/json", **headers}
        headers = {"Accept": "application/json", "X_CSRF_Token": self.csrf(), **headers}
        return self.send(method, path, body, **headers)


@pytest.fixture
def admin(server):
    """The server's administrator."""
    add_user(server, ADMIN[0], "admin", ADMIN[1])
    return ADMIN


@pytest.fixture
def browser_client(server, admin):
    return Browser(server)


@pytest.fixture(scope="session")
def chromium():
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("chromium is missing: make setup installs it", pytrace=False)
    with sync_playwright() as p:
        args = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = p.chromium.launch(executable_path=path, args=args)
        yield browser
        browser.close()


@pytest.fixture
def window(chromium):
    """Makes windows: window(width=390, color_scheme="dark", …). Their complaints are in .complaints."""
    contexts = []

    def make(width=1280, height=800, **more):
        context = chromium.new_context(viewport={"width": width, "height": height}, **more)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on(
            "console",
            lambda m: page.complaints.append(m.text) if m.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda e: page.complaints.append(str(e)))
        return page

    yield make
    complaints = [c for context in contexts for p in context.pages for c in p.complaints]
    for context in contexts:
        context.close()
    assert complaints == []


def log_in(page, server, email=ADMIN[0], password=ADMIN[1]):
    page.goto(server.url + "/dashboard/login")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/dashboard/connections")


@pytest.fixture
def page(window, server, admin):
    one = window()
    log_in(one, server)
    return one
