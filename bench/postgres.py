"""The figures of PostgreSQL: whole syncs of ours against the best that can be written by hand for the same table, and dlt.

A private server of the installed version with its default settings, each write synced to disk. Within a round everyone works in a
database of its own made from the same template, after a checkpoint, so that all find the same pages and write the same WAL.

By hand: jobs/pg_by_hand.py, which sends rows that were encoded before, so that only the server's work and a process's start are
counted. Ours makes its rows, encodes and merges them. Both are whole processes; what the former needs from its connection to
COMMIT's answer is in the file of all runs ("inside").
"""

import json
import os
import shutil
import statistics
import struct
import sys
import tempfile

import measure
import peers
from peers import JOBS, PEERS, python

import workloads

sys.path.insert(0, os.path.join(os.path.dirname(peers.HERE), "tests"))

import pg as server  # noqa: E402

NEEDS = ["pg"]
DLT = "dlt-pg"
FIRST, MERGE = "PW1", "PW1P"
BASE = "base"
CHANGED_IN = workloads.BASE // 100_000

# --- what the others load -------------------------------------------------------------------------


def prepare(work, n, path, synced):
    """The rows as COPY BINARY; with the two system columns, or without."""
    head = struct.Struct("!hiqi")
    rest = struct.Struct("!idiBi")
    system = struct.pack("!iqiB", 8, 0, 1, 0)
    with open(path, "wb") as f:
        f.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for row in workloads.rows(work, n):
            name = row["name"].encode()
            f.write(head.pack(7 if synced else 5, 8, row["id"], len(name)))
            f.write(name)
            f.write(rest.pack(8, row["amount"], 1, row["active"], len(row["created_at"])))
            f.write(row["created_at"].encode())
            if synced:
                f.write(system)
        f.write(struct.pack("!h", -1))


# --- one run of each ------------------------------------------------------------------------------


class Rig:
    def __init__(self, scratch):
        self.scratch = scratch
        self.cluster = server.Cluster(durable=True)
        self.number = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.cluster.close()

    def database(self, template="template0"):
        """A new one, and nothing left to write of what came before."""
        self.number += 1
        name = "run%d" % self.number
        self.cluster.execute(
            "CREATE DATABASE %s TEMPLATE %s STRATEGY file_copy" % (name, template), "postgres"
        )
        self.cluster.execute("CHECKPOINT", "postgres")
        return name

    def drop(self, name):
        self.cluster.let_go()
        self.cluster.execute("DROP DATABASE %s WITH (FORCE)" % name, "postgres")

    def live(self, name, table):
        return self.cluster.rows("SELECT count(*) FROM %s" % table, name)[0][0]

    def ours(self, work, rows, database):
        folder = tempfile.mkdtemp(prefix="run-", dir=self.scratch)
        try:
            command = PEERS["ours"].command(work, rows, folder)
            with open(os.path.join(folder, "postgres.json"), "w") as f:
                json.dump(self.cluster.options(database=database), f)
            env = {k: v for k, v in os.environ.items() if not k.startswith(("FIVETRAN", "SLUICE", "SL_"))}  # fmt: skip
            env["SLUICE_CACHE"] = os.path.join(self.scratch, "cache")
            command = [*command, "--destination", "postgres.json"]
            return measure.run(command, folder, env, 1800)
        finally:
            shutil.rmtree(folder)

    def by_hand(self, what, data, database):
        """(seconds of the process, those from the connection to the commit)"""
        job = [python("pg"), os.path.join(JOBS, "pg_by_hand.py"), what, data]
        env = {**os.environ, "PGURL": self.cluster.url(database)}
        cost = measure.run(job, env=env)
        assert cost.code == 0, cost.output[-1500:]
        return cost.wall, round(float(cost.output.splitlines()[-1]), 3)

    def dlt(self, work, rows, database):
        folder = tempfile.mkdtemp(prefix="run-", dir=self.scratch)
        try:
            job = [python(DLT), os.path.join(JOBS, "dlt_job.py"), "rows", work, str(rows), folder]
            env = {**os.environ, "PYTHONPATH": peers.HERE, "PGURL": self.cluster.url(database)}
            return measure.run(job, folder, env, 3600)
        finally:
            shutil.rmtree(folder)


def told(report, name, peer, n, wall, load, **more):
    report.runs.append({"name": name, "peer": peer, "round": n, "wall": wall, **more})
    print(
        "%-8s round %d  %-24s %8.2f s  load %.1f  %s" % (name, n + 1, peer, wall, load, more or ""),
        file=sys.stderr,
        flush=True,
    )


