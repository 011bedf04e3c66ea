#!/usr/bin/env python3
"""make bench-server: a running server against the figures it promises. Loopback only, in a folder of its own.

bench/server.py [FIGURE …]    start upload api pages empty schedule (11 minutes): all of these without names
                              crowd (2,000 connections), memory (10,000 syncs): only when named
--bin DIR       sluiced from there instead of a venv with our wheel
--quick         a tenth of the work: to see that it runs; targets are shown, not judged

Each figure starts its own server. CPU is user and system time of the server's whole process tree, ended children included.
"""

import argparse
import contextlib
import http.client
import json
import os
import queue
import statistics
import sys
import tempfile
import threading
import time
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.join(os.path.dirname(HERE), "tests")
sys.path[:0] = [TESTS, os.path.join(TESTS, "ui")]

import measure  # noqa: E402

import harness  # noqa: E402
from harness import connector, start_server, wait_for  # noqa: E402

MB = 1_000_000
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")
EMPTY = connector("pass", schema="[]")
# Rows all the time, at a pace that a connector reading an API has.
BUSY = connector(
    """
    n = 0
    while True:
        for _ in range(100):
            op.upsert('t', {'id': n % 100000, 'text': 'x' * 100})
            n += 1
        op.checkpoint({'n': n})
        time.sleep(0.1)
    """
)


class Bench:
    def __init__(self, bin_dir, quick):
        self.bin_dir, self.quick, self.missed = bin_dir, quick, []

    def tell(self, figure, measured, target, ok, more=""):
        word = "-" if self.quick else "ok" if ok else "MISSED"
        print(
            "%-44s %18s   target %-18s %-6s %s" % (figure, measured, target, word, more), flush=True
        )
        if not ok and not self.quick:
            self.missed.append(figure)

    def some(self, count, least=1):
        return max(least, count // 10) if self.quick else count

    @contextlib.contextmanager
    def server(self, *args, data=None):
        with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
            with start_server(os.path.join(data or folder, "data"), self.bin_dir, args) as one:
                yield one


# ---- what a process tree costs ----


def resident(pid):
    """Bytes resident of one process."""
    with open("/proc/%d/statm" % pid) as f:
        return int(f.read().split()[1]) * PAGE


def peak(pid):
    with open("/proc/%d/status" % pid) as f:
        return next(int(x.split()[1]) * 1024 for x in f if x.startswith("VmHWM"))


def forget_peak(pid):
    with open("/proc/%d/clear_refs" % pid, "w") as f:
        f.write("5")


def cpu(pid):
    """Seconds of the tree below pid: what lives, and what has ended and was waited for."""
    total = 0
    for p in measure.tree(pid):
        with contextlib.suppress(OSError), open("/proc/%d/stat" % p) as f:
            total += sum(map(int, f.read().rsplit(")", 1)[1].split()[11:15]))
    return total / TICK


# ---- requests ----


class Client:
    """One connection that stays open, and is opened again when the server has closed it in a pause."""

    def __init__(self, server, key=None):
        host = server.url.split("//")[1]
        self.http = http.client.HTTPConnection(host, timeout=60)
        self.headers = {"Authorization": "Basic " + (key or server.key)}

    def call(self, method, path, body=None):
        headers = self.headers
        if body is not None:
            body = json.dumps(body)
            headers = {**headers, "Content-Type": "application/json"}
        try:
            self.http.request(method, path, body, headers)
            answer = self.http.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.http.close()
            self.http.request(method, path, body, headers)
            answer = self.http.getresponse()
        return answer.status, answer.read(), answer.headers

    def data(self, method, path, body=None):
        """The answer's data; waits when it is told to."""
        while True:
            status, text, headers = self.call(method, path, body)
            if status == 429:
                time.sleep(float(headers["Retry-After"]))
                continue
            assert status in (200, 201), (method, path, status, text[:500])
            return json.loads(text).get("data")


def new_key(server, name):
    made = server.command("key", "create", "--data", server.data, "--name", name, "--json")
    return json.loads(made.stdout)["base64"]


def in_parallel(threads, work, jobs):
    """work(thread's number, job) for each of the jobs."""
    todo, failed = queue.Queue(), []
    for job in jobs:
        todo.put(job)

    def run(n):
        try:
            while True:
                work(n, todo.get_nowait())
        except queue.Empty:
            pass
        except BaseException as e:
            failed.append(e)

    running = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(threads)]
    for t in running:
        t.start()
    for t in running:
        t.join()
    if failed:
        raise failed[0]


