"""The connector's side of a session, frame by frame, for tests of the engine.

    with Project(tmp_path) as pro:
        s = pro.sync(schema=[table("orders", key=["id"])])
        s.upsert("orders", {"id": 1, "price": 1.5})
        s.checkpoint({"at": 1})
        result = s.done()
    pro.rows("orders")

Values are Python's; what Python has no type for is written as one of the classes below. Nothing here knows the SDK, so that a
mistake in it cannot hide one in the engine.
"""

import base64
import contextlib
import datetime as dt
import decimal
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

(
    HELLO,
    SCHEMA,
    TABLE,
    SHAPE,
    UPSERT,
    UPDATE,
    DELETE,
    TRUNCATE,
    CHECKPOINT,
    LOG,
    WARNING,
    ERROR,
    DONE,
) = range(1, 14)
START, STOP, ACK = 65, 66, 67
PREPARE = 100
NULL, FALSE, TRUE, LONG, DOUBLE, STRING, BINARY, JSON, BIGINT, DECIMAL, DATE, NAIVE, UTC, ABSENT = (
    range(14)
)
TAGS = "NULL FALSE TRUE LONG DOUBLE STRING BINARY JSON BIGINT DECIMAL DATE NAIVE UTC ABSENT".split()

EPOCH = dt.datetime(1970, 1, 1)
EPOCH_UTC = EPOCH.replace(tzinfo=dt.timezone.utc)
MICROSECOND = dt.timedelta(microseconds=1)
LIBRARY = os.path.join(ROOT, "third_party", "libduckdb.so")


def command(variable):
    """The `fivetran` that a variable names: a bin folder, or the file itself."""
    place = os.environ.get(variable)
    if place and os.path.isdir(place):
        place = os.path.join(place, "fivetran")
    return place


def engine():
    """The command under test."""
    return command("SLUICE_TEST_BIN") or os.path.join(ROOT, "build", "release", "fivetran")


def fault_engine():
    """The command with test knobs and crash points."""
    return command("SLUICE_FAULT_BIN") or os.path.join(ROOT, "build", "debug", "fivetran")


class Json(str):
    """JSON text as it is."""


class Raw(bytes):
    """The bytes of a cell, tag and all."""


class Absent:
    def __repr__(self):
        return "GONE"


GONE = Absent()


def pack(kind, ident=0, payload=b""):
    return struct.pack("<II", len(payload), kind | ident << 8) + payload


def sized(data):
    return struct.pack("<I", len(data)) + data


