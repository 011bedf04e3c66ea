"""What every Python value becomes, in undeclared and in declared columns (both encoders)."""
# ruff: noqa: E501 (tables of cases)

import datetime as dt
import decimal
import enum
import ipaddress
import math
import struct
import types
import uuid
from collections import OrderedDict, defaultdict, namedtuple

import pytest

from wire import (
    BIGINT,
    BINARY,
    DATE,
    DECIMAL,
    DOUBLE,
    FALSE,
    JSON,
    LONG,
    NAIVE,
    NULL,
    STRING,
    TRUE,
    UTC,
    Reader,
)

D = decimal.Decimal
UTCZ = dt.timezone.utc
PLUS2 = dt.timezone(dt.timedelta(hours=2))
MOMENT = dt.datetime(2024, 2, 29, 10, 11, 12, 123456)
MICROS = 1709201472123456
DAY = 19782
DEC = {"type": "DECIMAL", "precision": 12, "scale": 2}
Point = namedtuple("Point", "x y")


class Color(enum.Enum):
    RED = "red"
    TWO = 2
    NOTHING = None


class Level(enum.IntEnum):
    HIGH = 9


class Word(str, enum.Enum):
    HI = "hi"


class Str(str):
    def __str__(self):
        return "wrong"


class Int(int):
    pass


class Float(float):
    def __repr__(self):
        return "wrong"


def fake(module, name, **attributes):
    """A type that says it is another library's."""
    return type(name, attributes.pop("bases", ()), {"__module__": module, **attributes})


def numpy_scalar(name, kind, bases=(), **attributes):
    return fake(
        "numpy", name, bases=bases, dtype=types.SimpleNamespace(kind=kind), shape=(), **attributes
    )


NaT = fake("pandas._libs.tslibs.nattype", "NaTType", bases=(dt.datetime,))(1, 1, 1)
NA = fake("pandas._libs.missing", "NAType")()
Timestamp = fake(
    "pandas._libs.tslibs.timestamps", "Timestamp", bases=(dt.datetime,), nanosecond=789
)
np_int = numpy_scalar("int64", "i", __index__=lambda self: 42)()
np_bool = numpy_scalar("bool_", "b", __bool__=lambda self: True)()
np_float32 = numpy_scalar("float32", "f", __float__=lambda self: 0.5)()
np_float64 = numpy_scalar("float64", "f", bases=(float,))(0.1)
np_str = numpy_scalar("str_", "U", bases=(str,))("text")
np_moment = numpy_scalar("datetime64", "M", __str__=lambda self: "2024-02-29T10:11:12.123456789")()
np_day = numpy_scalar("datetime64", "M", __str__=lambda self: "2024-02-29")()
np_nat = numpy_scalar("datetime64", "M", __str__=lambda self: "NaT")()
np_array = fake(
    "numpy",
    "ndarray",
    dtype=types.SimpleNamespace(kind="i"),
    shape=(2,),
    tolist=lambda self: [1, 2],
)()

