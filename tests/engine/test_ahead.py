"""Rows that go to the warehouse before their checkpoint: what the table holds then is what it would hold anyway, whatever comes after
them; and nothing of it is there before the checkpoint (docs/decisions/0012-apply-ahead.md).

A killed run at one of the crash points tells that the engine came by: ahead_taken, what went ahead was committed; ahead_dropped, it was
rolled back; ahead_begun, there was something to go ahead.
"""

import itertools
import random
import signal

import peer
import pytest

from model import Table

# A chunk every few rows, and each one is waited for.
AHEAD = {"SL_AHEAD_BYTES": 400, "SL_AHEAD_IN_TURN": 1}
NEVER = {"SL_AHEAD_BYTES": 1 << 40}
KEY = {"t": ["id"], "u": ["id"], "old": ["id"], "text": ["id"], "two": ["a", "b"], "none": []}


def rising(n, first=0, table="t", **more):
    return [
        ("upsert", table, {"id": i, "n": 2 * i, "s": "row %d" % i, **more})
        for i in range(first, first + n)
    ]


def changed(n):
    """Rows of the table that is there, with other values."""
    return [("upsert", "old", {"id": i, "n": 3 * i, "s": "new %d" % i}) for i in range(n)]


def mixed(*lists):
    return [op for ops in itertools.zip_longest(*lists) for op in ops if op]


def declared():
    columns = {"n": "SHORT", "f": "FLOAT", "d": ("DECIMAL", 10, 2)}
    return [peer.table("t", ["id"], columns)]


MARK = ("checkpoint", None, None)
ODD = {"n": None, "s": None}  # both columns are there, without a value

FITS = {
    "one table": rising(40),
    "two tables in turn": mixed(rising(40), rising(40, table="u")),
    "two tables one after the other": rising(40) + rising(40, table="u"),
    "a table that is there": mixed(
        rising(40), rising(20, 10, "old"), [("update", "old", {"id": 3, "n": 7})]
    ),
    "checkpoints that are not due": rising(20) + [MARK] + rising(20, 20) + [MARK],
    "no value, another order, a missing column": rising(20)
    + [("upsert", "t", {"id": 20, **ODD}), ("upsert", "t", {"s": "x", "n": 1, "id": 21})]
    + [("upsert", "t", {"id": 22, "n": 5})]
    + rising(20, 30),
    "a table that does not qualify beside it": mixed(
        rising(40), [("upsert", "text", {"id": "k%d" % (i % 7)}) for i in range(40)]
    ),
    "all kinds of values": rising(40, f=0.5, b=True, x=b"\0\1", j=peer.Json('{"a":[1]}')),
    "negative keys": rising(40, -20),
    "rows that are there, and new ones": rising(40, 0, "old"),
    "rows that changed": changed(20),
    "rows between others": [op for op in changed(20) if op[2]["id"] % 3]
    + rising(20, 15, "old")[5:],
}
CONTRADICTED = {
    "a number that is not whole": rising(30) + [("upsert", "t", {"id": 30, "n": 1.5, "s": "x"})],
    "text for a number": rising(30) + [("upsert", "t", {"id": 30, "n": "x", "s": "x"})],
    "the first value of a column": rising(30, late=None) + rising(10, 30, late=3),
    "a new column": rising(30) + rising(10, 30, more=1),
    "a new column without a value": rising(30) + rising(10, 30, more=None),
    "a key again": rising(30) + rising(1, 29),
    "a smaller key": rising(30, 5) + rising(1, 0),
    "no key": rising(30) + [("upsert", "t", {"id": None, "n": 1})],
    "a key that is text": rising(30) + [("upsert", "t", {"id": "x", "n": 1, "s": "x"})],
    "a key that is not whole": rising(30) + [("upsert", "t", {"id": 40.5, "n": 1, "s": "x"})],
    "an update": rising(30) + [("update", "t", {"id": 7, "n": 0})],
    "an update of nothing": rising(30) + [("update", "t", {"id": 99, "n": 0})],
    "a delete": rising(30) + [("delete", "t", {"id": 7})],
    "a truncate": rising(30) + [("truncate", "t", None)] + rising(10, 20),
    "one table of two": mixed(rising(30), rising(30, table="u"))
    + [("delete", "u", {"id": 1})]
    + rising(20, 30),
    "rows that grow large": rising(30) + rising(5, 30, wide="x" * 200_000),
    "a table that is there: another type": changed(20)
    + [("upsert", "old", {"id": 20, "n": 0.5, "s": "x"})],
    "a table that is there: a new column": changed(20) + rising(1, 20, "old", more="x"),
    "a table that is there: a delete": changed(20) + [("delete", "old", {"id": 3})],
    "a table that is there: a truncate": changed(20) + [("truncate", "old", None)] + changed(5),
    "a table that is there: a key again": changed(20) + rising(20, 0, "old"),
}
NOT_BEGUN = {
    "a text key": [("upsert", "text", {"id": "k%03d" % i}) for i in range(60)],
    "two key columns": [("upsert", "two", {"a": i, "b": i}) for i in range(60)],
    "no key column": [("upsert", "none", {"n": i}) for i in range(60)],
    "few rows": rising(3),
    "another type from the start": [("upsert", "old", {"id": i, "n": i + 0.5}) for i in range(40)],
    "a new column from the start": rising(40, 0, "old", more=1),
}


