"""Users and keys: added, changed, removed by an administrator; one's own password by everybody."""

import base64

import pytest
from conftest import ADMIN, Browser, add_user, log_in

PASSWORD = "a horse that is new"


@pytest.fixture
def boss(server, browser_client):
    """A logged-in administrator's client that can call the API as the pages do."""
    browser_client.log_in()
    return browser_client


def test_users_of_the_api(server, boss):
    made = boss.api("POST", "/v1/users", {"email": "bob@example.com", "given_name": "Bob"})
    assert made.status == 201 and made.data["access"] == "viewer"
    assert made.data["role"] == "Account Reviewer" and not made.data["can_log_in"]
    path = "/v1/users/" + made.data["id"]
    assert boss.api("POST", "/v1/users", {"email": "BOB@example.com"}).status == 409
    for wrong in (
        {},
        {"email": "bob"},
        {"email": "c@example.com", "role": "king"},
        {"email": "c@example.com", "password": "short"},
        {"email": "c@example.com", "given_name": 7},
    ):
        assert boss.api("POST", "/v1/users", wrong).status == 400, wrong
    changed = boss.api(
        "PATCH", path, {"role": "Account Administrator", "password": PASSWORD, "family_name": "B"}
    )
    assert changed.data["access"] == "admin" and changed.data["family_name"] == "B"
    assert changed.data["given_name"] == "Bob" and changed.data["can_log_in"]
    # Nothing of a change with a bad password is kept.
    assert boss.api("PATCH", path, {"role": "viewer", "password": "short"}).status == 400
    assert server.ok("GET", path)["access"] == "admin"
    assert boss.api("PATCH", path, {}).status == 400

    bob = Browser(server)
    assert bob.log_in("bob@example.com", PASSWORD).status == 303
    assert boss.api("PATCH", path, {"role": "operator"}).status == 200
    assert bob.get("/dashboard/connections").status == 303, "a new role ends the sessions"
    assert bob.log_in("bob@example.com", PASSWORD).status == 303
    assert boss.api("PATCH", path, {"given_name": "Robert"}).status == 200
    assert bob.get("/dashboard/connections").status == 200, "a name does not"
    assert boss.api("DELETE", path).status == 200
    assert bob.get("/dashboard/connections").status == 303
    assert boss.api("DELETE", path).code == "NotFound_User"
    assert boss.api("PATCH", path, {"role": "admin"}).code == "NotFound_User"
    actions = {a["action"] for a in server.items("/v1/audit")}
    assert actions >= {"user.create", "user.role", "user.name", "user.password", "user.delete"}
    assert PASSWORD not in server.log


def test_the_last_administrator_stays(server, boss):
    me = next(u for u in server.items("/v1/users") if u["email"] == ADMIN[0])
    for change in ({"role": "viewer"}, None):
        answer = boss.api("PATCH" if change else "DELETE", "/v1/users/" + me["id"], change)
        assert answer.status == 409 and "only administrator" in answer.message


def test_ones_own_password(server, boss):
    other, bob = Browser(server), Browser(server)
    other.log_in()
    add_user(server, "bob@example.com", "viewer", PASSWORD)
    bob.log_in("bob@example.com", PASSWORD)
    change = {"current_password": PASSWORD, "new_password": "another good password"}
    # A key has none; a wrong current one changes nothing.
    assert server.call("POST", "/v1/account/password", change).status == 403
    wrong = boss.api("POST", "/v1/account/password", change)
    assert (wrong.status, wrong.code) == (403, "WrongPassword")
    bad = bob.api("POST", "/v1/account/password", {**change, "new_password": "short"})
    assert bad.status == 400
    old = dict(bob.cookies)
    assert bob.api("POST", "/v1/account/password", change).status == 200
    assert bob.cookies != old and bob.get("/dashboard/account").status == 200
    bob.cookies = old
    assert bob.get("/dashboard/account").status == 303, "the session of the old password"
    assert other.get("/dashboard/account").status == 200, "somebody else's"
    mine = {"current_password": ADMIN[1], "new_password": "yet another password"}
    assert boss.api("POST", "/v1/account/password", mine).status == 200
    assert other.get("/dashboard/account").status == 303, "my other login"
    # Guesses are limited as at the login.
    codes = [boss.api("POST", "/v1/account/password", mine).status for _ in range(12)]
    assert codes[0] == 403 and codes[-1] == 429


def test_the_page(server, page):
    page.goto(server.url + "/dashboard/users")
    page.get_by_text("Add a user", exact=True).click()
    page.get_by_label("E-mail").fill("bob@example.com")
    form = page.locator("form[data-call='POST /v1/users']")
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_label("Role").select_option("operator")
    page.get_by_role("button", name="Add the user").click()
    row = page.locator("#users tr").filter(has_text="bob@example.com")
    row.get_by_text("operator", exact=True).wait_for()
    assert form.get_by_label("Password").input_value() == "", "a password stays in the page"
    row.get_by_text("Change").click()
    row.get_by_role("button", name="Remove").click()
    page.locator("dialog").get_by_role("button", name="Remove").click()
    row.wait_for(state="detached")

    page.get_by_text("Create a key", exact=True).click()
    page.get_by_label("Name", exact=True).fill("ci")
    page.get_by_role("button", name="Create the key").click()
    made = page.locator("#new-key")
    made.wait_for()
    text = {f: made.locator(f"[data-field={f}]").inner_text() for f in ("key", "secret", "base64")}
    assert base64.b64decode(text["base64"]).decode() == f"{text['key']}:{text['secret']}"
    assert text["base64"] in made.locator("[data-field=line]").inner_text()
    assert server.call("GET", "/v1/groups", auth=text["base64"]).status == 200
    row = page.locator("#keys tr").filter(has_text=text["key"])
    row.get_by_role("button", name="Revoke").click()
    page.locator("dialog").get_by_role("button", name="Revoke").click()
    row.get_by_text("revoked").wait_for()
    assert server.call("GET", "/v1/groups", auth=text["base64"]).status == 401
    page.reload()
    assert text["secret"] not in page.content(), "a secret is shown twice"


def test_the_account_page(server, window, admin):
    page = window()
    log_in(page, server)
    page.locator("header summary").click()
    page.get_by_role("link", name="Your account").click()
    page.get_by_label("Current password").fill(ADMIN[1])
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("Once more").fill(PASSWORD + "!")
    page.get_by_role("button", name="Change the password").click()
    assert not page.get_by_label("Once more").evaluate("e => e.validity.valid")
    page.get_by_label("Once more").fill(PASSWORD)
    page.get_by_role("button", name="Change the password").click()
    page.get_by_text("Your password has been changed").wait_for()
    page.goto(server.url + "/dashboard/users")
    page.get_by_role("heading", name="Users and keys").wait_for()


def test_who_is_no_administrator(server, window, admin):
    add_user(server, "vic@example.com", "viewer", PASSWORD)
    page = window()
    log_in(page, server, "vic@example.com", PASSWORD)
    assert page.get_by_role("link", name="Users and keys").count() == 0
    client = Browser(server)
    client.log_in("vic@example.com", PASSWORD)
    assert client.get("/dashboard/users").status == 403
    assert client.api("POST", "/v1/users", {"email": "x@example.com"}).status == 403
