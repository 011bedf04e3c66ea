"""Logins, sessions, and requests that somebody else made a browser send. Without a browser: what it would never send is sent, too."""

import json
import re
import subprocess

import pytest
from conftest import ADMIN, Browser, add_user

COOKIE = "sluice_session"
PAUSE = json.dumps({"paused": True})


def test_who_is_not_logged_in_is_sent_to_the_login(server, browser_client):
    for path in (
        "/dashboard/connections",
        "/dashboard/nothing",
        "/dashboard/connections/x/status?page=2&q=a",
    ):
        answer = browser_client.get(path)
        assert answer.status == 303 and answer.headers["Location"].startswith(
            "/dashboard/login?next=/dashboard/"
        )
    assert browser_client.get("/").headers["Location"] == "/dashboard/connections"
    # Data is refused as the API refuses it.
    for path in ("/dashboard/connections.json", "/v1/connections"):
        assert browser_client.get(path).status == 401


def test_login_and_logout(browser_client):
    answer = browser_client.log_in()
    assert answer.status == 303 and answer.headers["Location"] == "/dashboard/connections"
    cookie = answer.headers["Set-Cookie"]
    for part in ("HttpOnly", "SameSite=Lax", "Path=/"):
        assert part in cookie, cookie
    shown = browser_client.get("/dashboard/connections")
    assert shown.status == 200 and ADMIN[0] in shown.text
    old = dict(browser_client.cookies)
    answer = browser_client.send("POST", "/dashboard/logout", {"csrf": browser_client.csrf()})
    assert answer.status == 303 and not browser_client.cookies
    browser_client.cookies = old
    assert browser_client.get("/dashboard/connections").status == 303, "the old cookie still works"


def test_pages_carry_their_headers(browser_client):
    browser_client.log_in()
    for path in ("/dashboard/login", "/dashboard/connections", "/dashboard/nothing"):
        headers = browser_client.get(path).headers
        policy = headers["Content-Security-Policy"]
        for part in (
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ):
            assert part in policy
        assert "unsafe" not in policy
        assert (
            headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
        )
        assert (
            headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "same-origin"
        )
    asset = re.search(
        r"/dashboard/assets/\w+/style.css", browser_client.get("/dashboard/login").text
    ).group(0)
    assert "immutable" in browser_client.get(asset).headers["Cache-Control"]
    assert browser_client.get(asset.replace("assets/", "assets/0")).status == 404


def test_a_session_is_new_with_each_login(browser_client):
    """An id that somebody planted before the login opens nothing after it."""
    planted = "A" * 43
    browser_client.cookies[COOKIE] = planted
    browser_client.log_in()
    assert browser_client.cookies[COOKIE] != planted
    first = browser_client.cookies[COOKIE]
    browser_client.log_in()
    assert browser_client.cookies[COOKIE] != first
    for old in (planted, first):
        other = Browser(browser_client.server)
        other.cookies[COOKIE] = old
        assert other.get("/dashboard/connections").status == 303


def test_wrong_logins_look_the_same_and_are_limited(server, admin):
    client = Browser(server)
    texts = set()
    for email in (ADMIN[0], "nobody@example.com"):
        answer = client.log_in(email, "wrong wrong wrong")
        assert answer.status == 403 and not client.cookies
        texts.add(answer.text.replace(email, ""))
    assert len(texts) == 1
    statuses = [client.log_in(password="wrong %d" % i).status for i in range(12)]
    assert statuses[0] == 403 and statuses[-1] == 429
    limited = client.log_in()
    assert limited.status == 429 and int(limited.headers["Retry-After"]) > 0, "the right one, too"


def test_the_way_back_leads_nowhere_else(browser_client):
    for there in (
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "/dashboard/..//evil.example",
        "javascript:1",
    ):
        answer = browser_client.send(
            "POST", "/dashboard/login", {"email": ADMIN[0], "password": ADMIN[1], "next": there}
        )
        assert answer.headers["Location"] == "/dashboard/connections", there


@pytest.fixture
def connection(server):
    return server.ok(
        "POST",
        "/v1/connections",
        {
            "group_id": server.group,
            "service": "connector_sdk",
            "run_setup_tests": False,
            "config": {"schema": "one"},
        },
    )["id"]


