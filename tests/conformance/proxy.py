"""A TCP proxy that breaks what it is told to, between the engine and a server.

    with Proxy("127.0.0.1", 5432) as proxy:
        proxy.arm(Cut(UP, after=4096))            # in the middle of what the client sends
        proxy.arm(Cut(UP, at=b"COMMIT", nth=2))   # before the second COMMIT reaches the server
        proxy.arm(Cut(DOWN, behind=b"COMMIT"))    # the server has committed, its answer is lost
        proxy.arm(Stall(DOWN, after=100))         # nothing passes until release()
        ... connect to proxy.address ...
        proxy.refuse()                            # nobody can connect until accept()

Rules see the bytes of all connections, from when they are armed; each acts once. A cut is a cut of the network: every connection
ends, by RST. Patterns are found wherever the bytes are split. One thread moves all bytes, so that a rule sees them in one order.
"""

import contextlib
import select
import socket
import struct
import threading
import time

UP, DOWN = "up", "down"  # from the client, from the server
CHUNK = 1 << 16


class Rule:
    """after: that many bytes have passed in this direction. at: just before the nth time this text passes.
    past: just behind it. behind: at the first byte in this direction after the nth time the text passed in the other one."""

    def __init__(self, direction, after=None, at=None, past=None, behind=None, nth=1):
        assert sum(x is not None for x in (after, at, past, behind)) == 1
        self.direction = direction
        self.after = after
        self.pattern = at or past or behind
        self.include = past is not None or behind is not None
        self.other_way = behind is not None
        self.left = nth
        self.seen = b""  # end of what passed, for patterns that are split
        self.open = behind is None  # a `behind` waits for its text first
        self.fired = threading.Event()

    def limit(self, direction, data):
        """How many bytes of data may pass before the rule acts; None: all, and it does not act."""
        if self.fired.is_set():
            return None
        if self.after is not None:
            if direction != self.direction:
                return None
            if self.after >= len(data):
                self.after -= len(data)
                return None
            return self.after
        if self.other_way:
            if direction == self.direction:
                return 0 if self.open else None
            self.open = self.open or self._find(data) is not None
            return None
        return self._find(data) if direction == self.direction else None

    def _find(self, data):
        """Where in data the nth match ends, or begins; never before data's own start."""
        before = len(self.seen)
        text = self.seen + data
        start = 0
        while True:
            found = text.find(self.pattern, start)
            if found < 0:
                self.seen = text[max(start, len(text) - len(self.pattern) + 1) :]
                return None
            start = found + len(self.pattern)
            self.left -= 1
            if self.left == 0:
                return max(0, (start if self.include else found) - before)


class Cut(Rule):
    """Every connection is reset."""


class Stall(Rule):
    """Nothing passes any more, in either direction, until release(). Connections stay open: a network that swallows."""


class Pair:
    def __init__(self, client, server):
        self.ends = {UP: (client, server), DOWN: (server, client)}
        self.pending = {UP: b"", DOWN: b""}  # read, not yet written
        self.ended = set()  # directions whose source has closed


