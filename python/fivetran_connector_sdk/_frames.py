"""The readable reference encoder. ``_cframes`` (ext/) writes the same bytes; tests compare the two."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import struct
import threading

from . import _protocol as p
from ._catalog import Table, check_data, refuse_file
from ._state import state_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, BinaryIO, Callable, Dict, List, Optional, Tuple, Type

    from ._catalog import Catalog
    from ._values import Column

CHUNK = 256 << 10
_u32 = struct.Struct("<I").pack
_OPERATION = {p.UPSERT: "upsert", p.UPDATE: "update", p.DELETE: "delete"}


class _Shape:
    """The columns of one kind of row."""

    __slots__ = ("columns", "id", "keyless")

    def __init__(self, shape_id: int, columns: List[Column], keyless: bool) -> None:
        self.id = shape_id
        self.columns = columns
        self.keyless = keyless  # a declared key column is missing: no update, no delete


class _Known:
    """A table that has its number, and its shapes."""

    __slots__ = ("id", "shapes", "table", "union")

    def __init__(self, table_id: int, table: Table) -> None:
        self.id = table_id
        self.table = table
        self.shapes: Dict[Tuple[Any, ...], _Shape] = {}
        self.union: Optional[_Shape] = None


class _Guard:
    """A lock that refuses to be entered twice by one thread: str() of a value may call an operation.

    An RLock inside, so that a thread which a signal's exception threw out of ``__enter__`` can still say so.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._inside = False

    def __enter__(self) -> None:
        self._lock.acquire()
        if self._inside:
            self._lock.release()
            raise RuntimeError(
                "an operation was called while another one of this thread reads its values"
            )
        self._inside = True

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        tb: Optional[TracebackType],
    ) -> None:
        self._inside = False
        self._lock.release()


