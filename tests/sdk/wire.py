"""A decoder of the frame protocol in plain Python, and the engine's side of a session, for tests.

frames = list(decode(data))            every frame, checked
tables = Reader().feed(frames)         rows as dicts of (tag, value)
"""
# ruff: noqa: E501 (tables of cases)

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time


def package_path():
    """Return what PYTHONPATH must say so that children find the package that this process uses."""
    import fivetran_connector_sdk

    return os.path.dirname(os.path.dirname(os.path.abspath(fivetran_connector_sdk.__file__)))


NAMES = {
    1: "HELLO", 2: "SCHEMA", 3: "TABLE", 4: "SHAPE", 5: "UPSERT", 6: "UPDATE", 7: "DELETE", 8: "TRUNCATE",
    9: "CHECKPOINT", 10: "LOG", 11: "WARNING", 12: "ERROR", 13: "DONE", 14: "FORM", 15: "TEST", 65: "START", 66: "STOP", 67: "ACK", 100: "PREPARE",
}  # fmt: skip
NULL, FALSE, TRUE, LONG, DOUBLE, STRING, BINARY, JSON, BIGINT, DECIMAL, DATE, NAIVE, UTC, ABSENT = (
    range(14)
)
CELLS = (
    "NULL FALSE TRUE LONG DOUBLE STRING BINARY JSON BIGINT DECIMAL DATE NAIVE UTC ABSENT".split()
)


class Frame:
    """One frame: name, id, payload."""

    def __init__(self, kind, ident, payload):
        self.kind = kind
        self.name = NAMES[kind]
        self.id = ident
        self.payload = payload

    @property
    def json(self):
        return json.loads(self.payload)

    @property
    def text(self):
        return self.payload.decode("utf-8")

    def __repr__(self):
        return f"<{self.name} {self.id} {self.payload[:60]!r}>"


def decode(data):
    """Yield the frames of a byte string that must end with a whole frame."""
    at = 0
    while at < len(data):
        length, word = struct.unpack_from("<II", data, at)
        at += 8
        assert at + length <= len(data), (
            f"frame at {at - 8} is cut: {length} bytes announced, {len(data) - at} there"
        )
        yield Frame(word & 0xFF, word >> 8, bytes(data[at : at + length]))
        at += length


def cells(payload, count):
    """Return [(tag, value)] of a row's payload, which must end with its last cell."""
    at, result = 0, []
    for _ in range(count):
        tag = payload[at]
        at += 1
        if tag in (NULL, FALSE, TRUE, ABSENT):
            value = {NULL: None, FALSE: False, TRUE: True, ABSENT: None}[tag]
        elif tag in (LONG, NAIVE, UTC):
            (value,) = struct.unpack_from("<q", payload, at)
            at += 8
        elif tag == DOUBLE:
            (value,) = struct.unpack_from("<d", payload, at)
            at += 8
        elif tag == DATE:
            (value,) = struct.unpack_from("<i", payload, at)
            at += 4
        else:
            (size,) = struct.unpack_from("<I", payload, at)
            value = bytes(payload[at + 4 : at + 4 + size])
            assert len(value) == size, f"{CELLS[tag]} is cut"
            at += 4 + size
            if tag != BINARY:
                value = value.decode("utf-8")
        result.append((tag, value))
    assert at == len(payload), f"{len(payload) - at} bytes after the last cell"
    return result