def make_connections(server, code, count, prefix, runs=True, **fields):
    """`count` connections that share one package; without `runs` none is set up. Returns ids."""
    package = server.upload({"connector.py": code})["id"]
    keys = [new_key(server, "bench %d" % n) for n in range(4)]
    clients = [Client(server, key) for key in keys]
    group, ids = server.group, [None] * count

    def make(n, job):
        body = {
            "group_id": group,
            "service": "connector_sdk",
            "paused": True,
            "run_setup_tests": runs,
            "config": {"schema": "%s_%d" % (prefix, job), "package_id": package},
            **fields,
        }
        ids[job] = clients[n].data("POST", "/v1/connections", body)["id"]

    make(0, 0)  # makes the environment
    in_parallel(len(clients), make, range(1, count))
    return ids


def list_all(client):
    """All connections by id; a page of 1,000 at a time."""
    found, cursor = {}, ""
    while cursor is not None:
        data = client.data("GET", "/v1/connections?limit=1000" + (cursor and "&cursor=" + cursor))
        found.update((c["id"], c) for c in data["items"])
        cursor = data.get("next_cursor")
    return found


def run_all(server, client, ids, poll=0.25):
    """One sync of each; all must succeed."""
    before = {id: c["succeeded_at"] or "" for id, c in list_all(client).items()}
    for id in ids:
        client.data("POST", "/v1/connections/%s/sync" % id, {})

    def over():
        now = list_all(client)
        bad = [c for c in now.values() if c["failed_at"]]
        assert not bad, bad[0]
        return all((now[id]["succeeded_at"] or "") > before[id] for id in ids)

    wait_for("%d syncs end" % len(ids), over, 60 + 2 * len(ids), poll)


# ---- the figures ----


def start(b):
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        times = []
        server = harness.Server(os.path.join(folder, "data"), b.bin_dir)
        for _ in range(6):
            begin = time.perf_counter()
            server.start()
            times.append(time.perf_counter() - begin)
            last = server
            if len(times) < 6:
                server.stop()
        more = "first %.2f s, again %.2f s median" % (times[0], statistics.median(times[1:]))
        b.tell(
            "start until /health answers", "%.2f s" % max(times), "<= 1 s", max(times) <= 1, more
        )
        time.sleep(3)
        idle = sum(resident(p) for p in measure.tree(last.pid))
        b.tell("idle, resident", "%.1f MB" % (idle / MB), "<= 30 MB", idle <= 30 * MB)
        begin = time.perf_counter()
        assert last.stop() == 0
        print("%-44s %16.2f s" % ("stop", time.perf_counter() - begin))


def big_zip(path, size):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("connector.py", EMPTY)
        with archive.open("data.bin", "w") as out:
            left = size - 1000
            while left > 0:
                left -= out.write(os.urandom(min(left, 1 << 20)))
    return os.path.getsize(path)


