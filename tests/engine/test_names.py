"""Names of tables and columns: renamed, kept apart, and the same again in the next sync."""

import re

import pytest
from peer import table, twice

SUFFIX = re.compile(r"_[0-9a-f]{6}$")


def names(pro, t="t"):
    return list(pro.columns(t))


def test_columns_that_become_one_are_kept_apart(pro):
    row = {"id": 1, "userId": "camel", "user_id": "snake", "USER-ID": "shout", "user.id": "dot"}
    results = twice(pro, lambda s: s.upsert("t", row), [table("t", ["id"])])
    have = names(pro)
    assert (
        have[:2] == ["id", "user_id"] and all(SUFFIX.search(c) for c in have[2:]) and len(have) == 5
    )
    assert sorted(v for c in have[1:] for (v,) in pro.rows("t", '"%s"' % c)) == [
        "camel",
        "dot",
        "shout",
        "snake",
    ]
    assert "its plain name is taken" in results[0].out
    assert "its plain name is taken" not in results[1].out
    # In another order of columns too.
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", dict(reversed(row.items())))
    assert s.done().ok().rows["unchanged"] == 1
    assert names(pro) == have


@pytest.mark.parametrize("naming", [None, "SOURCE"])
def test_columns_that_differ_in_case_only(pro, naming):
    pro.naming = naming
    row = {"id": 1, "Name": "a", "NAME": "b", "name": "c"}
    twice(pro, lambda s: s.upsert("t", row), [table("t", ["id"])])
    have = names(pro)
    assert len({c.lower() for c in have}) == 4
    assert have[1] == ("Name" if naming else "name")
    assert sorted(v for c in have[1:] for (v,) in pro.rows("t", '"%s"' % c)) == ["a", "b", "c"]


@pytest.mark.parametrize("naming", [None, "SOURCE"])
def test_tables_that_become_one_are_kept_apart(pro, naming):
    pro.naming = naming
    spelled = ["Orders", "orders", "ORDERS"]
    results = twice(
        pro,
        lambda s: [s.upsert(n, {"id": i}) for i, n in enumerate(spelled)],
        [table(n, ["id"]) for n in spelled],
    )
    assert len(pro.tables()) == 3
    assert sorted(
        pro.query(f'SELECT id FROM "tester"."{t.split(".")[1]}"')[0] for t in pro.tables()
    ) == [(0,), (1,), (2,)]
    assert results[0].out.count("its plain name is taken") == 2


@pytest.mark.parametrize("naming", [None, "SOURCE"])
def test_schemas(pro, naming):
    pro.naming = naming
    schemas = [None, "Sales EU", "sales_eu", "Sales", "sales", "SALES"]
    twice(
        pro,
        lambda s: [s.upsert("t", {"id": i}, schema=x) for i, x in enumerate(schemas)],
        [table("t", ["id"], schema=x) for x in schemas],
    )
    found = pro.tables()
    assert len({t.lower() for t in found}) == len(schemas), found
    values = sorted(
        pro.query('SELECT id FROM "%s"."%s"' % tuple(t.split(".", 1)))[0] for t in found
    )
    assert values == [(i,) for i in range(len(schemas))]
    assert ("tester_Sales" if naming else "tester_sales") + ".t" in found
    assert ("tester_Sales EU" if naming else "tester_sales_eu") + ".t" in found


def test_system_columns_in_the_data(pro):
    """Their names are ours: the author's columns of these names get others, with a key and without one."""
    row = {"_fivetran_id": "mine", "_fivetran_synced": "then", "_fivetran_deleted": "no"}
    for name, key in (("keyed", ["id"]), ("keyless", [])):
        twice(
            pro,
            lambda s, name=name: s.upsert(name, {"id": 1, **row}),
            [table(name, key)] if key else [],
        )
        have = pro.columns(name)
        mine = [c for c in have if SUFFIX.search(c)]
        assert len(mine) == 3, (name, have)
        assert sorted(pro.rows(name, ", ".join('"%s"' % c for c in mine))[0]) == [
            "mine",
            "no",
            "then",
        ], name
        assert pro.rows(name, "_fivetran_deleted") == [(False,)]
    assert re.fullmatch("[0-9a-f]{32}", pro.rows("keyless", "_fivetran_id")[0][0])


def test_a_column_without_a_name(pro):
    for name, key in (("keyed", ["id"]), ("keyless", [])):
        twice(
            pro,
            lambda s, name=name: s.upsert(name, {"id": 1, "": "kept"}),
            [table(name, key)] if key else [],
        )
        assert pro.rows(name, '"_"') == [("kept",)], name