class Proxy:
    def __init__(self, host, port):
        self.upstream = (host, port)
        self.lock = threading.RLock()
        self.rules, self.pairs = [], []
        self.stalled = False
        self.passed = {UP: 0, DOWN: 0}  # bytes, of all connections
        self.connections = 0
        self.listener = None
        self.wake, self.waker = socket.socketpair()
        self._listen(0)
        self.ending = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.ending = True
        self.waker.send(b"x")
        self.thread.join(30)
        assert not self.thread.is_alive()
        self.cut()
        self._deaf()
        self.wake.close()
        self.waker.close()

    # ---- what a test says

    def arm(self, rule):
        with self.lock:
            self.rules.append(rule)
        return rule

    def disarm(self):
        """No rules any more; who was stalled goes on."""
        with self.lock:
            self.rules = []
        self.release()

    def cut(self):
        """Reset every connection now."""
        with self.lock:
            for pair in self.pairs:
                for end in pair.ends[UP]:
                    # A close with a linger time of 0 is an RST: what is under way is lost.
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.close()
            self.pairs = []

    def release(self):
        with self.lock:
            self.stalled = False
        self.waker.send(b"x")

    def refuse(self):
        """New connections are refused, as where no server runs; old ones stay."""
        with self.lock:
            self._deaf()
        self.waker.send(b"x")

    def accept(self):
        with self.lock:
            self._listen(self.port)
        self.waker.send(b"x")

    def wait_quiet(self, seconds=30):
        """Until no connection is open."""
        until = time.monotonic() + seconds
        while self.pairs:
            assert time.monotonic() < until, "%d connections are still open" % len(self.pairs)
            time.sleep(0.005)

    # ---- moving bytes

    def _listen(self, port):
        self.listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.address = self.listener.getsockname()
        self.port = self.address[1]

    def _deaf(self):
        if self.listener is not None:
            self.listener.close()
            self.listener = None

    def _run(self):
        while not self.ending:
            with self.lock:
                readers = {self.wake: None}
                writers = {}
                if self.listener is not None:
                    readers[self.listener] = None
                for pair in () if self.stalled else self.pairs:
                    for way, (source, target) in pair.ends.items():
                        if pair.pending[way]:
                            writers[target] = (pair, way)
                        elif way not in pair.ended:
                            readers[source] = (pair, way)
            readable, writable, _ = select.select(list(readers), list(writers), [], 5)
            with self.lock:
                for sock in writable:
                    self._write(*writers[sock])
                for sock in readable:
                    if sock is self.wake:
                        sock.recv(4096)
                    elif readers[sock] is None:
                        self._accept(sock)
                    else:
                        self._read(*readers[sock])

    def _accept(self, listener):
        if listener is not self.listener:
            return  # closed since
        client, _ = listener.accept()
        try:
            server = socket.create_connection(self.upstream, 10)
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.setblocking(False)
        self.connections += 1
        self.pairs.append(Pair(client, server))

    def _read(self, pair, way):
        if pair not in self.pairs or self.stalled:
            return
        try:
            data = pair.ends[way][0].recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            return self._drop(pair)
        if not data:
            pair.ended.add(way)
            with contextlib.suppress(OSError):
                pair.ends[way][1].shutdown(socket.SHUT_WR)
            if len(pair.ended) == 2:
                self._drop(pair)
            return None
        limits = [(rule.limit(way, data), rule) for rule in self.rules]
        limits = [x for x in limits if x[0] is not None]
        if not limits:
            pair.pending[way] = data
            return self._write(pair, way)
        limit, rule = min(limits, key=lambda x: x[0])
        pair.pending[way] = data[:limit]
        self._flush(pair, way)
        rule.fired.set()
        if isinstance(rule, Stall):
            pair.pending[way] = data[limit:]
            self.stalled = True
        else:
            self.cut()
        return None

    def _write(self, pair, way):
        if pair not in self.pairs or not pair.pending[way]:
            return
        try:
            n = pair.ends[way][1].send(pair.pending[way])
        except BlockingIOError:
            return
        except OSError:
            return self._drop(pair)
        self.passed[way] += n
        pair.pending[way] = pair.pending[way][n:]

    def _flush(self, pair, way, seconds=10):
        """All of it is with the kernel of the other side before the rule acts, so that a cut behind a text is behind it."""
        until = time.monotonic() + seconds
        while pair in self.pairs and pair.pending[way] and time.monotonic() < until:
            self._write(pair, way)
            if pair.pending[way]:
                select.select([], [pair.ends[way][1]], [], 1)

    def _drop(self, pair):
        if pair in self.pairs:
            self.pairs.remove(pair)
            for end in pair.ends[UP]:
                end.close()
