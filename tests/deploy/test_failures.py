"""Servers that refuse, break, hang or are none: what is said, what is repeated, what is cleaned up."""

import os
import signal
import socket
import time

import pytest
from conftest import KEY, SECRET, Cut, Hang, Say

HTML = Say(200, body=b"<html>login</html>", type="text/html; charset=utf-8")


def failed(project, *args, code=1, env=None):
    result = project.deploy("--connection", "c", *args, env=env)
    assert result.code == code, result
    assert KEY not in result.all and SECRET not in result.all
    return result


def writes(server):
    return [r.line for r in server.requests if r.method != "GET"]


# ---- refused


def test_wrong_key(ready, server):
    result = failed(ready, "--api-key", "d3Jvbmc6a2V5d3Jvbmc6a2V5d3Jvbmc6a2V5")
    assert "401" in result.err
    assert "d3Jvbmc6******** (from --api-key)" in result.err
    assert "ensure you're using a valid base64-encoded API key" in result.err
    assert server.lines == ["GET /v1/groups?limit=500"]


def test_forbidden(ready, server):
    server.script("POST", "packages", Say(403, code="Forbidden", message="Not for this key."))
    result = failed(ready)
    assert "failed to upload the package: Not for this key. (status 403, Forbidden)" in result.err
    assert "this API key may not do that" in result.err


def test_create_fails_and_the_package_is_removed(ready, server):
    server.script("POST", "connectors$", Say(400, code="InvalidInput", message="No such version"))
    result = failed(ready)
    assert "failed to create connection: No such version" in result.err
    assert "› cleaning up orphaned package: happy_1\n✓ cleaned up orphaned package" in result.out
    assert server.packages == {}


def test_update_fails_and_the_old_package_stays(ready, server):
    server.add_connection("c", "old_package")
    server.script("PATCH", "connectors/", Say(500, code="InternalError", message="broken"))
    result = failed(ready, "--force")
    assert "failed to update connection: broken" in result.err
    assert list(server.packages) == ["old_package"]


def test_clean_up_that_fails_names_the_package(ready, server):
    server.script("POST", "connectors$", Say(400, code="InvalidInput", message="no"))
    server.script("DELETE", "packages", Say(500, code="InternalError", message="cannot"))
    result = failed(ready)
    assert "package happy_1 could not be removed: cannot" in result.err


def test_given_package_is_never_removed(ready, server):
    server.packages["ready_made"] = b""
    server.script("POST", "connectors$", Say(400, code="InvalidInput", message="no"))
    failed(ready, "--package-id", "ready_made")
    assert "ready_made" in server.packages


def test_upload_too_large(ready, server):
    server.script("POST", "packages", Say(413, code="TooLarge", message="The limit is 200 MB."))
    result = failed(ready)
    assert "is too large" in result.err
    assert "The limit is 200 MB." in result.err
    assert ".gitignore" in result.err


def test_upload_that_arrived_damaged(ready, server):
    server.script("POST", "packages", Say(201, data={"id": "p", "file_sha256_hash": "00" * 32}))
    result = failed(ready)
    assert "received something else than was sent" in result.err
    assert "DELETE /v1/connector-sdk/packages/p" in server.lines


def test_messages_of_the_server_are_redacted_and_disarmed(ready, server):
    message = f"bad value {SECRET} for key {KEY} \x1b]0;title\x07\x1b[2J"
    server.script("POST", "connectors$", Say(400, code="InvalidInput", message=message))
    result = failed(ready)
    assert "bad value ****** for key ******" in result.err
    assert "\x1b" not in result.all and "\x07" not in result.all


def test_error_without_words(ready, server):
    server.script("GET", "groups", Say(500, code="InternalError"))
    result = failed(ready)
    assert "did not say why (status 500, InternalError)" in result.err


# ---- not the server


@pytest.mark.parametrize(
    "answer, words",
    [
        (HTML, "status 200 and a web page instead of the API's JSON"),
        (Say(200, body=b"{bad", type="application/json"), "status 200 and application/json"),
        (Say(200, body=b"[1]", type="application/json"), "instead of the API's JSON"),
        (Say(200, body=b'{"items": []}', type="application/json"), "instead of the API's JSON"),
        (Say(200, body=b"", type="text/plain"), "status 200 and nothing"),
        (Say(404, body=b"<h1>Not Found</h1>", type="text/html"), "status 404 and a web page"),
        (Say(401, body=b"who?", type="text/html"), "a proxy in front of it may ask for a login"),
    ],
)
def test_not_a_server(ready, server, answer, words):
    server.script("GET", "groups", answer)
    result = failed(ready)
    assert f"{server.url} is not a server to deploy to" in result.err
    assert words in result.err
    assert "check the address (it came from FIVETRAN_API_URL)" in result.err


def test_list_without_items(ready, server):
    server.script("GET", "groups", Say(data={"things": []}))
    assert "without a list of items" in failed(ready).err


def test_redirect_is_not_followed(ready, server):
    server.script(
        "GET", "groups", Say(301, body=b"", headers={"Location": "https://elsewhere.example/v1"})
    )
    result = failed(ready)
    assert "sends us elsewhere: https://elsewhere.example/v1" in result.err
    assert len(server.requests) == 1


def test_server_that_is_too_old(ready, server):
    server.script("POST", "packages", Say(404, code="NotFound", message="There is no such path."))
    result = failed(ready)
    assert "does not know POST /v1/connector-sdk/packages" in result.err
    assert "older than this command" in result.err


