"""The socket to the engine: START, STOP and ACK come in, frames go out through the encoder."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading

from . import _protocol as p
from ._catalog import Catalog
from ._encoder import encoder_class
from ._errors import SyncCancelled
from ._values import Tally
from ._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

FLUSH_SECONDS = 0.05  # rows wait no longer than this for company
SEND_BUFFER = 1 << 20

_STOP_TEXT = {
    p.STOP_USER: "the sync was stopped by the user",
    p.STOP_ENGINE: "the engine stopped the sync",
    p.STOP_TIME: "the sync was stopped: its time is over",
}


class Start:
    """What the engine said in START."""

    __slots__ = ("configuration", "durable", "log_level", "mode", "project", "state", "tests")

    def __init__(self, payload: bytes) -> None:
        (size,) = struct.unpack_from("<I", payload)
        fields: Dict[str, Any] = json.loads(payload[4 : 4 + size])
        version = fields.get("protocol")
        if version != p.VERSION:
            raise RuntimeError(
                f"the engine speaks protocol {version!r}, this package speaks {p.VERSION}; update the older one"
            )
        self.mode: str = fields.get("mode", "sync")
        self.configuration: Dict[str, str] = fields.get("configuration") or {}
        self.log_level: int = fields.get("log_level", 3)
        self.durable: bool = bool(fields.get("durable"))
        self.project: Optional[str] = fields.get("project")
        self.tests: List[str] = fields.get("tests") or []
        self.state: Any = json.loads(payload[4 + size :] or b"{}")


class Channel:
    """One connection to the engine.

    Threads: ``hello`` and ``start`` belong to the thread that runs the connector; a reader thread handles what comes
    later, a flusher thread sends what has waited long enough.

    Args:
        sock: connected socket; the channel owns it.
        on_closed: called in the reader thread when the engine is gone.
    """

    def __init__(self, sock: socket.socket, on_closed: Callable[[], None]) -> None:
        self._sock = sock
        self._on_closed = on_closed
        self._change = threading.Condition()
        self._acked = 0
        self._stop_text: Optional[str] = None
        self._checkpoint_text: Optional[str] = None
        self._ending = threading.Event()
        self.closed = False
        sock.setblocking(True)  # whatever socket.setdefaulttimeout() an author has set
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        except OSError:
            pass  # only speed is lost
        self.encoder = encoder_class()(
            sock.fileno(), Catalog(Tally()), self.raise_stopped, self._wait_durable
        )

    def send_json(self, kind: int, ident: int, value: Any) -> None:
        self.encoder.frame(kind, ident, json.dumps(value, separators=(",", ":")).encode("ascii"))

    def hello(self) -> None:
        language = "python " + ".".join(map(str, sys.version_info[:3]))
        hello = {
            "protocol": p.VERSION,
            "sdk": __version__,
            "language": language,
            "pid": os.getpid(),
        }
        self.send_json(p.HELLO, 0, hello)

    def start(self) -> Start:
        """Wait for START, then listen for what follows it.

        Raises:
            SyncCancelled: the engine went away or stopped first.
            RuntimeError: it speaks another protocol version.
        """
        kind, _, payload = self._read_frame()
        if kind != p.START:
            raise SyncCancelled(
                _STOP_TEXT[p.STOP_ENGINE]
                if kind == p.STOP
                else f"the engine sent frame {kind} before START"
            )
        start = Start(payload)
        threading.Thread(target=self._listen, name="sluice-reader", daemon=True).start()
        threading.Thread(target=self._flush_often, name="sluice-flusher", daemon=True).start()
        return start

    def stop(self, text: str) -> None:
        """Make the next operation raise ``SyncCancelled`` with this text; the first reason stays."""
        with self._change:
            if self._stop_text is None:
                self._stop_text = text
            self.encoder.cancel(1)
            self._change.notify_all()

    def stop_at_checkpoint(self, text: str) -> None:
        """Make the next checkpoint raise ``SyncCancelled`` once it is sent. Safe in a signal handler: takes no lock."""
        self._checkpoint_text = text
        self.encoder.cancel(2)

    def raise_stopped(self) -> None:
        # Neither text: the encoder met a closed socket before the reader did.
        raise SyncCancelled(
            self._stop_text or self._checkpoint_text or "the engine closed the connection"
        )

    def close(self) -> None:
        """End the threads' work and close the sending side, after everything was sent."""
        self._ending.set()
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the engine was faster

    def _wait_durable(self, number: int) -> None:
        with self._change:
            while self._acked < number:
                if self._stop_text is not None:
                    self.raise_stopped()
                self._change.wait()

    def _read_frame(self) -> Tuple[int, int, bytes]:
        length, word = struct.unpack("<II", self._read(8))
        if length > p.FRAME_MAX:
            raise SyncCancelled(f"the engine sent a frame of {length} bytes")
        return word & 0xFF, word >> 8, self._read(length)

    def _read(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            try:
                data = self._sock.recv(min(size - len(parts), 1 << 20))
            except OSError:
                data = b""
            if not data:
                raise SyncCancelled("the engine closed the connection")
            parts += data
        return bytes(parts)

    def _listen(self) -> None:
        try:
            while True:
                kind, ident, payload = self._read_frame()
                if kind == p.ACK:
                    with self._change:
                        (self._acked,) = struct.unpack("<Q", payload)
                        self._change.notify_all()
                elif kind == p.STOP:
                    self.stop(_STOP_TEXT.get(ident, _STOP_TEXT[p.STOP_ENGINE]))
                else:
                    self.stop(f"the engine sent an unknown frame {kind}")
        except SyncCancelled as gone:
            self.closed = True
            self.stop(str(gone))
            self._on_closed()

    def _flush_often(self) -> None:
        try:
            while not self._ending.wait(FLUSH_SECONDS):
                if self.encoder.dirty:
                    self.encoder.flush()
        except BaseException:
            return  # the connection is gone: the next operation says so
