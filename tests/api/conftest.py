"""Tests of the API of `sluiced`, against a real server with a directory of its own.

SLUICE_TEST_BIN names the bin folder of a virtual environment in which the package is installed (sluiced and python).
Run one test alone: SLUICE_TEST_BIN=…/venv/bin pytest tests/api -k wrong_key
"""

import base64
import http.client
import io
import json
import time
import uuid
import zipfile

import pytest

import harness
from harness import *  # noqa: F403  (the fixture bin_dir)
from harness import Answer, wait_for

DEADLINE = 60
HELLO = """
from fivetran_connector_sdk import Connector, Logging as log, Operations as op

def schema(configuration):
    return [{"table": "t", "primary_key": ["id"], "columns": {"id": "INT", "Note": "STRING"}}]

def update(configuration, state):
    log.warning("hello from the connector")
    op.upsert("t", {"id": 1, "Note": "x"})
    op.checkpoint({"n": state.get("n", 0) + 1})

connector = Connector(update=update, schema=schema)
"""
# Runs until it is stopped.
ENDLESS = """
import time
from fivetran_connector_sdk import Connector, Operations as op

def schema(configuration):
    return [{"table": "t", "primary_key": ["id"]}]

def update(configuration, state):
    while True:
        op.upsert("t", {"id": 1})
        op.checkpoint({"n": 1})
        time.sleep(0.05)

connector = Connector(update=update, schema=schema)
"""


def package(connector=HELLO, **files):
    """A zip as `fivetran deploy` uploads it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        if connector is not None:
            z.writestr("connector.py", connector)
        for name, text in files.items():
            z.writestr(name.replace("__", "."), text)
    return out.getvalue()


def multipart(*parts, boundary="b0undary"):
    """Body of parts (name, filename, bytes), without a type for the part, as the official client sends it."""
    body = b""
    for name, filename, data in parts:
        body += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; '
            f'filename="{filename}"\r\n\r\n'
        ).encode()
        body += data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


class Client:
    """One key on one connection. Every answer but files is checked to be the envelope."""

    def __init__(self, port, key=None):
        self.port, self.key = port, key
        self.conn = None

    def send(self, method, path, body=None, headers=None):
        merged = {}
        if self.key:
            merged["Authorization"] = "Basic " + self.key
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            merged["Content-Type"] = "application/json"
        merged.update(headers or {})
        for last in (False, True):
            if self.conn is None:
                self.conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
            try:
                self.conn.request(method, path, body=body, headers=merged)
                raw = self.conn.getresponse()
                answer = Answer(raw.status, raw.headers, raw.read())
                break
            except (ConnectionError, http.client.BadStatusLine):
                # The server closes idle connections, and those of refused bodies.
                self.conn.close()
                self.conn = None
                if last:
                    raise
        if raw.headers.get("Connection", "").lower() == "close":
            self.conn.close()
            self.conn = None
        return answer

    def ask(self, method, path, body=None, headers=None):
        """A checked answer. A test that asks more than 300 times a second waits, as a client is told to."""
        answer = self.send(method, path, body, headers)
        until = time.monotonic() + DEADLINE
        while answer.status == 429 and b"requests a second" in answer.body:
            assert int(answer.headers["Retry-After"]) > 0 and time.monotonic() < until, answer
            time.sleep(0.05)
            answer = self.send(method, path, body, headers)
        assert answer.headers["Content-Type"].startswith("application/json"), answer
        if method != "HEAD":
            assert isinstance(answer.json, dict), answer
            assert isinstance(answer.json["code"], str), answer
            assert (answer.json["code"] == "Success") == (answer.status < 400), answer
            assert answer.status < 400 or answer.json["message"], answer
        assert int(answer.headers["X-Rate-Limit-Remaining"]) >= 0
        return answer

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.ask("POST", path, body, **more)

    def patch(self, path, body, **more):
        return self.ask("PATCH", path, body, **more)

    def delete(self, path, **more):
        return self.ask("DELETE", path, **more)

    def upload(self, data, path="/v1/connector-sdk/packages", method="POST", name="file"):
        body, kind = multipart((name, "proj.zip", data))
        return self.ask(method, path, body, {"Content-Type": kind})


class Server(harness.Server):
    """With clients that check the form of each answer."""

    @staticmethod
    def wait(condition, deadline=DEADLINE):
        """Until it is true; its value."""
        return wait_for("what the test waits for", condition, deadline)

    def client(self, key=None):
        return Client(self.port, key or self.key)

    def new_client(self, role="admin"):
        """With a key of its own: tests that send much do not use up the rate of the others."""
        made = self.client().post("/v1/keys", {"name": "test", "role": role})
        assert made.status == 201, made
        return self.client(made.data["base64"])


@pytest.fixture(scope="session")
def server(bin_dir, tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("server") / "data", bin_dir).start()
    yield s
    assert s.stop() == 0, s.log[-5000:]
    assert "Sanitizer" not in s.log and "runtime error" not in s.log, s.log[-5000:]


@pytest.fixture
def api(server):
    return server.client()


@pytest.fixture(scope="session")
def group(server):
    return server.client().get("/v1/groups").data["items"][0]["id"]


@pytest.fixture(scope="session")
def package_id(server):
    made = server.client().upload(package())
    assert made.status == 201, made
    return made.data["id"]


def name():
    return "c_" + uuid.uuid4().hex[:12]


@pytest.fixture
def create(api, group, package_id):
    """Creates connections; those that are left go at the end."""
    made = []

    def make(schema=None, tests=False, code=None, status=201, **fields):
        config = {"schema": schema or name(), "package_id": package_id}
        if code is not None:
            config["package_id"] = api.upload(package(code)).data["id"]
        body = {"group_id": group, "service": "connector_sdk", "run_setup_tests": tests, **fields}
        given = fields.get("config", {})
        body["config"] = {**config, **given} if isinstance(given, dict) else given
        answer = api.post("/v1/connections", body)
        assert answer.status == status, answer
        if status == 201:
            made.append(answer.data["id"])
            return answer.data
        return answer

    yield make
    for one in made:
        assert api.delete("/v1/connections/" + one).status in (200, 404)


@pytest.fixture
def run(api, server):
    """Starts a sync and waits for its end; the connection then."""

    def go(connection, **more):
        path = "/v1/connections/" + connection
        before = api.get(path).data
        last = max(before["succeeded_at"] or "", before["failed_at"] or "")
        assert api.post(path + "/force", **more).status == 200

        def ended():
            now = api.get(path).data
            done = max(now["succeeded_at"] or "", now["failed_at"] or "") > last
            # One update of the record: whoever sees the time sees the state.
            assert not done or now["status"]["sync_state"] != "syncing", now
            return done and now

        return server.wait(ended)

    return go


def basic(key, secret):
    return base64.b64encode(f"{key}:{secret}".encode()).decode()
