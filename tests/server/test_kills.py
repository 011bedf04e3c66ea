"""kill -9 of the server, an engine or a connector at random instants, under a schedule with a moved clock.

Each sync appends one step to its state and upserts what that step says, so that rows and state can be compared with a model:
after the next clean sync every table equals it, no step is missing and none was applied under another state.
SLUICE_TRIALS=200 is the long form.
"""

import os
import random
import signal
import time
from collections import Counter

import pytest

from harness import SANITIZED, connector, wait_for

TRIALS = int(os.environ.get("SLUICE_TRIALS", "4" if SANITIZED else "9"))
# Some of the rows come before a checkpoint, some after; every row carries the step it was produced under.
STEPS = connector(
    """
    n = state.get("n", 0)
    for i in range(40):
        op.upsert("t", {"id": n * 1000 + i, "step": n})
        op.upsert("log", {"line": n * 1000 + i, "step": n})
        if i == 20:
            op.checkpoint({"n": n, "half": True})
        time.sleep(0.002)
    op.delete("t", {"id": n * 1000})
    op.checkpoint({"n": n + 1})
    """,
    schema='[{"table": "t", "primary_key": ["id"]}, {"table": "log"}]',
)


def children(pid, word):
    """Processes below `pid` whose command line has `word`."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as f:
                parent = int(f.read().rsplit(")", 1)[1].split()[1])
            with open(f"/proc/{entry}/cmdline", "rb") as f:
                line = f.read().decode("utf-8", "replace")
        except (OSError, ValueError):
            continue
        if parent == pid and word in line:
            found.append(int(entry))
    return found


def kill_one(server, what):
    if what == "server":
        server.kill()
        return
    word = "_engine" if what == "engine" else "fivetran_connector_sdk"
    for pid in children(server.pid, word)[:1]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def is_idle(con):
    return con.details()["status"]["sync_state"] != "syncing"


@pytest.mark.parametrize("what", ["server", "engine", "connector"])
def test_nothing_is_lost_or_done_twice(moved, clock, what):
    chance = random.Random(what)
    cons = {}
    for name in ("alpha", "beta"):
        cons[name] = moved.deploy(name, {"connector.py": STEPS}, paused=False, sync_frequency=1)
    kept = {}  # acknowledged writes
    for trial in range(TRIALS):
        clock.forward(61)
        name = chance.choice(list(cons))
        frequency = chance.choice([1, 5])
        cons[name].change(sync_frequency=frequency)
        kept[name] = frequency
        time.sleep(chance.uniform(0, 0.6))  # the instant of the kill is the point
        kill_one(moved, what)
        if what == "server":
            moved.start()
        for name, frequency in kept.items():
            assert cons[name].details()["sync_frequency"] == frequency, (trial, name)
    for name, con in cons.items():
        # Backed off or not: one more, to its end.
        wait_for(f"{name} is idle", lambda c=con: is_idle(c), 60)
        con.sync(timeout=120)
        con.pause()
    moved.restart()
    ends = Counter(s["status"] for con in cons.values() for s in con.history())
    print(what, dict(ends))
    for name, con in cons.items():
        check_model(moved, con, name)


def check_model(server, con, name):
    steps = con.state()["n"]
    assert steps >= 1
    want = {(n * 1000 + i, n) for n in range(steps) for i in range(1, 40)}
    live = server.rows(f"select id, step from {name}.t where not _fivetran_deleted")
    assert len(live) == len(set(live)) and set(live) == want
    lines = server.rows(f"select line, step from {name}.log")
    assert len(lines) == len(set(lines))
    assert set(lines) == {(n * 1000 + i, n) for n in range(steps) for i in range(40)}
    check_history(con)


def check_history(con):
    """No two syncs overlap, none still runs, no slot was run twice but to go on with it."""
    history = sorted(con.history(), key=lambda s: s["number"])
    for earlier, later in zip(history, history[1:]):
        assert earlier["status"] != "RUNNING"
        assert earlier["end_time"] <= later["start_time"], (earlier, later)
    slots = [s["scheduled_for"] for s in history if s["trigger"] in ("schedule", "initial")]
    assert len(slots) == len(set(slots))
