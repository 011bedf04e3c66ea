"""Script in every text that a connector or a user controls, roles, sessions over time, requests that lie."""

import json
import re
import socket
import time
from datetime import datetime, timedelta

import pytest
from conftest import ADMIN, Browser, add_user, log_in
from records import MINUTE, Store

from harness import connector, wait_for

WORDS = "many quiet words here"
# Each would call alert() or load something in one of the places where text ends up.
NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "'><svg onload=alert(3)>",
    "javascript:alert(4)",
    "</textarea></title><iframe srcdoc='<script>alert(5)</script>'>",
    "{{7*7}}${alert(6)}%3Cscript%3E",
]
ALL = " ".join(NASTY)
PAGES = [
    "connections",
    "connections?q=" + "%22%3E%3Cscript%3Ealert(7)%3C/script%3E",
    "destinations",
]
PAGES += ["alerts", "users", "audit", "health", "account", "nothing"]
TABS = ["status", "logs", "schema", "data", "usage", "setup"]


def deploy_nasty(server):
    body = f"""
for text in {NASTY!r}:
    log.warning(text)
op.upsert("t<b>", {{"id": 1, "c<img src=x onerror=alert(8)>": {ALL!r}}})
op.checkpoint({{"<script>": 1}})
raise ValueError({ALL!r})
"""
    con = server.deploy("nasty", {"connector.py": connector(body)})
    return con


def nasty_records(server):
    st = Store(server)
    st.connection(ALL, paused=0, failures=2, failed_at=st.now - MINUTE)
    detail = json.dumps({"traceback": ALL, "output": ALL, "type": ALL})
    st.sync(ALL, 1, status="FAILURE", reason=ALL, hint=ALL, detail=detail, trigger=ALL, walls=ALL)
    st.connection("unready", setup_state="incomplete", package_id=None)
    tests = json.dumps([{"title": ALL, "status": "FAILED", "message": ALL, "details": ALL}])
    st.db.execute("update connection set setup_tests = ? where id = 'unready'", [tests])
    for kind in ("connection", ALL):
        st.insert(
            "audit",
            created_at=st.now,
            actor=ALL,
            action=ALL,
            subject_kind=kind,
            subject_id=ALL,
            detail=json.dumps({"fields": [ALL], ALL: ALL}),
        )
    st.db.execute("update sync set walls = ?", [ALL])


def test_nothing_of_others_runs(server, page):
    con = deploy_nasty(server)
    con.wait_for_sync(con.start(), success=False)
    nasty_records(server)
    server.ok("PATCH", f"/v1/groups/{server.group}", {"name": ALL[:100]})
    server.ok("POST", "/v1/keys", {"name": ALL, "role": "viewer"})
    server.ok("POST", "/v1/users", {"email": '"<img/src=x/onerror=alert(9)>"@x', "given_name": ALL})
    opened = []
    page.on("dialog", lambda d: (opened.append(d.message), d.dismiss()))
    page.on("request", lambda r: None if r.url.startswith(server.url) else opened.append(r.url))
    page.add_init_script(
        "addEventListener('securitypolicyviolation', (e) => console.error('CSP ' + e.violatedDirective))"
    )
    paths = [f"/dashboard/{p}" for p in PAGES] + [f"/dashboard/destinations/{server.group}"]
    paths += [f"/dashboard/connections/{con.id}/{t}" for t in TABS]
    odd = "".join(f"%{b:02x}" for b in ALL.encode())
    paths += [f"/dashboard/connections/{odd}/status", "/dashboard/connections/unready/status"]
    shown = 0
    for path in paths:
        page.goto(server.url + path)
        page.locator("main").wait_for()
        strange = page.evaluate(
            "[...document.querySelectorAll('main script, main iframe, main img, main [onerror], main [onload],"
            ' a[href^="javascript:"]\')].map((e) => e.outerHTML)'
        )
        assert strange == [], path
        shown += page.locator("main").inner_text().count("alert(1)")
        # Missing pages and files of that name answer 404: the console tells so.
        page.complaints[:] = [c for c in page.complaints if "404" not in c and "403" not in c]
    assert opened == [] and page.complaints == []
    assert shown > 12, "as text it is shown"


