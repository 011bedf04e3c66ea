"""Types: what a column becomes, and what the values in it become, whichever way they come together."""

import datetime as dt
import decimal
import itertools

import pytest
from lattice import DECLARED, KINDS, declared
from peer import Json, table

D = decimal.Decimal
UTC = dt.timezone.utc

TRIPLES = ["long", "double", "dec18", "bigint", "naive", "binary", "json", "bool"]


def test_three_kinds_one_after_the_other_end_as_they_do_together(pro):
    """The order and the grouping of commits do not decide a column's type."""
    triples = list(itertools.permutations(TRIPLES, 3))
    schema = [table("apart", ["id"]), table("together", ["id"])]
    for part in range(3):
        s = pro.sync(schema=schema)
        s.upsert(
            "apart", {"id": part, **{"c%dx" % i: KINDS[t[part]][0] for i, t in enumerate(triples)}}
        )
        if part == 0:
            for n in range(3):
                s.upsert(
                    "together",
                    {"id": n, **{"c%dx" % i: KINDS[t[n]][0] for i, t in enumerate(triples)}},
                )
        s.done().ok()
    apart, together = pro.columns("apart"), pro.columns("together")
    names = [c for c in apart if c != "id"]
    wrong = ["%s: %s apart, %s together" % (" + ".join(triples[int(c.split("_")[1])]), apart[c], together[c]) for c in names
             if apart[c] != together[c]]  # fmt: skip
    assert len(names) == len(triples)
    assert not wrong, "\n".join(wrong)


def test_types_that_meet_again_and_again_come_to_rest(pro):
    """A column that is text or JSON does not change once more, and its values are not rewritten."""
    kinds = ["binary", "json", "long", "string", "utc"]
    seen = None
    for turn in range(6):
        s = pro.sync(schema=[table("t", ["id"])])
        for i, kind in enumerate(kinds):
            s.upsert(
                "t",
                {"id": i, "v": KINDS[kind][0]}
                if turn == 0
                else {"id": 100 + turn, "v": KINDS[kinds[turn % 5]][1]},
            )
        s.done().ok()
        now = (pro.columns("t"), pro.query("SELECT id, v FROM tester.t WHERE id < 100 ORDER BY id"))
        assert seen in (None, now), "turn %d" % turn
        seen = now


@pytest.mark.parametrize("first", [2**53, -(2**53)])
def test_long_with_double_is_exact_or_text(pro, first):
    sign = 1 if first > 0 else -1
    for number, values in enumerate(([first, 0.5], [first + sign, 0.5])):
        for way in ("batch", "syncs"):
            name = "t_%s_%s" % ("ab"[number], way)
            s = pro.sync(schema=[table(name, ["id"])])
            s.upsert(name, {"id": 1, "v": values[0]})
            if way == "syncs":
                s.done().ok()
                s = pro.sync(schema=[table(name, ["id"])])
            s.upsert(name, {"id": 2, "v": values[1]})
            s.done().ok()
            assert pro.columns(name)["v"] == ("VARCHAR" if number else "DOUBLE")
            assert [v for _, v in pro.rows(name, "id, v")] == (
                [str(first + sign), "0.5"] if number else [float(first), 0.5]
            )


def test_a_large_integer_after_the_column_is_double(pro):
    for value in (0.5, 7, 2**53 + 1):
        s = pro.sync(schema=[table("t", ["id"])])
        s.upsert("t", {"id": str(value), "v": value})
        s.done().ok()
    assert pro.columns("t")["v"] == "VARCHAR"
    assert pro.rows("t", "v") == [("0.5",), ("7.0",), ("9007199254740993",)]


def test_the_scale_of_decimals_grows_in_steps(pro):
    steps = [("5", "DECIMAL(38,0)"), ("0.5", "DECIMAL(38,2)"), ("0.25", "DECIMAL(38,2)"), ("0.125", "DECIMAL(38,6)"),
             ("0.1234567", "DECIMAL(38,10)"), ("0.12345678901", "DECIMAL(38,18)"), ("12345678901234567890", "DECIMAL(38,18)"),
             ("123456789012345678901", "VARCHAR")]  # fmt: skip
    for i, (value, kind) in enumerate(steps):
        s = pro.sync(schema=[table("t", ["id"])])
        s.upsert("t", {"id": i, "v": D(value)})
        s.done().ok()
        assert pro.columns("t")["v"] == kind, value
    assert [v for _, v in pro.rows("t", "id, v")] == [v for v, _ in steps]