UNDECLARED = [
    (None, NULL, None),
    (True, TRUE, True),
    (False, FALSE, False),
    (0, LONG, 0),
    (2**63 - 1, LONG, 2**63 - 1),
    (-(2**63), LONG, -(2**63)),
    (2**63, BIGINT, str(2**63)),
    (-(2**63) - 1, BIGINT, str(-(2**63) - 1)),
    (10**38 - 1, BIGINT, "9" * 38),
    (-(10**38) + 1, BIGINT, "-" + "9" * 38),
    (10**38, STRING, str(10**38)),
    (0.1, DOUBLE, 0.1),
    (1e300, DOUBLE, 1e300),
    (math.inf, DOUBLE, math.inf),
    ("", STRING, ""),
    ("häß 日本 😀", STRING, "häß 日本 😀"),
    ("nul\0in", STRING, "nul\0in"),
    (b"", BINARY, b""),
    (b"\x00\xff", BINARY, b"\x00\xff"),
    (bytearray(b"xy"), BINARY, b"xy"),
    (memoryview(b"xyz")[::2], BINARY, b"xz"),
    (dt.date(2024, 2, 29), DATE, DAY),
    (dt.date(1, 1, 1), DATE, -719162),
    (dt.date(9999, 12, 31), DATE, 2932896),
    (MOMENT, NAIVE, MICROS),
    (dt.datetime(1, 1, 1), NAIVE, -62135596800000000),
    (dt.datetime(9999, 12, 31, 23, 59, 59, 999999), NAIVE, 253402300799999999),
    (MOMENT.replace(tzinfo=UTCZ), UTC, MICROS),
    (MOMENT.replace(tzinfo=PLUS2), UTC, MICROS - 7200 * 10**6),
    (D("12.3400"), DECIMAL, "12.3400"),
    (D("1E+5"), DECIMAL, "100000"),
    (D("1E-9"), DECIMAL, "0.000000001"),
    (D("-0"), DECIMAL, "-0"),
    (D("NaN"), STRING, "nan"),
    (D("sNaN"), STRING, "nan"),
    (D("-Infinity"), STRING, "-inf"),
    (D("1E+5000"), STRING, "1E+5000"),
    ({"b": 1, "a": [True, None, 1.5]}, JSON, '{"b":1,"a":[true,null,1.5]}'),
    ([], JSON, "[]"),
    ({}, JSON, "{}"),
    ((1, 2), JSON, "[1,2]"),
    (Point(1, 2), JSON, "[1,2]"),
    (OrderedDict(z=1, a=2), JSON, '{"z":1,"a":2}'),
    (defaultdict(list, k=[1]), JSON, '{"k":[1]}'),
    ({3, 1, 2}, JSON, "[1,2,3]"),
    (frozenset("ba"), JSON, '["a","b"]'),
    ({1, "a"}, JSON, '["a",1]'),
    (dt.time(1, 2, 3), STRING, "01:02:03"),
    (dt.timedelta(days=1, seconds=2), STRING, "1 day, 0:00:02"),
    (uuid.UUID(int=5), STRING, "00000000-0000-0000-0000-000000000005"),
    (Color.RED, STRING, "red"),
    (Color.TWO, LONG, 2),
    (Color.NOTHING, NULL, None),
    (Level.HIGH, LONG, 9),
    (Word.HI, STRING, "hi"),
    (Str("sub"), STRING, "sub"),
    (Int(7), LONG, 7),
    (Float(2.5), DOUBLE, 2.5),
    (NaT, NULL, None),
    (NA, NULL, None),
    (Timestamp(2024, 2, 29, 10, 11, 12, 123456), NAIVE, MICROS),
    (Timestamp(2024, 2, 29, 10, 11, 12, 123456, tzinfo=UTCZ), UTC, MICROS),
    (np_int, LONG, 42),
    (np_bool, TRUE, True),
    (np_float32, DOUBLE, 0.5),
    (np_float64, DOUBLE, 0.1),
    (np_str, STRING, "text"),
    (np_moment, NAIVE, MICROS),
    (np_day, DATE, DAY),
    (np_nat, NULL, None),
    (np_array, JSON, "[1,2]"),
    (ipaddress.ip_address("10.0.0.1"), STRING, "10.0.0.1"),
]


@pytest.mark.parametrize("value, tag, result", UNDECLARED, ids=lambda x: repr(x)[:40])
def test_undeclared(rig, value, tag, result):
    assert rig.cell(value) == (tag, result)


def test_undeclared_nan_stays(rig):
    tag, value = rig.cell(math.nan)
    assert tag == DOUBLE and value != value


def test_negative_zero_keeps_its_sign(rig):
    tag, value = rig.cell(-0.0)
    assert tag == DOUBLE and struct.pack("<d", value) == struct.pack("<d", -0.0)