def upload(b):
    with b.server() as server, tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        small = server.upload({"connector.py": EMPTY})[
            "id"
        ]  # what the first upload loads is not of its size
        server.ok("DELETE", "/v1/connector-sdk/packages/" + small)
        path = os.path.join(folder, "big.zip")
        size = big_zip(path, b.some(200 * MB))
        boundary = "b" + os.urandom(12).hex()
        head = (
            '--%s\r\nContent-Disposition: form-data; name="file"; filename="big.zip"\r\n\r\n'
            % boundary
        ).encode()
        tail = ("\r\n--%s--\r\n" % boundary).encode()
        time.sleep(1)
        idle = resident(server.pid)
        forget_peak(server.pid)
        begin = time.perf_counter()
        client = Client(server)
        client.http.putrequest("POST", "/v1/connector-sdk/packages")
        client.http.putheader("Authorization", client.headers["Authorization"])
        client.http.putheader("Content-Type", "multipart/form-data; boundary=" + boundary)
        client.http.putheader("Content-Length", str(len(head) + size + len(tail)))
        client.http.endheaders(head)
        with open(path, "rb") as f:
            client.http.send(f)
        client.http.send(tail)
        answer = client.http.getresponse()
        text = answer.read()
        assert answer.status == 201, text[:500]
        seconds = time.perf_counter() - begin
        above = peak(server.pid) - idle
        b.tell(
            "upload of %.0f MB, peak above idle" % (size / MB),
            "%.1f MB" % (above / MB),
            "<= 20 MB",
            above <= 20 * MB,
            "%.1f s" % seconds,
        )


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def mix(ids, group):
    """What is asked of a server, in these shares of 20 requests."""

    def of(n):
        id = ids[n * 7919 % len(ids)]
        kind = n % 20
        if kind < 9:
            return "details", "GET", "/v1/connections/" + id, None
        if kind < 12:
            return (
                "by name",
                "GET",
                "/v1/groups/%s/connections?schema=idle_%d" % (group, n % 4000),
                None,
            )
        if kind < 14:
            return "page of 100", "GET", "/v1/connections?limit=100", None
        if kind < 16:
            return "logs", "GET", "/v1/connections/%s/logs?limit=100" % id, None
        if kind < 18:
            return "history", "GET", "/v1/connections/%s/sync-history" % id, None
        return "change", "PATCH", "/v1/connections/" + id, {"sync_frequency": [360, 720][n % 2]}

    return of


def api(b):
    rate, seconds, threads = 200, b.some(60, 5), 16
    with b.server() as server:
        busy = [server.deploy("busy_%d" % n, {"connector.py": BUSY}) for n in range(4)]
        ids = make_connections(server, EMPTY, b.some(5000), "idle", runs=False)
        for con in busy:
            con.unpause()
        for con in busy:
            wait_for(
                "4 syncs run", lambda c=con: c.details()["status"]["sync_state"] == "syncing", 60
            )
        request = mix(ids + [c.id for c in busy], server.group)
        clients = [Client(server) for _ in range(threads)]
        taken, begin = [], time.perf_counter() + 0.5

        def one(n, job):
            due = begin + job / rate
            time.sleep(max(0, due - time.perf_counter()))
            name, method, path, body = request(job)
            status, text, _ = clients[n].call(method, path, body)
            # From when it was due: a request that waits behind a slow one has waited.
            taken.append((time.perf_counter() - due, name))
            assert status == 200, (path, status, text[:300])

        with contextlib.suppress(OSError):
            os.nice(-5)  # the clock of the measurement should not wait for what it measures
        in_parallel(threads, one, range(rate * seconds))
        for con in busy:
            assert con.details()["status"]["sync_state"] == "syncing", "a sync ended early"
        all_times = [t for t, _ in taken]
        p99 = quantile(all_times, 0.99)
        slowest = max(
            sorted({name for _, name in taken}),
            key=lambda k: quantile([t for t, name in taken if name == k], 0.99),
        )
        b.tell(
            "API p99, %d/s, %d connections, 4 syncs" % (rate, len(ids)),
            "%.1f ms" % (p99 * 1000),
            "<= 10 ms",
            p99 <= 0.010,
            "p50 %.1f, max %.0f ms; slowest: %s"
            % (quantile(all_times, 0.5) * 1000, max(all_times) * 1000, slowest),
        )
        for con in busy:
            con.pause()


def empty(b):
    rounds, count = 5, b.some(100, 5)
    with b.server() as server:
        client = Client(server)
        ids = make_connections(server, EMPTY, count, "empty", schedule_type="manual", paused=False)
        run_all(server, client, ids)  # environment, engine, initial syncs
        before = cpu(server.pid)
        begin = time.perf_counter()
        for _ in range(rounds):
            run_all(server, client, ids)
        wall = time.perf_counter() - begin
        each = (cpu(server.pid) - before) / (rounds * count)
        b.tell(
            "empty sync, CPU, over %d syncs" % (rounds * count),
            "%.0f ms" % (each * 1000),
            "<= 80 ms",
            each <= 0.080,
            "%.1f syncs/s" % (rounds * count / wall),
        )


def instant(text):
    """Microseconds of "2026-11-23T06:41:30.880174Z"."""
    import datetime

    value = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int(value.timestamp() * 1_000_000)