class Encoder:
    """Turns operations into frames and writes them to a socket.

    Args:
        fd: the socket; -1 keeps the bytes for ``take()``.
        catalog: tables and columns.
        on_stop: called when operations must end; raises.
        on_durable: called with the number of a durable checkpoint; returns once it is committed.

    All methods may be called from any thread.
    """

    def __init__(
        self,
        fd: int,
        catalog: Catalog,
        on_stop: Callable[[], Any],
        on_durable: Callable[[int], Any],
    ) -> None:
        # Its methods are single C calls, so a signal's exception cannot lose count of what was written.
        self._out: BinaryIO = io.BytesIO() if fd < 0 else open(os.dup(fd), "wb", buffering=CHUNK)
        self._keeps = fd < 0
        self._catalog = catalog
        self._on_stop = on_stop
        self._on_durable = on_durable
        self._guard = _Guard()
        self._dirty = False
        self._tables: Dict[Table, _Known] = {}
        self._shape_count = 0
        self._counts = [0, 0, 0, 0, 0]
        self._durable = False
        self._log_level = 0
        self._stop = 0

    # ------------------------------------------------------------------ operations

    def upsert(
        self, table: str, data: Dict[str, Any], *, schema: Optional[str] = None, file: Any = None
    ) -> Tuple[()]:
        return self._row(p.UPSERT, table, data, schema, file)

    def update(
        self,
        table: str,
        modified: Dict[str, Any],
        *,
        schema: Optional[str] = None,
        file: Any = None,
    ) -> Tuple[()]:
        return self._row(p.UPDATE, table, modified, schema, file)

    def delete(
        self, table: str, keys: Dict[str, Any], *, schema: Optional[str] = None
    ) -> Tuple[()]:
        return self._row(p.DELETE, table, keys, schema, None)

    def truncate(self, table: str, *, schema: Optional[str] = None) -> Tuple[()]:
        with self._guard:
            self._check_stop()
            self._frame(p.TRUNCATE, self._known(schema, table).id, b"")
            self._counts[3] += 1
        return ()

    def checkpoint(self, state: Dict[str, Any], durable: bool = False) -> Tuple[()]:
        durable = bool(durable)
        with self._guard:
            self._check_stop()
            durable = durable or self._durable
            self._frame(
                p.CHECKPOINT,
                p.CHECKPOINT_DURABLE if durable else 0,
                state_text(state).encode("utf-8"),
            )
            self._counts[4] += 1
            number = self._counts[4]
            self._flush()
            if self._stop == 2:
                self._stop = 1
                self._on_stop()
        if durable:
            self._on_durable(number)
        return ()

    # ------------------------------------------------------------------ the run's side

    def frame(self, kind: int, ident: int, payload: bytes) -> None:
        """Send a frame of any type, after everything before it."""
        with self._guard:
            self._frame(kind, ident, payload)
            self._flush()

    def configure(self, catalog: Catalog, durable: bool, log_level: int) -> None:
        """Set what is known only after START and schema()."""
        with self._guard:
            self._catalog = catalog
            self._durable = durable
            self._log_level = log_level

    def cancel(self, when: int) -> None:
        """Make operations call on_stop: 1 the next one, 2 the next checkpoint once it is sent."""
        self._stop = when

    @property
    def dirty(self) -> bool:
        """Whether bytes wait to be written."""
        return self._dirty

    def flush(self) -> None:
        with self._guard:
            self._flush()

    def take(self) -> bytes:
        """Return and forget the bytes of an encoder without a socket."""
        with self._guard:
            assert isinstance(self._out, io.BytesIO)
            data = self._out.getvalue()
            self._out = io.BytesIO()
        return data

    def counts(self) -> Dict[str, int]:
        """Return the DONE object."""
        tally = self._catalog.tally
        names = ("upserts", "updates", "deletes", "truncates", "checkpoints")
        result = dict(zip(names, self._counts))
        result.update(rounded=tally.rounded, cut=tally.cut, replaced=tally.replaced)
        return result

    # ------------------------------------------------------------------ rows

    def _row(self, kind: int, table: Any, data: Any, schema: Any, file: Any) -> Tuple[()]:
        with self._guard:
            self._check_stop()
            known = self._known(schema, table)
            if file is not None:
                refuse_file(known.table.label)
            row = check_data(known.table.label, data)
            shape = self._shape(known, row)
            if kind != p.UPSERT and self._is_keyless(known, shape, row):
                known.table.refuse_without_keys(_OPERATION[kind], row)
            self._frame(kind, shape.id, self._cells(known, shape, row))
            self._counts[kind - p.UPSERT] += 1
            self._send_notes()
        return ()

    def _cells(self, known: _Known, shape: _Shape, row: Dict[str, Any]) -> bytes:
        if shape is not known.union:
            cells = b"".join(
                [column.cell(value) for column, value in zip(shape.columns, row.values())]
            )
        else:
            absent = bytes([p.CELL_ABSENT])
            cells = b"".join(
                [
                    column.cell(row[column.name]) if column.name in row else absent
                    for column in shape.columns
                ]
            )
        if len(cells) > p.FRAME_MAX:
            raise ValueError(
                f"{known.table.label}: a row of {len(cells)} bytes is larger than a frame may be (1 GiB)"
            )
        return cells

    def _known(self, schema: Any, name: Any) -> _Known:
        table = self._catalog.table(schema, name)
        known = self._tables.get(table)
        if known is None:
            known = self._tables[table] = _Known(len(self._tables), table)
            schema_name = (table.schema or "").encode("utf-8")
            self._frame(
                p.TABLE, known.id, _u32(len(schema_name)) + schema_name + table.name.encode("utf-8")
            )
        return known

    def _shape(self, known: _Known, row: Dict[str, Any]) -> _Shape:
        names = tuple(row)
        try:
            shape = known.shapes.get(names)
        except TypeError:  # unhashable: cannot be, these were keys of a dict; let column() speak
            shape = None
        if shape is not None:
            return shape
        columns = [known.table.column(name) for name in names]
        if len(known.shapes) < p.SHAPES_MAX:
            shape = known.shapes[names] = self._new_shape(known, columns)
            return shape
        if known.union is None or any(column not in known.union.columns for column in columns):
            known.union = self._new_shape(known, list(known.table.columns.values()))
        return known.union

    def _new_shape(self, known: _Known, columns: List[Column]) -> _Shape:
        names = [column.name for column in columns]
        shape = _Shape(self._shape_count, columns, bool(known.table.missing_keys(names)))
        self._shape_count += 1
        parts = [_u32(known.id), _u32(len(names))]
        for name in names:
            data = name.encode("utf-8")
            parts += [_u32(len(data)), data]
        self._frame(p.SHAPE, shape.id, b"".join(parts))
        return shape

    def _is_keyless(self, known: _Known, shape: _Shape, row: Dict[str, Any]) -> bool:
        return bool(known.table.missing_keys(row)) if shape is known.union else shape.keyless

    # ------------------------------------------------------------------ bytes

    def _check_stop(self) -> None:
        if self._stop == 1:
            self._on_stop()

    def _frame(self, kind: int, ident: int, payload: bytes) -> None:
        if len(payload) > p.FRAME_MAX:
            raise ValueError(f"{len(payload)} bytes are larger than a frame may be (1 GiB)")
        frame = _u32(len(payload)) + _u32(kind | ident << 8) + payload
        self._dirty = True
        try:
            self._out.write(frame)
        except ConnectionError:
            self._lost()
        except BaseException:
            # A frame that fits the buffer is in it whole or not at all. Of a larger one a part may be
            # sent: a stream that ends is a failed sync, a stream with half a frame would be a wrong one.
            if len(frame) > CHUNK:
                self._lost(stop=False)
            raise

    def _send_notes(self) -> None:
        """Warnings about a row follow it."""
        notes = self._catalog.tally.notes
        if not notes:
            return
        for note in notes:
            if self._log_level <= p.LEVEL_WARNING:
                self._frame(
                    p.LOG,
                    p.LEVEL_WARNING | p.LOG_FROM_LIBRARY,
                    note.encode("utf-8", "backslashreplace"),
                )
        notes.clear()
        self._flush()

    def _flush(self) -> None:
        if self._keeps:
            return
        self._dirty = False
        try:
            self._out.flush()
        except ConnectionError:
            self._lost()

    def _lost(self, stop: bool = True) -> None:
        """Give up the connection."""
        with socket.socket(fileno=os.dup(self._out.fileno())) as sock, contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        self._out = io.BytesIO()
        self._keeps = True
        self._stop = 1
        if stop:
            self._on_stop()
