"""For the author's own unit tests: what did update() do?

    from fivetran_connector_sdk import testing

    def test_update():
        done = testing.run(connector, configuration={"key": "x"})
        assert done.upserts("orders") == [{"id": 1}]
        assert done.states[-1] == {"cursor": 1}

No engine is needed. Names and values are checked as in a real sync.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from . import _active
from ._catalog import Catalog
from ._encoder import encoder_class
from ._schema import check_schema
from ._session import call_update
from ._values import Tally

_ROWS = ("upsert", "update", "delete")


class Operation(NamedTuple):
    """One call. ``data`` is the row, the checkpoint's state, or the message."""

    name: str
    table: Optional[str]
    data: Any
    schema: Optional[str] = None


class Capture:
    """What was called, in order."""

    def __init__(self, tables: Any = ()) -> None:
        self.operations: List[Operation] = []
        self.logs: List[Tuple[int, str]] = []
        self._encoder = encoder_class()(
            -1, Catalog(Tally(), check_schema(tables)), _never, _at_once
        )

    def upserts(self, table: Optional[str] = None) -> List[Dict[str, Any]]:
        """Return the rows of ``op.upsert``, of one table or all."""
        return self._rows("upsert", table)

    def updates(self, table: Optional[str] = None) -> List[Dict[str, Any]]:
        """Return the columns of ``op.update``, of one table or all."""
        return self._rows("update", table)

    def deletes(self, table: Optional[str] = None) -> List[Dict[str, Any]]:
        """Return the keys of ``op.delete``, of one table or all."""
        return self._rows("delete", table)

    @property
    def states(self) -> List[Any]:
        """The states of ``op.checkpoint``, as they were at the call."""
        return self._rows("checkpoint", None)

    def _rows(self, name: str, table: Optional[str]) -> List[Any]:
        return [
            done.data
            for done in self.operations
            if done.name == name and table in (None, done.table)
        ]

    def record(self, name: str, args: Tuple[Any, ...], options: Dict[str, Any]) -> None:
        """Called by the operations."""
        given = {key: value for key, value in options.items() if value is not None}
        if name in _ROWS or name in ("truncate", "checkpoint"):
            getattr(self._encoder, name)(*args, **given)
            self._encoder.take()
        if name in _ROWS:
            done = Operation(name, args[0], _copy(args[1]), given.get("schema"))
        elif name == "truncate":
            done = Operation(name, args[0], None, given.get("schema"))
        else:
            done = Operation(name, None, _copy(args[0]))
        self.operations.append(done)

    def log(self, level: int, text: str) -> None:
        """Called by Logging."""
        self.logs.append((level, text))


@contextlib.contextmanager
def capture(tables: Any = ()) -> Iterator[Capture]:
    """Record operations and log lines until the end of the ``with`` block.

    Args:
        tables: what schema() returns, to have values checked against it.
    """
    previous = _active.capture
    _active.capture = Capture(tables)
    try:
        yield _active.capture
    finally:
        _active.capture = previous


def run(
    connector: Any,
    configuration: Optional[Dict[str, str]] = None,
    state: Optional[Dict[str, Any]] = None,
) -> Capture:
    """Call schema() and update() of a connector and return what they did. Exceptions pass through."""
    configuration = dict(configuration or {})
    tables = connector.schema(dict(configuration)) if connector.schema is not None else []
    if inspect.isgenerator(tables):
        tables = list(tables)
    with capture(tables) as done:
        call_update(connector.update, configuration, copy.deepcopy(state or {}))
    return done


def _copy(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:
        return dict(value) if hasattr(value, "items") else value


def _never() -> None:
    raise AssertionError("nobody cancels a test")


def _at_once(number: int) -> None:
    """A durable checkpoint of a test is durable at once."""
