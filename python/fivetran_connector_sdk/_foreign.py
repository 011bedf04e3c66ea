"""Values of numpy, pandas and enum, recognised by their types' names: nothing is imported for them."""

from __future__ import annotations

import datetime
import decimal
import enum
import operator

from ._times import parse_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PLAIN_TYPES = frozenset(
    (
        str,
        int,
        bool,
        float,
        bytes,
        dict,
        list,
        tuple,
        datetime.datetime,
        datetime.date,
        decimal.Decimal,
    )
)


class Instant:
    """A numpy.datetime64, as its ISO text and what that text says."""

    __slots__ = ("parsed", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.parsed = parse_iso(text)


def unwrap(value: Any) -> Any:
    """Return the Python value inside an Enum, a numpy scalar or a pandas missing value; anything else as it is."""
    while type(value) not in _PLAIN_TYPES:
        if isinstance(value, enum.Enum):
            value = value.value
            continue
        module = type(value).__module__
        if not isinstance(module, str):
            return value
        if module.startswith("pandas.") and type(value).__name__ in ("NaTType", "NAType"):
            return None
        if module == "numpy" or module.startswith("numpy."):
            plain = _unwrap_numpy(value)
            if plain is value:
                return value
            value = plain
            continue
        return value
    return value


def _unwrap_numpy(value: Any) -> Any:
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    if getattr(value, "shape", ()) != ():
        return value
    if kind == "b":
        return bool(value)
    if kind in ("i", "u"):
        return operator.index(value)
    if kind == "f":
        return float(value)
    if kind == "M":
        text = str(value)
        return None if text == "NaT" else Instant(text)
    if kind == "m" and str(value) == "NaT":
        return None
    return value


def is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy" and type(value).__name__ == "ndarray"