def history(client, id):
    """(due, started, merged) of each scheduled sync of a connection, in order; the initial one before them."""
    records, cursor = [], ""
    while cursor is not None:
        query = "?limit=1000" + (cursor and "&cursor=" + cursor)
        data = client.data("GET", "/v1/connections/%s/sync-history%s" % (id, query))
        records += data["items"]
        cursor = data.get("next_cursor")
    others = {r["trigger"] for r in records} - {"initial", "schedule"}
    assert not others, (id, others)
    return sorted(
        (instant(r["scheduled_for"]), instant(r["start_time"]), r["merged_slots"]) for r in records
    )


def slots(client, ids, begin, end):
    """Checks that each minute of each connection was started once, or merged into the start that came too late for it.
    Returns the lateness in seconds of each start whose slot lies between, and how many slots were merged."""
    late, merged = [], 0
    for id in ids:
        records = history(client, id)
        for (_, before, _), (due, started, also) in zip(records, records[1:]):
            # The first slot after a start is the next one that is due: a later one is lost, an earlier one runs twice.
            gap = (due - before) / 60e6
            assert 0 < gap <= 1, "%s: started at %d, the next slot was %d" % (id, before, due)
            passed = (started - due) // 60_000_000
            assert also == passed, "%s: slot %d merged %d, not %d" % (id, due, also, passed)
            if begin <= due < end:
                late.append((started - due) / 1e6)
                merged += also
    return late, merged


def on_schedule(b, count, minutes, target):
    with b.server() as server:
        client = Client(server)
        ids = make_connections(server, EMPTY, count, "minute", sync_frequency=1)
        for id in ids:
            client.data("PATCH", "/v1/connections/" + id, {"paused": False})
        # Initial syncs first; then whole minutes.
        wait_for(
            "every connection ran once",
            lambda: all(c["succeeded_at"] for c in list_all(client).values()),
            300 + count,
            2,
        )
        begin = (int(time.time()) + 61) * 1_000_000
        end = begin + minutes * 60_000_000
        before, watched = cpu(server.pid), time.time()
        worst = 0
        while time.time() < end / 1e6 + 5:
            worst = max(worst, resident(server.pid))
            assert server.call("GET", "/health", auth=None).status == 200
            time.sleep(1)
        used = (cpu(server.pid) - before) / (time.time() - watched)
        # More than the machine can do is late, not lost.
        wait_for(
            "every slot before the end has started",
            lambda: all(instant(c["next_sync_at"]) >= end for c in list_all(client).values()),
            60 + count,
            2,
        )
        for id in ids:
            client.data("PATCH", "/v1/connections/" + id, {"paused": True})
        failed = [c for c in list_all(client).values() if c["failed_at"]]
        assert not failed, failed[0]
        late, merged = slots(client, ids, begin, end)
        intime = sum(x <= 2 for x in late) / (len(late) + merged)
        b.tell(
            "%d connections, every minute, for %d min" % (count, minutes),
            "%.2f %% in 2 s" % (100 * intime),
            ">= 99 %" if target else "nothing lost",
            not target or intime >= 0.99,
            "%d starts, %d merged, latest %.1f s; %.2f cores, %.0f MB"
            % (len(late), merged, max(late), used, worst / MB),
        )


def schedule(b):
    on_schedule(b, b.some(500), b.some(10, 2), True)


def crowd(b):
    on_schedule(b, b.some(2000), 5 if not b.quick else 2, False)


