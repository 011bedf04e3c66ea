"""The C encoder and the pure one write the same bytes and raise the same errors, for random rows of random types.

Alone: pytest tests/sdk/test_differential.py -k seed1
"""
# ruff: noqa: E501 (tables of cases)

import datetime as dt
import decimal
import enum
import math
import random
import struct
import uuid

import pytest
from conftest import FORCED, Rig

pytestmark = pytest.mark.skipif(bool(FORCED), reason="compares both encoders")

TYPES = "BOOLEAN SHORT INT LONG FLOAT DOUBLE NAIVE_DATE NAIVE_DATETIME UTC_DATETIME BINARY XML STRING JSON".split()
ROWS = 6000


class Color(enum.Enum):
    RED = "red"
    ONE = 1
    DATE = dt.date(2024, 2, 29)
    NONE = None


class Flag(enum.IntEnum):
    A = 7


class Text(str):
    pass


class Whole(int):
    pass


class Real(float):
    pass


class Thing:
    def __init__(self, n):
        self.n = n

    def __str__(self):
        return f"thing {self.n}"

    __repr__ = __str__


def text(r):
    pieces = [
        "a",
        "é",
        "日本",
        "😀",
        '"',
        "\\",
        "\n",
        "\t",
        "\x00",
        "\x1f",
        "\x7f",
        "\b\f\r",
        " ",
        "plain text ",
        "0",
        "{",
        "]",
        "/",
    ]
    out = "".join(r.choice(pieces) for _ in range(r.randrange(12)))
    if r.random() < 0.02:
        out += "\ud800"
    return out


def real(r):
    kind = r.randrange(9)
    if kind == 0:
        return r.choice(
            [
                0.0,
                -0.0,
                math.inf,
                -math.inf,
                math.nan,
                1e16,
                1e15,
                1e-4,
                9.9999e-5,
                1e300,
                5e-324,
                2.0**53,
                2.0**63,
                -(2.0**63),
                1e22,
            ]
        )
    if kind == 1:
        return float(r.randrange(-(10**6), 10**6))
    if kind == 2:
        return round(r.uniform(-1e5, 1e5), r.randrange(6))
    if kind == 3:
        return struct.unpack("<d", struct.pack("<Q", r.getrandbits(64)))[0]
    if kind == 4:
        return r.random()
    if kind == 5:
        return r.randrange(10**15) / 10 ** r.randrange(22)
    if kind == 6:
        return r.uniform(-1e-3, 1e-3)
    if kind == 7:
        return float(r.randrange(2**52, 2**56))
    return r.choice([0.5, 1.5, 2.5, 0.125, 1.005, 99.995, 12.0, 0.1, 1 / 3])


def whole(r):
    return r.choice([
        r.randrange(-10, 10), r.randrange(-(2**31), 2**31), r.randrange(-(2**63), 2**63), 2**63 - 1, -(2**63), 2**63,
        -(2**63) - 1, 32767, 32768, -32768, 2**31 - 1, 2**31, 10**18, 10**37, 10**38, -(10**38), 10**60,
    ])  # fmt: skip


def number_text(r):
    digits = str(r.randrange(10 ** r.randrange(1, 25)))
    return r.choice(["", "-", "+", " "]) + r.choice([
        digits, digits + ".", digits + "." + str(r.randrange(10 ** r.randrange(1, 8))), "0" + digits, "." + digits, digits + "e3",
        digits + "E-2", digits + ".000", "0.0", "nan", "inf", "1_0", "", "0x1", "٣", "1e99999999999999999999",
    ])  # fmt: skip


def zone(r):
    return r.choice([
        None, dt.timezone.utc, dt.timezone(dt.timedelta(hours=5, minutes=30)), dt.timezone(-dt.timedelta(seconds=3661)),
        dt.timezone(dt.timedelta(microseconds=-7)),
    ])  # fmt: skip


def moment(r):
    naive = dt.datetime(r.choice([1, 1969, 1970, 2000, 2024, 9999]), r.randrange(1, 13), r.randrange(1, 29), r.randrange(24), r.randrange(60),
                        r.randrange(60), r.choice([0, 1, 500000, 999999]))  # fmt: skip
    return naive.replace(tzinfo=zone(r))