# ---- roles ----

ROLES = [None, "viewer", "operator", "admin"]


def routes_of(server):
    """(method, path, least role) of the whole API: docs/openapi.json, which routes_test.c compares with the table."""
    described = server.call("GET", "/v1/openapi.json", auth=None).json
    for path, ops in described["paths"].items():
        for method, op in ops.items():
            yield method.upper(), re.sub(r"{\w+}", "none", path), op["x-role"]


PAGE_ROLES = {
    "connections": "viewer",
    "connections/none": "viewer",
    "connections/none/status": "viewer",
    "destinations": "viewer",
    "destinations/none": "viewer",
    "alerts": "viewer",
    "account": "viewer",
    "health": "viewer",
    "users": "admin",
    "audit": "admin",
}


@pytest.fixture
def clients(server, admin):
    made = {None: Browser(server)}
    for role in ROLES[1:]:
        add_user(server, role + "@example.com", role, WORDS)
        made[role] = Browser(server)
        made[role].log_in(role + "@example.com", WORDS)
        made[role].token = made[role].csrf()
    return made


def test_every_route_by_every_role(server, clients):
    """Who may not is told 401 or 403, whatever else is wrong; who may is not."""
    keys = {
        role: server.ok("POST", "/v1/keys", {"name": "k", "role": role})["base64"]
        for role in ROLES[1:]
    }
    wrong, tried = [], 0
    for method, path, least in routes_of(server):
        if least == "none" or path == "/metrics" or path == "/v1/events":
            continue
        for role in ROLES:
            may = role is not None and ROLES.index(role) >= ROLES.index(least)
            by_key = server.call(method, path, auth=keys.get(role))
            headers = {"X_CSRF_Token": getattr(clients[role], "token", None)}
            by_login = clients[role].send(method, path, Accept="application/json", **headers)
            for how, answer in (("key", by_key), ("login", by_login)):
                tried += 1
                refused = answer.status == (401 if role is None else 403)
                allowed = may and not (path == "/v1/account/password" and how == "key")
                if refused == allowed and answer.code != "WrongPassword":
                    wrong.append((method, path, role, how, answer.status))
    assert wrong == [] and tried > 400
    for path, least in PAGE_ROLES.items():
        for role in ROLES:
            page = clients[role].get("/dashboard/" + path)
            twin = clients[role].get("/dashboard/" + path + ".json")
            if role is None:
                assert (page.status, twin.status) == (303, 401), path
            elif ROLES.index(role) < ROLES.index(least):
                assert (page.status, twin.status) == (403, 403), (path, role)
            else:
                assert page.status in (200, 303, 404) and twin.status in (200, 303, 404), path


def test_the_least_roles_are_these(server):
    """What only an administrator may, and what an operator: a change here is a decision."""
    by = {}
    for method, path, least in routes_of(server):
        by.setdefault(least, []).append((method, path))
    assert {m for m, p in by["viewer"] if p != "/v1/account/password"} == {"GET"}
    operator = {p.rsplit("/", 1)[-1] for m, p in by["operator"] if m != "GET"}
    allowed = {"sync", "force", "cancel", "resync", "test", "tests", "none", "reload"}
    assert operator <= allowed, operator
    changing = [(m, p) for m, p in by["none"] if m != "GET"]
    assert changing == [], "without a key nothing changes"


# ---- requests that lie ----