def cell(value):
    """One value as the protocol writes it."""
    if isinstance(value, Raw):
        return bytes(value)
    if value is None:
        return bytes([NULL])
    if value is GONE:
        return bytes([ABSENT])
    if isinstance(value, bool):
        return bytes([TRUE if value else FALSE])
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return struct.pack("<Bq", LONG, value)
        return bytes([BIGINT]) + sized(str(value).encode())
    if isinstance(value, float):
        return struct.pack("<Bd", DOUBLE, value)
    if isinstance(value, Json):
        return bytes([JSON]) + sized(value.encode())
    if isinstance(value, str):
        return bytes([STRING]) + sized(value.encode())
    if isinstance(value, bytes):
        return bytes([BINARY]) + sized(value)
    if isinstance(value, decimal.Decimal):
        return bytes([DECIMAL]) + sized(format(value, "f").encode())
    if isinstance(value, dt.datetime):
        if value.tzinfo:
            return struct.pack("<Bq", UTC, (value - EPOCH_UTC) // MICROSECOND)
        return struct.pack("<Bq", NAIVE, (value - EPOCH) // MICROSECOND)
    if isinstance(value, dt.date):
        return struct.pack("<Bi", DATE, (value - EPOCH.date()).days)
    if isinstance(value, (dict, list)):
        return bytes([JSON]) + sized(
            json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
        )
    raise TypeError(value)


def text(value):
    """The text form of a value (docs/protocol.md is silent about it; semantics are not)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, Json, str)):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, decimal.Decimal):
        plain = format(value, "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    if isinstance(value, dt.datetime):
        moment = value.replace(tzinfo=None)
        return moment.isoformat() + ("Z" if value.tzinfo else "")
    if isinstance(value, dt.date):
        return value.isoformat()
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def table(name, key=(), columns=(), schema=None):
    """One entry of SCHEMA. columns: {"a": "LONG", "b": ("DECIMAL", 12, 2)}"""
    given = [[n, *(k if isinstance(k, tuple) else (k,))] for n, k in dict(columns).items()]
    return {"schema": schema, "table": name, "primary_key": list(key), "columns": given}


def twice(pro, send, schema):
    """Two equal syncs; the second must change nothing but find everything again."""
    results = []
    for _ in range(2):
        s = pro.sync(schema=schema)
        send(s)
        results.append(s.done().ok())
    assert results[1].rows["inserted"] == results[1].rows["updated"] == 0, results[1].out
    assert results[1].called("SchemaChanges") == 0
    return results


class Result:
    """What the engine's process said and did."""

    def __init__(self, code, out, frames):
        self.code = code
        self.out = out
        self.frames = frames  # (type, id, payload) from the engine

    def called(self, what):
        return int(re.search(r"^%s +\| (\d+)$" % what, self.out, re.M).group(1))

    @property
    def rows(self):
        """{"inserted": 1, ...} of the summary."""
        found = re.findall(r"rows: (.*) \([\d.]+ s\)$", self.out, re.M)
        names = {"folded": "folded", "updates": "missed", "values": "values", "times": "cut"}
        counts = dict.fromkeys(
            ("inserted", "updated", "deleted", "unchanged", "folded", "missed"), 0
        )
        for part in found[-1].split(", ") if found else []:
            number, first = re.match(r"([\d,]+?) (\w+)", part).groups()
            counts[names.get(first, first) if first != "updates" else "missed"] = int(
                number.replace(",", "")
            )
        return counts

    @property
    def acks(self):
        return [struct.unpack("<Q", payload)[0] for kind, _, payload in self.frames if kind == ACK]

    def ok(self):
        assert self.code == 0, "exit code %d\n%s" % (self.code, self.out)
        assert "ERROR: AddressSanitizer" not in self.out and "runtime error:" not in self.out, (
            self.out
        )
        return self

    def failed(self, *words, code=1):
        assert self.code == code, "exit code %d, not %d\n%s" % (self.code, code, self.out)
        assert "Sanitizer" not in self.out and "runtime error:" not in self.out, self.out
        for word in words:
            assert word in self.out, "%r is not in:\n%s" % (word, self.out)
        return self


class Sync:
    """One session. Frames are gathered and sent in large writes; the engine's answers are read as they come."""

    def __init__(self, project, binary=None, env=None, naming=None, configuration=None, state=None, schema=None, hello=True,
                 wait_start=True, destination=None):  # fmt: skip
        ours, theirs = socket.socketpair()
        self.sock = ours
        self.buffer = bytearray()
        self.incoming = bytearray()
        self.frames = []
        self.tables = {}
        self.shapes = {}
        self.counts = [0, 0, 0, 0, 0]
        self.broken = False
        self.log = open(os.path.join(str(project), "engine.log"), "w+b")
        args = [
            binary or engine(),
            "_session",
            "--fd",
            str(theirs.fileno()),
            "--project",
            str(project),
        ]
        if naming:
            args += ["--naming", naming]
        if destination:
            args += ["--destination", destination]
        environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("SL_", "FIVETRAN_"))
        }
        environment.setdefault("SLUICE_DUCKDB_LIB", LIBRARY)
        environment["ASAN_OPTIONS"] = os.environ.get(
            "ASAN_OPTIONS", "detect_leaks=0:abort_on_error=1"
        )
        environment["UBSAN_OPTIONS"] = os.environ.get(
            "UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1"
        )
        environment.update({k: str(v) for k, v in (env or {}).items()})
        with theirs:
            self.process = subprocess.Popen(
                args, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT
            )  # fmt: skip
        if hello:
            self.frame(
                PREPARE,
                0,
                json.dumps({"configuration": configuration or {}, "state": state}).encode(),
            )
            self.frame(
                HELLO,
                0,
                json.dumps(
                    {"protocol": 1, "sdk": "test", "language": "python", "pid": os.getpid()}
                ).encode(),
            )
            self.start = self.wait_for(START) if wait_start else None
            if self.start:
                (n,) = struct.unpack_from("<I", self.start[2])
                self.head = json.loads(self.start[2][4 : 4 + n])
                self.state = self.start[2][4 + n :].decode()
        if schema is not None:
            self.frame(SCHEMA, 0, json.dumps({"tables": schema}).encode())

    # ---- frames

    def frame(self, kind, ident=0, payload=b""):
        self.raw(pack(kind, ident, payload))

    def raw(self, data):
        self.buffer += data
        if len(self.buffer) > 1 << 16:
            self.flush()

    def flush(self):
        try:
            self.sock.sendall(self.buffer)
        except (BrokenPipeError, ConnectionError):
            self.broken = True
        self.buffer.clear()

    def _receive(self, seconds):
        """Take what the engine sent; False at the end of the stream."""
        ready, _, _ = select.select([self.sock], [], [], seconds)
        if not ready:
            return True
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionError:
            data = b""
        self.incoming += data
        while len(self.incoming) >= 8:
            n, word = struct.unpack_from("<II", self.incoming)
            if len(self.incoming) < 8 + n:
                break
            self.frames.append((word & 0xFF, word >> 8, bytes(self.incoming[8 : 8 + n])))
            del self.incoming[: 8 + n]
        return bool(data)

    def wait_for(self, kind, seconds=60):
        """The next frame of this kind, or None if the engine ended without one."""
        self.flush()
        seen, until = len(self.frames), time.monotonic() + seconds
        while time.monotonic() < until:
            for frame in self.frames[seen:]:
                if frame[0] == kind:
                    return frame
            seen = len(self.frames)
            if not self._receive(0.5):
                return next((f for f in self.frames[seen:] if f[0] == kind), None)
        raise AssertionError("no frame %d within %d s\n%s" % (kind, seconds, self.said()))

    # ---- operations

    def table_id(self, name, schema=None):
        key = (schema, name)
        if key not in self.tables:
            self.tables[key] = len(self.tables)
            self.frame(TABLE, self.tables[key], sized((schema or "").encode()) + name.encode())
        return self.tables[key]

    def shape_id(self, name, columns, schema=None):
        key = (schema, name, columns)
        if key not in self.shapes:
            t = self.table_id(name, schema)
            self.shapes[key] = len(self.shapes)
            names = b"".join(sized(c.encode()) for c in columns)
            self.frame(SHAPE, self.shapes[key], struct.pack("<II", t, len(columns)) + names)
        return self.shapes[key]

    def row(self, kind, name, values, schema=None):
        shape = self.shape_id(name, tuple(values), schema)
        self.frame(kind, shape, b"".join([cell(v) for v in values.values()]))
        self.counts[kind - UPSERT] += 1

    def upsert(self, name, values, schema=None):
        self.row(UPSERT, name, values, schema)

    def update(self, name, values, schema=None):
        self.row(UPDATE, name, values, schema)

    def delete(self, name, values, schema=None):
        self.row(DELETE, name, values, schema)

    def truncate(self, name, schema=None):
        self.frame(TRUNCATE, self.table_id(name, schema))
        self.counts[3] += 1

    def checkpoint(self, state, durable=False):
        self.frame(
            CHECKPOINT,
            int(durable),
            json.dumps(state).encode() if not isinstance(state, bytes) else state,
        )
        self.counts[4] += 1
        if durable:
            return self.wait_for(ACK)
        return None

    # ---- the end

    def done(self, **other):
        names = ("upserts", "updates", "deletes", "truncates", "checkpoints")
        said = dict(zip(names, self.counts), rounded=0, cut=0, replaced=0)
        said.update(other)
        self.frame(DONE, 0, json.dumps(said).encode())
        return self.finish()

    def error(self, type="ValueError", message="broken", **more):
        fields = dict(phase="update", type=type, message=message, hint=None, file="connector.py", line=3, function="update",
                      traceback="Traceback", exit=None)  # fmt: skip
        fields.update(more)
        self.frame(ERROR, 0, json.dumps(fields).encode())
        return self.finish()

    def said(self):
        self.log.seek(0)
        return self.log.read().decode("utf-8", "replace")

    def finish(self, seconds=120, half_close=False):
        """Send what is left, read to the end, wait for the process."""
        self.flush()
        if half_close:
            self.sock.shutdown(socket.SHUT_WR)
        until = time.monotonic() + seconds
        while self._receive(0.5):
            assert time.monotonic() < until, "the engine did not end\n" + self.said()
        return self.close(seconds)

    def close(self, seconds=120):
        """Close the socket as a dying connector does, wait for the engine."""
        with contextlib.suppress(OSError):
            self.sock.close()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the engine did not end\n" + self.said()) from None
        out = self.said()
        self.log.close()
        return Result(code, out, self.frames)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def kill(self):
        self.process.kill()


