"""Every operation in every order, against the model of tests/engine/model.py."""

import itertools
import os

import peer
import pytest
import streams
from peer import table
from warehouse import plain

from model import Table

TRIALS = int(os.environ.get("SLUICE_TRIALS", "0"))

VARIANTS = {
    # name: (environment, a commit at every checkpoint, applied whole)
    "one-commit": ({}, False, True),
    "commit-each-checkpoint": ({"SL_COMMIT_BYTES": 1}, True, True),
    "slices": ({"SL_SLICE_BYTES": 4000, "SL_BUFFER_BYTES": 900, "SL_COMMIT_BYTES": 1}, True, False),
}


@pytest.mark.once
@pytest.mark.parametrize("variant", VARIANTS)
def test_random_streams(knobs, variant, request):
    """Random operations on keys of several types, NULL among them; counts, `_fivetran_deleted` and `_fivetran_synced` are the model's."""
    env, each, whole = VARIANTS[variant]
    seed = peer.seed_of(20261125 + list(VARIANTS).index(variant))
    syncs, tables = (max(8, TRIALS // 10), streams.TABLES) if TRIALS else (3, 6)
    streams.run(knobs, seed, syncs, env, each, whole, request.node.nodeid, tables)


OPERATIONS = {
    "upsert": ("upsert", {"a": 1, "b": "x"}),
    "less": ("upsert", {"a": 2}),
    "update": ("update", {"b": "y"}),
    "nothing": ("update", {}),
    "delete": ("delete", {}),
    "truncate": ("truncate", None),
    "checkpoint": ("checkpoint", None),
}


BEFORE = ("absent", "there", "deleted")
KEYS = {"key": ("id",), "composite": ("region", "id")}


class Orders:
    """All orders of three operations that truncate at the same steps: one table, a row per order and per what was there before."""

    def __init__(self, truncates, commit, kind):
        self.name = "t_%s_%s" % (kind, "".join("nt"[t] for t in truncates))
        self.truncates = truncates
        self.key = KEYS[kind]
        rest = [
            o
            for o in itertools.product(OPERATIONS, repeat=3)
            if tuple(x == "truncate" for x in o) == truncates
            and ("checkpoint" in o) == commit
            and "checkpoint" not in (o[0], o[2])
        ]
        self.rows = list(itertools.product(BEFORE, rest))
        self.model = Table(self.key)
        self.schema = table(self.name, self.key, {"a": "LONG", "b": "STRING"})

    def run(self, sync, what, i, values):
        row = {**dict.fromkeys(self.key, i), **values}
        getattr(sync, what)(self.name, row)
        getattr(self.model, what)(row)

    def prepare(self, sync):
        for i, (before, _) in enumerate(self.rows):
            if before != "absent":
                self.run(sync, "upsert", i, {"a": 0, "b": "before"})
            if before == "deleted":
                self.run(sync, "delete", i, {})

    def step(self, sync, number):
        if self.truncates[number]:
            sync.truncate(self.name)
            self.model.truncate()
        for i, (_, order) in enumerate(self.rows):
            what, values = OPERATIONS[order[number]]
            if values is not None:
                self.run(sync, what, i, values)

    def wrong(self, project):
        want = {
            k: (r.values.get("a"), r.values.get("b"), r.deleted) for k, r in self.model.rows.items()
        }
        got = {}
        for r in project.cells(self.name):
            k = tuple(r[c] for c in self.key)
            assert k not in got, "%s: %r is there twice" % (self.name, k)
            got[k] = (r["a"], r["b"], r["_fivetran_deleted"])
        for k in sorted(set(want) | set(got)):
            if want.get(k) != got.get(k):
                yield "%s %s: %r, not %r" % (self.name, self.rows[k[-1]], got.get(k), want.get(k))


@pytest.mark.parametrize("commit", [False, True], ids=["one-batch", "two-batches"])
def test_every_order(knobs, commit):
    """Every order of three operations on a row that is absent, there or deleted, in one batch and in two, with a plain and a composite key."""
    groups = [
        Orders(truncates, commit, kind)
        for truncates in itertools.product((False, True), repeat=3)
        for kind in KEYS
        if not (commit and truncates[1])
    ]
    schema = [g.schema for g in groups]
    s = knobs.sync(schema=schema)
    for g in groups:
        g.prepare(s)
    s.done().ok()
    s = knobs.sync(schema=schema, env={"SL_COMMIT_BYTES": 1})
    for number in range(3):
        if commit and number == 1:
            s.checkpoint({"at": 1})
        for g in groups:
            g.step(s, number)
    s.done().ok()
    assert sum(len(g.rows) for g in groups) == 2 * 3 * (6 * 6 if commit else 6**3)
    wrong = [w for g in groups for w in g.wrong(knobs)]
    assert not wrong, "\n".join(wrong)


def test_the_same_rows_again(pro):
    """Rows that come again as they are count as unchanged and keep `_fivetran_synced`; a row that differs gets a later one."""
    schema = [table("t", ["id"])]
    rows = [{"id": i, "n": i, "s": None, "j": peer.Json('{"a":%d,"b":[1.0]}' % i), "d": float("nan")} for i in range(50)]  # fmt: skip
    s = pro.sync(schema=schema)
    for row in rows:
        s.upsert("t", row)
    s.done().ok()
    before = pro.synced("t")
    assert len(set(before.values())) == 1
    s = pro.sync(schema=schema)
    for i, row in enumerate(rows):
        again = {**row, "j": peer.Json('{"b": [1.0], "a": %d}' % i)}
        if i == 7:
            again["s"] = ""
        s.upsert("t", again) if i % 2 else s.update("t", again)
    found = s.done().ok().rows
    assert (found["unchanged"], found["updated"]) == (49, 1)
    after = pro.synced("t")
    assert [i for i in before if after[i] != before[i]] == [7] and after[7] > before[7]


JSON_PAIRS = [
    # (before, after, whether the row is unchanged)
    ('{"a":1,"b":[1,{"c":null}]}', ' { "b" : [ 1, {"c":null} ], "a" : 1 } ', True),
    ('"\\u00e9\\/"', '"é/"', True),
    ("[1.50,1e2]", "[1.5,1.0E+2]", True),
    ('{"n":123456789012345678901234567890,"a":1}', '{"a":1,"n":123456789012345678901234567890}', True),
    ("[1,2]", "[2,1]", False),
    ("1", '"1"', False),
    ("null", "{}", False),
    ("[]", "{}", False),
    ('{"a":null}', "{}", False),
    ('"a"', '"A"', False),
    ("0", "false", False),
    ("9007199254740993", "9007199254740992", False),
    ("0.1234567890123456789", "0.1234567890123456788", False),
    ("123456789012345678901234567890", "123456789012345678901234567891", False),
]  # fmt: skip


def test_json_is_compared_by_value(pro):
    """JSON that is spelled in another way is unchanged; any other value is a change, in the last digit too."""
    schema = [table("t", ["id"], {"j": "JSON"})]
    for side in range(2):
        s = pro.sync(schema=schema)
        for i, pair in enumerate(JSON_PAIRS):
            s.upsert("t", {"id": i, "j": peer.Json(pair[side])})
        s.done().ok()
        if side == 0:
            before = pro.synced("t")
    after, found = pro.synced("t"), pro.by("id", "t")
    wrong = [pair for i, pair in enumerate(JSON_PAIRS) if (after[i] == before[i]) != pair[2]]
    wrong += [pair[1] for i, pair in enumerate(JSON_PAIRS) if plain(found[i]["j"]) != plain(peer.Json(pair[1]))]  # fmt: skip
    assert not wrong, "\n".join(map(str, wrong))


def test_soft_delete_and_revive(pro):
    """A delete keeps the row and marks it, an update passes a deleted row by, an upsert revives it with only what it gives."""
    schema = [table("t", ["id"])]
    s = pro.sync(schema=schema)
    for i in range(4):
        s.upsert("t", {"id": i, "v": i, "w": "kept"})
    s.done().ok()
    s = pro.sync(schema=schema)
    for i in (0, 1, 2, 9):
        s.delete("t", {"id": i})
    rows = s.done().ok().rows
    assert (rows["deleted"], rows["missed"]) == (3, 1)
    s = pro.sync(schema=schema)
    s.update("t", {"id": 0, "v": 100})
    s.delete("t", {"id": 0})
    s.upsert("t", {"id": 1, "v": 101})
    s.upsert("t", {"id": 2, "v": 2, "w": "kept"})
    rows = s.done().ok().rows
    assert (rows["updated"], rows["missed"] + rows["folded"]) == (2, 2)
    assert pro.rows("t", "id", "v", "w", "_fivetran_deleted") == [(0, 0, "kept", True), (1, 101, None, False), (2, 2, "kept", False),
                                                                 (3, 3, "kept", False)]  # fmt: skip


def test_truncate(pro):
    """A truncate marks what was there before it, in stream order: rows of this sync, of earlier ones, of an empty and a new table."""
    schema = [table(n, ["id"], {"v": "LONG"}) for n in ("full", "empty")]
    s = pro.sync(schema=schema)
    for i in range(5):
        s.upsert("full", {"id": i, "v": i})
    s.done().ok()
    before = pro.synced("full")
    s = pro.sync(schema=schema)
    s.upsert("full", {"id": 5, "v": 5})
    for n in ("full", "empty", "fresh", "loose"):
        s.truncate(n)
    s.upsert("full", {"id": 1, "v": 1})
    s.upsert("full", {"id": 6, "v": 6})
    s.update("full", {"id": 2, "v": 2})
    s.upsert("fresh", {"id": 1})
    s.done().ok()
    assert pro.rows("full", "id", "v", "_fivetran_deleted") == [(0, 0, True), (1, 1, False), (2, 2, True), (3, 3, True), (4, 4, True),
                                                                (5, 5, True), (6, 6, False)]  # fmt: skip
    assert pro.synced("full")[1] == before[1], "the row came back as it was"
    assert len(pro.cells("fresh")) == 1 and pro.cells("empty") == []


def test_tables_without_a_key(pro):
    """A row is its content: equal ones are one, whatever the order of columns, NULLs and widening; a delete names all of it."""
    row = {
        "n": 1,
        "text": "é",
        "real": 1.5,
        "raw": b"\0",
        "json": peer.Json('{"b":1,"a":2}'),
        "yes": True,
    }
    s = pro.sync(schema=[])
    for r in (row, dict(reversed(row.items())), {**row, "none": None}, {**row, "n": 2}):
        s.upsert("t", r)
    rows = s.done().ok().rows
    assert (rows["inserted"], rows["folded"]) == (2, 2)
    ids = {r["n"]: r["_fivetran_id"] for r in pro.cells("t")}
    s = pro.sync(schema=[])
    s.upsert("t", {"n": 3, "text": 5, "real": "wide", "raw": 1, "json": 1, "yes": 1, "added": 1})
    s.upsert("t", row)
    s.delete("t", {**row, "n": 2})
    s.delete("t", {**row, "n": 4})
    s.update("t", {**row, "text": "no such row"})
    rows = s.done().ok().rows
    assert (rows["inserted"], rows["unchanged"], rows["deleted"], rows["missed"]) == (1, 1, 1, 2)
    found = {r["n"]: (r["_fivetran_id"], r["_fivetran_deleted"]) for r in pro.cells("t")}
    assert found[1] == (ids[1], False) and found[2] == (ids[2], True) and len(found) == 3


def test_null_and_composite_keys(pro):
    """NULL is a key like any other, alone and as part of a composite one; columns of a key may come in any order."""
    schema = [table("one", ["id"]), table("two", ["a", "b"])]
    for turn in range(2):
        s = pro.sync(schema=schema)
        for key in (1, None):
            s.upsert("one", {"id": key, "v": turn} if key or turn else {"v": turn})
        for a, b in [(1, "x"), (1, None), (None, "x"), (None, None)]:
            s.upsert("two", {"b": b, "v": turn, "a": a} if turn else {"a": a, "b": b, "v": turn})
        if turn:
            s.delete("two", {"a": None, "b": "x"})
            s.update("two", {"a": None, "b": None, "w": 5})
        s.done().ok()
    assert set(pro.rows("one", "id", "v")) == {(1, 1), (None, 1)}
    assert set(pro.rows("two", "a", "b", "v", "w", "_fivetran_deleted")) == {
        (1, "x", 1, None, False), (1, None, 1, None, False), (None, "x", 1, None, True), (None, None, 1, 5, False)}  # fmt: skip
