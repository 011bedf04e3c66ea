"""Every widening of a column's type, with values stored before it."""

import itertools

import pytest
from lattice import DECLARED, KINDS, declared, joined, stored
from peer import table
from warehouse import plain

PAIRS = list(itertools.product(KINDS, repeat=2))


def rows_of(half):
    """All pairs, a column each: rows 0 and 1 have the first kind, 2 and 3 the second."""
    return [
        {"id": half * 2 + n, **{"c%03dx" % i: KINDS[p[half]][n] for i, p in enumerate(PAIRS)}}
        for n in range(2)
    ]


def kept(pro, value, case="text-nul"):
    return pro.to.keep(case, value) if type(value) is str else value


def check(pro, name, split):
    """split: the values of the first kind were committed before the second kind came."""
    have, found = pro.columns(name), pro.by("id", name)
    wrong = []
    for i, (a, b) in enumerate(PAIRS):
        column = "c_%03d_x" % i
        want = joined(a, b)
        native = want and pro.to.native(want)
        if have.get(column) != native:
            wrong.append("%s + %s: %s, not %s" % (a, b, have.get(column), native))
            continue
        if want is None:
            continue
        for half, kind in enumerate((a, b)):
            for n, value in enumerate(KINDS[kind]):
                if split and half == 0 and value is not None and joined(a, a) == "STRING":
                    value = stored(value, "STRING")  # it was text before it was anything else
                got, expected = found[half * 2 + n][column], stored(value, want)
                if plain(got) != plain(expected):
                    wrong.append("%s + %s in %s: %r, not %r" % (a, b, want, got, expected))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("way", ["one batch", "two commits", "two syncs", "update"])
def test_every_pair_of_kinds(pro, way):
    """Each kind of value after each other kind in one column: the type is the join, and no value is lost."""
    schema = [table("t", ["id"])]
    s = pro.sync(schema=schema)
    for row in rows_of(0):
        s.upsert("t", row)
    if way == "two commits":
        s.checkpoint({"half": 1}, durable=True)
    if way == "two syncs":
        s.done().ok()
        s = pro.sync(schema=schema)
    if way == "update":  # the rows are there, of the column's own type at most
        for n in (2, 3):
            s.upsert("t", {"id": n})
        s.done().ok()
        s = pro.sync(schema=schema)
    for row in rows_of(1):
        (s.update if way == "update" else s.upsert)("t", row)
    s.done().ok()
    check(pro, "t", split=way != "one batch")


def settled(pro, now):
    """Our name of a native type: the first that has it, XML being text."""
    kinds = [*(k for k in pro.to.types if k not in ("XML", "DECIMAL")), "DECIMAL(5,2)",
             *("DECIMAL(38,%d)" % s for s in (0, 2, 6, 10, 18))]  # fmt: skip
    return next(k for k in kinds if pro.to.native(k) == now)


def test_declaring_other_types_later(pro):
    """A column declared with each type after each other type keeps its values, as themselves or as their text."""
    kinds = list(DECLARED)
    columns = [(a, b) for a in kinds for b in kinds]
    s = pro.sync(
        schema=[table("t", ["id"], {"c%dx" % i: declared(a) for i, (a, _) in enumerate(columns)})]
    )
    for n in range(2):
        s.upsert(
            "t", {"id": n, **{"c%dx" % i: DECLARED[a][0][n] for i, (a, _) in enumerate(columns)}}
        )
    s.done().ok()
    # What the SDK sends under the new declaration: cells of the new type.
    s = pro.sync(
        schema=[table("t", ["id"], {"c%dx" % i: declared(b) for i, (_, b) in enumerate(columns)})]
    )
    s.upsert("t", {"id": 2, **{"c%dx" % i: DECLARED[b][0][0] for i, (_, b) in enumerate(columns)}})
    s.done().ok()
    have, found = pro.columns("t"), pro.by("id", "t")
    wrong = []
    for i, (a, b) in enumerate(columns):
        now = settled(pro, have["c_%d_x" % i])
        values = [*DECLARED[a][0][:2], DECLARED[b][0][0]]
        for n, value in enumerate(values):
            got, want = found[n]["c_%d_x" % i], stored(kept(pro, value), now)
            if plain(got) != plain(want):
                wrong.append("%s, then %s: %s %r, not %r" % (a, b, now, got, want))
        if a == b and pro.to.native(now) != pro.to.native("DECIMAL(5,2)" if a == "DECIMAL" else a):
            wrong.append("%s does not stay itself: %s" % (a, now))
    assert not wrong, "\n".join(wrong)


def test_columns_no_longer_declared(pro):
    """A column whose declaration ended widens like others."""
    columns = [(k, n) for k in DECLARED for n in KINDS]
    s = pro.sync(
        schema=[table("t", ["id"], {"c%dx" % i: declared(k) for i, (k, _) in enumerate(columns)})]
    )
    for n in range(2):
        s.upsert(
            "t", {"id": n, **{"c%dx" % i: DECLARED[k][0][n] for i, (k, _) in enumerate(columns)}}
        )
    s.done().ok()
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", {"id": 2, **{"c%dx" % i: KINDS[n][0] for i, (_, n) in enumerate(columns)}})
    s.done().ok()
    have, found = pro.columns("t"), pro.by("id", "t")
    wrong = []
    for i, (k, kind) in enumerate(columns):
        now = settled(pro, have["c_%d_x" % i])
        for n, value in enumerate([*DECLARED[k][0][:2], KINDS[kind][0]]):
            got, want = found[n]["c_%d_x" % i], stored(kept(pro, value), now)
            if plain(got) != plain(want):
                wrong.append("%s, then a %s: %s %r, not %r" % (k, kind, now, got, want))
    assert not wrong, "\n".join(wrong)


def test_keys_widen_and_rows_meet(pro):
    """A key column that meets another type widens, and rows are found by the wider type: in one batch and in the next."""
    schema = [table("t", ["id"])]
    s = pro.sync(schema=schema)
    for i in range(3):
        s.upsert("t", {"id": i, "v": "first"})
    s.done().ok()
    s = pro.sync(schema=schema)
    s.upsert("t", {"id": "1", "v": "text"})
    s.upsert("t", {"id": 2, "v": "again"})
    s.delete("t", {"id": "2"})
    s.done().ok()
    s = pro.sync(schema=schema)
    s.upsert("t", {"id": 0, "v": "number"})
    s.done().ok()
    assert pro.columns("t")["id"] == pro.to.native("STRING")
    assert pro.rows("t", "id", "v", "_fivetran_deleted") == [("0", "number", False), ("1", "text", False), ("2", "again", True)]  # fmt: skip
