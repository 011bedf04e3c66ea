"""How requests may look: keys, addresses, methods, types, sizes, and what is none."""

import json
import socket
import threading

import pytest
from conftest import Client, basic, multipart, package

PATHS = ["/v1/groups", "/v1/nothing/here", "/v1/connections/x", "/nothing"]


@pytest.mark.parametrize("path", PATHS)
def test_a_missing_or_wrong_key_is_401(server, path):
    assert Client(server.port).get(path).status == 401
    for key in [basic("0123456789abcdef", "0" * 32), "!!!", "", basic("x", "y"), "A" * 5000]:
        assert Client(server.port, key).get(path).status in (401, 429)
    answer = Client(server.port).get(path, headers={"Authorization": "Bearer abc"})
    assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith("Basic")


def test_a_wrong_secret_is_401_and_many_are_429(server):
    known = server.client().key
    wrong = Client(server.port, known[:-6] + "AAAAA=")
    seen = [wrong.get("/v1/groups") for _ in range(15)]
    assert {a.status for a in seen} <= {401, 429}
    last = seen[-1]
    assert last.status == 429 and int(last.headers["Retry-After"]) > 0
    assert last.code == "TooManyRequests"
    assert server.client().get("/v1/groups").status == 200, "a right key is not locked out"


def test_a_revoked_key_is_401_at_once(server, api):
    made = api.post("/v1/keys", {"name": "gone", "role": "viewer"}).data
    client = Client(server.port, made["base64"])
    assert client.get("/v1/groups").status == 200
    assert api.delete("/v1/keys/" + made["id"]).status == 200
    assert client.get("/v1/groups").status in (401, 429)
    assert api.delete("/v1/keys/nothing").code == "NotFound_Key"


def test_addresses_fold(api, group, create):
    one = create()
    same = [
        f"/v1/groups/{group}/connectors?schema={one['schema']}",
        f"/v1/groups/{group}/connectors/?schema={one['schema']}",
        f"/v2/groups/{group}/connections?schema={one['schema']}",
        f"/v1/connections?schema={one['schema']}",
        f"/v1/connections/?group_id={group}&schema={one['schema']}",
    ]
    for path in same:
        assert [x["id"] for x in api.get(path).data["items"]] == [one["id"]], path
    for path in ["/v1/connectors/%s", "/v2/connectors/%s/", "/v1/connections/%s"]:
        assert api.get(path % one["id"]).data["id"] == one["id"]
    assert api.get("http://any.host/v1/connections/" + one["id"]).data["id"] == one["id"]
    escaped = "".join("%%%02x" % ord(c) for c in one["id"])
    assert api.get("/v1/connections/" + escaped).data["id"] == one["id"]


@pytest.mark.parametrize(
    "path, status",
    [
        ("/v1", 404),
        ("/v3/groups", 404),
        ("/v1/Groups", 404),
        ("/v1/groups//", 404),
        ("//v1/groups", 404),
        ("/v1/groups/%", 400),
        ("/v1/groups/%zz", 400),
        ("/v1/groups/%00", 400),
        ("/v1/groups/%ff", 400),
        ("/v1/groups/%2e%2e%2f", 404),
        ("/v1/groups?limit=%ff", 400),
        ("/v1/" + "x/" * 50, 400),
        ("/v1/webhooks", 404),
        ("/v1/teams", 404),
    ],
)
def test_broken_addresses(api, path, status):
    assert api.get(path).status == status


