"""Values of every type, to their extremes. Each case is a column of the tables in test_values.py and a line of docs/conformance.md."""

import datetime as dt
import decimal
import struct
import typing

from peer import Json

D = decimal.Decimal
UTC = dt.timezone.utc


class Case(typing.NamedTuple):
    words: str
    values: list
    declared: typing.Optional[str] = None  # "DECIMAL(5,2)"; None: only as an undeclared column
    inferred: typing.Optional[str] = None  # None: only as a declared one


def single(value):
    """The double nearest to the 32-bit float nearest to this one: what an SDK sends for FLOAT."""
    return struct.unpack("f", struct.pack("f", value))[0]


def deep(levels):
    return Json("[" * levels + "1" + "]" * levels)


NINES = "9" * 38
MONTHS = [dt.date(1900, 2, 28), dt.date(2000, 2, 29), dt.date(1582, 10, 10), dt.date(1969, 12, 31)]
MOMENTS = [
    dt.datetime(1, 1, 1),
    dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
    dt.datetime(1969, 12, 31, 23, 59, 59, 999999),
    dt.datetime(1970, 1, 1, 0, 0, 0, 1),
    dt.datetime(2000, 2, 29, 12, 0, 0, 100000),
    dt.datetime(1883, 11, 18, 12, 3, 57),
]
PLANES = [
    "ascii",
    "é",  # composed and not: both stay as they are
    "e\u0301",
    "日本語",
    "עברית",
    "\u202eright to left\u202c",
    "😀👩‍👩‍👧‍👦🏳️‍🌈",
    "\U0010ffff\ufffe\uffff",
    "\ufeffmark",
    "\x01\x08\x0b\x1f\x7f\x80\x9f",
    "tab\tnew\nline\rreturn\r\n\x0c\u2028\u2029",
]
SYNTAX = [
    "'",
    '"',
    "''; DROP TABLE t; --",
    "\\",
    "\\N",
    "\\.",
    "\\x41",
    "$1 %s {} ?",
    "NULL",
    "null",
    "a,b\tc|d",
    '{"not": "json',
    "{}",
    "1e400",
    "nan",
    "E'\\x'",
]

