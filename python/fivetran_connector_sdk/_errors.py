"""Exceptions of a run, and the one way to make an error that carries a hint."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Type, TypeVar

    E = TypeVar("E", bound=BaseException)

_HINT = "\n  hint: "


class SyncCancelled(BaseException):
    """Raised by the next operation after the engine asked to stop.

    A BaseException, so that an author's ``except Exception`` does not swallow it.
    """


class SyncStopped(BaseException):
    """Raised by ``op.error`` to leave update()."""


class SyncFailed(RuntimeError):
    """``Connector.debug`` ended without success. The engine has already printed why."""


# Where authors may import them from.
SyncCancelled.__module__ = SyncFailed.__module__ = "fivetran_connector_sdk"


def with_hint(kind: Type[E], message: str, hint: Optional[str]) -> E:
    """Return an exception whose text ends with the hint, and which keeps both apart for the ERROR frame."""
    if not hint:
        return kind(message)
    error = kind(message + _HINT + hint)
    error.hint = hint  # type: ignore[attr-defined]
    return error


def split_hint(error: BaseException) -> "tuple[str, Optional[str]]":
    """Return (message, hint) of any exception."""
    text = str(error)
    hint = getattr(error, "hint", None)
    if isinstance(hint, str) and text.endswith(_HINT + hint):
        return text[: -len(_HINT + hint)], hint
    return text, hint if isinstance(hint, str) else None


def shorten(value: object) -> str:
    """Return repr(value), at most about 60 characters, and never an exception."""
    try:
        text = repr(value)
    except Exception:
        return "(repr() failed)"
    return text if len(text) <= 60 else text[:45] + "…" + text[-10:]