DECLARED = [
    ("BOOLEAN", [True, 1, "1", "true", " TRUE ", 1.0, D(1), np_bool], (TRUE, True)),
    ("BOOLEAN", [False, 0, "0", "false", -0.0, D("0.0")], (FALSE, False)),
    ("LONG", [5, "5", " 5 ", "+5", "5.0", "5e0", 5.0, D("5.00"), Int(5)], (LONG, 5)),
    ("LONG", [np_int, "42", 42.0], (LONG, 42)),
    ("LONG", [True], (LONG, 1)),
    ("LONG", [2**63 - 1, str(2**63 - 1), D(2**63 - 1)], (LONG, 2**63 - 1)),
    ("LONG", [-(2**63), float(-(2**63)), str(-(2**63))], (LONG, -(2**63))),
    ("INT", [2**31 - 1, str(2**31 - 1)], (LONG, 2**31 - 1)),
    ("SHORT", [-32768, "-32768", -32768.0], (LONG, -32768)),
    ("FLOAT", [0.1, "0.1", D("0.1"), np_float64], (DOUBLE, struct.unpack("<f", struct.pack("<f", 0.1))[0])),
    ("DOUBLE", [0.1, "0.1", " 1e-1", D("0.1")], (DOUBLE, 0.1)),
    ("DOUBLE", [3, "3", D(3), True and 3.0, "3."], (DOUBLE, 3.0)),
    ("DOUBLE", [math.inf, "inf", "Infinity", D("Infinity")], (DOUBLE, math.inf)),
    (DEC, ["12.5", 12.5, D("12.5"), "+12.5", "012.5", b"12.5"], (DECIMAL, "12.5")),
    (DEC, ["12.50", D("12.50"), "12.500", D("12.500")], (DECIMAL, "12.50")),
    (DEC, [12, "12", D(12), Int(12)], (DECIMAL, "12")),
    (DEC, [12.0], (DECIMAL, "12.0")),
    (DEC, [1.005, "1.005", D("1.005")], (DECIMAL, "1.00")),
    (DEC, ["1.015", D("1.015")], (DECIMAL, "1.02")),
    (DEC, ["-1E+3", D("-1E+3")], (DECIMAL, "-1000")),
    (DEC, [True], (DECIMAL, "1")),
    ({"type": "DECIMAL", "precision": 38, "scale": 0}, ["9" * 38, D("9" * 38), 10**38 - 1], (DECIMAL, "9" * 38)),
    ({"type": "DECIMAL", "precision": 38, "scale": 38}, ["0." + "1" * 38], (DECIMAL, "0." + "1" * 38)),
    ("NAIVE_DATE", [dt.date(2024, 2, 29), MOMENT, "2024-02-29", " 2024-02-29", "20240229", np_day], (DATE, DAY)),
    ("NAIVE_DATE", ["2024-02-29T23:00:00", "2024-02-29T23:30:00-05:00", MOMENT.replace(tzinfo=PLUS2)], (DATE, DAY)),
    ("NAIVE_DATETIME", [MOMENT, "2024-02-29T10:11:12.123456", "2024-02-29 10:11:12,123456", np_moment], (NAIVE, MICROS)),
    ("NAIVE_DATETIME", ["2024-02-29T12:11:12.123456+02:00", MOMENT.replace(tzinfo=UTCZ), "2024-02-29T10:11:12.123456Z"], (NAIVE, MICROS)),
    ("NAIVE_DATETIME", [dt.date(2024, 2, 29), "2024-02-29", "2024-02-29T00:00", "20240229T000000"], (NAIVE, DAY * 86400 * 10**6)),
    ("UTC_DATETIME", [MOMENT, MOMENT.replace(tzinfo=UTCZ), "2024-02-29T10:11:12.123456"], (UTC, MICROS)),
    ("UTC_DATETIME", ["2024-02-29 12:11:12.123456+0200", "2024-02-29T12:11:12.123456+02", "2024-02-29t10:11:12.123456z"], (UTC, MICROS)),
    ("UTC_DATETIME", ["2024-02-29T10:11:12.123456789Z", Timestamp(2024, 2, 29, 10, 11, 12, 123456)], (UTC, MICROS)),
    ("BINARY", [b"xy", bytearray(b"xy"), memoryview(b"xy")], (BINARY, b"xy")),
    ("XML", ["<a/>", Str("<a/>")], (STRING, "<a/>")),
    ("STRING", ["x", Str("x"), np_str and "x"], (STRING, "x")),
    ("STRING", [True, "true"], (STRING, "true")),
    ("STRING", [12, "12", Level.HIGH and 12], (STRING, "12")),
    ("STRING", [0.1, np_float64, Float(0.1)], (STRING, "0.1")),
    ("STRING", [math.nan], (STRING, "nan")),
    ("STRING", [D("12.3400")], (STRING, "12.3400")),
    ("STRING", [dt.date(2024, 2, 29)], (STRING, "2024-02-29")),
    ("STRING", [MOMENT], (STRING, "2024-02-29T10:11:12.123456")),
    ("STRING", [dt.datetime(2024, 2, 29, 12, 0, tzinfo=PLUS2)], (STRING, "2024-02-29T10:00:00Z")),
    ("STRING", [b"\x00\xff"], (STRING, "AP8=")),
    ("STRING", [{"a": [1]}], (STRING, '{"a":[1]}')),
    ("STRING", [ipaddress.ip_address("::1")], (STRING, "::1")),
    ("JSON", [{"a": [1]}], (JSON, '{"a":[1]}')),
    ("JSON", ["x"], (JSON, '"x"')),
    ("JSON", [1], (JSON, "1")),
    ("JSON", [math.nan], (JSON, "null")),
    ("JSON", [b"\x00\xff"], (JSON, '"AP8="')),
    ("JSON", [True], (JSON, "true")),
]  # fmt: skip


