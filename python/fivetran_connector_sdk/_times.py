"""Dates and times, to days and microseconds since 1970."""

from __future__ import annotations

import datetime
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
EPOCH = datetime.datetime(1970, 1, 1)
EPOCH_UTC = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MICROSECOND = datetime.timedelta(microseconds=1)
_ISO = re.compile(
    r"([0-9]{4})(-?)([0-9]{2})\2([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):?([0-9]{2})(?::?([0-9]{2})(?:[.,]([0-9]+))?)?"
    r" ?(Z|z|UTC|[+-][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2})?)?)?)?"
)


def parse_iso(text: str) -> "Optional[Tuple[int, Optional[int], int, int]]":
    """Return (days, microseconds of the day or None, zone offset in seconds, 1 if digits were cut), or None."""
    match = _ISO.fullmatch(text.strip())
    if not match:
        return None
    year, _, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        days = datetime.date(int(year), int(month), int(day)).toordinal() - EPOCH_DAY
    except ValueError:
        return None
    if hour is None:
        return days, None, 0, 0
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    fraction = fraction or ""
    micros = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + int(fraction[:6].ljust(6, "0"))
    offset = _offset(zone)
    if offset is None:
        return None
    return days, micros, offset, 1 if fraction[6:].strip("0") else 0


def _offset(zone: "Optional[str]") -> "Optional[int]":
    if zone is None or zone in ("Z", "z", "UTC"):
        return 0
    digits = zone[1:].replace(":", "")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4] or 0), int(digits[4:6] or 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    total = (hours * 60 + minutes) * 60 + seconds
    return -total if zone[0] == "-" else total


def micros_of(value: datetime.datetime) -> "Tuple[int, bool]":
    """Return (microseconds since the epoch, whether the value has a zone)."""
    offset = value.utcoffset()
    naive = value.replace(tzinfo=None)
    micros = (
        (naive.toordinal() - EPOCH_DAY) * 86_400_000_000
        + ((naive.hour * 60 + naive.minute) * 60 + naive.second) * 1_000_000
        + naive.microsecond
    )
    return (micros, False) if offset is None else (micros - offset // _MICROSECOND, True)


def datetime_text(value: datetime.datetime) -> str:
    iso = datetime.datetime.isoformat  # not a subclass's: pandas would add nanoseconds
    if value.utcoffset() is None:
        return iso(value.replace(tzinfo=None))
    try:
        utc = value.astimezone(datetime.timezone.utc)
    except OverflowError:
        return iso(value)
    return iso(utc.replace(tzinfo=None)) + "Z"
