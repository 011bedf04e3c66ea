"""The chaos proxy itself, against a server that answers each line with its length."""

import socket
import threading

import pytest
from proxy import DOWN, UP, Cut, Proxy, Stall


class Lines:
    """Answers "<length>\\n" to every line; keeps what it read."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.got = bytearray()
        self.ends = threading.Semaphore(0)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                con, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(con,), daemon=True).start()

    def serve(self, con):
        rest = b""
        try:
            while True:
                data = con.recv(4096)
                if not data:
                    break
                self.got += data
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    con.sendall(b"%d\n" % len(line))
        except OSError:
            pass
        con.close()
        self.ends.release()


@pytest.fixture
def lines():
    server = Lines()
    yield server
    server.listener.close()


@pytest.fixture
def proxy(lines):
    with Proxy(*lines.listener.getsockname()) as made:
        yield made


def ask(con, line):
    con.sendall(line + b"\n")
    return answer(con)


def answer(con):
    made = b""
    while not made.endswith(b"\n"):
        data = con.recv(1)
        if not data:
            raise EOFError(made)
        made += data
    return int(made)


def connect(proxy):
    return socket.create_connection(proxy.address, 10)


def test_it_passes_everything(proxy, lines):
    with connect(proxy) as a, connect(proxy) as b:
        assert [ask(a, b"x" * n) for n in (0, 1, 200000)] == [0, 1, 200000]
        assert ask(b, b"yy") == 2
        a.shutdown(socket.SHUT_WR)
        assert a.recv(1) == b""
        assert ask(b, b"z") == 1
    proxy.wait_quiet()
    assert len(lines.got) == proxy.passed[UP] == 200000 + 4 + 1 + 2 + 2
    assert proxy.passed[DOWN] == 2 + 2 + 7 + 2 + 2


@pytest.mark.parametrize("n", [0, 1, 5, 11])
def test_a_cut_after_bytes_from_the_client(proxy, lines, n):
    rule = proxy.arm(Cut(UP, after=n))
    with connect(proxy) as a, connect(proxy) as b:
        with pytest.raises((OSError, EOFError)):
            for _ in range(4):
                ask(a, b"123")
        assert rule.fired.is_set()
        with pytest.raises((OSError, EOFError)):  # all connections end
            ask(b, b"1")
    assert lines.ends.acquire(timeout=10) and lines.ends.acquire(timeout=10)
    # A reset may overtake the last bytes: those that arrive are a beginning of them, never more.
    assert len(lines.got) <= n and (b"123\n" * 4).startswith(lines.got)
    with connect(proxy) as c:  # a rule acts once
        assert ask(c, b"12345") == 5


def test_a_cut_after_bytes_from_the_server(proxy, lines):
    proxy.arm(Cut(DOWN, after=3))
    with connect(proxy) as a:
        assert ask(a, b"1") == 1
        with pytest.raises((OSError, EOFError)):
            ask(a, b"22")
    assert bytes(lines.got) == b"1\n22\n"


@pytest.mark.parametrize(
    "pieces", [[b"..COMMIT;"], [b"..COM", b"MIT;"], list(b"..COMMIT;")], ids=str
)
def test_a_text_is_found_however_it_is_split(proxy, lines, pieces):
    rule = proxy.arm(Cut(UP, at=b"COMMIT", nth=2))
    with connect(proxy) as a:
        a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert ask(a, b"COMMIT") == 6
        with pytest.raises((OSError, EOFError)):
            for piece in pieces:
                sent = proxy.passed[UP]
                a.sendall(piece if isinstance(piece, bytes) else bytes([piece]))
                while proxy.passed[UP] == sent and not rule.fired.wait(0.01):
                    pass
            answer(a)
    assert b"COMMIT;" not in lines.got


def test_the_answer_to_a_text_is_lost(proxy, lines):
    rule = proxy.arm(Cut(DOWN, behind=b"COMMIT"))
    with connect(proxy) as a:
        assert ask(a, b"first") == 5
        with pytest.raises((OSError, EOFError)):
            ask(a, b"COMMIT")
    assert rule.fired.is_set()
    assert bytes(lines.got) == b"first\nCOMMIT\n"


def test_a_cut_just_behind_a_text(proxy, lines):
    rule = proxy.arm(Cut(UP, past=b"COMMIT"))
    with connect(proxy) as a:
        with pytest.raises((OSError, EOFError)):
            ask(a, b"COMMIT and more")
    assert rule.fired.is_set() and b"COMMIT".startswith(lines.got)


def test_a_stall_holds_until_it_is_released(proxy, lines):
    rule = proxy.arm(Stall(UP, after=4))
    with connect(proxy) as a:
        assert ask(a, b"123") == 3
        a.sendall(b"456\n")
        assert rule.fired.wait(10)
        a.settimeout(0.2)
        with pytest.raises(socket.timeout):
            a.recv(1)
        assert bytes(lines.got) == b"123\n"
        a.settimeout(10)
        proxy.release()
        assert answer(a) == 3


def test_connections_are_refused_for_a_time(proxy, lines):
    with connect(proxy) as a:
        assert ask(a, b"1") == 1
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            for _ in range(100):  # the listener goes when the proxy's thread has seen it
                connect(proxy).close()
        assert ask(a, b"12") == 2
        proxy.accept()
        with connect(proxy) as b:
            assert ask(b, b"123") == 3