class Project:
    """A connector's folder and what is in its warehouse."""

    def __init__(self, path, binary=None, env=None, naming=None):
        self.path = str(path)
        self.binary = binary
        self.env = env or {}
        self.naming = naming
        os.makedirs(self.path, exist_ok=True)
        with open(os.path.join(self.path, "connector.py"), "w") as f:
            f.write("# driven by frames\n")
        self.warehouse = os.path.join(self.path, "files", "warehouse.db")
        self.mirror = os.path.join(self.path, "files", "state.json")
        self.con = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.let_go()
        if not any(error):
            shutil.rmtree(self.path, ignore_errors=True)

    def sync(self, env=None, **more):
        self.let_go()
        more.setdefault("naming", self.naming)
        return Sync(self.path, binary=self.binary, env={**self.env, **(env or {})}, **more)

    def settle(self):
        """Wait until what a killed engine had begun is over; a file needs no waiting."""

    def query(self, sql, *values):
        """Rows of a query. The file stays open until the next sync."""
        if self.con is None:
            import duckdb

            self.con = duckdb.connect(self.warehouse, read_only=True)
            self.con.execute("SET TimeZone = 'UTC'")
        return self.con.execute(sql, list(values)).fetchall()

    def let_go(self):
        if self.con is not None:
            self.con.close()
            self.con = None

    def columns(self, name, schema="tester"):
        """{column: DuckDB type} without the system columns."""
        return {
            c: t
            for c, t in self.query(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? ORDER BY column_index",
                schema,
                name,
            )
            if c not in ("_fivetran_synced", "_fivetran_deleted")
        }

    def rows(self, name, columns="* EXCLUDE (_fivetran_synced)", schema="tester", order="ALL"):
        return self.query(f'SELECT {columns} FROM "{schema}"."{name}" ORDER BY {order}')

    def cells(self, name, schema="tester"):
        """Rows as dicts, system columns included."""
        found = self.query(f'SELECT * FROM "{schema}"."{name}"')
        names = [d[0] for d in self.con.description]
        return [dict(zip(names, row)) for row in found]

    def tables(self):
        return [f"{s}.{t}" for s, t in self.query(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name <> '_sluice' ORDER BY ALL")]  # fmt: skip

    def state(self):
        """The committed state, or None: also where there is no file, or nothing in it yet."""
        if not os.path.exists(self.warehouse) or not self.query(
            "SELECT 1 FROM duckdb_tables() WHERE schema_name = '_sluice' AND table_name = 'state'"
        ):
            return None
        found = self.query("SELECT state FROM _sluice.state WHERE connection = 'tester'")
        return found[0][0] if found else None

    def leftovers(self):
        """Files in files/ that are not the warehouse, its log, the mirror or the lock."""
        known = {"warehouse.db", "warehouse.db.wal", os.path.basename(self.mirror), ".lock"}
        top = os.path.join(self.path, "files")
        return sorted(f for f in (os.listdir(top) if os.path.isdir(top) else []) if f not in known)


def rerun(node, seed=None):
    """The line a failing test prints: how to run it alone."""
    return "run it alone: %spytest '%s'" % (
        "SLUICE_SEED=%s " % seed if seed is not None else "",
        node,
    )


def seed_of(default):
    """SLUICE_SEED, or this one; printed so that a failure can be repeated."""
    seed = int(os.environ.get("SLUICE_SEED", default))
    print("SLUICE_SEED=%d" % seed, file=sys.stderr)
    return seed