def test_a_scale_beyond_all_steps_is_text(pro):
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", {"id": 1, "v": D("0.1234567890123456789")})
    s.upsert("t", {"id": 2, "v": D("1.50")})
    s.done().ok()
    assert pro.columns("t")["v"] == "VARCHAR"
    assert pro.rows("t", "v") == [("0.1234567890123456789",), ("1.5",)]


def test_key_columns_widen_and_rows_meet(pro):
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", {"id": 1, "v": "first"})
    s.upsert("t", {"id": 2, "v": "second"})
    s.done().ok()
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", {"id": "1", "v": "text"})
    s.upsert("t", {"id": 2, "v": "again"})
    s.delete("t", {"id": "2"})
    result = s.done().ok()
    assert "BIGINT" not in pro.columns("t")["id"]
    assert pro.rows("t") == [("1", "text", False), ("2", "again", True)]
    assert "a key column" in result.out
    # In one batch too, and after the change.
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", {"id": 1, "v": "number again"})
    s.done().ok()
    assert pro.rows("t")[0] == ("1", "number again", False)


@pytest.mark.parametrize(
    "kinds",
    [
        (1, 1.0),
        (1, D("1.0")),
        (dt.date(2024, 1, 1), dt.datetime(2024, 1, 1)),
        (0.0, -0.0),
        (True, "true"),
        (None, None),
    ],
)
def test_keys_that_are_one_in_the_wider_type(pro, kinds):
    a, b = kinds
    for name, split in (("apart", True), ("together", False)):
        s = pro.sync(schema=[table(name, ["id"])])
        s.upsert(name, {"id": a, "v": 1})
        if split:
            s.done().ok()
            s = pro.sync(schema=[table(name, ["id"])])
        s.upsert(name, {"id": b, "v": 2})
        s.done().ok()
        assert pro.rows(name, "v") == [(2,)], name


def test_nan_in_a_key_is_an_error(pro):
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", {"id": 1.5})
    s.checkpoint({"good": 1})
    s.upsert("t", {"id": float("nan")})
    s.done().failed("NaN in a primary key", "t.id")
    assert pro.rows("t", "id") == [(1.5,)]


DUCKDB = {
    "BOOLEAN": "BOOLEAN",
    "SHORT": "SMALLINT",
    "INT": "INTEGER",
    "LONG": "BIGINT",
    "DECIMAL": "DECIMAL(5,2)",
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "NAIVE_DATE": "DATE",
    "NAIVE_DATETIME": "TIMESTAMP",
    "UTC_DATETIME": "TIMESTAMP WITH TIME ZONE",
    "BINARY": "BLOB",
    "XML": "VARCHAR",
    "STRING": "VARCHAR",
    "JSON": "JSON",
}


def test_declared_types_are_made_at_once_and_hold_their_values(pro):
    schema = [table("t", ["id"], {"c_" + k.lower(): declared(k) for k in DECLARED})]
    pro.sync(schema=schema).done().ok()
    have = pro.columns("t")
    for kind, stored_as in DUCKDB.items():
        assert have["c_" + kind.lower()] == stored_as, kind
    s = pro.sync(schema=schema)
    for n in range(4):
        s.upsert(
            "t",
            {
                "id": n,
                **{"c_" + k.lower(): v[0][min(n, len(v[0]) - 1)] for k, v in DECLARED.items()},
            },
        )
    s.done().ok()
    for kind, (values, _) in DECLARED.items():
        got = [v for _, v in pro.rows("t", "id, c_" + kind.lower())]
        assert got == [values[min(n, len(values) - 1)] for n in range(4)], kind


@pytest.mark.parametrize(
    "kind,value", [(k, v) for k, (_, bad) in DECLARED.items() for v in bad], ids=str
)
def test_a_cell_that_a_declared_column_cannot_take(pro, kind, value):
    s = pro.sync(schema=[table("t", ["id"], {"v": declared(kind)})])
    s.upsert("t", {"id": 1, "v": DECLARED[kind][0][0]})
    s.checkpoint({"at": 1})
    s.upsert("t", {"id": 2, "v": value})
    s.done().failed("t.v, operation 2")
    assert pro.rows("t", "id") == [(1,)]
    assert pro.state() == '{"at": 1}'


@pytest.mark.parametrize(
    "precision,scale,value", [(38, 7, "9" * 31 + ".5"), (38, 30, "1.5"), (10, 5, "12345.12345")]
)
def test_an_odd_decimal_no_longer_declared_keeps_its_values(pro, precision, scale, value):
    s = pro.sync(schema=[table("t", ["id"], {"v": ("DECIMAL", precision, scale)})])
    s.upsert("t", {"id": 1, "v": D(value)})
    s.done().ok()
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", {"id": 2, "v": D("0.5")})
    s.done().ok()
    assert [D(v) for _, v in pro.rows("t", "id, v")] == [D(value), D("0.5")]