def number(value):
    """A value as its column's widest type may have it: 1 is 1.0 and "1"."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return value if value is None else peer.text(value)


def filled(row):
    return {c: number(v) for c, v in row.items() if v is not None}


class Run:
    """Operations, sent and modelled."""

    def __init__(self, project, schema=None):
        self.project = project
        self.schema = schema or [peer.table(t, k) for t, k in KEY.items() if k and t != "none"]
        self.tables = {}

    def model(self, name):
        if name not in self.tables:
            self.tables[name] = Table(KEY.get(name, ["id"]) or ["n"], number)
        return self.tables[name]

    def start(self, env):
        return self.project.sync(env=env, schema=self.schema)

    @staticmethod
    def send(sync, operations):
        for n, (what, table, values) in enumerate(operations):
            if what == "checkpoint":
                sync.checkpoint({"n": n})
            elif what == "truncate":
                sync.truncate(table)
            else:
                getattr(sync, what)(table, values)

    def note(self, operations):
        for what, table, values in operations:
            if what == "truncate":
                self.model(table).truncate()
            elif what != "checkpoint":
                getattr(self.model(table), what)(values)

    def whole(self, operations, env=AHEAD):
        """One sync, and what it must count."""
        for t in self.tables.values():
            t.begin()
        sync = self.start(env)
        self.send(sync, operations)
        result = sync.done().ok()
        self.note(operations)
        want = dict.fromkeys(("inserted", "updated", "deleted", "unchanged", "rest"), 0)
        for t in self.tables.values():
            for name, n in t.counts().items():
                want[name] += n
        got = dict(result.rows)
        got["rest"] = got.pop("folded") + got.pop("missed")
        assert got == want
        return result

    def killed_at(self, point, operations, env=AHEAD):
        """Whether a run comes to that point; it is left as it was killed there."""
        sync = self.start({**env, "SL_FAULT": point + "=kill"})
        self.send(sync, operations)
        if sync.broken:
            return sync.close().code == -signal.SIGKILL
        return sync.done().code == -signal.SIGKILL

    def check(self, context=""):
        for name, t in self.tables.items():
            have = self.project.columns(name)
            found = {}
            for *cells, deleted in self.project.query(
                "SELECT %s, _fivetran_deleted FROM tester.%s"
                % (", ".join('"%s"' % c for c in have), name)
            ):
                row = dict(zip(have, cells))
                row.pop("_fivetran_id", None)
                key = t.of(row)
                assert key not in found, "%s%s: %r is there twice" % (context, name, key)
                found[key] = (filled(row), deleted)
            want = {
                key: (filled({**dict(zip(t.key, key)), **row.values}), row.deleted)
                for key, row in t.rows.items()
            }
            assert found == want, "%s%s" % (context, name)
        self.project.let_go()


@pytest.fixture
def run(knobs):
    return Run(knobs)


def prepare(run, operations):
    """The table `old` is there when a story needs it, and no other: what schema() names is made by any commit."""
    if any(table == "old" for _, table, _ in operations):
        schema, run.schema = run.schema, [peer.table("old", ["id"])]
        run.whole([*rising(20, 0, "old"), ("delete", "old", {"id": 4})])
        run.schema = schema


@pytest.mark.parametrize("name", FITS)
def test_what_fits_is_committed(run, name):
    prepare(run, FITS[name])
    assert run.killed_at("ahead_taken", FITS[name])
    run.whole(FITS[name])
    run.check()


@pytest.mark.parametrize("name", CONTRADICTED)
def test_what_is_contradicted_is_done_again(run, name):
    prepare(run, CONTRADICTED[name])
    assert run.killed_at("ahead_dropped", CONTRADICTED[name])
    run.whole(CONTRADICTED[name])
    run.check()


@pytest.mark.parametrize("name", NOT_BEGUN)
def test_what_does_not_go_ahead(run, name):
    prepare(run, NOT_BEGUN[name])
    assert not run.killed_at("ahead_begun", NOT_BEGUN[name])
    run.note(NOT_BEGUN[name])
    run.check()


def test_a_table_that_a_commit_has_made_but_not_filled(run):
    """schema() names two tables: the first commit makes both, the second one's rows are still its first."""
    env = {**AHEAD, "SL_COMMIT_BYTES": 1}
    operations = [*rising(3, table="u"), MARK, *rising(60, late=0.5), MARK, *rising(60, 60)]
    assert run.killed_at("ahead_taken", operations, env)
    assert run.project.rows("u", "count(*)") == [(3,)] and run.project.rows("t") == []
    run.note(operations[:3])
    sync = run.start(env)
    run.send(sync, operations)
    assert sync.done().ok().rows["inserted"] == 120
    run.note(operations)
    run.check()
    assert run.project.columns("t") == {
        "id": "BIGINT",
        "n": "BIGINT",
        "s": "VARCHAR",
        "late": "DOUBLE",
    }


