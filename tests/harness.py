"""A real `sluiced` for tests: start it, deploy connectors to it, wait for syncs, read its warehouse.

    from harness import *          # in a suite's conftest.py: brings the fixtures and the report hook

    def test_a_row(server):
        con = server.deploy("one_row", {"connector.py": ONE_ROW})    # package + connection, paused
        con.unpause()
        done = con.wait_for_sync()                                   # asserts success
        assert server.rows("select id from one_row.t") == [(1,)]

The fixture `server` starts `SLUICE_TEST_BIN/sluiced serve` on a free port with a data directory of its own and stops it at the
end. When a test fails, what the server said is attached to the report. Nothing here sleeps for a fixed time and hopes: every
wait polls until a deadline and says what it was waiting for.
"""

import contextlib
import datetime
import io
import json
import os
import re
import signal
import ssl
import subprocess
import textwrap
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

import pytest

__all__ = [
    "Answer",
    "Clock",
    "Connection",
    "ONE_ROW",
    "Server",
    "bin_dir",
    "certificate",
    "clock",
    "connector",
    "moved",
    "pytest_runtest_makereport",
    "server",
    "start_server",
    "wait_for",
    "zip_of",
]

# A machine that runs other things, and sanitizers, need patience; a passing test never waits this long.
START = 20
SYNC = 120
# Where programs that run from the build folder find the rest.
KEPT = ("SLUICE_CACHE", "SLUICE_PACKAGE_DIR", "SLUICE_DUCKDB_LIB")
SANITIZED = bool(os.environ.get("SLUICE_SANITIZED"))


def connector(body, schema='[{"table": "t", "primary_key": ["id"]}]'):
    """Text of a connector.py whose update() is `body`; `json`, `os`, `time`, `log`, `op` are there."""
    return (
        "import json, os, time\n"
        "from fivetran_connector_sdk import Connector, Logging as log, Operations as op\n\n"
        f"def schema(configuration):\n    return {schema}\n\n"
        "def update(configuration, state):\n"
        + textwrap.indent(textwrap.dedent(body).strip(), "    ")
        + "\n\nconnector = Connector(update=update, schema=schema)\n"
    )


ONE_ROW = connector("op.upsert('t', {'id': 1})\nop.checkpoint({'n': 1})")


def zip_of(files):
    """{"connector.py": text or bytes, …} as the bytes of a package."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def wait_for(what, condition, seconds=20, interval=0.02):
    """The first true value of condition(); after `seconds` an AssertionError that says what did not happen."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {seconds} s: {what}")
        time.sleep(interval)


