"""What a column becomes when kinds of values meet in it, and what a value becomes in a wider column. Types have their own names
("LONG", "DECIMAL(38,2)"), not a warehouse's.
"""

import datetime as dt
import decimal
import json

import peer
from peer import Json

D = decimal.Decimal
UTC = dt.timezone.utc

# Two values of each kind a cell can have.
KINDS = {
    "bool": [True, False],
    "long": [5, -7],
    "big_long": [2**53 + 1, -(2**63)],
    "bigint": [2**63, -(10**37)],
    "huge": [10**38, -(10**60)],
    "double": [1.5, 1e22],
    "string": ["text", 'qu"o\\te\n'],
    "binary": [b"\x00\xff", b""],
    "json": [Json('{"b":1,"a":[null]}'), Json("[1]")],
    "dec2": [D("12.50"), D("-0.25")],
    "dec18": [D("1.123456789012345678"), D("-3")],
    "dec_wide": [D("9" * 36 + ".5"), D("1.25")],
    "date": [dt.date(2024, 2, 29), dt.date(1, 1, 1)],
    "naive": [dt.datetime(2024, 2, 29, 1, 2, 3), dt.datetime(1969, 12, 31, 23, 59, 59, 999999)],
    "utc": [
        dt.datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=UTC),
        dt.datetime(9999, 12, 31, tzinfo=UTC),
    ],
    "null": [None, None],
}
INTEGERS = ("long", "big_long")
EXACT = INTEGERS + ("bigint", "dec2", "dec18", "dec_wide")


def digits(kind):
    """Digits before and after the point of the widest values of a kind."""
    before = {
        "long": 19,
        "big_long": 19,
        "bigint": 38,
        "huge": 99,
        "dec2": 2,
        "dec18": 1,
        "dec_wide": 36,
    }
    return before[kind], {"dec2": 2, "dec18": 18, "dec_wide": 2}.get(kind, 0)


def decimal_type(kinds, bound=19):
    before = max(min(digits(k)[0], bound) if k in INTEGERS else digits(k)[0] for k in kinds)
    after = max(digits(k)[1] for k in kinds)
    scale = next(s for s in (0, 2, 6, 10, 18) if s >= after)
    return "DECIMAL(38,%d)" % scale if before + scale <= 38 else "STRING"


def joined(a, b):
    """The type of a column that has values of both kinds."""
    kinds = {a, b} - {"null"}
    if not kinds:
        return None
    if "json" in kinds:
        return "JSON"
    if len(kinds) == 1:
        (kind,) = kinds
        single = {"bool": "BOOLEAN", "long": "LONG", "big_long": "LONG", "huge": "STRING", "double": "DOUBLE", "string": "STRING",
                  "binary": "BINARY", "date": "NAIVE_DATE", "naive": "NAIVE_DATETIME", "utc": "UTC_DATETIME"}  # fmt: skip
        return single.get(kind) or decimal_type(kinds)
    if kinds <= set(INTEGERS):
        return "LONG"
    if kinds == {"long", "double"}:
        return "DOUBLE"
    if kinds <= set(EXACT):
        return decimal_type(kinds)
    if kinds == {"date", "naive"}:
        return "NAIVE_DATETIME"
    return "STRING"


def stored(value, kind):
    """What a value reads back as from a column of this type."""
    if value is None:
        return None
    if kind == "JSON":
        if isinstance(value, Json):
            return value
        if isinstance(value, (bool, int, float, D)):
            return Json(peer.text(value))
        return Json(json.dumps(peer.text(value), ensure_ascii=False))
    if kind == "STRING":
        return peer.text(value)
    if kind == "DOUBLE":
        return float(value)
    if kind.startswith("DECIMAL"):
        return D(value)
    if kind == "NAIVE_DATETIME" and not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day)
    return value


DECLARED = {
    # type: (values that fit, cells that do not)
    "BOOLEAN": ([True, False, None], [1, "true"]),
    "SHORT": ([-32768, 32767, None], [32768, -32769, 1.5]),
    "INT": ([-(2**31), 2**31 - 1, None], [2**31, "1"]),
    "LONG": ([-(2**63), 2**63 - 1, None], [2**63, 1.5, True]),
    "DECIMAL": ([D("999.99"), D("-0.01"), None], [D("1000"), D("0.001"), 1, 1.5]),
    "FLOAT": ([0.5, -0.0, float("inf"), None], [1, "x"]),
    "DOUBLE": ([0.1, 1e308, None], [1, D("1.5")]),
    "NAIVE_DATE": (
        [dt.date(1, 1, 1), dt.date(9999, 12, 31), None],
        [dt.datetime(2024, 1, 1), "2024-01-01"],
    ),
    "NAIVE_DATETIME": (
        [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999999), None],
        [dt.date(2024, 1, 1)],
    ),
    "UTC_DATETIME": (
        [dt.datetime(2024, 1, 1, tzinfo=UTC), None],
        [dt.datetime(2024, 1, 1)],
    ),
    "BINARY": ([b"", b"\x00\xff", None], ["x"]),
    "XML": (["<a/>", None], [b"<a/>", 1]),
    "STRING": (["", "nul\x00inside", "😀", None], [1, Json("1")]),
    "JSON": ([Json('{"a":1}'), Json("null"), None], ["{}", 1]),
}


def declared(kind):
    return ("DECIMAL", 5, 2) if kind == "DECIMAL" else kind