def test_nobody_listens(project):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{s.getsockname()[1]}"
        started = time.monotonic()
        result = failed(project, "--url", url, "--api-key", KEY, code=4)
    assert f"cannot reach {url[7:]}: Connection refused" in result.err
    assert result.err.count("trying again") == 3
    assert time.monotonic() - started > 3


def test_host_that_is_not_there(project):
    result = failed(project, "--url", "http://nowhere.invalid", "--api-key", KEY, code=4)
    assert "cannot reach nowhere.invalid" in result.err
    assert "how the host is spelled" in result.err


def test_tls_where_there_is_none(project, server):
    url = server.url.replace("http:", "https:")
    result = failed(project, "--url", url, "--api-key", KEY, code=4)
    assert "try the address with http://" in result.err


# ---- repeating


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_reading_is_repeated(ready, server, status):
    server.script("GET", "groups", *[Say(status, code="TryAgain")] * 2)
    result = ready.deploy("--connection", "c")
    assert result.code == 0, result
    assert server.lines.count("GET /v1/groups?limit=500") == 3
    assert result.err.count(f"answered with status {status}; trying again in") == 2


def test_retry_after_is_honoured(ready, server):
    answer = Say(429, code="TooManyRequests", headers={"Retry-After": "1"})
    server.script("POST", "packages", answer)
    started = time.monotonic()
    assert ready.deploy("--connection", "c").code == 0
    assert time.monotonic() - started >= 1
    assert writes(server) == ["POST /v1/connector-sdk/packages"] * 2 + ["POST /v1/connectors"]


def test_retry_after_longer_than_our_patience(ready, server):
    answer = Say(429, code="TooManyRequests", message="Slow down", headers={"Retry-After": "3600"})
    server.script("GET", "groups", answer)
    result = failed(ready)
    assert "Slow down" in result.err
    assert "run it again in 3600 seconds" in result.err
    assert len(server.requests) == 1


def test_cut_connections_are_tried_again(ready, server):
    server.script("GET", "groups", Cut(), Cut(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"))
    result = ready.deploy("--connection", "c")
    assert result.code == 0, result
    assert result.err.count("trying again") == 2


def test_create_is_not_sent_twice(ready, server):
    server.script("POST", "connectors$", Say(503, code="Unavailable", message="restarting"))
    result = failed(ready)
    assert "restarting" in result.err
    assert writes(server).count("POST /v1/connectors") == 1
    assert server.packages == {}


# ---- the answer is lost


def test_created_but_the_answer_was_cut(ready, server):
    """The connection is there with our package: it is neither made again nor is its package removed."""

    def create_then_cut(request):
        server.create_connection(request, {})
        return Cut()

    server.script("POST", "connectors$", create_then_cut)
    result = failed(ready)
    assert "connection speak_1 was created" in result.err
    assert "whether its setup tests passed is not known" in result.err
    assert "DELETE" not in str(server.lines)
    assert "happy_1" in server.packages


def test_not_created_and_the_answer_was_cut(ready, server):
    server.script("POST", "connectors$", Cut())
    result = failed(ready)
    assert "no answer from" in result.err
    assert writes(server).count("POST /v1/connectors") == 1
    assert server.packages == {}


def test_server_that_says_nothing(ready, server):
    server.script("POST", "connectors$", Hang())
    started = time.monotonic()
    result = failed(ready, env={"SLUICE_HTTP_TIMEOUT": "1"})
    assert "then said nothing for too long" in result.err
    assert "SLUICE_HTTP_TIMEOUT" in result.err
    assert time.monotonic() - started < 20
    assert server.packages == {}


def test_answer_without_end(ready, server):
    """Bytes that trickle in forever are no sign of life enough to wait for without bound: the size has one."""
    server.script("GET", "groups", Say(200, body=b'{"code": "' + b"x" * (65 << 20) + b'"}'))
    assert "answered with more than 64 MB" in failed(ready).err


# ---- Ctrl-C


def test_interrupted_while_setup_tests_run(ready, server, tmp_path):
    server.script("POST", "connectors$", Hang())
    process = ready.start("deploy", "--connection", "c")
    server.wait_for("POST /v1/connectors")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert "interrupted" in err
    assert "✓ cleaned up orphaned package" in out
    assert server.packages == {}
    assert os.listdir(tmp_path / "tmp") == []


def test_interrupted_while_uploading(ready, server, tmp_path):
    server.script("POST", "packages", Hang())
    process = ready.start("deploy", "--connection", "c")
    server.wait_for("POST /v1/connector-sdk/packages")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert os.listdir(tmp_path / "tmp") == []


def test_interrupted_clean_up(ready, server):
    server.script("POST", "connectors$", Hang())
    server.script("GET", "connectors.schema", Say(data={"items": []}), Say(data={"items": []}))
    server.script("DELETE", "packages", Hang())
    process = ready.start("deploy", "--connection", "c")
    server.wait_for("POST /v1/connectors")
    process.send_signal(signal.SIGINT)
    server.wait_for("DELETE /v1/connector-sdk")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert "package happy_1 could not be removed" in err


def test_killed_leaves_no_file(ready, server, tmp_path):
    server.script("POST", "packages", Hang())
    process = ready.start("deploy", "--connection", "c")
    server.wait_for("POST /v1/connector-sdk/packages")
    process.kill()
    process.communicate(timeout=30)
    assert os.listdir(tmp_path / "tmp") == []
