"""Tests of the commands that talk to a server: deploy, login, package create|update|list, doctor.

`server` is a scripted one: it keeps what it was asked, answers as the API does as long as nothing else is scripted, and can be
told to fail in any way. `sluiced` is the real one (test_real.py).
"""

import base64
import http.server
import json
import os
import re
import socket
import subprocess
import threading
import urllib.request
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import terminal

import harness
from harness import pytest_runtest_makereport  # noqa: F401  (what a server said, when a test fails)

TIMEOUT = 60
KEY = base64.b64encode(b"abcdefgh12345678:0123456789abcdef0123456789abcdef").decode()
SECRET = "planted-secret-value-4711"

CONNECTOR = """
from fivetran_connector_sdk import Connector, Operations as op

def update(configuration, state):
    op.upsert('t', {'id': 1})
    op.checkpoint({})

connector = Connector(update=update)
"""


@dataclass
class Result:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str = ""

    @property
    def all(self):
        return self.out + self.err

    def __repr__(self):
        return f"exit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


@dataclass
class Account:
    """A server, a key of it, and the name of a destination in it."""

    url: str
    key: str
    destination: str

    def get(self, path):
        request = urllib.request.Request(
            self.url + path, headers={"Authorization": "Basic " + self.key}
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return json.load(answer)["data"]


class Project:
    """A connector's folder and the commands run in it."""

    def __init__(self, path, program, env):
        self.path, self.program, self.env = Path(path), program, env
        self.path.mkdir(parents=True)
        self.write("connector.py", CONNECTOR)
        self.write("configuration.json", {"my_key": SECRET})

    def write(self, name, content):
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return self

    def start(self, *args, env=None, **options):
        merged = {**self.env, **(env or {})}
        options = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **options,
        }
        return subprocess.Popen(
            [self.program, *map(str, args)],
            cwd=self.path,
            env={k: v for k, v in merged.items() if v is not None},
            text=True,
            encoding="utf-8",
            **options,
        )

    def run(self, *args, env=None, timeout=TIMEOUT):
        process = self.start(*args, env=env)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{args} did not end in {timeout} s\n{out}\n{err}") from None
        return Result(process.returncode, out, err)

    def deploy(self, *args, **options):
        return self.run("deploy", *args, **options)

    def on_terminal(self, *args, answers=(), env=None, timeout=TIMEOUT):
        """Runs on a terminal and types each answer when its question stands there. `err` is empty: it is on the terminal."""
        code, shown = terminal.talk(
            lambda side: self.start(*args, env=env, stdin=side, stdout=side, stderr=side),
            answers,
            timeout,
        )
        return Result(code, shown)


@dataclass
class Request:
    method: str
    path: str
    headers: dict
    body: bytes

    @property
    def line(self):
        return f"{self.method} {self.path}"

    @property
    def json(self):
        return json.loads(self.body)

    def parts(self):
        """The parts of a multipart body: (headers, bytes)."""
        head = b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n"
        message = BytesParser(policy=HTTP).parsebytes(head + self.body)
        return [
            (dict(part.items()), part.get_payload(decode=True)) for part in message.iter_parts()
        ]


@dataclass
class Say:
    """An answer: JSON unless `body` is given."""

    status: int = 200
    data: dict = None
    code: str = "Success"
    message: str = ""
    headers: dict = field(default_factory=dict)
    body: bytes = None
    type: str = "application/json;charset=utf-8"


class Cut:
    """The connection ends: before a byte of the answer, or within it."""

    def __init__(self, after=b""):
        self.after = after


class Hang:
    """Nothing comes; the server waits for the client to go."""


def not_found(kind, what):
    return Say(404, code=f"NotFound_{kind}", message=f"Cannot find {what}")


