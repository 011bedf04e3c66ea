"""Shapes: new columns and tables in later syncs, several schemas, many columns, many tables, large rows."""

from peer import table


def test_new_columns_and_tables_later(pro):
    """Columns and tables that come in a later batch or sync; rows from before have NULL there. A column only ever NULL waits for its type."""
    schema = [table("t", ["id"])]
    s = pro.sync(schema=schema)
    s.upsert("t", {"id": 1, "a": 1, "later": None})
    s.checkpoint({"at": 1}, durable=True)
    s.upsert("t", {"id": 2, "b": "x"})
    s.upsert("second", {"id": 1})
    s.done().ok()
    s = pro.sync(
        schema=[*schema, table("third", ["id"], {"c": "UTC_DATETIME", "only_null": "LONG"})]
    )
    s.upsert("t", {"id": 1, "a": 1, "c": True})
    s.update("t", {"id": 2, "d": 2.5})
    s.upsert("t", {"id": 3, "later": 5})
    result = s.done().ok()
    assert result.called("SchemaChanges") == 1
    columns = ["id", "a", "b", "c", "d", "later"]
    assert pro.rows("t", *columns, "_fivetran_deleted") == [(1, 1, None, True, None, None, False), (2, None, "x", None, 2.5, None, False),
                             (3, None, None, None, None, 5, False)]  # fmt: skip
    assert set(pro.columns("t")) == set(columns)
    assert list(pro.columns("third")) == ["id", "c", "only_null"] and pro.cells("third") == []
    assert pro.tables() == [("tester", "second"), ("tester", "t"), ("tester", "third")]


def test_several_schemas(pro):
    """Tables of the same name in several schemas are tables of their own."""
    schemas = [None, "eu", "us"]
    for turn in range(2):
        s = pro.sync(schema=[table("t", ["id"], schema=x) for x in schemas])
        for i, x in enumerate(schemas):
            s.upsert("t", {"id": i, "v": turn}, schema=x)
            if turn and x:
                s.delete("t", {"id": i}, schema=x)
        s.done().ok()
    assert pro.tables() == [("tester", "t"), ("tester_eu", "t"), ("tester_us", "t")]
    for i, place in enumerate(["tester", "tester_eu", "tester_us"]):
        assert pro.rows("t", schema=place) == [(i, 1, i > 0)]


def test_many_columns(pro):
    """A table of 500 columns: loaded, merged, updated, widened, one more."""
    names = ["c%03d" % i for i in range(499)]
    kinds = [lambda n: n, lambda n: n + 0.5, lambda n: "text %d" % n, lambda n: n % 2 == 0]
    row = {c.replace("c", "c_"): kinds[i % 4](i) for i, c in enumerate(names)}
    for turn in range(2):
        s = pro.sync(schema=[table("t", ["id"])])
        for key in range(20 + turn):
            s.upsert("t", {"id": key, **row, "c_000": key})
        if turn:
            s.update("t", {"id": 0, **{c: "wide" for c in list(row)[-40:]}, "more": 1})
        s.done().ok()
    have, found = pro.columns("t"), pro.by("id", "t")
    assert len(have) == 501 and len(found) == 21
    assert [found[20][c] for c in list(row)[1:-40]] == list(row.values())[1:-40]
    assert found[0]["c_498"] == "wide" and found[0]["more"] == 1
    assert [found[5][c] for c in ("c_495", "c_496", "c_497", "c_498")] == ["false", "496", "497.5", "text 498"]  # fmt: skip


def test_more_columns_than_there_can_be(pro):
    """A table with more columns than the warehouse takes fails by name before anything is written; the tables beside it do not suffer."""
    if pro.to.columns_max > 2000:
        return
    s = pro.sync(schema=[table("t", ["id"]), table("wide", ["id"])])
    s.upsert("t", {"id": 1})
    s.checkpoint({"at": 1}, durable=True)
    s.upsert("wide", {"id": 1, **{"c%d_" % i: i for i in range(pro.to.columns_max)}})
    s.done().failed("wide", "columns")
    assert pro.rows("t", "id") == [(1,)] and pro.state() == '{"at": 1}'


def test_many_tables(pro):
    """100 tables in one sync, and all of them again."""
    schema = [table("t%03d" % i, ["id"]) for i in range(100)]
    for turn in range(2):
        s = pro.sync(schema=schema)
        for i in range(100):
            s.upsert("t%03d" % i, {"id": i, "turn": turn})
        result = s.done().ok()
        assert result.rows["updated" if turn else "inserted"] == 100
    assert len(pro.tables()) == 100
    for schema_name, name in pro.tables():
        assert [v for v in pro.rows(name, "turn", schema=schema_name)] == [(1,)]


def test_large_rows(pro):
    """Rows of 20 MB in several columns, beside small ones."""
    if pro.to.value_max and pro.to.value_max < 5 << 20:
        return
    schema = [table("t", ["id"])]
    for turn in range(2):
        s = pro.sync(schema=schema)
        for i in range(3):
            s.upsert("t", {"id": i, "turn": turn, **{"c_%s" % c: c * (5 << 20) for c in "abcd"}})
            s.upsert("t", {"id": 100 + i, "turn": turn})
        s.done().ok()
    found = pro.by("id", "t")
    assert sorted(found) == [0, 1, 2, 100, 101, 102]
    for i in range(3):
        assert all(found[i]["c_" + c] == c * (5 << 20) for c in "abcd") and found[i]["turn"] == 1
        assert found[100 + i]["c_a"] is None


def test_as_many_rows_as_a_load_takes(pro):
    """50,000 rows loaded, then a tenth of them changed and a hundredth deleted: counts and values are right."""
    schema = [table("t", ["id"])]
    s = pro.sync(schema=schema)
    for i in range(50000):
        s.upsert("t", {"id": i, "v": i % 1000, "s": "row %d" % i})
    assert s.done().ok().rows["inserted"] == 50000
    s = pro.sync(schema=schema)
    for i in range(0, 50000, 10):
        s.upsert("t", {"id": i, "v": -1, "s": "row %d" % i})
    for i in range(5, 50000, 100):
        s.delete("t", {"id": i})
    rows = s.done().ok().rows
    assert (rows["updated"], rows["deleted"], rows["inserted"]) == (5000, 500, 0)
    found = pro.by("id", "t")
    assert len(found) == 50000
    for i, row in found.items():
        assert row["v"] == (-1 if i % 10 == 0 else i % 1000) and row["s"] == "row %d" % i
        assert row["_fivetran_deleted"] == (i % 100 == 5)