def test_forged_in_other_ways(server, clients):
    boss = clients["admin"]
    path, good = f"/v1/groups/{server.group}", {"X_CSRF_Token": boss.token}
    body = json.dumps({"name": "taken over"})
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ):
        answer = boss.send("PATCH", path, body, Content_Type=kind, **good)
        assert answer.status == 415, kind
    for override in ({"X_HTTP_Method_Override": "PATCH"}, {"X_Method_Override": "DELETE"}):
        answer = boss.send("POST", path, body, Content_Type="application/json", **good, **override)
        assert answer.status == 405, override
    assert boss.send("GET", path + "?_method=DELETE").status == 200
    stolen = clients["operator"].token
    json_type = {"Content_Type": "application/json"}
    assert boss.send("PATCH", path, body, X_CSRF_Token=stolen, **json_type).status == 403
    # The token alone, in the address, with a key's name: none of it counts.
    assert boss.send("PATCH", path + "?csrf=" + boss.token, body, **json_type).status == 403
    assert server.ok("GET", path)["name"] == "warehouse"
    # Preflights of other origins are not answered with a permission.
    pre = boss.send(
        "OPTIONS", path, Origin="https://evil.example", Access_Control_Request_Method="PATCH"
    )
    assert not [h for h in pre.headers if h.lower().startswith("access-control")]


def test_no_header_is_put_in(server, clients):
    evil = "/dashboard/x%0d%0aSet-Cookie:%20evil=1"
    for client in (clients[None], clients["admin"]):
        for path in (
            evil,
            "/dashboard/connections/a%0d%0aX-Evil:1",
            "/dashboard/login?next=" + evil,
        ):
            answer = client.get(path)
            assert "X-Evil" not in answer.headers and "evil=" not in str(
                answer.headers.get("Set-Cookie")
            ), path
    host, _, port = clients[None].host.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as raw:
        raw.sendall(
            b'GET /dashboard/connections HTTP/1.1\r\nHost: evil.example/"><script>\r\nConnection: close\r\n\r\n'
        )
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert b"evil.example" not in answer


def test_the_cookie_goes_where_it_should(server, clients):
    answer = clients["admin"].log_in("admin@example.com", WORDS)
    cookie = answer.headers["Set-Cookie"]
    assert re.search(r"HttpOnly", cookie) and "SameSite=Lax" in cookie and "Path=/" in cookie
    assert "Domain" not in cookie
    for path in ("/dashboard/login", "/dashboard/connections", "/dashboard/users", "/dashboard/x"):
        headers = clients["admin"].get(path).headers
        assert headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_logins_end_in_time(moved, clock):
    """Twelve hours without use, seven days in any case."""
    add_user(moved, ADMIN[0], "admin", ADMIN[1])
    client = Browser(moved)

    def server_time():
        return datetime.fromisoformat(
            moved.ok("GET", "/dashboard/health.json")["now"].replace("Z", "+00:00")
        )

    def forward(seconds):
        until = server_time() + timedelta(seconds=seconds)
        clock.forward(seconds)
        wait_for("the server sees its clock moved", lambda: server_time() >= until)

    def works():
        return client.get("/dashboard/connections").status == 200

    client.log_in()
    forward(11 * 3600)
    assert works(), "within the twelve hours"
    forward(11 * 3600)
    assert works(), "the use before counts"
    forward(12 * 3600 + 120)
    assert not works(), "idle for too long"
    client.cookies.clear()
    client.log_in()
    for _ in range(15):
        forward(11 * 3600)
        assert works()
    forward(4 * 3600)
    assert not works(), "seven days are over"


def test_who_there_is_takes_no_longer(server, admin):
    """A wrong password of somebody and of nobody: the same answer, about the same time."""
    times = {ADMIN[0]: [], "nobody@example.com": []}
    client = Browser(server)
    for _ in range(4):
        for email, took in times.items():
            begin = time.perf_counter()
            assert client.log_in(email, "wrong wrong wrong").status == 403
            took.append(time.perf_counter() - begin)
    fastest = sorted(min(took) for took in times.values())
    assert fastest[1] < fastest[0] * 3 + 0.05, times


def test_one_password_change_ends_the_others(server, clients, window):
    page = window()
    log_in(page, server, "viewer@example.com", WORDS)
    me = next(u for u in server.items("/v1/users") if u["email"] == "viewer@example.com")
    server.ok("PATCH", f"/v1/users/{me['id']}", {"password": WORDS + "!"})
    page.goto(server.url + "/dashboard/connections")
    page.get_by_role("heading", name="Log in to Sluice").wait_for()
    page.complaints.clear()  # the event stream was refused