@pytest.mark.parametrize("method", ["HEAD", "PUT", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_405(api, method):
    answer = api.ask(method, "/v1/groups")
    assert answer.status == 405 and answer.headers["Allow"] == "GET, POST"
    assert api.ask(method, "/v1/nothing").status == 404


@pytest.mark.parametrize("limit", ["0", "1001", "null", "-1", "1e3", "", "1.0", "9" * 30])
def test_bad_limits(api, limit):
    answer = api.get("/v1/groups?limit=" + limit)
    assert answer.status == 400 and "limit" in answer.message


@pytest.mark.parametrize("cursor", ["x", "eyJza2lwIjozfQ", "%20", "e30", "eyJhZnRlciI6LTF9"])
def test_bad_cursors(api, cursor):
    answer = api.get("/v1/groups?cursor=" + cursor)
    assert answer.status == 400 and "cursor" in answer.message


def test_pages_while_others_insert(server):
    api = server.new_client()
    made = [api.post("/v1/groups", {"name": f"page {i}"}).data["id"] for i in range(5)]
    seen, cursor, pages = [], "", 0
    while True:
        page = api.get("/v1/groups?limit=2" + cursor).data
        seen += [g["id"] for g in page["items"]]
        assert len(page["items"]) <= 2
        pages += 1
        if pages < 4:
            made.append(api.post("/v1/groups", {"name": f"later {pages}"}).data["id"])
        if "next_cursor" not in page:
            break
        cursor = "&cursor=" + page["next_cursor"]
    assert pages >= 3 and len(seen) == len(set(seen)) and set(made) <= set(seen)
    for one in made:
        assert api.delete("/v1/groups/" + one).status == 200


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json;version=2",
                                    "application/json; version=2", "text/html,*/*;q=0.1", ""])  # fmt: skip
def test_accepted(api, accept):
    assert api.get("/v1/groups", headers={"Accept": accept}).status == 200


def test_not_accepted(api):
    assert api.get("/v1/groups", headers={"Accept": "text/html"}).status == 406
    assert api.get("/v1/groups", headers={"Accept": "application/xml"}).status == 406


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded",
                                  "application/jsonx", "multipart/form-data; boundary=x"])  # fmt: skip
def test_wrong_types_are_415(api, kind):
    headers = {"Content-Type": kind} if kind else {}
    answer = api.post("/v1/groups", b'{"name": "x"}', headers=headers)
    assert answer.status == 415


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'{"name": "a\\u0000b"}',
        b'{"name": NaN}',
        b'{"name": "x"} x',
        b'{"name": 1e999}',
        b'{"name": ' + b"9" * 400 + b"}",
        b'{"name": ' + b"[" * 200 + b"]" * 200 + b"}",
        b"[" * 100000,
        b"[]",
        b'"text"',
        b"null",
        b"",
        b'{"name": null}',
        b'{"name": ""}',
        b'{"name": 7}',
        b'{"name": {"a": 1}}',
        b'{"name": "a\\nb"}',
        json.dumps({"name": "x" * 101}).encode(),
    ],
)
def test_bad_bodies_are_400(api, body):
    answer = api.post("/v1/groups", body, headers={"Content-Type": "application/json"})
    assert answer.status in (400, 413), answer


def test_large_bodies_are_413(server):
    api = server.client()
    kind = {"Content-Type": "application/json"}
    big = b'{"name": "' + b"x" * 100_000 + b'"}'
    assert api.post("/v1/groups", big, headers=kind).status == 413
    chunked = {**kind, "Transfer-Encoding": "chunked"}
    parts = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in [big[:50_000], big[50_000:]])
    answer = raw(server, "POST", "/v1/groups", chunked, parts + b"0\r\n\r\n", key=api.key)
    assert b" 413 " in answer.split(b"\r\n")[0]