def test_nothing_new_writes_nothing(run):
    """A source at rest: all of it goes ahead, and the file stays as it is."""
    run.whole(rising(60))
    before = run.project.query("SELECT max(committed_at) FROM _sluice.state")
    assert run.killed_at("ahead_taken", rising(60))
    result = run.whole(rising(60))
    assert result.rows["unchanged"] == 60
    assert run.project.query("SELECT max(committed_at) FROM _sluice.state") == before
    run.check()


def test_types_and_columns_are_those_of_the_ordinary_way(knobs, tmp_path):
    operations = FITS["all kinds of values"] + rising(20, 50, table="u", big=1 << 80)
    got = []
    for n, env in enumerate((AHEAD, NEVER)):
        with peer.Project(tmp_path / str(n), knobs.binary) as project:
            Run(project).whole(operations, env)
            got.append(
                (
                    [project.columns(t) for t in "tu"],
                    project.rows("t"),
                    project.rows("u"),
                    project.query("SELECT * FROM _sluice.tables ORDER BY ALL"),
                    project.query("SELECT * FROM _sluice.columns ORDER BY ALL"),
                )
            )
    assert got[0] == got[1]


def test_declared_types(knobs):
    run = Run(knobs, declared())
    rows = rising(40, f=0.25)
    assert run.killed_at("ahead_taken", rows)
    run.whole(rows)
    run.check()
    assert knobs.columns("t")["n"] == "SMALLINT" and knobs.columns("t")["d"] == "DECIMAL(10,2)"


def test_a_declared_key_of_another_type_does_not_go_ahead(knobs):
    run = Run(knobs, [peer.table("t", ["id"], {"id": "INT"})])
    assert not run.killed_at("ahead_begun", rising(60))
    run.note(rising(60))
    run.check()


def test_all_rows_of_a_commit_have_its_time(run):
    run.whole(mixed(rising(60), rising(60, table="u")))
    assert run.project.query(
        "SELECT count(DISTINCT _fivetran_synced) FROM"
        " (SELECT _fivetran_synced FROM tester.t UNION ALL SELECT _fivetran_synced FROM tester.u)"
    ) == [(1,)]


def test_an_interval_larger_than_a_transaction(run):
    """What went ahead fills one transaction; the rest goes in slices, one of them killed."""
    env = {**AHEAD, "SL_SLICE_BYTES": 6000, "SL_BUFFER_BYTES": 2000}
    rows = rising(300)
    for point in ("ahead_taken", "commit_state_written:2", "commit_slice_done:2"):
        assert run.killed_at(point, rows, env)
    run.whole([], env)  # what the killed ones committed is there, and the state is not
    sync = run.start(env)
    run.send(sync, rows)
    result = sync.done().ok()
    assert result.called("Upserts") == 300 and result.rows["inserted"] < 300
    run.note(rows)
    run.check()


# ---- failures


def gone(project):
    """Nothing is there, not even the table."""
    assert project.tables() == []
    assert project.state() in (None, "{}")
    project.let_go()


def test_an_error_takes_the_rows_after_the_last_checkpoint(run):
    sync = run.start({**AHEAD, "SL_FAULT": "ahead_dropped=kill"})
    run.send(sync, rising(60))
    assert sync.error().code == -signal.SIGKILL  # they had gone ahead
    gone(run.project)
    sync = run.start(AHEAD)
    run.send(sync, rising(60))
    sync.error().failed("broken")
    gone(run.project)


def test_an_error_leaves_what_the_checkpoint_covers(run):
    sync = run.start(AHEAD)
    run.send(sync, rising(30) + [MARK] + rising(30, 30, late=1.5))
    sync.error().failed("broken")
    run.note(rising(30))
    run.check()
    assert "late" not in run.project.columns("t")
    assert run.project.state() == '{"n": 30}'


