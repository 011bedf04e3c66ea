"""Random operation streams against the model (test_fold.py; tests/conformance).

A stream is the sequence of operations of one sync on one group of keys of one table (keys of several groups never meet; a truncate
hits them all). Each table keeps its rows from sync to sync, so most streams begin with rows that are there.
"""

import json
import random

import peer

from model import Table

TABLES = 16
GROUPS = 12

KINDS = {
    # name: (key columns, values a key column may have)
    "one": (["id"], [[1, 2, 3, 4, None]]),
    "text": (["id"], [["a", "b", "ä", "", None]]),
    "wide": (["id"], [[1, "1", 2, "2", None]]),  # widens to text: 1 and "1" are one key
    "two": (["a", "b"], [[1, 2, None], ["x", "y", None]]),
    "real": (["id"], [[0.0, -0.0, 1.5, 2.5, None]]),
}
VALUES = {
    "n": [0, 1, 2, None],
    "s": ["", "x", "long " * 40, None],
    "j": [peer.Json('{"a":1,"b":[2]}'), peer.Json('{"b":[2],"a":1}'), peer.Json("[]"), None],
    "d": [0.5, float("nan"), float("inf"), None],
}


def identity(value):
    """1 is "1" once its column is text, -0.0 is 0.0."""
    return (
        None if value is None else 0.0 if value == 0.0 and isinstance(value, float) else str(value)
    )


class Stream:
    """One table: its model, and a source of operations."""

    def __init__(self, name, kind):
        self.name = name
        self.key, self.domain = KINDS[kind]
        self.model = Table(["g", *self.key], identity)
        self.synced = {}
        self.lowest = 0

    def random_key(self, r):
        return {
            "g": self.lowest + r.randrange(GROUPS),
            **{k: r.choice(d) for k, d in zip(self.key, self.domain)},
        }

    def random_row(self, r):
        row = self.random_key(r)
        for column, values in VALUES.items():
            if r.random() < 0.7:
                row[column] = r.choice(values)
        if r.random() < 0.05:
            row[r.choice(list(VALUES))] = peer.GONE
        if r.random() < 0.1:  # another order of columns, another shape
            row = dict(sorted(row.items(), reverse=True))
        return row

    def step(self, r, sync):
        what = r.choices(["upsert", "update", "delete", "truncate"], [50, 30, 19, 1])[0]
        if what == "truncate":
            sync.truncate(self.name)
            self.model.truncate()
            return
        row = self.random_key(r) if what == "delete" else self.random_row(r)
        if (
            what == "upsert"
            and row.get("id", 0) is None
            and r.random() < 0.5
            and len(self.key) == 1
        ):
            del row["id"]  # a key column that is absent is NULL
        getattr(sync, what)(self.name, row)
        getattr(self.model, what)({k: v for k, v in row.items() if v is not peer.GONE})

    def compare(self, project, exact, context):
        """Cells and _fivetran_synced against the model."""
        found = {}
        for row in project.cells(self.name):
            k = self.model.of(row)
            assert k not in found, f"{context}: key {k} is there twice"
            found[k] = (row, row["_fivetran_deleted"], row["_fivetran_synced"])
        assert set(found) == set(self.model.rows), f"{context}: keys"
        for k, want in self.model.rows.items():
            row, deleted, synced = found[k]
            assert deleted == want.deleted, f"{context}: key {k}: _fivetran_deleted is {deleted}"
            for column in VALUES:
                expected, got = want.values.get(column), row.get(column)
                if column == "j" and expected is not None and got is not None:
                    expected, got = json.loads(expected), json.loads(got)
                assert got == expected or got != got and expected != expected, (
                    f"{context}: key {k}, {column}: {got!r}, not {expected!r}"
                )
            if k in self.synced:
                changed = k in self.changed
                if (
                    exact
                    or (changed and not want.same(self.first.get(k)))
                    or (k not in self.touched and not self.truncated)
                ):
                    assert (synced != self.synced[k]) == changed, (
                        f"{context}: key {k}: changed {changed}, synced {synced - self.synced[k]} later"
                    )
            self.synced[k] = synced

    def start_sync(self, r):
        self.lowest += r.choice([0, 3])  # now and then keys beyond the largest: they are not joined
        self.changed, self.touched, self.truncated = set(), set(), False
        self.model.begin()
        self.first = self.model.before

    def end_transaction(self, totals):
        self.changed |= self.model.changes()
        self.touched |= self.model.touched
        self.truncated |= self.model.truncated
        for name, n in self.model.counts().items():
            totals[name] += n
        self.model.begin()


def run(project, seed, syncs, env, each, whole, node, tables=TABLES):
    """Syncs of random operations, each compared with the model. each: a commit at every checkpoint; whole: commits are applied in
    one piece, so that the counts are the model's too. Returns the number of streams."""
    r = random.Random(seed)
    streams = [Stream("t_" + chr(ord("a") + i), r.choice(list(KINDS))) for i in range(tables)]
    schema = [peer.table(s.name, ["g", *s.key]) for s in streams]
    for number in range(syncs):
        context = f"sync {number}; {peer.rerun(node, seed)}\n"
        totals = dict.fromkeys(("inserted", "updated", "deleted", "unchanged", "rest"), 0)
        for s in streams:
            s.start_sync(r)
        with_sync = project.sync(schema=schema, env=env)
        for part in range(r.randrange(1, 4)):
            if part:
                with_sync.checkpoint({"sync": number, "part": part})
                if each:
                    for s in streams:
                        s.end_transaction(totals)
            for s in streams:
                for _ in range(r.randrange(0, 3 * GROUPS)):
                    s.step(r, with_sync)
        for s in streams:
            s.end_transaction(totals)
        result = with_sync.done().ok()
        for s in streams:
            s.compare(project, whole, context + s.name)
        got = dict(result.rows)
        got["rest"] = got.pop("folded") + got.pop("missed")
        if whole:
            assert got == totals, context
        calls = sum(with_sync.counts[:3])
        assert result.called("Upserts") == with_sync.counts[0], context
        assert (
            calls
            == got["inserted"] + got["updated"] + got["unchanged"] + got["deleted"] + got["rest"]
            or with_sync.counts[3]
        ), context
    return syncs * tables * GROUPS
