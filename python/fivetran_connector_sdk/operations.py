"""The operations of update(): ``from fivetran_connector_sdk import Operations as op``."""

from __future__ import annotations

from . import _active

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional, Tuple

    from .file_upload import FileUpload

# While update() runs these are the encoder's own methods: nothing lies between the author's call and the encoder.
BOUND = ("upsert", "update", "delete", "truncate", "checkpoint")


def _send(name: str, *args: Any, **options: Any) -> Tuple[()]:
    """Hand an operation to the run or the capture; outside both it does nothing."""
    if _active.session is not None:
        operation: Callable[..., Tuple[()]] = _active.session.operation(name)
        return operation(*args, **options)
    if _active.capture is not None:
        _active.capture.record(name, args, options)
    return ()


class Operations:
    """Data operations. All return ``()``: a plain call, ``yield op.x()`` and ``yield from op.x()`` do the same.

    They may be called from any thread. A row is encoded before the call returns, so its dict may be reused.
    """

    @staticmethod
    def upsert(
        table: str,
        data: Dict[str, Any],
        *,
        schema: Optional[str] = None,
        file: Optional[FileUpload] = None,
    ) -> Tuple[()]:
        """Insert a row, or replace the row with the same primary key. Columns that are not given become NULL.

        Args:
            table: table name, as in schema().
            data: column names and values.
            schema: source schema, for connectors with several.
            file: not available here: no destination has object storage.

        Raises:
            TypeError: a name is not a str, or data is not a dict.
            ValueError: a value that the declared type does not take, named with table and column.
        """
        return _send("upsert", table, data, schema=schema, file=file)

    @staticmethod
    def update(
        table: str,
        modified: Dict[str, Any],
        *,
        schema: Optional[str] = None,
        file: Optional[FileUpload] = None,
    ) -> Tuple[()]:
        """Change the given columns of the row with this primary key. A row that is not there stays so.

        Args:
            table: table name, as in schema().
            modified: the key columns and the columns to change.
            schema: source schema, for connectors with several.
            file: not available here.

        Raises:
            TypeError: a name is not a str, or modified is not a dict.
            ValueError: a key column is missing, or a value does not fit.
        """
        return _send("update", table, modified, schema=schema, file=file)

    @staticmethod
    def delete(table: str, keys: Dict[str, Any], *, schema: Optional[str] = None) -> Tuple[()]:
        """Mark the row with this primary key as deleted.

        Args:
            table: table name, as in schema().
            keys: the key columns.
            schema: source schema, for connectors with several.

        Raises:
            TypeError: a name is not a str, or keys is not a dict.
            ValueError: a key column is missing, or a value does not fit.
        """
        return _send("delete", table, keys, schema=schema)

    @staticmethod
    def truncate(table: str, *, schema: Optional[str] = None) -> Tuple[()]:
        """Mark all rows as deleted that were written to the table before this call.

        Raises:
            TypeError, ValueError: the name is not a str, or blank.
        """
        return _send("truncate", table, schema=schema)

    @staticmethod
    def checkpoint(state: Dict[str, Any], durable: bool = False) -> Tuple[()]:
        """Save the state together with all rows before it. The next sync starts from it.

        Args:
            state: a dict of anything json.dumps takes.
            durable: return only when rows and state are committed; for connectors that acknowledge to a queue.

        Raises:
            TypeError: the state is not a dict, or not JSON-serialisable.
            ValueError: it holds text with a lone surrogate, or is nested deeper than 512 levels.
        """
        return _send("checkpoint", state, durable)

    @staticmethod
    def warning(message: str) -> Tuple[()]:
        """Show a warning with the sync. The sync goes on.

        Raises:
            TypeError, ValueError: the message is not a str, or blank.
        """
        return _send("warning", _check_text("Message", message))

    @staticmethod
    def error(message: str, trace: Optional[str] = None) -> Tuple[()]:
        """Stop the sync with an error that the user of the connection must act upon. Does not return in a run.

        Args:
            message: what happened and what to do.
            trace: details, for example a traceback.

        Raises:
            TypeError, ValueError: the message is not a str, or blank; the trace is not a str.
        """
        if trace is not None and not isinstance(trace, str):
            raise TypeError(f"Trace must be a string, got {type(trace).__name__}")
        return _send("error", _check_text("Message", message), trace)


def _check_text(what: str, text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a string, got {type(text).__name__}")
    if not text.strip():
        raise ValueError(f"{what} must be a non-empty string")
    return text


_originals = {name: Operations.__dict__[name] for name in BOUND}


def bind(target: Any) -> None:
    """Let the operations be target's own methods until ``unbind()``."""
    for name in BOUND:
        setattr(Operations, name, getattr(target, name))


def unbind() -> None:
    for name, original in _originals.items():
        setattr(Operations, name, original)