@pytest.mark.parametrize("how", ["gone", "killed"])
def test_a_connector_or_engine_that_dies(run, how):
    sync = run.start({**AHEAD, **({"SL_FAULT": "ahead_applied:4=kill"} if how == "killed" else {})})
    run.send(sync, rising(60))
    sync.flush()
    result = sync.close()
    assert result.code == (1 if how == "gone" else -signal.SIGKILL)
    gone(run.project)
    run.whole(rising(60))
    run.check()


def test_stopped_by_the_user(run):
    sync = run.start(AHEAD)
    run.send(sync, rising(60))
    sync.flush()
    sync.interrupt()
    assert sync.wait_for(peer.STOP)
    assert sync.error(type="SyncCancelled").code == 130
    gone(run.project)


def test_a_transaction_does_not_stay_open_for_long(run):
    env = {**AHEAD, "SL_AHEAD_US": 1}
    assert run.killed_at("ahead_dropped", rising(60), env)
    run.whole(rising(60), env)
    run.check()


@pytest.mark.parametrize("plan", ["begin_ahead:1=fatal", "evolve:1=fatal", "apply:1=retry", "apply:3=fatal"])  # fmt: skip
def test_a_failure_on_the_way_only_means_the_ordinary_way(run, plan):
    run.whole(rising(60), {**AHEAD, "SL_DESTINATION": "chaos", "SL_CHAOS": plan})
    run.check()


@pytest.mark.parametrize("how", ["retry", "lost", "kept"])
def test_a_commit_that_is_not_clear(run, how):
    """retry, lost: all of it is done again, in the ordinary way."""
    run.whole(mixed(rising(60), rising(60, table="u")),
              {**AHEAD, "SL_DESTINATION": "chaos", "SL_CHAOS": "commit:1=" + how})  # fmt: skip
    run.check()


@pytest.mark.parametrize("how", ["eio", "enospc", "oom"])
@pytest.mark.parametrize("point", ["ahead_begun", "ahead_applied:1", "ahead_applied:3"])
def test_a_fault_on_the_way_costs_nothing(run, point, how):
    run.whole(rising(60), {**AHEAD, "SL_FAULT": "%s=%s" % (point, how)})
    run.check()


# ---- at random

VARIANTS = {
    "one commit": {"SL_AHEAD_BYTES": 300},
    "in turn": AHEAD,
    "a commit each checkpoint": {**AHEAD, "SL_COMMIT_BYTES": 1},
    "spilling": {"SL_AHEAD_BYTES": 900, "SL_BUFFER_BYTES": 2000, "SL_COMMIT_BYTES": 4000},
    "in slices": {**AHEAD, "SL_SLICE_BYTES": 3000, "SL_BUFFER_BYTES": 1000},
    "in slices, nothing ahead": {**NEVER, "SL_SLICE_BYTES": 3000},
}


def tale(r, name):
    """Rows of a new table, with or without something that contradicts them."""
    odd = [] if r.random() < 0.5 else [r.randrange(5, 60)]
    for i in range(r.randrange(1, 80)):
        row = {"id": 3 * i, "n": i, "s": "long " * r.randrange(9)}
        if r.random() < 0.1:
            del row[r.choice("ns")]
        yield "upsert", name, row
        if i in odd:
            yield r.choice(
                [
                    ("upsert", name, {"id": 3 * i + 1, "n": i + 0.5}),
                    ("upsert", name, {"id": 3 * i + 1, "n": "text"}),
                    ("upsert", name, {"id": 3 * i + 1, "new": True}),
                    ("upsert", name, {"id": 3 * r.randrange(i + 1), "n": -1}),
                    ("update", name, {"id": 3 * r.randrange(i + 1), "n": -1}),
                    ("delete", name, {"id": 3 * r.randrange(i + 1)}),
                    ("truncate", name, None),
                ]
            )


def weave(r, tales):
    """Some tables by turns, some after one another, a checkpoint now and then."""
    while tales:
        teller = r.choice(tales[:2])
        for operation in itertools.islice(teller, r.randrange(1, 30)):
            yield operation
        if r.random() < 0.1:
            yield MARK
        if next(teller, None) is None:  # one row is lost: nobody has seen it
            tales.remove(teller)


@pytest.mark.parametrize("variant", VARIANTS)
def test_random_tales_are_the_model(knobs, variant, request):
    seed = peer.seed_of(20261125 + list(VARIANTS).index(variant))
    r = random.Random(seed)
    run = Run(knobs)
    for n in range(6):
        # Some of them are there from the syncs before.
        names = r.sample(["table_%s" % c for c in "uvwxyz"], r.randrange(1, 5))
        run.schema = [peer.table(n, ["id"]) for n in names]
        operations = list(weave(r, [tale(r, n) for n in names]))
        sync = run.start(VARIANTS[variant])
        run.send(sync, operations)
        sync.done().ok()
        run.note(operations)
        run.check("sync %d; %s\n" % (n, peer.rerun(request.node.nodeid, seed)))