@pytest.mark.parametrize("naming", [None, "SOURCE"])
def test_words_and_signs_that_sql_knows(pro, naming):
    pro.naming = naming
    nasty = ["select", "order", 'quo"te', "semi; DROP TABLE t; --", "new\nline", "back\\slash", "😀", "日本", "été", "$1", "%s", "a'b", " ",
             "rowid", "table", "*", "1", "\u202eltr", "[x]", "null", "true"]  # fmt: skip
    row = {"id": 0, **{n: n for n in nasty}}
    twice(pro, lambda s: s.upsert("t", row), [table("t", ["id"])])
    have = names(pro)
    assert len(have) == len(nasty) + 1
    got = pro.rows("t", ", ".join('"%s"' % c.replace('"', '""') for c in have[1:]))[0]
    assert sorted(got) == sorted(nasty)
    if naming:
        assert set(have[1:]) == set(nasty)
    # As tables, and as key columns.
    schema = [table(n, [n]) for n in nasty]
    twice(pro, lambda s: [s.upsert(n, {n: "v"}) for n in nasty], schema)
    assert len(pro.tables()) == len(nasty) + 1


@pytest.mark.parametrize("naming", [None, "SOURCE"])
def test_names_longer_than_the_warehouse_takes(pro, naming):
    pro.naming = naming
    long = [c * 300 for c in "abc"] + ["d" * 254 + "é" * 20, "x" * 260 + "1", "x" * 260 + "2"]
    row = {"id": 1, **{n: n[:10] + n[-1] for n in long}}

    def send(s):
        s.upsert("t", row)
        for n in long:
            s.upsert(n, {"id": 1}, schema="s" * 300)

    twice(pro, send, [table("t", ["id"]), *(table(n, ["id"], schema="s" * 300) for n in long)])
    have = names(pro)
    assert len(have) == 7 and all(len(c.encode()) <= 255 and SUFFIX.search(c) for c in have[1:])
    assert sorted(pro.rows("t", ", ".join('"%s"' % c for c in have[1:]))[0]) == sorted(
        list(row.values())[1:]
    )
    places = [t.split(".", 1) for t in pro.tables() if t != "tester.t"]
    assert (
        len(places) == 6
        and len({p[0] for p in places}) == 1
        and all(len(x.encode()) <= 255 for p in places for x in p)
    )


@pytest.mark.parametrize("spelling", ["userId", "USER_ID", "user-id"])
def test_rows_spell_a_declared_column_in_another_way(pro, spelling):
    """schema() says user_id, rows say userId: one column, also in the next sync, also as a key."""
    schema = [table("t", ["user_id"], {"order_id": "LONG"})]
    for turn in range(3):
        s = pro.sync(schema=schema)
        s.upsert(
            "t",
            {
                spelling: 1,
                spelling.replace("ser", "rder")
                .replace("SER", "RDER")
                .replace("u", "o")
                .replace("U", "O"): turn,
            },
        )
        s.done().ok()
    assert names(pro) == ["user_id", "order_id"]
    assert pro.rows("t", "user_id, order_id") == [(1, 2)]


def test_a_table_of_another_maker_is_not_touched(pro):
    import duckdb

    s = pro.sync(schema=[table("t", ["id"])])
    s.done().ok()
    pro.let_go()
    with duckdb.connect(pro.warehouse) as con:
        con.execute("CREATE TABLE tester.theirs AS SELECT 42 AS answer")
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("theirs", {"id": 1})
    s.done().failed("tester.theirs")
    assert pro.query("FROM tester.theirs") == [(42,)]


def test_a_table_the_user_dropped_is_made_again(pro):
    import duckdb

    for _ in range(2):
        s = pro.sync(schema=[table("t", ["id"])])
        s.upsert("t", {"id": 1, "v": 1.5})
        s.done().ok()
        assert pro.rows("t") == [(1, 1.5, False)]
        pro.let_go()
        with duckdb.connect(pro.warehouse) as con:
            con.execute("DROP TABLE tester.t")


@pytest.mark.parametrize(
    "first,then", [(["a"], ["b"]), (["a"], ["a", "b"]), (["a", "b"], ["a"]), ([], ["a"]), (["a"], [])], ids=str
)  # fmt: skip
def test_another_primary_key_is_refused(pro, first, then):
    s = pro.sync(schema=[table("t", first)])
    s.upsert("t", {"a": 1, "b": 2})
    s.done().ok()
    s = pro.sync(schema=[table("t", then)])
    s.finish().failed(
        "primary key of table t changed",
        "it was (%s)" % (", ".join(first) or "none"),
        "now says (%s)" % (", ".join(then) or "none"),
    )
    assert len(pro.rows("t")) == 1
    s = pro.sync(schema=[table("t", first)])
    s.done().ok()


def test_the_order_of_key_columns_does_not_matter(pro):
    for key in (["a", "b"], ["b", "a"]):
        s = pro.sync(schema=[table("t", key)])
        s.upsert("t", {"a": 1, "b": 2})
        s.done().ok()
    assert len(pro.rows("t")) == 1