def raw(server, method, path, headers, body=b"", key=None, shut=False):
    """What comes back for these bytes, until the server closes or has sent a whole answer."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n"
    if key:
        head += f"Authorization: Basic {key}\r\n"
    head += "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    return raw_bytes(server, head.encode() + b"\r\n" + body, shut)


def raw_bytes(server, data, shut=False, timeout=15):
    got = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as s:
        try:
            s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
            while True:
                piece = s.recv(65536)
                got += piece
                head, _, body = got.partition(b"\r\n\r\n")
                length = [
                    x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")
                ]
                if not piece or (length and len(body) >= int(length[0].split(b":")[1])):
                    return got
        except ConnectionError:
            return got


def works(server):
    assert server.client().get("/v1/groups").status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /v1/groups\r\n\r\n",
        b"GET /v1/groups HTTP/9.9\r\n\r\n",
        b"GET /v1/groups HTTP/1.1\r\n\r\n",
        b"GET /v1/groups HTTP/1.1\r\nHost: x\r\nNoColon\r\n\r\n",
        b"GET /v1/groups HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n",
        b"GET " + b"/a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/groups HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 500_000 + b"\r\n\r\n",
        b"POST /v1/groups HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n{}",
        b"POST /v1/groups HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n{}",
        b"POST /v1/groups HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
        b"POST /v1/groups HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        b"POST /v1/groups HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n{}",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        bytes(range(256)) * 50,
    ],
    ids=lambda d: repr(d[:24]),
)
def test_what_is_no_request(server, data):
    answer = raw_bytes(server, data, shut=True)
    if answer:
        # The library sends the head of some of its answers twice (0.9.75).
        head, _, body = answer.rpartition(b"\r\n\r\n")
        assert head.split(b" ")[1][:1] in (b"4", b"5"), answer[:200]
        assert b"content-type: application/json" in head.lower(), answer[:500]
        assert json.loads(body)["code"] and json.loads(body)["message"]
    works(server)


def test_two_lengths_are_refused(server, api):
    answer = raw(server, "POST", "/v1/groups", {"Content-Length": 4, "Transfer-Encoding": "chunked"},
                 b"0\r\n\r\n", key=api.key)  # fmt: skip
    assert b" 400 " in answer.split(b"\r\n")[0]
    works(server)


@pytest.mark.parametrize("count", [100, 600, 3000])
def test_large_heads_are_431(server, api, count):
    """20 KB; 120 KB, where the library's own limit begins; 600 KB, which is beyond it."""
    many = {f"X-{i}": "y" * 200 for i in range(count)}
    answer = raw(server, "GET", "/v1/groups", many, key=api.key)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 431 " in head.split(b"\r\n")[0]
    assert json.loads(body)["code"] == "HeaderTooLarge"


def test_a_body_that_ends_early_changes_nothing(server, api, group):
    kind = {"Content-Type": "application/json", "Content-Length": 1000}
    raw(server, "POST", "/v1/groups", kind, b'{"name": "half', key=api.key, shut=True)
    body, form = multipart(("file", "x.zip", package()))
    before = len(api.get("/v1/connector-sdk/packages?limit=1000").data["items"])
    kind = {"Content-Type": form, "Content-Length": len(body) + 500}
    raw(server, "POST", "/v1/connector-sdk/packages", kind, body, key=api.key, shut=True)
    assert "half" not in [g["name"] for g in api.get("/v1/groups?limit=1000").data["items"]]
    assert len(api.get("/v1/connector-sdk/packages?limit=1000").data["items"]) == before
    works(server)


def test_a_client_that_drips_is_cut_off(server):
    """However steadily it sends: a head has ten seconds."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=40) as s:
        done = threading.Event()

        def drip():
            try:
                s.sendall(b"GET /v1/groups HTTP/1.1\r\nX: ")
                for c in b"y" * 200:
                    s.sendall(bytes([c]))
                    if done.wait(0.2):
                        return
            except OSError:
                pass

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert s.recv(100)[:12] in (b"", b"HTTP/1.1 408")
        except ConnectionError:
            pass
        finally:
            done.set()
            thread.join()
    works(server)


def test_wrong_key_with_a_body_is_answered(server):
    """The body is read, so that the answer is not lost in a reset."""
    answer = Client(server.port).post("/v1/groups", b"x" * 500_000)
    assert answer.status == 401


def test_request_ids_differ(api):
    one, two = (api.get("/v1/groups").headers["X-Request-Id"] for _ in range(2))
    assert one != two


def test_health_and_metrics_need_no_key_here(server):
    assert Client(server.port).get("/health").json["status"] == "ok"
    metrics = Client(server.port).send("GET", "/metrics")
    assert metrics.status == 200 and b"sluice_http_requests_total" in metrics.body
    described = Client(server.port).send("GET", "/v1/openapi.json")
    assert described.json["openapi"].startswith("3.")
