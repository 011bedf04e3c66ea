"""Tables without a key: a row is its content."""

import datetime as dt
import decimal

from peer import GONE, Json

D = decimal.Decimal


def ids(pro, t="t"):
    return dict(pro.query(f"SELECT n, _fivetran_id FROM tester.{t}"))


def send(pro, *rows, what="upsert", **env):
    s = pro.sync(schema=[], **env)
    for row in rows:
        getattr(s, what)("t", row)
    return s.done().ok()


ROW = {
    "n": 1,
    "text": "é",
    "real": 1.5,
    "exact": D("2.50"),
    "day": dt.date(2024, 2, 29),
    "raw": b"\x00",
    "json": Json('{"b":1,"a":2}'),
    "yes": True,
}


def test_equal_rows_are_one_and_counted(pro):
    result = send(pro, ROW, ROW, {**ROW, "n": 2}, ROW)
    assert (result.rows["inserted"], result.rows["folded"]) == (2, 2)
    result = send(pro, ROW)
    assert (result.rows["inserted"], result.rows["unchanged"]) == (0, 1)
    assert len(pro.rows("t")) == 2


def test_the_id_does_not_depend_on_order_nulls_new_columns_or_types(pro):
    send(pro, ROW)
    first = ids(pro)[1]
    assert len(first) == 32
    # Another order, columns that are NULL or absent, an equal decimal: the same row.
    send(pro, dict(reversed(ROW.items())))
    send(pro, {**ROW, "new": None, "other": GONE, "exact": D("2.5")})
    # The columns widen and a new one comes, in other rows.
    send(
        pro,
        {
            "n": 2,
            "text": 5,
            "real": "wide",
            "exact": "text",
            "day": dt.datetime(2024, 1, 1),
            "raw": 1,
            "json": 1,
            "yes": 1,
            "added": 1,
        },
    )
    assert pro.columns("t")["real"] == pro.columns("t")["raw"] == "VARCHAR"
    result = send(pro, ROW)
    assert result.rows["unchanged"] == 1
    assert ids(pro)[1] == first and len(pro.rows("t")) == 2


def test_the_id_is_the_content(pro):
    """128 bits of BLAKE2b over the sorted pairs of name and text; anyone can work it out again."""
    import hashlib
    import struct

    send(pro, {"n": 7, "b": 1.5, "A": "x", "none": None})
    pairs = sorted([(b"a", b"x"), (b"b", b"1.5"), (b"n", b"7")])
    data = b"".join(struct.pack("<I", len(part)) + part for pair in pairs for part in pair)
    assert ids(pro)[7] == hashlib.blake2b(data, digest_size=16).hexdigest()


def test_rows_that_differ_are_apart(pro):
    rows = [
        {"n": 1, "a": "x", "b": ""},
        {"n": 1, "a": "", "b": "x"},
        {"n": 1, "ab": "x"},
        {"n": 1, "a": "x"},
        {"n": 1},
    ]
    send(pro, *rows)
    assert len(pro.rows("t")) == len(rows)


def test_delete_means_the_row_with_these_values(pro):
    send(pro, ROW, {**ROW, "n": 2})
    result = send(pro, {**ROW, "n": 2}, {**ROW, "n": 3}, {"n": 1}, what="delete")
    assert (result.rows["deleted"], result.rows["missed"]) == (1, 2)
    assert sorted(pro.query("SELECT n, _fivetran_deleted FROM tester.t")) == [(1, False), (2, True)]
    result = send(pro, {**ROW, "n": 2})
    assert sorted(pro.query("SELECT n, _fivetran_deleted FROM tester.t")) == [
        (1, False),
        (2, False),
    ]


def test_an_update_can_match_nothing_else(pro):
    send(pro, ROW)
    result = send(pro, {**ROW, "text": "changed"}, ROW, what="update")
    assert (result.rows["updated"], result.rows["unchanged"], result.rows["missed"]) == (0, 1, 1)
    assert len(pro.rows("t")) == 1


def test_truncate(pro):
    send(pro, ROW, {**ROW, "n": 2})
    before = dict(pro.query("SELECT n, _fivetran_synced FROM tester.t"))
    s = pro.sync(schema=[])
    s.truncate("t")
    s.upsert("t", ROW)
    s.done().ok()
    assert sorted(pro.query("SELECT n, _fivetran_deleted FROM tester.t")) == [(1, False), (2, True)]
    after = dict(pro.query("SELECT n, _fivetran_synced FROM tester.t"))
    assert after[1] == before[1] and after[2] > before[2]