CASES = {
    "boolean": Case("true and false", [True, False], "BOOLEAN", "BOOLEAN"),
    "short": Case("SHORT: 16 bits", [-(2**15), 2**15 - 1, 0, -1], "SHORT"),
    "int": Case("INT: 32 bits", [-(2**31), 2**31 - 1, 0, -1], "INT"),
    "long": Case(
        "LONG: 64 bits", [-(2**63), 2**63 - 1, 0, -1, 2**53 + 1, -(2**53) - 1], "LONG", "LONG"
    ),
    "decimal-38-0": Case(
        "integers of 38 digits",
        [D(NINES), D("-" + NINES), D(0), D(1), D(10**37), D(2**64)],
        "DECIMAL(38,0)",
        "DECIMAL(38,0)",
    ),
    "decimal-38-18": Case(
        "38 digits, 18 of them after the point",
        [D(NINES[18:] + "." + NINES[20:]), D("-0.000000000000000001"), D("1.5"), D("-0"), D("12345678901234567890.5")],
        "DECIMAL(38,18)",
        "DECIMAL(38,18)",
    ),
    "decimal-38-38": Case("38 digits after the point", [D("0." + NINES), D("-0." + NINES), D("0." + "0" * 37 + "1"), D(0)], "DECIMAL(38,38)"),
    "decimal-5-2": Case("small decimals", [D("999.99"), D("-999.99"), D("0.01"), D("0")], "DECIMAL(5,2)"),
    "decimal-18-4": Case("decimals of 18 digits", [D("99999999999999.9999"), D("-0.0001"), D("1")], "DECIMAL(18,4)"),
    "float": Case(
        "FLOAT: 32 bits, with the largest, the smallest, denormal ones",
        [single(x) for x in (0.1, -0.0, 3.4028234663852886e38, -3.4028234663852886e38, 1.401298464324817e-45, 1.1754943508222875e-38, 16777217)],
        "FLOAT",
    ),
    "float-special": Case("FLOAT: NaN and infinities", [float("nan"), float("inf"), float("-inf")], "FLOAT"),
    "double": Case(
        "DOUBLE: 64 bits, with the largest, the smallest, denormal ones",
        [0.1, -0.0, 1.7976931348623157e308, -1.7976931348623157e308, 5e-324, 2.2250738585072014e-308, 1e16, 1e-5, 123456789.125, 1 / 3, 1e22, 1e23],
        "DOUBLE",
        "DOUBLE",
    ),
    "double-special": Case("DOUBLE: NaN and infinities", [float("nan"), float("inf"), float("-inf")], "DOUBLE", "DOUBLE"),
    "date": Case(
        "dates from 0001 to 9999, in the calendar of today",
        [dt.date(1, 1, 1), dt.date(9999, 12, 31), *MONTHS],
        "NAIVE_DATE",
        "NAIVE_DATE",
    ),
    "naive-datetime": Case("times without a zone, to the microsecond", MOMENTS, "NAIVE_DATETIME", "NAIVE_DATETIME"),
    "utc-datetime": Case(
        "times in UTC, to the microsecond", [m.replace(tzinfo=UTC) for m in MOMENTS], "UTC_DATETIME", "UTC_DATETIME"
    ),
    "binary": Case(
        "bytes: none, all, those that look like syntax",
        [b"", bytes(range(256)), b"\x00", b"\\x00", b"'", b"\xff\xfe", b"PGCOPY\n\xff\r\n\x00", b"a\x00b"],
        "BINARY",
        "BINARY",
    ),
    "text-unicode": Case("text of every plane, controls, unassigned and joined characters", PLANES, "STRING", "STRING"),
    "text-syntax": Case("text that is syntax somewhere", SYNTAX, "STRING", "STRING"),
    "text-empty": Case("empty text and spaces, which are not NULL", ["", " ", "  a  ", "\n"], "STRING", "STRING"),
    "text-nul": Case("U+0000 in text", ["\0", "a\0b", "end\0", "\0start"], "STRING", "STRING"),
    "xml": Case("XML, kept as text", ["<a/>", "<?xml version='1.0'?><a b=\"c\">é</a>", "not <xml"], "XML"),
    "json": Case(
        "JSON: scalars, nested and empty ones, any member's name",
        [Json(t) for t in ('{"a":1,"b":[null,true,"x"]}', "{}", "[]", '""', "0", "true", '{"":{"":[]}}', '{"\'":"\\"","$":"\\\\"}', '"😀"')],
        "JSON",
        "JSON",
    ),
    "json-null": Case("JSON's null, which is not NULL", [Json("null"), Json("[null]"), Json('{"a":null}')], "JSON", "JSON"),
    "json-deep": Case("JSON 500 levels deep", [deep(500), deep(2)], "JSON", "JSON"),
    "json-wide": Case(
        "JSON of 20,000 members",
        [Json("{%s}" % ",".join('"k%d":%d' % (i, i) for i in range(20000))), Json("[%s]" % ",".join(["1.5"] * 20000))],
        "JSON",
        "JSON",
    ),
    "json-numbers": Case(
        "numbers in JSON beyond 64 bits and beyond a double's digits",
        [Json(t) for t in ("-1.5e300", "123456789012345678901234567890", "0.1234567890123456789012345", "-0.0", "1e-300", "9007199254740993")],
        "JSON",
        "JSON",
    ),
    "json-nul": Case("U+0000 in JSON, as \\u0000", [Json('"a\\u0000b"'), Json('{"\\u0000":1}')], "JSON", "JSON"),
    "json-escapes": Case("escapes in JSON", [Json('"\\u00e9\\ud83d\\ude00\\/\\b\\f\\n\\r\\t"'), Json('"\\\\u0000"')], "JSON", "JSON"),
    "json-twice": Case("a member twice in JSON: the last one counts", [Json('{"a":1,"a":2}'), Json('{"b":0,"a":1,"a":[]}')], "JSON", "JSON"),
}  # fmt: skip

# Values of one column at a time, so large that a table of all cases would be slow.
MEGABYTES = 16
LARGE = {
    "large-text": Case("text of 16 MB", ["x" * (MEGABYTES << 20), "é" * (MEGABYTES << 19)], "STRING", "STRING"),
    "large-binary": Case("16 MB of bytes", [bytes(range(256)) * (MEGABYTES << 12)], "BINARY", "BINARY"),
    "large-json": Case("JSON of 16 MB", [Json('["%s"]' % ("y" * ((MEGABYTES << 20) - 4)))], "JSON", "JSON"),
}  # fmt: skip
CASES.update(LARGE)
SMALL = {k: c for k, c in CASES.items() if k not in LARGE}


def length(cases):
    return max(len(c.values) for c in cases.values())


def column(case):
    return "c_" + case.replace("-", "_")
