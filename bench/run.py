#!/usr/bin/env python3
"""make bench: whole processes, ours and others in turn, against what we promise.

A work is run in rounds; within a round every participant runs once, each into a fresh folder. Reported are the
median over the rounds, the least and the greatest value, and the ratios formed inside each round. CPU is user and
system time of the whole process tree, memory the highest sum of resident sizes over it. Ours is the whole job, merged
by key and committed; the official SDK only emits. After each run the rows in the warehouse are counted.

With --scale other than 1 the targets are shown but not judged: start-up times weigh more in a short run.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time

import measure
import peers
import postgres
from peers import BUILD, JOBS, PEERS, Failed, Skipped, fivetran, python

import workloads

OUT = os.path.join(BUILD, "bench", "results")
EXAMPLE = os.path.join(os.path.dirname(peers.HERE), "examples", "tutorial")


class Work:
    """One workload and what is asked of it. targets: (peer, "cpu" or "wall", least ratio)."""

    def __init__(self, name, title, work, rows, targets=(), memory=None, base=None, rounds=None):
        self.name, self.title, self.work, self.rows = name, title, work, rows
        self.targets, self.memory = targets, memory
        self.base = base  # (work, rows) loaded before, not measured
        self.rounds = rounds  # None: as asked for
        self.peers = list(dict.fromkeys(peer for peer, _, _ in targets))


M = 1_000_000
EMISSION = "sdk"
WORKS = [
    Work(
        "W1",
        "first load, 5 columns",
        "W1",
        1 * M,
        [
            (EMISSION, "cpu", 5),
            (EMISSION, "wall", 4),
            ("sdk-bytes", "cpu", None),
            ("sdk-bytes", "wall", None),
            ("dlt-rows", "wall", 9),
            ("dlt-arrow", "wall", 3),
            ("singer", "wall", 7),
        ],
        memory=300,
    ),
    Work("W1L", "first load, 5 columns, 10M rows", "W1", 10 * M, memory=450, rounds=1),
    Work(
        "W2",
        "first load, 50 columns",
        "W2",
        100_000,
        [(EMISSION, "cpu", 4), (EMISSION, "wall", 3.5)],
        memory=400,
    ),
    Work(
        "W3",
        "first load, nested JSON",
        "W3",
        200_000,
        [(EMISSION, "cpu", 2), (EMISSION, "wall", 2)],
        memory=400,
    ),
    Work("W4", "re-sync, nothing changed", "W4", 1 * M, [("first", "wall", 1)], 400, ("W1", 1 * M)),
    Work(
        "W5",
        "increment of 100k into 1M",
        "W5",
        100_000,
        [("dlt-arrow", "wall", 4)],
        memory=400,
        base=("W1", workloads.BASE),
    ),
    Work(
        "W8",
        "first load, UUID keys, shuffled",
        "W8",
        1 * M,
        [(EMISSION, "cpu", 3.5), (EMISSION, "wall", 3)],
        memory=450,
    ),
    Work(
        "W8R",
        "re-sync of W8 in another order",
        "W8R",
        1 * M,
        [(EMISSION, "cpu", 3.5), (EMISSION, "wall", 3)],
        memory=450,
        base=("W8", 1 * M),
    ),
    Work("W1C", "re-sync of 5M, all changed", "W1C", 5 * M, (), 700, ("W1", 5 * M), rounds=1),
    Work("W6", "500 strings of 1 MiB", "W6", 500, memory=1300, rounds=1),
]
# What is not a row of that shape: name, title, function below.
OTHERS = ["W6L", "tutorial", "emission", "checkpoint", "states", "import", "PW1", "PW1P"]


class Report:
    def __init__(self, judged, alone=False):
        self.judged = judged
        self.alone = alone  # without other tools
        self.lines = []
        self.runs = []
        self.failed = False

    def add(self, work, what, theirs, mine, ratio, target, ok):
        """ok: True, False, or None where nothing is promised."""
        verdict = "" if ok is None else "PASS" if ok else "FAIL"
        if verdict and not self.judged:
            verdict = "(%s)" % verdict.lower()
        self.failed = self.failed or (self.judged and ok is False)
        self.lines.append([work, what, theirs, mine, ratio, target, verdict])

    def table(self):
        head = ["work", "measure", "others", "ours", "ratio", "target", ""]
        widths = [max(len(row[i]) for row in [head, *self.lines]) for i in range(len(head))]
        for row in [head, ["-" * w for w in widths], *self.lines]:
            print("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip())


def median(values):
    return statistics.median(values) if values else float("nan")


def spread(values, form):
    if not values:
        return "failed"
    text = form % median(values)
    return (
        text if len(values) == 1 else "%s (%s-%s)" % (text, form % min(values), form % max(values))
    )


def note(text):
    print(text, file=sys.stderr, flush=True)


# --- workloads ------------------------------------------------------------------------------------


def environment(peer, scratch):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("FIVETRAN", "SLUICE", "SL_"))}
    env.update(peer.env)
    if peer.venv:
        env["PYTHONPATH"] = peers.HERE
    else:
        env["SLUICE_CACHE"] = os.path.join(scratch, "cache")
    return env


def stored(folder, table):
    """Live rows in the table, or the reason why they cannot be counted."""
    import duckdb

    path = os.path.join(folder, table[0])
    try:
        with duckdb.connect(path, read_only=True) as db:
            columns = {c[0] for c in db.execute("describe " + table[1]).fetchall()}
            live = " where not _fivetran_deleted" if "_fivetran_deleted" in columns else ""
            return db.execute("select count(*) from " + table[1] + live).fetchone()[0]
    except duckdb.Error as e:
        return str(e).splitlines()[0]


def once(name, work, rows, folder, scratch, expected):
    peer = PEERS[name]
    cost = measure.run(
        peer.command(work, rows, folder), cwd=folder, env=environment(peer, scratch), timeout=1800
    )
    run = {
        "peer": name,
        "work": work,
        "rows": rows,
        "code": cost.code,
        "wall": round(cost.wall, 3),
        "cpu": round(cost.cpu, 3),
        "memory": round(cost.memory, 1),
        "load": os.getloadavg()[0],
    }
    if peer.table:
        run["stored"] = stored(folder, peer.table)
        run["expected"] = expected
    if name.startswith("sdk") and cost.code == 0:
        run["inside"] = json.loads(cost.output.splitlines()[-1])
    if cost.code or (name == "ours" and run["stored"] != expected):
        run["output"] = cost.output[-4000:]
        note("--- %s %s: exit code %s, %s rows" % (name, work, cost.code, run.get("stored")))
        note(cost.output[-1500:])
    return run


def bench(w, rounds, scale, scratch, report):
    rows = max(100, int(w.rows * scale))
    order = (
        [p for p in w.peers if p != "first"] + ["ours"] + (["first"] if "first" in w.peers else [])
    )
    bases = {}
    if w.base:
        base_rows = w.base[1] if w.work == "W5" else max(100, int(w.base[1] * scale))
        for name in order:
            if name != "first" and PEERS[name].table:
                bases[name] = os.path.join(scratch, "base-%s-%s" % (w.name, name))
                os.makedirs(bases[name])
                note("%-8s loading %s rows of %s for %s" % (w.name, base_rows, w.base[0], name))
                once(
                    name,
                    w.base[0],
                    base_rows,
                    bases[name],
                    scratch,
                    workloads.distinct(w.base[0], base_rows),
                )
    runs = {name: [] for name in order}
    for n in range(w.rounds or rounds):
        for name in order:
            folder = tempfile.mkdtemp(prefix="run-", dir=scratch)
            try:
                who, work = (name, w.work) if name != "first" else ("ours", w.base[0])
                if name in bases:
                    shutil.copytree(bases[name], folder, dirs_exist_ok=True)
                run = once(who, work, rows, folder, scratch, workloads.distinct(work, rows))
                run.update(round=n, peer=name, name=w.name)
            except Skipped as e:
                note("%s %s: %s" % (w.name, name, e))
                continue
            finally:
                shutil.rmtree(folder)
            runs[name].append(run)
            report.runs.append(run)
            note(
                "%-8s round %d  %-10s %8.2f s  %8.2f s CPU  %7.0f MB  load %.1f"
                % (w.name, n + 1, name, run["wall"], run["cpu"], run["memory"], run["load"])
            )
    for base in bases.values():
        shutil.rmtree(base)

    mine = runs["ours"]
    good = [r for r in mine if r["code"] == 0]
    label = "%s %s" % (w.name, w.title) + ("" if scale == 1 else " (%d rows)" % rows)
    for peer, measure_name, least in w.targets:
        pairs = [
            (t, m) for t in runs[peer] for m in good if t["round"] == m["round"] and t["code"] == 0
        ]
        ratios = [t[measure_name] / m[measure_name] for t, m in pairs]
        title = "ours, first load" if peer == "first" else PEERS[peer].title
        report.add(
            label,
            "%s / %s" % (measure_name.upper() if measure_name == "cpu" else "wall", title),
            spread([t[measure_name] for t, _ in pairs], "%.2f s"),
            spread([m[measure_name] for _, m in pairs], "%.2f s"),
            spread(ratios, "%.1fx"),
            ">= %gx" % least if least else "",
            median(ratios) >= least if least and ratios else (False if least else None),
        )
    if w.memory:
        values = [r["memory"] for r in good]
        report.add(
            label,
            "memory",
            "",
            spread(values, "%.0f MB"),
            "",
            "<= %d MB" % w.memory,
            bool(values) and max(values) <= w.memory,
        )
    right = bool(mine) and all(r["code"] == 0 and r["stored"] == r["expected"] for r in mine)
    report.add(
        label,
        "completes, rows counted",
        "",
        "%s rows" % mine[-1]["stored"]
        if right
        else "exit %s, %s" % (mine[-1]["code"], mine[-1]["stored"]),
        "",
        "%s" % mine[-1]["expected"],
        right,
    )


# --- the rest ------------------------------------------------------------------------------------


def w6l(rounds, scale, scratch, report):
    """5,000 strings of 1 MiB: completes, or fails before it writes and says how to go on."""
    rows = max(10, int(5000 * scale))
    if shutil.disk_usage(scratch).free < rows * 4 * (1 << 20):
        report.add("W6L %d strings of 1 MiB" % rows, "", "", "", "", "skipped: disk space", None)
        return
    folder = tempfile.mkdtemp(prefix="run-", dir=scratch)
    run = once("ours", "W6", rows, folder, scratch, rows)
    report.runs.append({**run, "name": "W6L"})
    left = run["stored"]
    shutil.rmtree(folder)
    complete = run["code"] == 0 and left == rows
    # Refused cleanly: no row of it, and the file, if there is one, can be read.
    clean = run["code"] != 0 and (left == 0 or "does not exist" in str(left))
    report.add(
        "W6L %d strings of 1 MiB" % rows,
        "completes, or refuses before writing",
        "",
        "%s, %.1f s, %.0f MB" % ("complete" if complete else "exit %d, %s" % (run["code"], left),
                                 run["wall"], run["memory"]),
        "",
        "valid file",
        complete or clean,
    )  # fmt: skip


def alternately(report, name, rounds, commands):
    """Run the named commands in turn: {name: [Cost, ...]}, after one run of each that does not count."""
    costs = {key: [] for key in commands}
    for n in range(rounds + 1):
        for key, (command, cwd, env) in commands.items():
            cost = measure.run(command, cwd=cwd, env=env, timeout=600)
            if cost.code:
                note("--- %s: exit code %d\n%s" % (key, cost.code, cost.output[-1500:]))
            elif n:
                costs[key].append(cost)
                report.runs.append(
                    {"name": name, "peer": key, "round": n - 1, "wall": cost.wall, "cpu": cost.cpu,
                     "memory": cost.memory}
                )  # fmt: skip
    return costs


def start(report, name, title, rounds, commands, most, remark=""):
    costs = alternately(report, name, rounds * 5, commands)
    theirs, mine = ([c.wall for c in costs[key]] for key in commands)
    ratio = median(mine) / median(theirs) if mine and theirs else float("nan")
    report.add(
        title,
        "wall",
        spread(theirs, "%.3f s"),
        spread(mine, "%.3f s"),
        "%.1fx" % ratio,
        "<= %gx%s" % (most, remark),
        ratio <= most,
    )


def tutorial(rounds, scale, scratch, report):
    folder = os.path.join(scratch, "tutorial")
    shutil.copytree(EXAMPLE, folder)
    env = environment(PEERS["ours"], scratch)
    commands = {
        "fernet": ([python("fernet"), "-c", "import cryptography.fernet"], folder, env),
        "ours": ([fivetran(), "debug", "--configuration", "configuration.json"], folder, env),
    }
    start(report, "tutorial", "tutorial, warm / python -c import cryptography.fernet", rounds, commands,
          8, ", aim 0.25 s")  # fmt: skip


def imports(rounds, scale, scratch, report):
    env = environment(PEERS["ours"], scratch)
    commands = {
        "python": ([python("ours"), "-c", "import json, datetime"], scratch, env),
        "ours": ([python("ours"), "-c", "import fivetran_connector_sdk"], scratch, env),
    }
    start(report, "import", "import the SDK / python -c import json, datetime", rounds, commands, 3)


def micro(what, n, scratch, timeout=900):
    """Run the micro connector: (its result, Cost), result None if it failed."""
    folder = tempfile.mkdtemp(prefix="micro-", dir=scratch)
    shutil.copy(os.path.join(JOBS, "micro_connector.py"), os.path.join(folder, "connector.py"))
    shutil.copy(os.path.join(peers.HERE, "workloads.py"), folder)
    out = os.path.join(folder, "result.json")
    with open(os.path.join(folder, "configuration.json"), "w") as f:
        json.dump({"what": what, "n": str(n), "out": out}, f)
    command = [fivetran(), "debug", "--configuration", "configuration.json"]
    cost = measure.run(command, folder, environment(PEERS["ours"], scratch), timeout)
    result = None
    if cost.code == 0 and os.path.exists(out):
        with open(out) as f:
            result = json.load(f)
    else:
        note("--- %s: exit code %d\n%s" % (what, cost.code, cost.output[-1500:]))
    shutil.rmtree(folder)
    return result, cost


def emission(rounds, scale, scratch, report):
    mine, theirs = [], []
    job = [python("sdk"), os.path.join(JOBS, "sdk_record.py")]
    for _ in range(rounds):
        cost = measure.run(
            [*job, str(int(200_000 * scale))], env=environment(PEERS["sdk"], scratch)
        )
        if cost.code == 0:
            theirs.append(json.loads(cost.output)["ns"])
        result, _ = micro("emission", int(1_000_000 * scale), scratch)
        if result:
            mine.append(result["ns"])
    report.runs.append({"name": "emission", "ours_ns": mine, "sdk_ns": theirs})
    ratio = median(theirs) / median(mine) if mine and theirs else float("nan")
    report.add(
        "emission of a 5-column row, net of an empty call / the official record",
        "CPU",
        spread(theirs, "%.0f ns"),
        spread(mine, "%.0f ns"),
        "%.0fx" % ratio,
        ">= 40x",
        ratio >= 40,
    )


def checkpoint(rounds, scale, scratch, report):
    n = int(200_000 * scale)
    found = [micro("checkpoints", n, scratch) for _ in range(rounds)]
    values = [r["us"] for r, _ in found if r]
    report.runs.append({"name": "checkpoint", "us": values, "memory": [c.memory for _, c in found]})
    report.add(
        "upsert and checkpoint for every row, %d rows" % n,
        "wall of a pair",
        "186 us (official, recorded)",
        spread(values, "%.2f us"),
        "",
        "<= 5 us",
        bool(values) and median(values) <= 5,
    )


def states(rounds, scale, scratch, report):
    n = int(10_000 * scale)
    few, many = [], []
    for _ in range(rounds):
        few.append(micro("states", max(1, n // 10), scratch))
        many.append(micro("states", n, scratch))
    walls = [c.wall for r, c in many if r]
    report.runs.append(
        {
            "name": "states",
            "wall": walls,
            "memory": [[f[1].memory, m[1].memory] for f, m in zip(few, many)],
        }
    )
    title = "%d checkpoints of a 100 kB state" % n
    report.add(
        title, "wall", "", spread(walls, "%.2f s"), "", "<= 2 s", bool(walls) and median(walls) <= 2
    )
    less, more = median([c.memory for r, c in few if r]), median([c.memory for r, c in many if r])
    report.add(
        title,
        "memory, against a tenth of them",
        "%.0f MB" % less,
        "%.0f MB" % more,
        "%.2fx" % (more / less),
        "no growth (1.15x)",
        more <= less * 1.15,
    )


FUNCTIONS = {
    "W6L": w6l,
    "tutorial": tutorial,
    "emission": emission,
    "checkpoint": checkpoint,
    "states": states,
    "import": imports,
    postgres.FIRST: postgres.first_load,
    postgres.MERGE: postgres.merge,
}
NEEDS = {
    "tutorial": ["fernet"],
    "emission": ["sdk"],
    postgres.FIRST: ["pg", "dlt-pg"],
    postgres.MERGE: ["pg"],
}


def machine():
    model = ""
    with open("/proc/cpuinfo") as f:
        for text in f:
            if text.startswith("model name"):
                model = text.split(":")[1].strip()
    return "%s, %d cores, %s, load %.1f" % (
        model,
        os.cpu_count(),
        platform.release(),
        os.getloadavg()[0],
    )


def main():
    names = [w.name for w in WORKS] + OTHERS
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--only", help="comma separated: " + ",".join(names))
    args.add_argument("--rounds", type=int, default=3)
    args.add_argument(
        "--scale", type=float, default=1.0, help="share of the rows of every workload"
    )
    args.add_argument("--no-peers", action="store_true", help="ours alone")
    chosen = args.parse_args()
    only = chosen.only.split(",") if chosen.only else names
    unknown = set(only) - set(names)
    if unknown:
        args.error("no such work: %s" % ", ".join(sorted(unknown)))
    works = [w for w in WORKS if w.name in only]
    if chosen.no_peers:
        for w in works:
            w.targets = [t for t in w.targets if t[0] == "first"]
            w.peers = [p for p in w.peers if p == "first"]

    venvs = {PEERS[p].venv for w in works for p in w.peers if p != "first"}
    venvs.update(v for name in only for v in NEEDS.get(name, []))
    if chosen.no_peers:
        venvs.discard("dlt-pg")
    peers.install(sorted(venvs))
    peers.install_ours()

    print("machine: " + machine(), flush=True)
    report = Report(chosen.scale == 1, chosen.no_peers)
    started = time.time()
    data = os.path.join(BUILD, "bench")
    with tempfile.TemporaryDirectory(prefix="data-", dir=data) as scratch:
        for w in works:
            bench(w, chosen.rounds, chosen.scale, scratch, report)
        for name in OTHERS:
            if name in only:
                FUNCTIONS[name](chosen.rounds, chosen.scale, scratch, report)
    os.makedirs(OUT, exist_ok=True)
    path = os.path.join(OUT, time.strftime("%Y%m%d-%H%M%S.json", time.gmtime(started)))
    with open(path, "w") as f:
        json.dump(
            {
                "machine": machine(),
                "started": started,
                "rounds": chosen.rounds,
                "scale": chosen.scale,
                "peers": peers.REQUIREMENTS,
                "table": report.lines,
                "runs": report.runs,
            },
            f,
            indent=1,
        )
    print()
    report.table()
    print(
        "\nmedian (least-greatest) of %d rounds; all runs: %s"
        % (chosen.rounds, os.path.relpath(path))
    )
    if not report.judged:
        print("scale %g: the targets are for full size, nothing is judged" % chosen.scale)
    return 1 if report.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed:
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