class Reader:
    """Follows a stream as the engine does: ids in order, definitions before use."""

    def __init__(self):
        self.tables = []
        self.shapes = []
        self.events = []  # (op, table label, {column: (tag, value)}) and (op, …) for the others

    def feed(self, frames):
        for frame in frames:
            getattr(self, "_" + frame.name.lower(), self._other)(frame)
        return self

    def rows(self, table=None, op="UPSERT"):
        return [event[2] for event in self.events if event[0] == op and table in (None, event[1])]

    def _table(self, frame):
        assert frame.id == len(self.tables), "table ids come in order"
        (size,) = struct.unpack_from("<I", frame.payload)
        schema, name = frame.payload[4 : 4 + size].decode(), frame.payload[4 + size :].decode()
        self.tables.append(f"{schema}.{name}" if schema else name)

    def _shape(self, frame):
        assert frame.id == len(self.shapes), "shape ids come in order"
        table, count = struct.unpack_from("<II", frame.payload)
        at, names = 8, []
        for _ in range(count):
            (size,) = struct.unpack_from("<I", frame.payload, at)
            names.append(frame.payload[at + 4 : at + 4 + size].decode())
            at += 4 + size
        assert at == len(frame.payload)
        assert len(set(names)) == len(names), "names of a shape are distinct"
        self.shapes.append((self.tables[table], names))

    def _row(self, frame):
        table, names = self.shapes[frame.id]
        self.events.append((frame.name, table, dict(zip(names, cells(frame.payload, len(names))))))

    _upsert = _update = _delete = _row

    def _truncate(self, frame):
        self.events.append(("TRUNCATE", self.tables[frame.id]))

    def _checkpoint(self, frame):
        self.events.append(("CHECKPOINT", frame.id, frame.text))

    def _other(self, frame):
        self.events.append((frame.name, frame))


def pack(kind, ident=0, payload=b""):
    return struct.pack("<II", len(payload), kind | ident << 8) + payload


def start_frame(
    configuration=None,
    state=None,
    mode="debug",
    log_level=1,
    durable=False,
    project=None,
    protocol=2,
    tests=None,
):
    head = {
        "protocol": protocol, "mode": mode, "configuration": configuration or {}, "log_level": log_level,
        "durable": durable, "project": project,
    }  # fmt: skip
    if tests is not None:
        head["tests"] = tests
    data = json.dumps(head).encode()
    return pack(65, 0, struct.pack("<I", len(data)) + data + json.dumps(state or {}).encode())


class Engine:
    """The engine's end of one session: sends START, collects frames."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(30)
        self.frames = []
        self.on_frame = None

    def read_frame(self):
        """Return the next frame, or None at the end of the stream."""
        head = self._read(8)
        if head is None:
            return None
        length, word = struct.unpack("<II", head)
        payload = self._read(length) if length else b""
        assert payload is not None, "the stream ended inside a frame"
        frame = Frame(word & 0xFF, word >> 8, payload)
        self.frames.append(frame)
        return frame

    def _read(self, size):
        data = bytearray()
        while len(data) < size:
            try:
                part = self.sock.recv(size - len(data))
            except ConnectionError:
                part = b""
            if not part:
                assert not data, "the stream ended inside a frame"
                return None
            data += part
        return bytes(data)

    def serve(self, **start):
        """Answer HELLO, read to the end. ``on_frame(frame)`` may send things in between."""
        hello = self.read_frame()
        assert hello is not None and hello.name == "HELLO", hello
        self.sock.sendall(start_frame(**start))
        while True:
            frame = self.read_frame()
            if frame is None:
                return self
            if self.on_frame is not None:
                self.on_frame(frame)

    def of(self, name):
        return [frame for frame in self.frames if frame.name == name]

    @property
    def reader(self):
        return Reader().feed(self.frames)


class Child:
    """The runner as the engine starts it, on a project directory."""

    def __init__(self, project, python=sys.executable, env=None):
        ours, theirs = socket.socketpair()
        with theirs:
            environment = dict(os.environ, PYTHONPATH=package_path(), **(env or {}))
            self.process = subprocess.Popen(
                [python, "-m", "fivetran_connector_sdk._runner", "--fd", str(theirs.fileno()), "--project", str(project)],
                pass_fds=[theirs.fileno()], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        self.engine = Engine(ours)

    def run(self, **start):
        """Serve the whole session; return (exit code, engine)."""
        self.engine.serve(**start)
        return self.finish()

    def finish(self, timeout=30):
        self.engine.sock.close()
        self.stdout, self.stderr = self.process.communicate(timeout=timeout)
        return self.process.returncode, self.engine

    def wait(self, timeout=30):
        self.stdout, self.stderr = self.process.communicate(timeout=timeout)
        return self.process.returncode

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.engine.sock.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def until(condition, seconds=20):
    """Wait for a condition; fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