def memory(b):
    count, rounds = 100, b.some(100, 3)
    with b.server() as server:
        client = Client(server)
        ids = make_connections(server, EMPTY, count, "empty", schedule_type="manual", paused=False)
        seen = []
        for n in range(rounds):
            run_all(server, client, ids, 1)
            seen.append(resident(server.pid))
            if n % 10 == 9:
                print("  %5d syncs: %.1f MB" % ((n + 1) * count, seen[-1] / MB), flush=True)
        # The first tenth warms caches up; after it the last tenth must look like the second.
        part = max(1, rounds // 10)
        early = statistics.median(seen[part : 2 * part] or seen)
        grown = statistics.median(seen[-part:]) - early
        b.tell(
            "memory after %d syncs" % (rounds * count),
            "%+.1f MB" % (grown / MB),
            "<= 2 MB more",
            grown <= 2 * MB,
            "from %.1f MB" % (early / MB),
        )


# ---- pages ----

PAGES = {
    "the list of connections": "connections",
    "… its last page, sorted": "connections?sort=-last&page=100",
    "… searched": "connections?q=4321",
    "… grouped, one status": "connections?group=destination&status=Paused",
    "a connection's status": "connections/c77/status",
    "… older syncs": "connections/c77/status?cursor=eyJhZnRlciI6NTAwMDB9",
    "a connection's log": "connections/c77/logs",
    "a connection's schema": "connections/c77/schema",
    "a connection's data": "connections/c77/data",
    "a connection's usage": "connections/c77/usage",
    "a connection's setup": "connections/c77/setup",
    "destinations": "destinations",
    "alerts": "alerts",
    "users and keys": "users",
    "the audit log": "audit",
    "… by whom": "audit?actor=key:k3",
    "… a rare action": "audit?action=vault.rotate",
    "… of one day": "audit?start_time=2026-01-01&end_time=2026-01-02",
    "health": "health",
}


def fill(server, connections, syncs):
    """As many records as a large company has after months."""
    from records import MINUTE, Store

    st = Store(server)
    st.db.execute("begin immediate")
    each = syncs // connections
    for i in range(connections):
        kind = i % 50
        st.connection(
            "c%d" % i,
            paused=int(kind < 20),
            next_run_at=0 if kind < 20 else st.now + i * MINUTE,
            failures=int(kind == 21) * 3,
            failed_at=st.now if kind in (21, 22) else 0,
            succeeded_at=st.now - i * MINUTE,
            setup_state="broken" if kind == 22 else "incomplete" if kind == 23 else "connected",
            nsyncs=each,
            state=json.dumps({"cursor": "x" * 500}),
            catalog=json.dumps({"padding": "x" * 4000}),
        )
    for n in range(each):
        for i in range(connections):
            at = st.now - (each - n) * 360 * MINUTE
            st.sync(
                "c%d" % i,
                n + 1,
                started_at=at,
                finished_at=at + MINUTE,
                counts='{"inserted": 12345, "updated": 7}',
                state=json.dumps({"cursor": "x" * 500}),
            )
    for n in range(syncs // 5):
        st.insert(
            "audit",
            created_at=st.now - n * MINUTE,
            actor="key:k%d" % (n % 40),
            action="connection.sync",
            subject_kind="connection",
            subject_id="c%d" % (n % connections),
        )
    st.db.execute("commit")
    st.db.close()


def pages(b):
    rounds, connections, syncs = b.some(60, 10), b.some(5000), b.some(100_000)
    with b.server() as server:
        fill(server, connections, syncs)
        for name, path in PAGES.items():
            # As the pages are asked for: HTML, by a key.
            took = []
            for _ in range(rounds + 3):
                time.sleep(0.004)  # a key has 300 requests a second
                begin = time.perf_counter()
                answer = server.call("GET", "/dashboard/" + path, headers={"Accept": "text/html"})
                took.append((time.perf_counter() - begin) * 1000)
            assert answer.status == 200, (path, answer)
            took = sorted(took[3:])
            half, worst = statistics.median(took), took[int(len(took) * 0.99)]
            b.tell(name, "%.0f ms, p99 %.0f" % (half, worst), "<= 100 ms", worst <= 100)


FIGURES = {f.__name__: f for f in (start, upload, api, pages, empty, schedule, crowd, memory)}
USUAL = ["start", "upload", "api", "pages", "empty", "schedule"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figures", nargs="*", choices=[*FIGURES, []], metavar="FIGURE")
    parser.add_argument("--bin", default=os.environ.get("SLUICE_TEST_BIN"))
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    if not args.bin:
        import peers

        peers.install_ours()
        args.bin = os.path.join(peers.VENVS, "ours", "bin")
    b = Bench(os.path.abspath(args.bin), args.quick)
    for name in args.figures or USUAL:
        try:
            FIGURES[name](b)
        except Exception as e:
            print("%s: FAILED: %s: %s" % (name, type(e).__name__, e), flush=True)
            b.missed.append(name)
    if b.missed:
        print("missed: " + ", ".join(b.missed))
        sys.exit(1)


if __name__ == "__main__":
    main()
