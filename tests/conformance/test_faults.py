"""Cuts of the network at every step and kills of the engine, while a workload runs into a server; then one clean run, and the oracle
of tests/faults: no row lost or doubled, the state never ahead of the rows, nothing left over.

SLUICE_TRIALS=300: so many random cuts and kills, and every crash point; `make conformance-long`.
"""

import os
import random
import signal
import subprocess
import threading
import time

import peer
import pytest
import workload
from proxy import DOWN, UP, Cut, Proxy, Stall
from rig import KNOBS, WHOLE, Rig
from warehouse import Project

TRIALS = int(os.environ.get("SLUICE_TRIALS", "0"))
LONG = pytest.mark.long_run
pytestmark = pytest.mark.once


@pytest.fixture
def net(warehouse):
    """The proxy in front of the server."""
    with Proxy(*warehouse.address()) as proxy:
        yield proxy


def make_rig(path, warehouse, net):
    project = Project(path, warehouse, peer.fault_engine())
    project.through = {"host": net.address[0], "port": net.address[1]}
    return Rig(project)


@pytest.fixture
def rig(knobs, net):
    knobs.through = {"host": net.address[0], "port": net.address[1]}
    return Rig(knobs)


def clean(rig, net, env=None):
    net.disarm()
    rig.emit(env).ok()
    rig.check()


def went_on_by_itself(rig):
    """One cut is repaired within the run, by trying again."""
    result = rig.results[-1].ok()
    assert "trying again" in result.out or "was not known" in result.out, result.out
    rig.check()


@pytest.mark.parametrize("nth", [1, 2, 5])
@pytest.mark.parametrize("where", ["before", "behind", "answer-lost"])
def test_cut_at_a_commit(rig, warehouse, net, where, nth):
    """The connection is cut before a COMMIT, just behind it, and between the commit and its answer: the engine finds out which it was."""
    rule = {
        "before": Cut(UP, at=warehouse.commit, nth=nth),
        "behind": Cut(UP, past=warehouse.commit, nth=nth),
        "answer-lost": Cut(DOWN, behind=warehouse.commit, nth=nth),
    }[where]
    net.arm(rule)
    result = rig.emit(WHOLE)
    assert rule.fired.is_set()
    if (
        result.code != 0
    ):  # the bookkeeping is made once, before anything else: its commit is not tried again
        assert nth == 1
        result.failed("bookkeeping", "127.0.0.1:%d" % net.port, code=4)
        clean(rig, net)
        return
    went_on_by_itself(rig)
    if where == "answer-lost":
        assert "the warehouse says it is there" in result.out


def befall(rig, warehouse, net, r, knobs, total):
    """One run with one or two faults at random places; returns how many of them came about."""
    what = r.choice(["up", "down", "commit", "kill", "both"])
    rules, env = [], dict(knobs)
    if what in ("up", "both"):
        rules.append(Cut(UP, after=r.randrange(total[UP])))
    if what == "down":
        rules.append(Cut(DOWN, after=r.randrange(total[DOWN])))
    if what == "commit":
        way = r.choice([{"at": warehouse.commit}, {"past": warehouse.commit}, {"behind": warehouse.commit}])  # fmt: skip
        rules.append(Cut(DOWN if "behind" in way else UP, nth=r.randrange(1, 8), **way))
    if what in ("kill", "both"):
        env["SL_FAULT"] = "frame_read:%d=kill" % r.randrange(1, 1200)
    for rule in rules:
        net.arm(rule)
    result = rig.emit(env)
    net.disarm()
    killed = result.code == -signal.SIGKILL
    assert result.code in (0, 1, 4) or killed, result.out
    fired = sum(rule.fired.is_set() for rule in rules) + killed
    print("run %d: %s, %d came about, exit code %d, at step %d" % (rig.run, what, fired, result.code, rig.states[-1]))  # fmt: skip
    return fired


