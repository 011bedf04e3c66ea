"""Values of every type come back as they went, on every way a row takes."""

import decimal
import math
import re

import lattice
import pytest
import values
from peer import GONE, table
from warehouse import plain, short

WAYS = ("loaded", "merged", "patched")


def declaration(kind):
    base, _, numbers = kind.partition("(")
    return (base, *(int(n) for n in numbers[:-1].split(","))) if numbers else base


def tables_of(cases):
    """Declared and inferred tables, one per way."""
    declared = {values.column(k): declaration(c.declared) for k, c in cases.items() if c.declared}
    return [
        table("%s_%s" % (how, way), ["id"], declared if how == "declared" else {})
        for how in ("declared", "inferred")
        for way in WAYS
    ]


def row(how, cases, i):
    return {
        values.column(k): c.values[i]
        for k, c in cases.items()
        if getattr(c, how) and i < len(c.values)
    }


def send(s, cases, name, what):
    how = name.split("_")[0]
    for i in range(values.length(cases)):
        getattr(s, what)(name, {"id": i, **row(how, cases, i)})


def check(pro, cases, name):
    how = name.split("_")[0]
    have = pro.columns(name)
    found = pro.by("id", name)
    wrong = []
    assert sorted(found) == list(range(values.length(cases)))
    for key, case in cases.items():
        kind, column = getattr(case, how), values.column(key)
        if not kind:
            continue
        if have[column] != pro.to.native(kind):
            wrong.append("%s: %s is %s, not %s" % (key, column, have[column], pro.to.native(kind)))
        for i, found_row in found.items():
            want = pro.to.keep(key, case.values[i]) if i < len(case.values) else None
            if plain(found_row[column]) != plain(want):
                wrong.append("%s[%d]: %s, not %s" % (key, i, short(found_row[column]), short(want)))
    assert not wrong, "%s:\n%s" % (name, "\n".join(wrong))


def supported(pro, cases):
    return {k: c for k, c in cases.items() if k not in pro.to.differs or pro.to.differs[k].stored}


def test_values(pro):
    """Rows of a first load, rows merged over others, and columns updated hold every value; the same again changes nothing."""
    cases = supported(pro, values.SMALL)
    schema = tables_of(cases)
    s = pro.sync(schema=schema)
    for how in ("declared", "inferred"):
        send(s, cases, how + "_loaded", "upsert")
        for i in range(values.length(cases)):
            for way in ("merged", "patched"):
                s.upsert("%s_%s" % (how, way), {"id": i, "before": i})
    s.done().ok()
    s = pro.sync(schema=schema)
    for how in ("declared", "inferred"):
        send(s, cases, how + "_merged", "upsert")
        send(s, cases, how + "_patched", "update")
    s.done().ok()
    names = [t["table"] for t in schema]
    for name in names:
        check(pro, cases, name)
    before = {name: pro.synced(name) for name in names}
    s = pro.sync(schema=schema)
    for name in names:
        send(s, cases, name, "update" if "patched" in name else "upsert")
    rows = s.done().ok().rows
    for name in names:
        assert pro.synced(name) == before[name], name
    assert rows["unchanged"] == len(names) * values.length(cases)
    assert rows["updated"] == rows["inserted"] == 0


def test_null_everywhere(pro):
    """A NULL and a column that was not given are NULL in a column of every type, and replace what was there."""
    cases = supported(pro, values.SMALL)
    schema = [t for t in tables_of(cases) if t["table"] == "declared_loaded"]
    empty = {values.column(k): None for k, c in cases.items() if c.declared}
    s = pro.sync(schema=schema)
    for i, cells in enumerate(
        [empty, {}, row("declared", cases, 0), row("declared", cases, 0), row("declared", cases, 0)]
    ):
        s.upsert("declared_loaded", {"id": i, **cells})  # fmt: skip
    s.done().ok()
    s = pro.sync(schema=schema)
    s.upsert("declared_loaded", {"id": 2, **empty})
    s.upsert("declared_loaded", {"id": 3, **{c: GONE for c in empty}})
    s.update("declared_loaded", {"id": 4, **empty})
    s.done().ok()
    found = pro.by("id", "declared_loaded")
    for i in range(5):
        assert {c: found[i][c] for c in empty} == empty, i


