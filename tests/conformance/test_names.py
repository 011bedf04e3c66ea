"""Names of schemas, tables and columns: kept apart, quoted, shortened, and the same again in the next sync."""

import re

import pytest
from peer import table, twice
from warehouse import SYSTEM

SUFFIX = re.compile(r"_[0-9a-f]{6}$")
NASTY = ["select", "order", "user", "table", "null", "true", "rowid", "ctid", "xmin", "oid", "tableoid", "_rowid_", "group", "end",
         'quo"te', "apos'trophe", "back\\slash", "back`tick", "semi; DROP TABLE t; --", "new\nline", "tab\there", " ", "  lead", "*", "1",
         "1st", "$1", "%s", "?", ":x", "@v", "[x]", "{y}", "a.b", "a/b", "a-b", "é", "E\u0301", "日本", "имя", "اسم", "ß", "😀", "\u202eltr",
         "İ", "ı", "_", "__", "_fivetran_batch", "id_", "PRIMARY"]  # fmt: skip


def cells(pro, name, schema="tester"):
    """Values of the only row, without our columns and the key."""
    (row,) = pro.cells(name, schema)
    return [v for c, v in row.items() if c not in (*SYSTEM, "id")]


@pytest.mark.parametrize("naming", [None, "SOURCE"])
def test_words_and_signs(pro, naming):
    """Reserved words, quotes, signs, blanks and letters of any script: as columns, as tables, as key columns."""
    pro.naming = naming
    nasty = [n for n in NASTY if len(n.encode()) <= pro.to.name_max]
    schema = [table("columns", ["id"]), *(table(n, [n]) for n in nasty)]

    def send(s):
        s.upsert("columns", {"id": 0, **{n: "value of " + n for n in nasty}})
        for n in nasty:
            s.upsert(n, {n: "key of " + n, "v": n})

    twice(pro, send, schema)
    (row,) = pro.cells("columns")
    kept = [v for v in row.values() if isinstance(v, str)]
    assert sorted(kept) == sorted("value of " + n for n in nasty)
    if naming:
        assert all(
            v == "value of " + c
            for c, v in row.items()
            if isinstance(v, str) and not SUFFIX.search(c)
        )
    names = [t for s, t in pro.tables() if (s, t) != ("tester", "columns")]
    assert len(names) == len(nasty)
    found = sorted(tuple(cells(pro, t)) for t in names)
    assert found == sorted(("key of " + n, n) for n in nasty)


@pytest.mark.parametrize("naming", [None, "SOURCE"])
def test_names_that_become_one(pro, naming):
    """Names that differ in case or punctuation only stay apart: columns, tables, schemas."""
    pro.naming = naming
    spelled = ["userId", "user_id", "USER-ID", "user.id", "UserId", "USERID"]
    schemas = [None, "Sales EU", "sales_eu", "Sales", "sales", "SALES"]
    schema = [table("columns", ["id"]), *(table(n, ["id"]) for n in spelled), *(table("t", ["id"], schema=x) for x in schemas)]  # fmt: skip

    def send(s):
        s.upsert("columns", {"id": 0, **{n: n for n in spelled}})
        for n in spelled:
            s.upsert(n, {"id": 0, "v": n})
        for x in schemas:
            s.upsert("t", {"id": 0, "v": str(x)}, schema=x)

    twice(pro, send, schema)
    have = list(pro.columns("columns"))
    assert len({c.lower() for c in have}) == len(spelled) + 1
    assert sorted(cells(pro, "columns")) == sorted(spelled)
    found = [(s, t) for s, t in pro.tables() if (s, t) != ("tester", "columns")]
    assert len({(s.lower(), t.lower()) for s, t in found}) == len(spelled) + len(schemas)
    assert sorted(cells(pro, t, s)[0] for s, t in found) == sorted([*spelled, *map(str, schemas)])
    assert ("tester_Sales" if naming else "tester_sales", "t") in found
    # Whatever comes first in a later sync.
    s = pro.sync(schema=schema)
    s.upsert("columns", {"id": 0, **{n: n for n in reversed(spelled)}})
    for n in reversed(spelled):
        s.upsert(n, {"v": n, "id": 0})
    rows = s.done().ok().rows
    assert (rows["unchanged"], rows["updated"]) == (len(spelled) + 1, 0)
    assert list(pro.columns("columns")) == have


@pytest.mark.parametrize("naming", [None, "SOURCE"])
def test_long_names(pro, naming):
    """Names longer than the warehouse takes are cut, never within a character, and stay apart."""
    pro.naming = naming
    most = pro.to.name_max
    stem = "l" * (most - 2)
    long = ["a" * most, "b" * (most + 1), "c" * 1000, "é" * most, "日" * (most // 3) + "x", stem + "日本", stem + "日韓",
            "x" * (most + 5) + "1", "x" * (most + 5) + "2", "y" * (most - 7) + "_0a1b2c3"]  # fmt: skip

    def send(s):
        s.upsert("columns", {"id": 1, **{n: n for n in long}})
        for n in long:
            s.upsert(n, {"id": 1, "v": n}, schema="s" * most)

    schema = [table("columns", ["id"]), *(table(n, ["id"], schema="s" * most) for n in long)]
    twice(pro, send, schema)
    assert sorted(cells(pro, "columns")) == sorted(long)
    found = [(s, t) for s, t in pro.tables() if s != "tester"]
    assert len({s for s, _ in found}) == 1 and len(found) == len(long)
    for name in [*pro.columns("columns"), *(x for place in found for x in place)]:
        assert len(name.encode()) <= most, name
    assert sorted(cells(pro, t, s)[0] for s, t in found) == sorted(long)


def test_names_of_ours_in_the_data(pro):
    """Columns of the author's that are called like ours get other names, with a key and without one; one without a name gets one."""
    row = {
        "_fivetran_id": "mine",
        "_fivetran_synced": "then",
        "_fivetran_deleted": "no",
        "": "nameless",
    }
    twice(
        pro,
        lambda s: [s.upsert("keyed", {"id": 1, **row}), s.upsert("keyless", {"id": 1, **row})],
        [table("keyed", ["id"])],
    )
    for name in ("keyed", "keyless"):
        (found,) = pro.cells(name)
        assert sorted(v for c, v in found.items() if SUFFIX.search(c)) == ["mine", "no", "then"], (
            name
        )
        assert found["_"] == "nameless" and found["_fivetran_deleted"] is False
    assert re.fullmatch("[0-9a-f]{32}", found["_fivetran_id"])


def test_a_table_of_another_maker(pro):
    """A table that is not ours is not touched; one of ours that was dropped is made again."""
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", {"id": 1, "v": 1.5})
    s.done().ok()
    pro.to.execute("CREATE TABLE tester.theirs(answer INTEGER)")
    pro.to.execute("INSERT INTO tester.theirs VALUES (42)")
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("theirs", {"id": 1})
    s.done().failed("tester.theirs")
    assert pro.cells("theirs") == [{"answer": 42}]
    pro.to.execute("DROP TABLE tester.t")
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", {"id": 1, "v": 1.5})
    s.done().ok()
    assert pro.rows("t") == [(1, 1.5, False)]