def moment_text(r):
    day = f"{r.choice([0, 1, 1900, 2000, 2023, 2024, 9999]):04d}-{r.randrange(0, 14):02d}-{r.randrange(0, 33):02d}"
    if r.random() < 0.3:
        day = r.choice(
            ["2024-02-29", "2023-02-29", "1969-12-31", "20240229", "2024-2-29", " 2024-02-29 "]
        )
    if r.random() < 0.25:
        return day
    clock = f"{r.randrange(26):02d}:{r.randrange(62):02d}:{r.randrange(62):02d}"
    fraction = r.choice(["", ".5", ".123456", ".123456789", ".1234560000", ",25", "."])
    return (
        day
        + r.choice(["T", " ", "t", "x"])
        + clock
        + fraction
        + r.choice(
            [
                "",
                "Z",
                "z",
                "+02:00",
                "-0330",
                "+05",
                " +01:00",
                "+25:00",
                " UTC",
                "+02:00:30",
                "-00:00",
            ]
        )
    )


def exact(r):
    return r.choice([
        lambda: decimal.Decimal(number_text_valid(r)), lambda: decimal.Decimal(r.choice(["NaN", "sNaN", "Infinity", "-Infinity", "1E+5", "1E-30", "0E+3",
        "-0", "-0.00", "0.000", "1E+2000", "1E-2000", "12.3400", "9" * 38, "9" * 39, "1.5", "2.5", "99.995"])),
    ])()  # fmt: skip


def number_text_valid(r):
    return f"{r.choice(['', '-'])}{r.randrange(10 ** r.randrange(1, 20))}.{r.randrange(10 ** r.randrange(1, 9))}"


def nested(r, depth=0):
    kind = r.randrange(8 if depth < 4 else 5)
    if kind >= 5:
        items = [nested(r, depth + 1) for _ in range(r.randrange(4))]
        if kind == 5:
            return items
        if kind == 6:
            return tuple(items)
        return {key(r): item for item in items}
    return scalar(r) if r.random() < 0.3 else r.choice([text(r), whole(r), real(r), None, True])


def key(r):
    return r.choice(
        [
            text(r),
            "k",
            "id",
            r.randrange(9),
            1.5,
            True,
            None,
            Text("sub"),
            Color.ONE,
            dt.date(2024, 1, 1),
            (1, 2),
            math.inf,
        ]
    )


def scalar(r):
    return r.choice([
        lambda: None, lambda: r.random() < 0.5, lambda: whole(r), lambda: real(r), lambda: text(r), lambda: number_text(r), lambda: moment_text(r),
        lambda: moment(r), lambda: moment(r).date(), lambda: exact(r), lambda: text(r).encode("utf-8", "replace"), lambda: bytearray(b"xy"),
        lambda: memoryview(b"abc"), lambda: dt.time(1, 2, 3), lambda: dt.timedelta(1, 2), lambda: uuid.UUID(int=r.getrandbits(128)),
        lambda: r.choice(list(Color)), lambda: Flag.A, lambda: Text(text(r)), lambda: Whole(r.randrange(99)), lambda: Real(2.5), lambda: Thing(r.randrange(3)),
        lambda: r.choice(["true", "FALSE", "0", "1", " true ", "yes"]), lambda: r.choice([0, 1, 2]), lambda: '{"a": 1}', lambda: "[1", lambda: " [1] ",
        lambda: {3, 1, 2}, lambda: frozenset(["b", "a"]), lambda: complex(1, 2),
    ])()  # fmt: skip


def value(r):
    return nested(r) if r.random() < 0.2 else scalar(r)