@pytest.mark.parametrize("how", ["whole", "sliced"])
def test_cuts_and_kills_anywhere(tmp_path, warehouse, net, how):
    """The connection is cut after any number of bytes in either direction, or at a COMMIT, or the engine is killed, or both."""
    knobs = WHOLE if how == "whole" else KNOBS
    seed = peer.seed_of(random.randrange(1 << 30))
    r = random.Random(seed)
    rig = make_rig(tmp_path / "measure", warehouse, net)
    rig.emit(knobs).ok()
    rig.check()
    total = dict(net.passed)
    fired = trial = 0
    while fired < (TRIALS // 2 or 6):
        trial += 1
        print("SLUICE_SEED=%d, trial %d" % (seed, trial))
        with make_rig(tmp_path / ("pro%d" % trial), warehouse, net).project as project:
            rig = Rig(project)
            while len(rig.results) < 3 and not (rig.states and rig.states[-1] == workload.STEPS):
                fired += befall(rig, warehouse, net, r, knobs, total)
            clean(rig, net, knobs)
    print("%d cuts and kills came about in %d trials" % (fired, trial))


def points():
    """(point, visit) of the engine that a run of the workload comes to; a few of them if it has to be short."""
    out = subprocess.run([peer.fault_engine(), "faults"], stdout=subprocess.PIPE, text=True, check=True).stdout  # fmt: skip
    for point in out.split():
        for visit in (1, 2, 5):
            if TRIALS or (visit == 2 and point.startswith("commit") and "slice" not in point):
                yield point, visit


@pytest.mark.parametrize("point,visit", list(points()))
def test_killed_at_a_point(rig, net, point, visit):
    """kill -9 of the engine at each named point of a sync: the next run repairs."""
    rig.emit({"SL_FAULT": "%s:%d=kill" % (point, visit)})
    if rig.results[0].code == 0:
        rig.check()
        pytest.skip("the run does not come to %s %d times" % (point, visit))
    assert rig.results[0].code == -signal.SIGKILL
    clean(rig, net)


def test_nobody_listens(rig, warehouse, net):
    """No server: the run ends soon with exit code 4, naming the place; the next one goes well."""
    net.refuse()
    result = rig.emit()
    result.failed("127.0.0.1", str(net.port), code=4)
    assert "refused" in result.out
    net.accept()
    clean(rig, net)


def test_the_server_is_away_for_a_moment(rig, warehouse, net):
    """The connection is cut and nobody listens for a while: the engine goes on once it can connect again."""
    rule = net.arm(Cut(UP, at=warehouse.commit, nth=3))

    def away():
        assert rule.fired.wait(60)
        net.refuse()
        threading.Event().wait(0.7)  # the time it is away, shorter than the engine's patience
        net.accept()

    thread = threading.Thread(target=away)
    thread.start()
    rig.emit(WHOLE)
    thread.join()
    went_on_by_itself(rig)


def test_half_open(rig, warehouse, net):
    """The network swallows everything, the engine is killed, and the server has not noticed: the next run is not in its way for long."""
    rule = net.arm(Stall(UP, at=warehouse.commit, nth=3))
    sync = rig.begin(WHOLE, steps=4, until=rule.fired)
    sync.kill()
    sync.close()
    rig.project.through = {}  # another way to the server: the old connection stays as it is
    rig.states.append(rig.step())
    rig.emit().ok()
    net.cut()
    rig.check()


@LONG
def test_a_server_that_does_not_answer_at_first(rig, warehouse, net):
    """Nothing passes any more while the run begins: it ends within its deadlines and says where."""
    rig.project.through.update(connect_timeout=2, statement_timeout=2)
    net.arm(Stall(UP, at=warehouse.commit))
    sync = rig.begin(WHOLE, steps=4)
    result = sync.close().failed("127.0.0.1:%d" % net.port, code=4)
    net.disarm()
    net.cut()
    rig.ended(result)
    clean(rig, net)


@LONG
def test_a_server_that_does_not_answer_for_long(rig, warehouse, net):
    """Nothing passes any more in the middle of a run, not even a new connection: it is noticed, and once the network is back the run goes on."""
    rig.project.through.update(connect_timeout=2, statement_timeout=2)
    rule = net.arm(Stall(UP, at=warehouse.commit, nth=3))
    sync = rig.begin(WHOLE, steps=10, until=rule.fired)
    until = time.monotonic() + 200
    while "no answer" not in sync.said():
        assert time.monotonic() < until, sync.said()
        time.sleep(0.1)
    net.cut()
    net.disarm()
    rig.ended(sync.done())
    went_on_by_itself(rig)
