"""Python values to cells: the readable reference, and the slow path of the C encoder.

``Column.cell(value)`` returns the whole cell, tag included, or raises the ``ValueError`` the author sees. The C encoder
handles the common exact types itself and calls this module for all others and for every error, so both say the same.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import math
import struct
import sys

from . import _protocol as p
from ._errors import shorten, with_hint
from ._foreign import Instant, is_array, unwrap
from ._numbers import CONTEXT, Refused, decimal_text, is_short, to_decimal, to_float, to_int
from ._state import DEPTH_MAX, state_key_text
from ._times import EPOCH_DAY, datetime_text, micros_of, parse_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, NoReturn, Optional, Tuple

TEXT_CHECKS = 100  # strings per column that are tested for double encoding


_LONG_MIN, _LONG_MAX = -(2**63), 2**63 - 1
_BIG_LIMIT = 10**38
_RANGES = {
    p.KIND["SHORT"]: (-(2**15), 2**15 - 1),
    p.KIND["INT"]: (-(2**31), 2**31 - 1),
    p.KIND["LONG"]: (_LONG_MIN, _LONG_MAX),
}
_JSON_SPACE = " \t\r\n"

_pack_long = struct.Struct("<Bq").pack
_pack_double = struct.Struct("<Bd").pack
_pack_date = struct.Struct("<Bi").pack
_pack_sized = struct.Struct("<BI").pack
_float32 = struct.Struct("<f")
_escape = json.encoder.encode_basestring


def _is_uuid(value: object) -> bool:
    """Only where uuid is loaded can there be one; loading it is slow."""
    module = sys.modules.get("uuid")
    return module is not None and isinstance(value, module.UUID)


class Tally:
    """Counters of one run, and warnings that wait for the end of the current row."""

    __slots__ = ("cut", "notes", "replaced", "rounded")

    def __init__(self) -> None:
        self.rounded = 0
        self.cut = 0
        self.replaced = 0
        self.notes: List[str] = []


def type_name(value: object) -> str:
    """Return the type's name, with its module unless that is builtins."""
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


