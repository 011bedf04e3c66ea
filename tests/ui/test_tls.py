"""With TLS of its own: the cookie goes over it only, and names the host and nobody else."""

import pytest
from conftest import ADMIN, Browser, add_user, log_in

from harness import start_server


@pytest.fixture
def secure(tmp_path, bin_dir, certificate):
    flags = ["--tls-cert", certificate[0], "--tls-key", certificate[1]]
    with start_server(tmp_path / "data", bin_dir, flags, trust=certificate[0]) as server:
        add_user(server, ADMIN[0], "admin", ADMIN[1])
        yield server


def test_the_cookie(secure):
    client = Browser(secure)
    answer = client.log_in()
    name, rest = answer.headers["Set-Cookie"].split("=", 1)
    parts = rest.split("; ")[1:]
    # __Host-: browsers take it with Secure and Path=/ only, and never with a Domain.
    assert name == "__Host-sluice_session"
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(parts)
    assert not [p for p in parts if p.startswith("Domain")]
    assert client.get("/dashboard/connections").status == 200
    assert client.send("POST", "/dashboard/logout", {"csrf": client.csrf()}).status == 303
    # The name that plain HTTP has opens nothing here.
    client.log_in()
    client.cookies = {"sluice_session": client.cookies["__Host-sluice_session"]}
    assert client.get("/dashboard/connections").status == 303


def test_in_a_browser(secure, window):
    page = window(ignore_https_errors=True)
    log_in(page, secure)
    assert page.url == secure.url + "/dashboard/connections" and page.url.startswith("https:")
    (cookie,) = page.context.cookies()
    assert cookie["name"] == "__Host-sluice_session" and cookie["secure"] and cookie["httpOnly"]
    assert page.evaluate("document.cookie") == ""
    assert page.locator(".copy code").inner_text().startswith(f"fivetran deploy --url {secure.url}")
    page.locator("html[data-connected]").wait_for(state="attached")
    page.locator(".menu summary").click()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/dashboard/login")
    assert page.context.cookies() == []