class Answer:
    """An HTTP answer: status, headers, text; json, and of it code, message, data."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def data(self):
        return self.json.get("data")

    @property
    def code(self):
        return self.json["code"]

    @property
    def message(self):
        return self.json["message"]

    def __repr__(self):
        return f"HTTP {self.status}: {self.text[:2000]}"


class Server:
    """One data directory and the `sluiced serve` that runs on it. start() may be called again after stop() or kill()."""

    def __init__(self, data, bin_dir, args=(), env=None, trust=None):
        """trust: a certificate file, for a server with TLS."""
        self.data, self.bin = Path(data), str(bin_dir)
        self.tls = ssl.create_default_context(cafile=str(trust)) if trust else None
        self.args = ["--listen", "127.0.0.1:0", *map(str, args)]
        self.extra_env = env or {}
        self.process = self.url = self.key = None
        self.said = Path(
            str(data) + ".log"
        )  # beside the directory: all starts, one after the other

    # ---- the process ----

    @property
    def env(self):
        """What a person's shell would give it, without what a test run adds."""
        clean = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("FIVETRAN_", "SLUICE_", "PYTHON")) or k in KEPT
        }
        path = self.bin + os.pathsep + clean.get("PATH", os.defpath)
        return {**clean, "PATH": path, **self.extra_env}

    def start(self, timeout=START):
        """Returns self once GET /health answers 200. The first start's key is kept as self.key (base64)."""
        begin = self.said.stat().st_size if self.said.exists() else 0
        with open(self.said, "ab") as out:
            self.process = subprocess.Popen(
                [os.path.join(self.bin, "sluiced"), "serve", "--data", self.data, *self.args],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.url = wait_for("sluiced prints its address", lambda: self._printed(begin), timeout)
        key = re.search(r"base64\W+([A-Za-z0-9+/]{20,}=*)", self.log)
        if self.key is None and key:
            self.key = key.group(1)
        wait_for("GET /health answers 200", self._healthy, timeout)
        return self

    def _printed(self, begin):
        text = self.said.read_bytes()[begin:].decode("utf-8", "replace")
        found = re.search(r"https?://[\w.\[\]:]+:\d+", text)
        if not found and self.process.poll() is not None:
            raise AssertionError(f"sluiced ended with {self.process.returncode}:\n{text}")
        return found and found.group(0)

    def _healthy(self):
        try:
            return self.call("GET", "/health", auth=None).status == 200
        except OSError:
            if self.process.poll() is not None:
                raise AssertionError(
                    f"sluiced ended with {self.process.returncode}:\n{self.log}"
                ) from None
            return False

    def stop(self, timeout=60):
        """Asks it to end; returns its exit code. Nothing happens when it does not run."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"sluiced did not stop within {timeout} s") from None

    def kill(self):
        """kill -9 of the server process alone: what it started must find that out by itself."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def restart(self):
        self.stop()
        return self.start()

    @property
    def pid(self):
        return self.process.pid

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    @property
    def log(self):
        """Everything it printed, over all starts."""
        return self.said.read_text("utf-8", "replace") if self.said.exists() else ""

    def command(self, *args, timeout=60, **options):
        """`sluiced …` beside the running server (key, show, backup, …): its CompletedProcess."""
        return subprocess.run(
            [os.path.join(self.bin, "sluiced"), *map(str, args)],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            **options,
        )

    # ---- the API ----

    def call(self, method, path, body=None, *, auth="", headers=None, timeout=300):
        """One request, answered whatever the status. body: dict or list (sent as JSON), bytes (sent as they are) or None.
        auth: "" the server's key, None none, else a base64 key."""
        sent = {"Accept": "*/*", **(headers or {})}
        if auth is not None:
            sent["Authorization"] = "Basic " + (auth or self.key or "")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=self.tls) as got:
                return Answer(got.status, got.headers, got.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return Answer(refused.code, refused.headers, refused.read())

    def ok(self, method, path, body=None, **more):
        """The answer's `data` (the whole envelope when there is none); anything but 200 or 201 fails the test."""
        answer = self.call(method, path, body, **more)
        assert answer.status in (200, 201), f"{method} {path}: {answer!r}"
        return answer.json.get("data", answer.json)

    def items(self, path):
        """Every item of a list, over all its pages."""
        found, cursor = [], None
        while True:
            join = "&" if "?" in path else "?"
            data = self.ok(
                "GET", path + (join + urllib.parse.urlencode({"cursor": cursor}) if cursor else "")
            )
            found += data["items"]
            cursor = data.get("next_cursor")
            if not cursor:
                return found

    @property
    def group(self):
        """Id of the first destination: the one named `warehouse`."""
        return self.items("/v1/groups")[0]["id"]

    def upload(self, package, update_id=None, name="project.zip"):
        """Creates (or replaces) a package from a dict of files or the bytes of a zip; its `data`."""
        zipped = package if isinstance(package, bytes) else zip_of(package)
        boundary = "x" + os.urandom(12).hex()
        body = (
            (
                f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
            ).encode()
            + zipped
            + f"\r\n--{boundary}--\r\n".encode()
        )
        path = "/v1/connector-sdk/packages" + (f"/{update_id}" if update_id else "")
        return self.ok(
            "PATCH" if update_id else "POST",
            path,
            body,
            headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        )

    def deploy(
        self, name, files, configuration=None, *, group=None, config=None, check=True, **fields
    ):
        """What `fivetran deploy` does, through the API: a Connection, paused. check: its setup tests must pass.
        config: more members of "config"; fields: more members of the body (paused=False, sync_frequency=1, …)."""
        package = self.upload(files)
        data = self.ok(
            "POST",
            "/v1/connections",
            {
                "group_id": group or self.group,
                "service": "connector_sdk",
                "paused": True,
                "run_setup_tests": True,
                "config": {
                    "schema": name,
                    "package_id": package["id"],
                    "secrets_list": [
                        {"key": k, "value": v} for k, v in (configuration or {}).items()
                    ],
                    **(config or {}),
                },
                **fields,
            },
        )
        if check:
            assert data["status"]["setup_state"] == "connected", data
        return Connection(self, data["id"])

    def redeploy(self, con, files, **body):
        """New code for a connection, as a second deploy gives it."""
        package = self.upload(files)
        body.setdefault("config", {})["package_id"] = package["id"]
        return self.ok("PATCH", f"/v1/connections/{con.id}", body)

    # ---- the warehouse ----

    def rows(self, sql, *values, file=None):
        """Rows of a query on the DuckDB file, which must be free: no sync runs. Opened anew and closed again."""
        import duckdb

        with duckdb.connect(str(file or self.data / "warehouse.db"), read_only=True) as db:
            return db.execute(sql, list(values)).fetchall()


class Connection:
    """A connection on a server."""

    def __init__(self, server, id):
        self.server, self.id = server, id
        self.path = f"/v1/connections/{id}"

    def details(self):
        return self.server.ok("GET", self.path)

    def change(self, **fields):
        return self.server.ok("PATCH", self.path, fields)

    def pause(self):
        return self.change(paused=True)

    def unpause(self):
        """Starts the initial sync of a connection that never ran."""
        return self.change(paused=False)

    def ended(self):
        """When its last sync ended: a value that only rises; "" before the first."""
        found = self.details()
        return max(found["succeeded_at"] or "", found["failed_at"] or "")

    def start(self, **body):
        """Asks for a sync; returns what wait_for_sync() wants as `after`."""
        before = self.ended()
        self.server.ok("POST", self.path + "/sync", body)
        return before

    def wait_for_sync(self, after="", timeout=SYNC, success=True):
        """The details once a sync has ended later than `after` (a value of ended()), and none runs. success=None: however it ended."""

        def over():
            found = self.details()
            last = max(found["succeeded_at"] or "", found["failed_at"] or "")
            return last > after and found["status"]["sync_state"] != "syncing" and found

        found = wait_for(f"a sync of {self.id} ends", over, timeout)
        failed = (found["failed_at"] or "") > (found["succeeded_at"] or "")
        if success is not None and failed == success:
            raise AssertionError(f"the sync {'failed' if failed else 'succeeded'}:\n{self.story()}")
        return found

    def sync(self, **options):
        """start() and wait_for_sync()."""
        return self.wait_for_sync(self.start(), **options)

    def history(self):
        """Its sync records, newest first."""
        return self.server.items(self.path + "/sync-history")

    def logs(self, **query):
        """Its log lines, oldest first: [{level, message, time, …}]. query: level, sync_id, …"""
        return self.server.items(
            self.path + "/logs?" + urllib.parse.urlencode({"limit": 1000, **query})
        )

    def story(self):
        """What to print when a test is surprised by a sync: the last record and the log."""
        lines = [f"{x['level']} {x['message']}" for x in self.logs()]
        return "\n".join([json.dumps(self.history()[:1], indent=1), *lines[-40:]])

    def state(self):
        return self.server.ok("GET", self.path + "/state")["state"]


# ---- pytest ----

_servers = []


@contextlib.contextmanager
def start_server(data, bin_dir, args=(), env=None, trust=None):
    """A started Server that is stopped at the end, for fixtures of other scopes or with other flags."""
    one = Server(data, bin_dir, args, env, trust)
    _servers.append(one)
    try:
        yield one.start()
    finally:
        if one.process is not None and one.process.poll() is None:
            one.stop()


@pytest.fixture(scope="session")
def bin_dir():
    path = os.environ.get("SLUICE_TEST_BIN")
    if not path:
        pytest.fail(
            "SLUICE_TEST_BIN is not set: name a bin folder with sluiced and fivetran", pytrace=False
        )
    for name in ("sluiced", "fivetran"):
        if not os.access(os.path.join(path, name), os.X_OK):
            pytest.fail(f"SLUICE_TEST_BIN={path} has no program {name}", pytrace=False)
    return path


@pytest.fixture
def certificate(tmp_path):
    """A certificate for 127.0.0.1, signed by itself."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = tmp_path / "cert.pem", tmp_path / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@pytest.fixture
def server(tmp_path, bin_dir):
    with start_server(tmp_path / "data", bin_dir) as one:
        yield one


class Clock:
    """The clock of a server of the debug build: a file with the microseconds to add (SL_TIME_FILE)."""

    def __init__(self, path):
        self.path, self.moved = path, 0
        self.forward(0)

    def forward(self, seconds):
        self.moved += int(seconds * 1_000_000)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"{self.moved}\n")
        fresh.rename(self.path)


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path / "clock")


@pytest.fixture
def moved(tmp_path, clock):
    """A server of the debug build whose clock is `clock`."""
    bin_dir = os.environ.get("SLUICE_FAULT_BIN")
    if not bin_dir:
        pytest.fail("SLUICE_FAULT_BIN is not set: name a bin folder with the debug build")
    env = {"SL_TIME_FILE": str(clock.path), "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1"}
    with start_server(tmp_path / "data", bin_dir, env=env) as one:
        yield one


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Attaches the end of what each server said to the report of a failed test; forgets servers that are gone."""
    report = (yield).get_result()
    if report.failed:
        for one in _servers:
            report.sections.append((f"sluiced --data {one.data}", one.log[-8000:]))
    if report.when == "teardown":
        _servers[:] = [s for s in _servers if s.process is not None and s.process.poll() is None]