def fitting(r, kind):
    """A value that a column of this kind usually takes, so that rows with many columns pass."""
    if r.random() < 0.05:
        return value(r)
    if kind in ("SHORT", "INT", "LONG"):
        return r.choice(
            [
                r.randrange(-99, 99),
                str(r.randrange(999)),
                float(r.randrange(99)),
                None,
                True,
                decimal.Decimal(5),
            ]
        )
    if kind in ("FLOAT", "DOUBLE"):
        return r.choice([real(r), r.randrange(-99, 99), "1.5", None, exact(r)])
    if isinstance(kind, dict):
        return r.choice(
            [
                round(r.uniform(-99, 99), r.randrange(4)),
                r.randrange(99),
                decimal.Decimal("1.005"),
                "3.25",
                "-0.50",
                None,
            ]
        )
    if kind == "BOOLEAN":
        return r.choice([True, False, 0, 1, "true", None])
    if kind in ("NAIVE_DATE", "NAIVE_DATETIME", "UTC_DATETIME"):
        return r.choice(
            [
                moment(r),
                moment(r).date(),
                "2024-02-29",
                "2024-02-29T10:11:12.123456789Z",
                "2024-02-29 10:11:12+02:00",
                None,
            ]
        )
    if kind in ("BINARY", "XML"):
        return b"x" if kind == "BINARY" else "<a/>"
    return value(r)


def schema(r):
    columns = {}
    for i in range(r.randrange(1, 9)):
        if r.random() < 0.2:
            precision = r.randrange(1, 39)
            columns[f"c{i}"] = {
                "type": "DECIMAL",
                "precision": precision,
                "scale": r.randrange(0, precision + 1),
            }
        elif r.random() < 0.7:
            columns[f"c{i}"] = r.choice(TYPES)
    return [{"table": "t", "primary_key": ["id"] if r.random() < 0.5 else [], "columns": columns}]


def outcome(call, *args, **options):
    try:
        return call(*args, **options)
    except (ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("seed", range(1, 6), ids=lambda seed: f"seed{seed}")
def test_same_bytes(seed):
    r = random.Random(seed)
    done = 0
    passed = 0
    while done < ROWS:
        tables = schema(r)
        both = [Rig("python", tables), Rig("c", tables)]
        kinds = tables[0]["columns"]
        for _ in range(100):
            op = r.choice(["upsert", "upsert", "upsert", "update", "delete"])
            table = r.choice(["t", "t", "t", "T", "u"])
            names = [
                name
                for name in ["id", *(f"c{i}" for i in range(9)), "x y", "C1"]
                if r.random() < 0.6
            ]
            if r.random() < 0.1:
                r.shuffle(names)
            row = {name: fitting(r, kinds.get(name)) for name in names}
            results = [outcome(getattr(rig, op), table, row) for rig in both]
            assert results[0] == results[1], (op, table, row)
            data = [rig.take() for rig in both]
            assert data[0] == data[1], (op, table, row)
            done += 1
            passed += results[0] == ()
        assert both[0].counts() == both[1].counts()
    assert passed > ROWS / 4, "most rows were refused: the test compares too little"


@pytest.mark.parametrize("seed", range(1, 4), ids=lambda seed: f"seed{seed}")
def test_same_single_values(seed):
    r = random.Random(seed)
    for _ in range(3000):
        kind = r.choice([None, *TYPES, {"type": "DECIMAL", "precision": 12, "scale": 2}])
        tables = [{"table": "t", "columns": {"c": kind} if kind else {}}]
        given = value(r)
        both = [Rig("python", tables), Rig("c", tables)]
        results = [outcome(rig.upsert, table="t", data={"c": given}) for rig in both]
        assert results[0] == results[1], (kind, given)
        assert both[0].take() == both[1].take(), (kind, given)
        assert both[0].counts() == both[1].counts(), (kind, given)


@pytest.mark.parametrize("seed", range(1, 4), ids=lambda seed: f"seed{seed}")
def test_same_checkpoints(seed):
    r = random.Random(seed)
    for _ in range(1500):
        both = [Rig("python"), Rig("c")]
        state = {"s": nested(r)} if r.random() < 0.9 else nested(r)
        results = [outcome(rig.checkpoint, state) for rig in both]
        assert results[0] == results[1], state
        assert both[0].take() == both[1].take(), state


def test_float_text_is_repr():
    from fivetran_connector_sdk._cframes import float_text

    r = random.Random(5)
    for _ in range(100_000):
        number = real(r)
        if math.isfinite(number):
            assert float_text(number) == repr(number)
    for places in range(25):
        for digits in (1, 9, 99, 123456789012345, 999999999999999, 100000000000001):
            for near in (
                digits / 10**places,
                math.nextafter(digits / 10**places, 0) if hasattr(math, "nextafter") else 0.3,
            ):
                assert float_text(near) == repr(near)