@pytest.mark.parametrize("case", ["text-nul", "json-nul"])
def test_what_is_changed_is_told(pro, case):
    """A value that the warehouse cannot take as it is: never changed without being counted."""
    one = values.CASES[case]
    s = pro.sync(schema=[table("t", ["id"])])
    for i, value in enumerate(one.values):
        s.upsert("t", {"id": i, "v": value})
    out = s.done().ok().out
    found = pro.by("id", "t")
    changed = sum(plain(found[i]["v"]) != plain(v) for i, v in enumerate(one.values))
    assert changed == (len(one.values) if case in pro.to.differs else 0)
    told = re.search(r"(\d+) values? replaced", out)
    assert int(told.group(1) if told else 0) == changed, out


def test_json_is_kept_as_written(pro):
    """JSON reads back with its spaces, the order of its members and its spelling of numbers and characters."""
    written = ['{"b": 1, "a" :2}', "1.50", "1e2", '"\\u00e9"', '{"a":1,"a":2}']
    s = pro.sync(schema=[table("t", ["id"], {"j": "JSON"})])
    for i, text in enumerate(written):
        s.upsert("t", {"id": i, "j": values.Json(text)})
    s.done().ok()
    assert [str(v) for _, v in pro.rows("t", "id", "j")] == written


@pytest.mark.parametrize("case", values.LARGE)
def test_large_values(pro, case):
    """Values of 16 MB, loaded and merged."""
    difference = pro.to.differs.get(case)
    if difference and not difference.stored:
        pytest.skip("%s: %s" % (pro.to.title, difference.words))
    one = values.CASES[case]
    schema = [table("t", ["id"], {"v": one.declared})]
    for first in (0, 100):
        s = pro.sync(schema=schema)
        for i, value in enumerate(one.values):
            s.upsert("t", {"id": first + i, "v": value})
        if first:
            s.upsert("t", {"id": 0, "v": one.values[-1]})
        s.done().ok()
    want = {first + i: v for first in (0, 100) for i, v in enumerate(one.values)}
    want[0] = one.values[-1]
    found = pro.by("id", "t")
    assert sorted(found) == sorted(want)
    for i, value in want.items():
        assert plain(found[i]["v"]) == plain(pro.to.keep(case, value)), (i, short(found[i]["v"]))


@pytest.mark.parametrize("wide,meets", [("STRING", "text"), ("JSON", values.Json('{"a":1}'))])
def test_every_type_becomes_text_or_json(pro, wide, meets):
    """Stored values of every type have our text form, the same everywhere, once their column widens to STRING or JSON."""
    cases = {
        k: c for k, c in supported(pro, values.SMALL).items()
        if c.declared and not c.declared.startswith("JSON")
        and (wide == "JSON" or not c.declared.startswith(("STRING", "XML")))
    }  # fmt: skip
    schema = [t for t in tables_of(cases) if t["table"] == "declared_loaded"]
    s = pro.sync(schema=schema)
    send(s, cases, "declared_loaded", "upsert")
    s.done().ok()
    s = pro.sync(schema=[table("declared_loaded", ["id"])])
    s.upsert("declared_loaded", {"id": -1, **{values.column(k): meets for k in cases}})
    s.done().ok()
    have, found = pro.columns("declared_loaded"), pro.by("id", "declared_loaded")
    wrong = []
    for key, case in cases.items():
        column = values.column(key)
        if have[column] != pro.to.native(wide):
            wrong.append("%s: %s" % (key, have[column]))
        for i, value in enumerate(case.values):
            want = converted(pro.to.keep(key, value), wide)
            if plain(found[i][column]) != plain(want):
                wrong.append("%s[%d]: %r, not %r" % (key, i, found[i][column], want))
        assert plain(found[-1][column]) == plain(meets)
    assert not wrong, "\n".join(wrong)


def converted(value, wide):
    if isinstance(value, decimal.Decimal) and not value:
        value = value.copy_abs()  # a decimal -0 is 0 once it is stored
    if wide == "JSON" and isinstance(value, float) and not math.isfinite(value):
        return values.Json("null")
    return lattice.stored(value, wide)