class Server:
    """The API as far as deploying needs it, in memory."""

    def __init__(self):
        self.requests = []
        self.scripts = []
        self.groups = {"decent_dropsy": "MyWarehouse"}
        self.connections = {}
        self.packages = {}
        self.page = 1000
        self.tests = [{"title": "Validate package", "status": "PASSED", "message": ""}]
        self.lock = threading.Lock()
        self.arrived = threading.Condition(self.lock)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = TIMEOUT

            def log_message(self, *args):
                pass

            def do(self):
                outer.serve(self)

            do_GET = do_POST = do_PATCH = do_DELETE = do

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.block_on_close = False
        self.port = self.http.server_address[1]
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def script(self, method, pattern, *answers):
        """These answers, one after the other, for requests whose path matches; then as usual. An answer may be a function of
        the request."""
        self.scripts.append((method, re.compile(pattern), list(answers)))

    @property
    def lines(self):
        return [r.line for r in self.requests]

    def wait_for(self, line):
        """Until a request of this line has come."""
        with self.arrived:
            assert self.arrived.wait_for(
                lambda: any(re.match(line, r.line) for r in self.requests), timeout=30
            ), f"{line} did not come; there were: {self.lines}"

    # ---- answering

    def serve(self, handler):
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length) if length else b""
        request = Request(handler.command, handler.path, dict(handler.headers), body)
        with self.arrived:
            self.requests.append(request)
            answer = self.scripted(request) or self.usual(request)
            self.arrived.notify_all()
        handler.close_connection = isinstance(answer, (Cut, Hang))
        if isinstance(answer, Hang):
            handler.connection.settimeout(TIMEOUT)
            try:
                handler.connection.recv(1)
            except OSError:
                pass
        elif isinstance(answer, Cut):
            if answer.after:
                handler.wfile.write(answer.after)
                handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.send(handler, answer)

    def send(self, handler, answer):
        body = answer.body
        if body is None:
            envelope = {"code": answer.code, "message": answer.message}
            if answer.data is not None:
                envelope["data"] = answer.data
            body = json.dumps(envelope).encode()
        try:
            handler.send_response(answer.status)
            handler.send_header("Content-Type", answer.type)
            handler.send_header("Content-Length", str(len(body)))
            for name, value in answer.headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body)
        except OSError:
            pass

    def scripted(self, request):
        for method, pattern, answers in self.scripts:
            if method == request.method and answers and pattern.search(request.path):
                answer = answers.pop(0)
                return answer(request) if callable(answer) else answer
        return None

    def usual(self, request):
        if request.headers.get("Authorization") != f"Basic {KEY}":
            return Say(401, code="AuthFailed", message="Invalid authorization credentials")
        url = urlsplit(request.path)
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        for method, pattern, answer in (
            ("GET", "/v1/account/info", self.account_info),
            ("GET", "/v1/groups", self.list_groups),
            ("GET", "/v1/groups/([^/]+)/connectors", self.list_connections),
            ("POST", "/v1/connectors", self.create_connection),
            ("GET", "/v1/connectors/([^/]+)", self.get_connection),
            ("PATCH", "/v1/connectors/([^/]+)", self.change_connection),
            ("GET", "/v1/connector-sdk/packages", self.list_packages),
            ("POST", "/v1/connector-sdk/packages", self.create_package),
            ("GET", "/v1/connector-sdk/packages/([^/]+)", self.get_package),
            ("PATCH", "/v1/connector-sdk/packages/([^/]+)", self.change_package),
            ("DELETE", "/v1/connector-sdk/packages/([^/]+)", self.delete_package),
        ):
            match = re.fullmatch(pattern, url.path)
            if match and method == request.method:
                return answer(request, query, *match.groups())
        return Say(404, code="NotFound", message=f"There is no {request.line}")

    def paged(self, items, query):
        start = int(query.get("cursor", "0").lstrip("c"))
        size = min(self.page, int(query.get("limit", 100)))
        data = {"items": items[start : start + size]}
        if start + size < len(items):
            data["next_cursor"] = f"c{start + size}"
        return Say(data=data)

    def account_info(self, request, query):
        return Say(data={"account_id": "acc_1", "account_name": "Test", "user_id": "u"})

    def list_groups(self, request, query):
        return self.paged([{"id": i, "name": n} for i, n in self.groups.items()], query)

    def list_connections(self, request, query, group):
        found = [
            {k: v for k, v in c.items() if k != "setup_tests"}
            for c in self.connections.values()
            if c["group_id"] == group and c["schema"] == query.get("schema", c["schema"])
        ]
        return self.paged(found, query)

    def connection(self, ident, group, config, **more):
        shown = {**config, "python_version": config.get("python_version", "3.13")}
        schema = shown.pop("schema", None)
        shown["secrets_list"] = [
            {"key": s["key"], "value": "******"} for s in config.get("secrets_list", [])
        ]
        return {
            "id": ident,
            "group_id": group,
            "service": "connector_sdk",
            "schema": schema,
            "paused": True,
            "config": shown,
            "destination_schema_names": "FIVETRAN_NAMING",
            **more,
        }

    def add_connection(self, name, package="old_package", **more):
        self.packages.setdefault(package, b"")
        self.connections["speak_inexact"] = self.connection(
            "speak_inexact", "decent_dropsy", {"schema": name, "package_id": package}, **more
        )

    def create_connection(self, request, query):
        asked = request.json
        ident = f"speak_{len(self.connections) + 1}"
        self.connections[ident] = self.connection(
            ident,
            asked["group_id"],
            asked["config"],
            destination_schema_names=asked["destination_schema_names"],
        )
        return Say(201, data={**self.connections[ident], "setup_tests": self.tests})

    def get_connection(self, request, query, ident):
        if ident not in self.connections:
            return not_found("Connection", ident)
        return Say(data=self.connections[ident])

    def change_connection(self, request, query, ident):
        self.connections[ident]["config"].update(
            {k: v for k, v in request.json["config"].items() if k != "schema"}
        )
        return Say(data={**self.connections[ident], "setup_tests": self.tests})

    def package(self, ident):
        import hashlib

        using = [i for i, c in self.connections.items() if c["config"]["package_id"] == ident]
        return {
            "id": ident,
            "connection_ids": using,
            "updated_at": "2026-11-23T06:38:31.100000Z",
            "file_sha256_hash": hashlib.sha256(self.packages[ident]).hexdigest(),
        }

    def list_packages(self, request, query):
        return self.paged([self.package(i) for i in self.packages], query)

    def create_package(self, request, query):
        ident = f"happy_{len(self.packages) + 1}"
        ((_, content),) = request.parts()
        self.packages[ident] = content
        return Say(201, data=self.package(ident))

    def get_package(self, request, query, ident):
        if ident not in self.packages:
            return not_found("ConnectorSdkPackage", ident)
        return Say(data=self.package(ident))

    def change_package(self, request, query, ident):
        ((_, self.packages[ident]),) = request.parts()
        return Say(data=self.package(ident))

    def delete_package(self, request, query, ident):
        if self.packages.pop(ident, None) is None:
            return not_found("ConnectorSdkPackage", ident)
        return Say(message="Package deleted successfully")


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture(scope="session")
def program():
    path = os.path.join(os.environ.get("SLUICE_TEST_BIN", ""), "fivetran")
    if not os.access(path, os.X_OK):
        pytest.fail(
            "SLUICE_TEST_BIN is not set: name the bin folder of a venv with the package installed",
            pytrace=False,
        )
    return path


