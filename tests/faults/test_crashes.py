"""Runs that are killed or fail somewhere, then one clean run, then the oracle (workload.py)."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import peer
import pytest
import workload
from rig import KNOBS, WHOLE, Rig

# Nothing goes ahead: its failures would not be the sync's.
BEHIND = {"SL_AHEAD_BYTES": 1 << 40}
TRIALS = int(os.environ.get("SLUICE_TRIALS", "30"))


def points():
    binary = peer.fault_engine()
    out = subprocess.run([binary, "faults"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return out.split()


@pytest.fixture
def rig(tmp_path):
    with peer.Project(tmp_path / "pro", peer.fault_engine()) as project:
        yield Rig(project)


def test_without_any_fault(rig):
    result = rig.emit()
    result.ok()
    rig.check()


@pytest.mark.parametrize("visit", [1, 2, 5])
@pytest.mark.parametrize("point", points())
def test_killed_at_a_point(rig, point, visit):
    rig.emit({"SL_FAULT": "%s:%d=kill" % (point, visit)})
    if rig.results[0].code == 0:
        rig.check()
        pytest.skip("the run does not come to %s %d times" % (point, visit))
    assert rig.results[0].code == -signal.SIGKILL
    rig.emit().ok()
    rig.check()


@pytest.mark.parametrize("how", ["eio", "enospc", "oom"])
@pytest.mark.parametrize("point", [p for p in points() if not p.startswith(("mirror", "file"))])
def test_failed_at_a_point(rig, point, how):
    """The second visit fails; the run ends with an error that names what happened, and what a checkpoint covered may be kept."""
    result = rig.emit({"SL_FAULT": "%s:2=%s" % (point, how)})
    if result.code == 0:
        rig.check()
        pytest.skip("the run does not come to %s twice" % point)
    assert "fault %s" % point in result.out
    rig.emit().ok()
    rig.check()


@pytest.mark.parametrize("how", ["retry", "fatal", "lost", "kept"])
@pytest.mark.parametrize("call", ["begin", "evolve", "apply", "save_state", "commit"])
@pytest.mark.parametrize("nth", [1, 3])
def test_destination_that_fails(rig, call, how, nth):
    if how in ("lost", "kept") and call != "commit":
        pytest.skip("only a commit's outcome can be unknown")
    plan = "%s:%d=%s" % (call, nth, how)
    result = rig.emit({**BEHIND, "SL_DESTINATION": "chaos", "SL_CHAOS": plan})
    if how == "fatal":
        assert result.code != 0 and "chaos" in result.out
        rig.emit().ok()
    else:
        result.ok()
    rig.check()


@pytest.mark.parametrize("knobs", [KNOBS, WHOLE], ids=["sliced", "whole"])
def test_engine_or_connector_gone_at_any_instant(tmp_path, knobs):
    """Random instants; the operations a dead connector had sent count as little as those it had not."""
    seed = int(os.environ.get("SLUICE_SEED", random.randrange(1 << 30)))
    r = random.Random(seed)
    total = sum(1 for step in range(workload.STEPS) for _ in workload.operations(step, 1))
    print("SLUICE_SEED=%d SLUICE_TRIALS=%d" % (seed, TRIALS))
    for trial in range(TRIALS // 3):
        with peer.Project(tmp_path / ("pro%d" % trial), peer.fault_engine()) as project:
            rig = Rig(project)
            for _ in range(r.randrange(1, 4)):
                if r.random() < 0.5:
                    rig.emit(knobs, die_at=r.randrange(1, total))
                else:
                    rig.emit({**knobs, "SL_FAULT": "frame_read:%d=kill" % r.randrange(1, total)})
            rig.emit(knobs).ok()
            rig.check()


CONNECTOR = """
import sys
sys.path.insert(0, %r)
import workload
from fivetran_connector_sdk import Connector, Operations as op

def schema(configuration):
    return workload.SCHEMA

def update(configuration, state):
    for step in range(state.get("step", 0), workload.STEPS):
        for what, table, values in workload.operations(step, int(configuration["run"])):
            if what == "truncate":
                op.truncate(table)
            else:
                getattr(op, what)(table, values)
        op.checkpoint({"step": step + 1})

connector = Connector(update=update, schema=schema)
"""


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return [int(x) for x in f.read().split()]
    except OSError:
        return []


def test_real_processes_killed_at_any_instant(tmp_path):
    """`fivetran debug` and its connector: either, or both at once, get SIGKILL after a random time."""
    seed = int(os.environ.get("SLUICE_SEED", random.randrange(1 << 30)))
    r = random.Random(seed)
    print("SLUICE_SEED=%d SLUICE_TRIALS=%d" % (seed, TRIALS))
    binary = os.path.join(os.environ["SLUICE_TEST_BIN"], "fivetran")
    for trial in range(TRIALS // 3):
        with peer.Project(tmp_path / ("pro%d" % trial), peer.fault_engine()) as project:
            with open(os.path.join(project.path, "connector.py"), "w") as f:
                f.write(CONNECTOR % os.path.dirname(os.path.abspath(__file__)))
            rig = Rig(project)
            for last in (False, False, True):
                rig.run += 1
                with open(os.path.join(project.path, "configuration.json"), "w") as f:
                    json.dump({"run": str(rig.run)}, f)
                debug = subprocess.Popen([binary, "debug", "--no-isolation", project.path], stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
                if not last:
                    kill_somewhere(r, debug)
                out = debug.communicate(timeout=60)[0].decode()
                rig.ended(peer.Result(debug.returncode, out, []))
            rig.results[-1].ok()
            rig.check()


def kill_somewhere(r, debug):
    """Waits a random part of a second (that is the point of it), then kills the engine, the connector, or both."""
    until = time.monotonic() + r.random() * 0.4
    while time.monotonic() < until and debug.poll() is None:
        time.sleep(0.001)
    connector = children(debug.pid)
    whom = r.choice([[debug.pid], connector, [debug.pid, *connector]])
    for pid in whom:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q"]))
