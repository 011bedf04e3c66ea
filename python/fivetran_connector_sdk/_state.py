"""Checkpoint state as JSON text: a dict of what json.dumps takes, and nothing else."""

from __future__ import annotations

import json
import math
import re

from ._errors import shorten, with_hint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional

DEPTH_MAX = 512  # nesting; deeper is a cycle or a mistake

_escape = json.encoder.encode_basestring
_SURROGATE = re.compile("[\ud800-\udfff]")


def state_text(state: Any) -> str:
    """Return the state as compact JSON text.

    Raises:
        TypeError: the state is not a dict, or holds something that JSON cannot say.
        ValueError: nested deeper than 512 levels, or text with a lone surrogate.
    """
    if not isinstance(state, dict):
        name = "None" if state is None else type(state).__name__
        raise with_hint(
            TypeError,
            f"checkpoint state must be a dict, got {name}",
            "pass {} to start over next time" if state is None else 'wrap it: {"cursor": value}',
        )
    out: List[str] = []
    _write_state(state, out, 0)
    return "".join(out)


def _write_state(value: Any, out: "List[str]", depth: int) -> None:
    kind = type(value)
    if kind is str:
        out.append(_state_string(value))
    elif kind is float:
        out.append(_float_text(value))
    elif kind is bool:
        out.append("true" if value else "false")
    elif kind is int:
        out.append(int.__repr__(value))
    elif value is None:
        out.append("null")
    elif kind is dict:
        state_depth(depth)
        mark = "{"
        for key, item in value.items():
            out.append(mark)
            out.append(_state_string(key if type(key) is str else state_key(key)))
            out.append(":")
            _write_state(item, out, depth + 1)
            mark = ","
        out.append("}" if mark == "," else "{}")
    elif kind is list or kind is tuple:
        state_depth(depth)
        mark = "["
        for item in value:
            out.append(mark)
            _write_state(item, out, depth + 1)
            mark = ","
        out.append("]" if mark == "," else "[]")
    else:
        _write_state(state_plain(value), out, depth)


def state_depth(depth: int) -> None:
    if depth >= DEPTH_MAX:
        raise with_hint(
            ValueError,
            f"checkpoint state is nested deeper than {DEPTH_MAX} levels",
            "does it contain itself?",
        )


def state_plain(value: Any) -> Any:
    """Return a subclass of a JSON type as that type; refuse anything else, as json.dumps does."""
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
    raise with_hint(
        TypeError,
        f"checkpoint state: Object of type {type(value).__name__} is not JSON serializable",
        "turn it into text, for example with .isoformat() or str()",
    )


def state_key(key: Any) -> str:
    text = state_key_text(key)
    if text is None:
        raise TypeError(
            f"checkpoint state: keys must be str, int, float, bool or None, not {type(key).__name__}"
        )
    return text


def state_key_text(key: Any) -> "Optional[str]":
    """Return the text json.dumps writes for a key of a type it takes, else None."""
    if isinstance(key, str):
        return str.__str__(key)
    if key is None:
        return "null"
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float):
        return _float_text(key)
    return None


def _float_text(value: float) -> str:
    if math.isfinite(value):
        return float.__repr__(value)
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _state_string(value: str) -> str:
    text = _escape(value)
    found = None if text.isascii() else _SURROGATE.search(text)
    if found:
        raise with_hint(
            ValueError,
            f"checkpoint state: text with a lone surrogate {found.group()!a}: {shorten(value)}",
            "decode the source with errors='replace'",
        )
    return text
