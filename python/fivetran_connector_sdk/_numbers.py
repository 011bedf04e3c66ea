"""Numbers from whatever an author calls a number, and Decimals as text."""

from __future__ import annotations

import decimal
import operator
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PLAIN_DIGITS_MAX = 1000  # a Decimal longer than this in plain notation is kept as text

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)

# Enough for every declared precision (38) and never a trap: results are checked by hand.
CONTEXT = decimal.Context(
    prec=100,
    rounding=decimal.ROUND_HALF_EVEN,
    Emin=decimal.MIN_EMIN,
    Emax=decimal.MAX_EMAX,
    traps=[decimal.InvalidOperation],
)


class Refused(Exception):
    """A value that the declared type does not take. ``args[0]`` is the hint."""


def to_int(value: Any) -> int:
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        if value.is_integer():
            return int(value)
        raise Refused(
            "it has digits after the point; declare DOUBLE, or round it"
            if value == value
            else "send None for a missing number"
        )
    if isinstance(value, str):
        value = value.strip()
        if _INTEGER.fullmatch(value) and len(value) < 100:
            return int(value)
        if not _NUMBER.fullmatch(value):
            raise Refused("the text is not a number; send None for a missing one")
        value = CONTEXT.create_decimal(value)
    if isinstance(value, decimal.Decimal):
        if (
            value.is_finite()
            and value.adjusted() < 40
            and value == value.to_integral_value(context=CONTEXT)
        ):
            return int(value)
        raise Refused("it is not a whole number that fits; declare DECIMAL")
    try:
        return operator.index(value)
    except TypeError:
        raise Refused("send a whole number") from None


def to_float(value: Any) -> float:
    if isinstance(value, str):
        text = value.strip()
        if not (_NUMBER.fullmatch(text) or _NOT_FINITE.fullmatch(text)):
            raise Refused("the text is not a number; send None for a missing one")
        return float(text)
    if isinstance(value, (bytes, bytearray)):
        raise Refused("send a number")
    try:
        return float.__float__(value) if isinstance(value, float) else float(value)
    except OverflowError:
        raise Refused("it is larger than 64-bit floating point; declare STRING") from None
    except (TypeError, ValueError):
        raise Refused("send a number") from None


def to_decimal(value: Any) -> decimal.Decimal:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if isinstance(value, decimal.Decimal):
        number = value
    elif isinstance(value, int):
        number = decimal.Decimal(int.__int__(value))
    elif isinstance(value, float):
        number = decimal.Decimal(float.__repr__(value))
    elif isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text):
            raise Refused("the text is not a number; send None for a missing one")
        try:
            number = decimal.Decimal(text)
        except decimal.InvalidOperation:
            raise Refused("its exponent is out of any range") from None
    else:
        try:
            number = decimal.Decimal(operator.index(value))
        except TypeError:
            raise Refused("send a Decimal, an int or text") from None
    if not number.is_finite():
        raise Refused("a DECIMAL cannot hold it; send None")
    return number


def is_short(value: decimal.Decimal) -> bool:
    _, digits, exponent = value.as_tuple()
    return isinstance(exponent, int) and len(digits) + abs(exponent) <= PLAIN_DIGITS_MAX


def decimal_text(value: decimal.Decimal) -> str:
    """Return plain decimal text; 'nan', 'inf', '-inf'; scientific notation only where plain would be absurd."""
    if value.is_nan():
        return "nan"
    if value.is_infinite():
        return "-inf" if value < 0 else "inf"
    return format(value, "f") if is_short(value) else decimal.Decimal.__str__(value)