def test_requests_of_others_change_nothing(browser_client, connection):
    browser_client.log_in()
    token, path = browser_client.csrf(), f"/v1/connections/{connection}"
    good = {"X_CSRF_Token": token, "Content_Type": "application/json"}
    origin = browser_client.origin
    forged = [
        {"X_CSRF_Token": None},
        {"X_CSRF_Token": ""},
        {"X_CSRF_Token": token[:-1] + ("0" if token[-1] != "0" else "1")},
        {"Origin": None},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": origin + ".evil.example"},
        {"Origin": "http://evil.example#" + origin},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
    ]
    for change in forged:
        answer = browser_client.send("PATCH", path, PAUSE, **{**good, **change})
        assert (answer.status, answer.code) == (403, "Forged"), change
        answer = browser_client.send("DELETE", path, **{**good, **change})
        assert answer.status == 403, change
    assert browser_client.send("PATCH", path, PAUSE, **good).status == 200
    # Of another session.
    other = Browser(browser_client.server)
    other.log_in()
    assert (
        browser_client.send("PATCH", path, PAUSE, **{**good, "X_CSRF_Token": other.csrf()}).status
        == 403
    )
    # Forms, too: a login that somebody else starts, a logout.
    for change in (
        {"Origin": "https://evil.example"},
        {"Origin": None},
        {"Sec_Fetch_Site": "cross-site"},
    ):
        assert browser_client.log_in(**change).status == 403
        assert (
            browser_client.send("POST", "/dashboard/logout", {"csrf": token}, **change).status
            == 403
        )
    assert browser_client.send("POST", "/dashboard/logout", {"csrf": "0" * 64}).status == 403
    assert browser_client.get("/dashboard/connections").status == 200


def test_what_a_session_does_is_its_users(browser_client, connection):
    browser_client.log_in()
    good = {"X_CSRF_Token": browser_client.csrf(), "Content_Type": "application/json"}
    browser_client.send("PATCH", f"/v1/connections/{connection}", PAUSE, **good)
    last = browser_client.server.items(f"/v1/connections/{connection}/activity")[0]
    assert last["actor"].startswith("user:") and last["actor_name"] == ADMIN[0]


@pytest.mark.parametrize(
    "role, pause, sync", [("viewer", 403, 403), ("operator", 200, 409), ("admin", 200, 409)]
)
def test_roles(server, connection, role, pause, sync):
    add_user(server, "r@example.com", role, "a password of words")
    client = Browser(server)
    client.log_in("r@example.com", "a password of words")
    page = client.get(f"/dashboard/connections/{connection}/status").text
    assert ('role="switch"' in page) == (role != "viewer")
    good = {"X_CSRF_Token": client.csrf(), "Content_Type": "application/json"}
    assert client.send("PATCH", f"/v1/connections/{connection}", PAUSE, **good).status == pause
    assert client.send("POST", f"/v1/connections/{connection}/sync", "{}", **good).status == sync


def test_sessions_end_with_the_password_the_role_and_the_user(server, admin):
    add_user(server, "b@example.com", "operator", "a password of words")
    client = Browser(server)

    def is_in():
        return client.get("/dashboard/connections").status == 200

    def user(*args, said=None):
        done = subprocess.run(
            [server.bin + "/sluiced", "user", *args, "--data", server.data],
            env=server.env,
            input=said,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    client.log_in("b@example.com", "a password of words")
    assert is_in()
    user("passwd", "b@example.com", said="another set of words\n")
    assert not is_in()
    assert client.log_in("b@example.com", "a password of words").status == 403
    client.log_in("b@example.com", "another set of words")
    assert is_in()
    user("role", "b@example.com", "viewer")
    assert not is_in()
    client.log_in("b@example.com", "another set of words")
    assert is_in() and "viewer" in user("list")
    user("remove", "b@example.com")
    assert not is_in()
    assert client.log_in("b@example.com", "another set of words").status == 403


def test_the_command_refuses_what_is_wrong(server, admin):
    def refused(*args, said=""):
        done = server.command("user", *args, "--data", server.data)
        assert done.returncode != 0
        return done.stderr

    assert "only administrator" in refused("remove", ADMIN[0])
    assert "only administrator" in refused("role", ADMIN[0], "viewer")
    assert "no user" in refused("passwd", "x@example.com")
    assert "viewer, operator or admin" in refused("role", ADMIN[0], "boss")
    assert "password" in refused("add", "x@example.com")
    assert "EMAIL" in refused("add")