class Column:
    """One column of one table: its declaration, and what was already said about it."""

    __slots__ = (
        "_checks",
        "_said_rounded",
        "_said_text",
        "_tally",
        "is_key",
        "kind",
        "label",
        "loose",
        "name",
        "precision",
        "scale",
    )

    def __init__(
        self,
        tally: Tally,
        label: str,
        name: str,
        kind: int = 0,
        precision: int = 0,
        scale: int = 0,
        is_key: bool = False,
        loose: bool = False,
    ) -> None:
        self.label = label
        self.name = name
        self.kind = kind
        self.precision = precision
        self.scale = scale
        self.is_key = is_key
        # Declared under a name that only looks the same: the engine may hold them for two columns,
        # so a value that does not fit is sent as what it is.
        self.loose = loose
        self._tally = tally
        self._checks = 0
        self._said_text = False
        self._said_rounded = False

    # ------------------------------------------------------------------ entry

    def cell(self, value: Any) -> bytes:
        """Return the cell of a value.

        Raises:
            ValueError: the declared type does not take it, or no type can hold it.
        """
        if value is None:
            return b"\0"
        if self.kind:
            plain = unwrap(value)
            if plain is None:
                return b"\0"
            try:
                return _DECLARED[self.kind](self, plain)
            except Refused as refused:
                if not self.loose:
                    raise self._mismatch(value, refused.args[0]) from None
        return self._infer(value)

    def check_text(self, text: str) -> bool:
        """Look whether text is a whole JSON object or array; warn once. Return False when no more need be looked at."""
        if self._checks >= TEXT_CHECKS:
            return False
        text = text.strip(_JSON_SPACE)
        if text[:1] + text[-1:] not in ("{}", "[]"):
            return True
        self._checks += 1
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return self._checks < TEXT_CHECKS
        self._checks = TEXT_CHECKS
        self._tally.notes.append(
            f"{self.label} looks double-encoded: pass the dict or list itself, not json.dumps() of it"
        )
        return False

    # ------------------------------------------------------------------ errors

    def fail(self, message: str, hint: Optional[str] = None) -> NoReturn:
        raise with_hint(ValueError, f"{self.label}: {message}", hint) from None

    def _mismatch(self, value: object, hint: Optional[str]) -> ValueError:
        kind = p.KINDS[self.kind]
        if kind == "DECIMAL":
            kind = f"DECIMAL({self.precision},{self.scale})"
        return with_hint(
            ValueError,
            f"{self.label}: expected {kind}, got {type_name(value)} {shorten(value)}",
            hint,
        )

    def _utf8(self, text: str) -> bytes:
        try:
            return text.encode("utf-8")
        except UnicodeEncodeError as error:
            self.fail(
                f"text with a lone surrogate {text[error.start]!a}: {shorten(text)}",
                "decode the source with errors='replace', or send bytes",
            )

    def _sized(self, tag: int, data: bytes) -> bytes:
        if len(data) > p.FRAME_MAX - 4096:
            self.fail(f"a value of {len(data)} bytes is larger than a frame may be (1 GiB)")
        return _pack_sized(tag, len(data)) + data

    # ------------------------------------------------------------------ inference

    def _infer(self, value: Any) -> bytes:
        kind = type(value)
        if kind is str:
            if self._checks < TEXT_CHECKS and value[:1] in ("{", "[", " ", "\t", "\r", "\n"):
                self.check_text(value)
            return self._sized(p.CELL_STRING, self._utf8(value))
        if kind is int:
            return self._int(value)
        if kind is bool:
            return b"\2" if value else b"\1"
        if kind is float:
            return self._double(value)
        if kind is bytes:
            return self._sized(p.CELL_BINARY, value)
        if kind in (dict, list, tuple):
            return self._json(value)
        return self._infer_other(value)

    def _infer_other(self, value: Any) -> bytes:
        plain = unwrap(value)
        if plain is not value:
            return b"\0" if plain is None else self._infer(plain)
        if isinstance(value, str):
            return self._infer(str.__str__(value))
        if isinstance(value, int):
            return self._int(int.__int__(value))
        if isinstance(value, float):
            return self._double(float.__float__(value))
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._sized(p.CELL_BINARY, bytes(value))
        if isinstance(value, datetime.datetime):
            self._count_nanoseconds(value)
            micros, aware = micros_of(value)
            return _pack_long(p.CELL_UTC if aware else p.CELL_NAIVE, micros)
        if isinstance(value, datetime.date):
            return _pack_date(p.CELL_DATE, value.toordinal() - EPOCH_DAY)
        if isinstance(value, decimal.Decimal):
            tag = p.CELL_DECIMAL if value.is_finite() and is_short(value) else p.CELL_STRING
            return self._sized(tag, decimal_text(value).encode("ascii"))
        if isinstance(value, (dict, list, tuple, set, frozenset)) or is_array(value):
            return self._json(value)
        if isinstance(value, Instant):
            return self._infer_instant(value)
        return self._sized(p.CELL_STRING, self._utf8(self._other_text(value)))

    def _infer_instant(self, value: Instant) -> bytes:
        if value.parsed is None:
            return self._sized(p.CELL_STRING, value.text.encode("utf-8"))
        days, micros, _, cut = value.parsed
        self._tally.cut += cut
        if micros is None:
            return _pack_date(p.CELL_DATE, days)
        return _pack_long(p.CELL_NAIVE, days * 86_400_000_000 + micros)

    def _int(self, value: int) -> bytes:
        if _LONG_MIN <= value <= _LONG_MAX:
            return _pack_long(p.CELL_LONG, value)
        tag = p.CELL_BIGINT if -_BIG_LIMIT < value < _BIG_LIMIT else p.CELL_STRING
        return self._sized(tag, self._int_text(value).encode("ascii"))

    def _int_text(self, value: int) -> str:
        try:
            return int.__repr__(value)
        except ValueError:
            self.fail("an integer with too many digits to write down", "send it as text")

    def _double(self, value: float) -> bytes:
        if self.is_key and value != value:
            self.fail(
                "NaN in a key column", "a key must compare equal to itself; send None or text"
            )
        return _pack_double(p.CELL_DOUBLE, value)

    def _other_text(self, value: object) -> str:
        """Return str(value) of a type we do not know; say so once per column."""
        if isinstance(value, (datetime.time, datetime.timedelta)) or _is_uuid(value):
            return str(value)
        try:
            text = str.__str__(str(value))
        except Exception as error:
            self.fail(f"str() of a {type_name(value)} failed: {error}")
        if not self._said_text and self.kind != _STRING:
            self._said_text = True
            self._tally.notes.append(
                f"{self.label}: values of type {type_name(value)} are stored as text, by str()"
            )
        return text

    def _count_nanoseconds(self, value: object) -> None:
        if getattr(value, "nanosecond", 0):  # pandas.Timestamp
            self._tally.cut += 1

    # ------------------------------------------------------------------ JSON

    def _json(self, value: Any) -> bytes:
        out: List[str] = []
        self._write(value, out, 0)
        return self._sized(p.CELL_JSON, self._utf8("".join(out)))

    def _write(self, value: Any, out: List[str], depth: int) -> None:
        kind = type(value)
        if kind is str:
            out.append(_escape(value))
        elif value is None:
            out.append("null")
        elif kind is bool:
            out.append("true" if value else "false")
        elif kind is int:
            out.append(self._int_text(value))
        elif kind is float:
            if math.isfinite(value):
                out.append(repr(value))
            else:
                self._tally.replaced += 1
                out.append("null")
        elif kind is dict:
            self._deeper(depth)
            mark = "{"
            for key, item in value.items():
                out.append(mark)
                out.append(_escape(key if type(key) is str else self.key_text(key)))
                out.append(":")
                self._write(item, out, depth + 1)
                mark = ","
            out.append("}" if mark == "," else "{}")
        elif kind is list or kind is tuple:
            self._deeper(depth)
            mark = "["
            for item in value:
                out.append(mark)
                self._write(item, out, depth + 1)
                mark = ","
            out.append("]" if mark == "," else "[]")
        else:
            self._write(self.plain(value), out, depth)

    def _deeper(self, depth: int) -> None:
        if depth >= DEPTH_MAX:
            self.fail(f"JSON nested deeper than {DEPTH_MAX} levels", "does it contain itself?")

    def plain(self, value: Any) -> Any:
        """Return value as None, bool, int, float, str, list or dict, for JSON."""
        value = unwrap(value)
        kind = type(value)
        if value is None or kind in (bool, int, float, str, dict, list, tuple):
            return value
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int.__int__(value)
        if isinstance(value, float):
            return float.__float__(value)
        if isinstance(value, dict):
            return dict(value.items())
        if isinstance(value, (list, tuple)):
            return list(value)
        if isinstance(value, (set, frozenset)):
            return self._sorted(value)
        if is_array(value):
            return value.tolist()
        text = _scalar_text(value)
        return self._other_text(value) if text is None else text

    def _sorted(self, values: Any) -> List[Any]:
        kinds = {type(value) for value in values}
        if kinds == {str} or kinds <= {int, float} and all(value == value for value in values):
            return sorted(values)

        def text(value: Any) -> str:
            out: List[str] = []
            replaced = self._tally.replaced
            self._write(value, out, 0)
            self._tally.replaced = replaced
            return "".join(out)

        return sorted(values, key=text)

    def key_text(self, key: Any) -> str:
        """Return a dict key as JSON text: json.dumps's form for its types, else the text form of the value."""
        key = unwrap(key)
        text = state_key_text(key)
        if text is None:
            text = _scalar_text(key)
        return self._other_text(key) if text is None else text

    # ------------------------------------------------------------------ declared types

    def _declared_boolean(self, value: Any) -> bytes:
        if isinstance(value, str):
            value = {"true": 1, "1": 1, "false": 0, "0": 0}.get(value.strip().lower(), value)
        if isinstance(value, decimal.Decimal) and value.is_finite():
            value = int(value) if value in (0, 1) else value
        if isinstance(value, (int, float)) and value in (0, 1):
            return b"\2" if value else b"\1"
        raise Refused("a BOOLEAN takes True, False, 0, 1, 'true' and 'false'")

    def _declared_integer(self, value: Any) -> bytes:
        number = to_int(value)
        low, high = _RANGES[self.kind]
        if not low <= number <= high:
            wider = {"SHORT": "declare INT or LONG", "INT": "declare LONG"}.get(
                p.KINDS[self.kind], "declare DECIMAL or STRING"
            )
            raise Refused(f"{p.KINDS[self.kind]} holds {low} to {high}; {wider}")
        return _pack_long(p.CELL_LONG, number)

    def _declared_float(self, value: Any) -> bytes:
        number = to_float(value)
        try:
            return self._double(_float32.unpack(_float32.pack(number))[0])
        except OverflowError:
            raise Refused("FLOAT has 32 bits; declare DOUBLE") from None

    def _declared_double(self, value: Any) -> bytes:
        return self._double(to_float(value))

    def _declared_decimal(self, value: Any) -> bytes:
        number = to_decimal(value)
        if number and number.adjusted() + 1 > self.precision - self.scale:
            raise Refused(self._too_wide())
        exponent = number.as_tuple().exponent
        if not isinstance(exponent, int) or exponent < -self.scale:
            rounded = number.quantize(decimal.Decimal((0, (1,), -self.scale)), context=CONTEXT)
            if rounded != number:
                self._count_rounded(value)
            if rounded and rounded.adjusted() + 1 > self.precision - self.scale:
                raise Refused(self._too_wide())
            number = rounded
        return self._sized(p.CELL_DECIMAL, format(number, "f").encode("ascii"))

    def _too_wide(self) -> str:
        return (
            f"{self.precision - self.scale} digits fit before the point; declare a larger precision"
        )

    def _count_rounded(self, value: object) -> None:
        self._tally.rounded += 1
        if not self._said_rounded:
            self._said_rounded = True
            self._tally.notes.append(
                f"{self.label}: digits beyond scale {self.scale} are rounded, first in {shorten(value)}"
            )

    def _declared_date(self, value: Any) -> bytes:
        if isinstance(value, datetime.date):
            return _pack_date(p.CELL_DATE, value.toordinal() - EPOCH_DAY)
        days, _, _, _ = _instant(value)
        return _pack_date(p.CELL_DATE, days)

    def _declared_datetime(self, value: Any) -> bytes:
        tag = p.CELL_UTC if self.kind == p.KIND["UTC_DATETIME"] else p.CELL_NAIVE
        if isinstance(value, datetime.datetime):
            self._count_nanoseconds(value)
            return _pack_long(tag, micros_of(value)[0])
        if isinstance(value, datetime.date):
            return _pack_long(tag, (value.toordinal() - EPOCH_DAY) * 86_400_000_000)
        days, micros, offset, cut = _instant(value)
        self._tally.cut += cut
        return _pack_long(tag, (days * 86_400 - offset) * 1_000_000 + (micros or 0))

    def _declared_binary(self, value: Any) -> bytes:
        try:
            return self._sized(p.CELL_BINARY, bytes(memoryview(value)))
        except TypeError:
            raise Refused("a BINARY takes bytes; encode text first") from None

    def _declared_xml(self, value: Any) -> bytes:
        if isinstance(value, str):
            return self._sized(p.CELL_STRING, self._utf8(str.__str__(value)))
        raise Refused("an XML column takes text")

    def _declared_string(self, value: Any) -> bytes:
        return self._sized(p.CELL_STRING, self._utf8(self._text(value)))

    def _declared_json(self, value: Any) -> bytes:
        return self._json(value)

    def _text(self, value: Any) -> str:
        """Return the one text form of any value."""
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return self._int_text(int.__int__(value))
        if isinstance(value, float):
            return float.__repr__(value)
        if isinstance(value, (dict, list, tuple, set, frozenset)) or is_array(value):
            out: List[str] = []
            self._write(value, out, 0)
            return "".join(out)
        text = _scalar_text(value)
        return self._other_text(value) if text is None else text