def test_a_column_that_was_only_null_comes_with_its_type(pro):
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", {"id": 1, "later": None})
    s.done().ok()
    assert list(pro.columns("t")) == ["id"]
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", {"id": 2, "later": 5})
    s.done().ok()
    assert pro.columns("t") == {"id": "BIGINT", "later": "BIGINT"}
    assert pro.rows("t", "id, later, _fivetran_deleted") == [(1, None, False), (2, 5, False)]


def test_a_key_that_was_only_null_is_made_at_once(pro):
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", {"id": None, "v": 1})
    s.done().ok()
    assert "id" in pro.columns("t")
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", {"v": 2})
    s.upsert("t", {"id": "x", "v": 3})
    s.done().ok()
    assert sorted(pro.rows("t", "id, v"), key=str) == [("x", 3), (None, 2)]


def test_three_hundred_columns(pro):
    names = ["c" + chr(97 + i // 26) + chr(97 + i % 26) for i in range(300)]
    kinds = ["long", "double", "string", "dec2", "utc", "json"]
    s = pro.sync(schema=[table("t", ["id"])])
    for n in range(2):
        s.upsert("t", {"id": n, **{c: KINDS[kinds[i % 6]][n] for i, c in enumerate(names)}})
    s.update("t", {"id": 0, names[299]: Json('{"new":true}')})
    s.done().ok()
    assert len(pro.columns("t")) == 301
    assert pro.rows("t", names[299]) == [("[1]",), ('{"new":true}',)]
    assert pro.query(f"SELECT count({names[0]}), count({names[150]}) FROM tester.t") == [(2, 2)]


def test_values_at_the_edges_come_back_as_they_went(pro):
    values = {
        "d": [0.1, -0.0, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf")],
        "s": ["", "\x00", "a\x00b", "\U0010ffff", "x" * 100000, "'; DROP TABLE t; --"],
        "b": [b"", b"\x00", bytes(range(256)), b"x" * 100000, b"'", b"\\x00"],
        "j": [
            Json(t)
            for t in ('""', "0", "-1.5e300", '{"":{"":[]}}', "[" * 500 + "]" * 500, '"\\u00e9"')
        ],
        "u": [
            dt.datetime(1, 1, 1, tzinfo=UTC),
            dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            *[dt.datetime(1970, 1, 1, tzinfo=UTC)] * 4,
        ],
        "n": [-(2**63), 2**63 - 1, 0, 1, -1, 2**53],
    }
    s = pro.sync(schema=[table("t", ["id"])])
    for i in range(6):
        s.upsert("t", {"id": i, **{k: v[i] for k, v in values.items()}})
    s.done().ok()
    for column, want in values.items():
        got = [
            v for _, v in pro.rows("t", "id, " + column, order="id")
        ]  # a sort by the value loses -0.0
        if column == "d":
            assert [repr(g) for g in got] == [repr(w) for w in want]
        else:
            assert got == want, column


def test_an_unchanged_row_is_left_alone(pro):
    """JSON by value, NaN equal to NaN, NULL equal to NULL; anything else is a change."""
    row = {"id": 1, "j": Json('{"a":1,"b":2}'), "d": float("nan"), "n": None, "s": "x"}
    same = {"id": 1, "j": Json('{"b":2, "a":1}'), "d": float("nan"), "n": None, "s": "x"}
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", row)
    s.done().ok()
    synced = pro.rows("t", "_fivetran_synced")
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", same)
    result = s.done().ok()
    assert (result.rows["unchanged"], result.rows["updated"]) == (1, 0)
    assert pro.rows("t", "_fivetran_synced") == synced
    for column, value in (
        ("j", Json('{"a":1,"b":3}')),
        ("j", None),
        ("d", None),
        ("d", 1.0),
        ("s", None),
        ("n", 0),
        ("j", Json("null")),
    ):
        s = pro.sync(schema=[table("t", ["id"])])
        s.upsert("t", {**same, column: value})
        result = s.done().ok()
        assert (result.rows["unchanged"], result.rows["updated"]) == (0, 1), (column, value)
        s = pro.sync(schema=[table("t", ["id"])])
        s.update("t", {"id": 1, column: same[column]})
        assert s.done().ok().rows["updated"] == 1, (column, value)