# --- the figures ----------------------------------------------------------------------------------


def judge(report, label, by_hand, ours, limit):
    """by_hand: {way: seconds by round}; the best of each round counts."""
    ratios = []
    best = [min(times) for times in zip(*by_hand.values())]
    ratios = [m / b for m, b in zip(ours, best)]
    middle = statistics.median(ratios) if ratios else float("nan")
    report.add(
        label,
        "wall / best by hand",
        "%.2f s" % statistics.median(best) if best else "failed",
        "%.2f s" % statistics.median(ours) if ours else "failed",
        "%.2fx" % middle,
        "<= %.2fx" % limit,
        bool(ratios) and middle <= limit,
    )


def first_load(rounds, scale, scratch, report):
    """W1 into a new table: COPY, then the key."""
    rows = max(1000, int(1_000_000 * scale))
    data = os.path.join(scratch, "first.copy")
    prepare("W1", rows, data, True)
    hand, ours, memory, dlt, right = {"copy": []}, [], [], [], True
    label = "PostgreSQL: first load of W1, %d rows" % rows
    with Rig(scratch) as rig:
        for n in range(rounds):
            for who in ("copy", "ours", "dlt"):
                if who == "dlt" and report.alone:
                    continue
                base = rig.database()
                if who == "copy":
                    wall, inside = rig.by_hand("first", data, base)
                    hand["copy"].append(wall)
                    told(report, FIRST, "by hand", n, wall, os.getloadavg()[0], inside=inside)
                else:
                    cost = (
                        rig.ours("W1", rows, base) if who == "ours" else rig.dlt("W1", rows, base)
                    )
                    told(report, FIRST, who, n, cost.wall, os.getloadavg()[0], cpu=round(cost.cpu, 2), memory=round(cost.memory, 1))  # fmt: skip
                    if cost.code:
                        print(cost.output[-1500:], file=sys.stderr)
                    (ours if who == "ours" else dlt).append(cost.wall)
                    if who == "ours":
                        right = right and cost.code == 0 and rig.live(base, "tester.t") == rows
                        memory.append(cost.memory)
                rig.drop(base)
    os.unlink(data)
    judge(report, label, hand, ours, 1 / 0.7)
    if dlt:
        ratios = [d / m for d, m in zip(dlt, ours)]
        report.add(label, "wall / dlt, dict rows", "%.1f s" % statistics.median(dlt), "%.2f s" % statistics.median(ours),
                   "%.1fx" % statistics.median(ratios), ">= 15x", statistics.median(ratios) >= 15)  # fmt: skip
    report.add(label, "memory", "", "%.0f MB" % max(memory), "", "<= 300 MB", max(memory) <= 300)
    report.add(label, "completes, rows counted", "", str(rows), "", "", right)


def merge(rounds, scale, scratch, report):
    """100k changed rows, spread over a million."""
    rows = max(1000, int(workloads.BASE // CHANGED_IN * scale))
    data = os.path.join(scratch, "merge.copy")
    prepare("W1P", rows, data, False)
    hand, ours, right = {"conflict": [], "merge": []}, [], True
    label = "PostgreSQL: merge of %d changed rows into 1M" % rows
    with Rig(scratch) as rig:
        base = rig.database()
        assert rig.ours("W1", workloads.BASE, base).code == 0
        rig.cluster.execute("VACUUM ANALYZE tester.t", base)
        rig.cluster.let_go()
        for n in range(rounds):
            for who in (*hand, "ours"):
                run = rig.database(base)
                if who == "ours":
                    cost = rig.ours("W1P", rows, run)
                    told(report, MERGE, who, n, cost.wall, os.getloadavg()[0], cpu=round(cost.cpu, 2), memory=round(cost.memory, 1))  # fmt: skip
                    if cost.code:
                        print(cost.output[-1500:], file=sys.stderr)
                    ours.append(cost.wall)
                else:
                    wall, inside = rig.by_hand(who, data, run)
                    hand[who].append(wall)
                    told(
                        report, MERGE, "by hand, " + who, n, wall, os.getloadavg()[0], inside=inside
                    )
                changed = rig.cluster.rows("SELECT count(*) FROM tester.t WHERE amount <> id * 0.25", run)  # fmt: skip
                right = right and changed == [(rows,)]
                rig.drop(run)
    os.unlink(data)
    judge(report, label, hand, ours, 1.5)
    report.add(label, "completes, rows changed", "", str(rows), "", "", right)