_STRING = p.KIND["STRING"]

_DECLARED: Dict[int, Callable[[Column, Any], bytes]] = {
    p.KIND["BOOLEAN"]: Column._declared_boolean,
    p.KIND["SHORT"]: Column._declared_integer,
    p.KIND["INT"]: Column._declared_integer,
    p.KIND["LONG"]: Column._declared_integer,
    p.KIND["DECIMAL"]: Column._declared_decimal,
    p.KIND["FLOAT"]: Column._declared_float,
    p.KIND["DOUBLE"]: Column._declared_double,
    p.KIND["NAIVE_DATE"]: Column._declared_date,
    p.KIND["NAIVE_DATETIME"]: Column._declared_datetime,
    p.KIND["UTC_DATETIME"]: Column._declared_datetime,
    p.KIND["BINARY"]: Column._declared_binary,
    p.KIND["XML"]: Column._declared_xml,
    p.KIND["STRING"]: Column._declared_string,
    p.KIND["JSON"]: Column._declared_json,
}


def _instant(value: Any) -> "Tuple[int, Optional[int], int, int]":
    if isinstance(value, Instant):
        parsed = value.parsed
    elif isinstance(value, str):
        parsed = parse_iso(value)
    else:
        raise Refused("send a date, a datetime or ISO 8601 text")
    if parsed is None:
        raise Refused("ISO 8601 text looks like 2024-02-29 or 2024-02-29T10:11:12.5Z")
    return parsed


def _scalar_text(value: Any) -> "Optional[str]":
    """Return the text form of a date, Decimal or bytes-like value, else None."""
    if isinstance(value, datetime.datetime):
        return datetime_text(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return decimal_text(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode("ascii")
    if isinstance(value, Instant):
        return value.text
    return None