@pytest.fixture(scope="module")
def sluiced(program, tmp_path_factory):
    """The account of a server that runs with a directory of its own."""
    folder = tmp_path_factory.mktemp("sluiced")
    env = {"SLUICE_CACHE": str(folder / "cache")}
    with harness.start_server(folder / "data", os.path.dirname(program), env=env) as one:
        yield Account(one.url, one.key, "warehouse")
        assert one.stop() == 0


@pytest.fixture
def env(tmp_path):
    """The environment of a user who has set nothing, with a home of their own."""
    set_here = ("FIVETRAN_", "SLUICE_HTTP", "CURL_CA_BUNDLE", "SSL_CERT_")
    env = {k: v for k, v in os.environ.items() if not k.startswith(set_here)}
    (tmp_path / "tmp").mkdir()
    return {
        **env,
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": "",
        "TMPDIR": str(tmp_path / "tmp"),
        "TERM": "xterm",
    }


@pytest.fixture
def project(tmp_path, program, env):
    """A connector that needs nothing but the SDK; no server is set."""
    return Project(tmp_path / "my_project", program, env)


@pytest.fixture
def ready(project, server):
    """The same, with the server's address and a key of it in the environment."""
    project.env.update(FIVETRAN_API_URL=server.url, FIVETRAN_API_KEY=KEY)
    return project