@pytest.mark.parametrize(
    "kind, value, result",
    [(kind, value, result) for kind, values, result in DECLARED for value in values],
    ids=lambda x: repr(x)[:40],
)
def test_declared(rig, kind, value, result):
    assert rig.cell(value, kind) == result


@pytest.mark.parametrize(
    "kind",
    [
        "BOOLEAN",
        "LONG",
        "FLOAT",
        "NAIVE_DATE",
        "UTC_DATETIME",
        "BINARY",
        "XML",
        "STRING",
        "JSON",
        DEC,
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "value", [None, NaT, NA, Color.NOTHING, np_nat], ids=["None", "NaT", "NA", "Enum", "datetime64"]
)
def test_missing_values_are_null_in_every_type(rig, kind, value):
    assert rig.cell(value, kind) == (NULL, None)


REFUSED = [
    ("BOOLEAN", ["yes", 2, 0.5, "", b"1", [], D("NaN")]),
    ("SHORT", [32768, -32769, "32768", 1.5]),
    ("INT", [2**31, -(2**31) - 1]),
    ("LONG", [2**63, -(2**63) - 1, 1.5, math.nan, math.inf, "abc", "", "1.5", D("12.34"), D("NaN"), [], b"1", "1e30", 2.0**63, "٣", "1_0"]),
    ("FLOAT", [1e300, "x", "", b"1", [], MOMENT]),
    ("DOUBLE", ["abc", "1_0", "0x1", 10**400, b"1", {}, "--1"]),
    (DEC, [10**10, "10000000000", 9999999999.999, D("1E+11"), "abc", "", math.nan, D("NaN"), D("sNaN"), [], dt.date(2024, 1, 1), "1e99999999999999999999"]),
    ("NAIVE_DATE", ["2023-02-29", "1900-02-29", "2024-04-31", "2024-13-01", "29.02.2024", 5, "", b"2024-02-29", "0000-01-01"]),
    ("NAIVE_DATETIME", ["2024-02-29T24:00:00", "2024-02-29T10:60:00", "2024-02-29T10:11:60", 1709201472, "2024-02-29T10:11:12+24:00", "2024-02-29T", dt.time(1)]),
    ("UTC_DATETIME", ["yesterday", 1.5, "2024-02-29T10:11:12.Z"]),
    ("BINARY", ["text", 5, [1]]),
    ("XML", [5, b"<a/>", {}]),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["NAIVE_DATE", "NAIVE_DATETIME"])
def test_every_day_of_the_calendar(new_rig, kind):
    rig = new_rig([{"table": "t", "columns": {"c": kind}}])
    days = [dt.date(1, 1, 1) + dt.timedelta(n) for n in (*range(0, 3652058, 997), 3652058)]
    for year in (1600, 1700, 1900, 2000, 2024):
        days += [dt.date(year, m, d) for m, d in ((1, 1), (2, 28), (3, 1), (12, 31))]
    days += [dt.date(2000, 2, 29), dt.date(1600, 2, 29)]
    for day in days:
        rig.upsert("t", {"c": day.isoformat()})
    unit = 1 if kind == "NAIVE_DATE" else 86_400_000_000
    expected = [(day.toordinal() - 719163) * unit for day in days]
    assert [row["c"][1] for row in Reader().feed(rig.frames()).rows()] == expected


@pytest.mark.parametrize(
    "kind, value",
    [(kind, value) for kind, values in REFUSED for value in values],
    ids=lambda x: repr(x)[:40],
)
def test_refused(rig, kind, value):
    with pytest.raises(ValueError) as caught:
        rig.cell(value, kind)
    name = kind if isinstance(kind, str) else "DECIMAL(12,2)"
    message, _, hint = str(caught.value).partition("\n  hint: ")
    assert message.startswith(
        f"t.c: expected {name}, got {type(value).__qualname__ if type(value).__module__ == 'builtins' else type(value).__module__}"
    )
    assert hint and hint == caught.value.hint


def test_error_text(rig):
    with pytest.raises(ValueError) as caught:
        rig.cell("abc", "LONG")
    assert str(caught.value).startswith("t.c: expected LONG, got str 'abc'\n  hint: ")


def test_long_values_are_shortened_in_errors(rig):
    with pytest.raises(ValueError) as caught:
        rig.cell("x" * 10_000, "LONG")
    assert len(str(caught.value)) < 250 and "…" in str(caught.value)


def test_a_repr_that_fails_does_not_hide_the_error(rig):
    class Bad:
        def __repr__(self):
            raise RuntimeError

    with pytest.raises(ValueError, match=r"expected LONG, got .*Bad \(repr\(\) failed\)"):
        rig.cell(Bad(), "LONG")


# ---------------------------------------------------------------------- counters and notes


def test_rounding_is_counted_and_said_once(new_rig):
    rig = new_rig([{"table": "t", "columns": {"c": DEC, "d": DEC}}])
    for text in ("1.005", "2.005", "3.00"):
        rig.upsert("t", {"c": text, "d": "1"})
    notes = [frame.text for frame in rig.frames() if frame.name == "LOG"]
    assert notes == ["t.c: digits beyond scale 2 are rounded, first in '1.005'"]
    assert rig.counts()["rounded"] == 2


@pytest.mark.parametrize(
    "value, count",
    [
        ("2024-02-29T10:11:12.1234567Z", 1),
        ("2024-02-29T10:11:12.123456000Z", 0),
        (Timestamp(2024, 2, 29), 1),
        (np_moment, 1),
    ],
    ids=["text", "zeros", "Timestamp", "datetime64"],
)
def test_digits_below_microseconds_are_counted(rig, value, count):
    rig.cell(value, "UTC_DATETIME")
    assert rig.last.counts()["cut"] == count


def test_nan_in_json_is_null_and_counted(rig):
    assert rig.cell({"a": [math.nan, math.inf, -math.inf, 1.0]}) == (
        JSON,
        '{"a":[null,null,null,1.0]}',
    )
    assert rig.last.counts()["replaced"] == 3


def test_other_objects_are_named_once_per_column(new_rig):
    rig = new_rig()
    address = ipaddress.ip_address("10.0.0.1")
    for _ in range(3):
        rig.upsert("t", {"a": address, "b": [address]})
    assert [frame.text for frame in rig.frames() if frame.name == "LOG"] == [
        "t.a: values of type ipaddress.IPv4Address are stored as text, by str()",
        "t.b: values of type ipaddress.IPv4Address are stored as text, by str()",
    ]


@pytest.mark.parametrize("value", [dt.time(1), dt.timedelta(1), uuid.UUID(int=1), Color.RED])
def test_types_with_a_text_form_are_not_mentioned(rig, value):
    rig.cell(value)
    assert rig.notes() == []


def test_str_that_fails_names_the_column(rig):
    class Bad:
        def __str__(self):
            raise RuntimeError("no text")

    with pytest.raises(ValueError, match=r"^t\.c: str\(\) of a .*Bad failed: no text"):
        rig.cell(Bad())


@pytest.mark.parametrize("text", ['{"a": 1}', "[1, 2]", '  {"a": [1]}\n'])
def test_double_encoded_json_is_said_once(new_rig, text):
    rig = new_rig()
    for _ in range(3):
        rig.upsert("t", {"c": text})
    frames = rig.frames()
    assert [frame.text for frame in frames if frame.name == "LOG"] == [
        "t.c looks double-encoded: pass the dict or list itself, not json.dumps() of it"
    ]
    assert [frame.name for frame in frames[-4:]] == ["UPSERT", "LOG", "UPSERT", "UPSERT"], (
        "a note follows its row"
    )


@pytest.mark.parametrize("text", ["{not json}", "[", "{}x", "plain", "", "  ", "{'a': 1}"])
def test_other_text_is_not_double_encoded(rig, text):
    assert rig.cell(text) == (STRING, text)
    assert rig.notes() == []


def test_declared_text_is_not_looked_at(rig):
    rig.cell('{"a": 1}', "STRING")
    assert rig.notes() == []


def test_the_look_for_double_encoding_ends(new_rig):
    rig = new_rig()
    for _ in range(100):
        rig.upsert("t", {"c": "{x}"})
    rig.upsert("t", {"c": "{}"})
    assert [frame for frame in rig.frames() if frame.name == "LOG"] == []


# ---------------------------------------------------------------------- JSON


def test_json_escapes_as_json_dumps(rig):
    import json

    text = "".join(map(chr, range(0x100))) + "\u2028\u2029日😀" + '"\\/' * 9
    for given in (text, text[:7], text[30:41], "x" * 31 + "\n" + "y" * 17, ""):
        tag, got = rig.cell([given, {given: given}])
        assert got == json.dumps([given, {given: given}], ensure_ascii=False, separators=(",", ":"))


def test_json_keys_as_json_dumps(rig):
    import json

    value = {2: "a", 1.5: "b", None: "c", True: "d", "s": "e", math.inf: "f"}
    assert rig.cell(value)[1] == json.dumps(value, separators=(",", ":"))
    assert (
        rig.cell({dt.date(2024, 2, 29): 1, Color.RED: 2, Level.HIGH: 3})[1]
        == '{"2024-02-29":1,"red":2,"9":3}'
    )


def test_json_leaves_in_their_text_form(rig):
    value = {
        "date": dt.date(2024, 2, 29),
        "utc": MOMENT.replace(tzinfo=UTCZ),
        "naive": MOMENT,
        "decimal": D("1.50"),
        "bytes": b"\x00\xff",
        "uuid": uuid.UUID(int=1),
        "enum": Color.TWO,
        "set": {2, 1},
        "np": np_int,
        "nat": NaT,
        "sub": Str("s"),
        "array": np_array,
        "np64": np_moment,
    }
    assert rig.cell(value)[1] == (
        '{"date":"2024-02-29","utc":"2024-02-29T10:11:12.123456Z","naive":"2024-02-29T10:11:12.123456","decimal":"1.50",'
        '"bytes":"AP8=","uuid":"00000000-0000-0000-0000-000000000001","enum":2,"set":[1,2],"np":42,"nat":null,"sub":"s",'
        '"array":[1,2],"np64":"2024-02-29T10:11:12.123456789"}'
    )


def nest(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_json_depth(rig):
    assert rig.cell(nest(512)) == (JSON, "[" * 512 + "]" * 512)
    with pytest.raises(ValueError, match=r"^t\.c: JSON nested deeper than 512 levels\n  hint: "):
        rig.cell(nest(513))


def test_json_cycle_is_an_error(rig):
    value = {}
    value["self"] = value
    with pytest.raises(ValueError, match="nested deeper"):
        rig.cell(value)


@pytest.mark.parametrize(
    "value", ["\ud800", ["\ud800"], {"\udfff": 1}, {"a": {"b": "x\ud800"}}, Str("\ud800")]
)
def test_lone_surrogates_are_an_error(rig, value):
    with pytest.raises(ValueError, match=r"^t\.c: text with a lone surrogate '\\ud[8f]") as caught:
        rig.cell(value)
    assert "errors='replace'" in caught.value.hint


@pytest.mark.parametrize("kind", [None, "DOUBLE", "FLOAT"])
def test_nan_in_a_key_is_an_error(new_rig, kind):
    rig = new_rig([{"table": "t", "primary_key": ["k"], "columns": {"k": kind} if kind else {}}])
    with pytest.raises(ValueError, match=r"^t\.k: NaN in a key column"):
        rig.upsert("t", {"k": math.nan})
    rig.upsert("t", {"k": None, "v": math.nan})


def test_a_str_that_changes_the_row_is_survived(new_rig):
    rig = new_rig()
    row = {}

    class Evil:
        def __str__(self):
            row.clear()
            row.update({f"k{i}": i for i in range(100)})
            return "evil"

    row.update(a=Evil(), b=[1, [2]], c=3)
    try:
        rig.upsert("t", row)
    except RuntimeError as error:
        assert "changed" in str(error)
    nested = {"list": []}
    nested["list"] += [Evil(), "x", "y"]
    rig.upsert("t", {"j": nested})
    rig.frames()


def test_a_list_that_shrinks_while_it_is_written(rig):
    items = [1, 2, 3]

    class Evil:
        def __str__(self):
            items.clear()
            return "evil"

    items.insert(1, Evil())
    assert rig.cell({"items": items})[1] == '{"items":[1,"evil"]}'
