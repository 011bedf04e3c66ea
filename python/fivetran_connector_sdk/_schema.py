"""schema(): from what the author returned to declarations, with an error for everything that would do harm."""

from __future__ import annotations

from ._errors import shorten, with_hint
from ._protocol import KIND
from ._values import type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, NoReturn, Optional, Tuple

PRECISION_MAX = 38

# What people write for the keys schema() knows.
_KEY_TWINS = {
    "primarykey": "primary_key",
    "primarykeys": "primary_key",
    "primarykeycolumns": "primary_key",
    "pk": "primary_key",
    "pks": "primary_key",
    "key": "primary_key",
    "keys": "primary_key",
    "column": "columns",
    "cols": "columns",
    "fields": "columns",
    "types": "columns",
    "tables": "table",
    "tablename": "table",
    "name": "table",
    "schemas": "schema",
    "schemaname": "schema",
}
_KEYS = ("schema", "table", "primary_key", "columns")

_TYPE_TWINS = {
    "BOOL": "BOOLEAN",
    "SMALLINT": "SHORT",
    "TINYINT": "SHORT",
    "INTEGER": "INT",
    "INT32": "INT",
    "INT64": "LONG",
    "BIGINT": "LONG",
    "NUMERIC": "DECIMAL",
    "NUMBER": "DECIMAL",
    "REAL": "FLOAT",
    "FLOAT64": "DOUBLE",
    "DATE": "NAIVE_DATE",
    "TIME": "STRING",
    "NAIVE_TIME": "STRING",
    "DATETIME": "NAIVE_DATETIME",
    "TIMESTAMP": "UTC_DATETIME",
    "TIMESTAMPTZ": "UTC_DATETIME",
    "BYTES": "BINARY",
    "BLOB": "BINARY",
    "TEXT": "STRING",
    "STR": "STRING",
    "VARCHAR": "STRING",
    "UUID": "STRING",
    "OBJECT": "JSON",
    "ARRAY": "JSON",
    "DICT": "JSON",
    "LIST": "JSON",
}
_DECIMAL_HINT = 'write {"type": "DECIMAL", "precision": 15, "scale": 2}'


class TableDecl:
    """One entry of schema(), checked."""

    __slots__ = ("columns", "primary_key", "schema", "table")

    def __init__(
        self,
        schema: Optional[str],
        table: str,
        primary_key: Tuple[str, ...],
        columns: Dict[str, Tuple[str, int, int]],
    ) -> None:
        self.schema = schema
        self.table = table
        self.primary_key = primary_key
        self.columns = columns

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.table}" if self.schema is not None else self.table

    def to_json(self) -> Dict[str, Any]:
        return {
            "schema": self.schema,
            "table": self.table,
            "primary_key": list(self.primary_key),
            "columns": [
                [name, kind, precision, scale] if kind == "DECIMAL" else [name, kind]
                for name, (kind, precision, scale) in self.columns.items()
            ],
        }


def check_schema(result: Any) -> List[TableDecl]:
    """Return the declarations in what schema() returned: an iterable of dicts.

    Raises:
        TypeError, ValueError: naming the table, the column and what to write instead.
    """
    if result is None:
        _fail(TypeError, "schema() returned None", "return a list of tables; [] declares none")
    if isinstance(result, (dict, str, bytes)):
        _fail(
            TypeError,
            f"schema() must return a list of dicts, got {type_name(result)}",
            "put the table's dict into a list: [{…}]",
        )
    try:
        entries = list(result)
    except TypeError:
        if not hasattr(result, "__iter__"):
            _fail(
                TypeError,
                f"schema() must return a list of dicts, got {type_name(result)} {shorten(result)}",
            )
        raise
    decls: List[TableDecl] = []
    seen = set()
    for entry in entries:
        decl = _check_entry(entry)
        if (decl.schema, decl.table) in seen:
            _fail(
                ValueError,
                f"Table already defined: {decl.label}",
                "list each table once in schema()",
            )
        seen.add((decl.schema, decl.table))
        decls.append(decl)
    return decls


def _fail(kind: Any, message: str, hint: Optional[str] = None) -> NoReturn:
    raise with_hint(kind, message, hint)


def _check_entry(entry: Any) -> TableDecl:
    if not isinstance(entry, dict):
        _fail(
            TypeError,
            f"schema(): each table must be a dict, got {type_name(entry)} {shorten(entry)}",
            'write {"table": "name", …}',
        )
    for key in entry:
        twin = (
            _KEY_TWINS.get(key.lower().replace("_", "").replace(" ", "").replace("-", ""))
            if isinstance(key, str)
            else None
        )
        if twin and key not in _KEYS and twin not in entry:
            where = entry.get("table")
            named = f"table {where!r}: " if isinstance(where, str) else "schema(): "
            _fail(ValueError, f"{named}unknown key {key!r}", f"did you mean {twin!r}?")
    if "table" not in entry:
        _fail(
            ValueError, f"Entry missing table name: {shorten(entry)}", 'write {"table": "name", …}'
        )
    table = _check_name("Table name", entry["table"])
    schema = entry.get("schema")
    if schema is not None:
        schema = _check_name("'schema'", schema)
    label = f"{schema}.{table}" if schema is not None else table
    return TableDecl(
        schema,
        table,
        _check_key(label, entry.get("primary_key")),
        _check_columns(label, entry.get("columns")),
    )


def _check_name(what: str, given: Any) -> str:
    if not isinstance(given, str):
        _fail(TypeError, f"{what} must be a string, got {type(given).__name__}")
    if not given.strip():
        _fail(ValueError, f"{what} must be a non-empty string")
    name = str.__str__(given)
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        _fail(ValueError, f"{what} {shorten(name)} holds a lone surrogate")
    return name


def _check_key(label: str, key: Any) -> Tuple[str, ...]:
    if key is None:
        return ()
    if isinstance(key, (str, bytes)):
        _fail(
            TypeError,
            f"{label}: primary_key must be a list of column names, got {type_name(key)} {shorten(key)}",
            f"write [{shorten(key)}]",
        )
    try:
        names = list(key)
    except TypeError:
        _fail(
            TypeError,
            f"{label}: primary_key must be a list of column names, got {type_name(key)} {shorten(key)}",
        )
    return tuple(
        dict.fromkeys(_check_name(f"{label}: a column name in primary_key", name) for name in names)
    )


def _check_columns(label: str, columns: Any) -> Dict[str, Tuple[str, int, int]]:
    if columns is None:
        return {}
    if not isinstance(columns, dict):
        _fail(
            TypeError,
            f"{label}: columns must be a dict of names and types, got {type_name(columns)} {shorten(columns)}",
            'write {"id": "LONG", "name": "STRING"}; a column need not be declared',
        )
    return {
        _check_name(f"{label}: a column name", name): _check_type(f"{label}.{name}", kind)
        for name, kind in columns.items()
    }


def _check_type(label: str, kind: Any) -> Tuple[str, int, int]:
    if isinstance(kind, dict):
        return _check_decimal(label, kind)
    if not isinstance(kind, str):
        _fail(
            TypeError,
            f"{label}: a column type must be a str or a DECIMAL dict, got {type_name(kind)} {shorten(kind)}",
        )
    name = kind.strip().upper()
    if name == "DECIMAL":
        _fail(ValueError, f"{label}: DECIMAL data type missing precision and scale", _DECIMAL_HINT)
    if name not in KIND or name == "UNDECLARED":
        twin = _TYPE_TWINS.get(name.split("(")[0].strip())
        if twin is None and name.startswith("DECIMAL"):
            twin = "DECIMAL"
        if twin == "DECIMAL":
            hint = _DECIMAL_HINT
        elif twin:
            hint = f"did you mean {twin}?"
        else:
            hint = "types: " + ", ".join(known for known in KIND if known != "UNDECLARED")
        _fail(ValueError, f"{label}: Unrecognized column type encountered: {kind!r}", hint)
    return name, 0, 0


def _check_decimal(label: str, kind: Dict[Any, Any]) -> Tuple[str, int, int]:
    name = kind.get("type")
    if not isinstance(name, str) or name.strip().upper() != "DECIMAL":
        _fail(
            ValueError,
            f"{label}: Expecting DECIMAL data type for dictionary column entry, but got: {shorten(name)}",
            f"write the type itself: {name!r}" if isinstance(name, str) else _DECIMAL_HINT,
        )
    for part in ("precision", "scale"):
        if part not in kind:
            _fail(ValueError, f"{label}: DECIMAL without {part}", _DECIMAL_HINT)
        if type(kind[part]) is not int:
            _fail(
                TypeError,
                f"{label}: {part} must be an int, got {type_name(kind[part])} {shorten(kind[part])}",
                _DECIMAL_HINT,
            )
    precision, scale = kind["precision"], kind["scale"]
    if not 1 <= precision <= PRECISION_MAX:
        _fail(
            ValueError, f"{label}: precision {precision} is out of range", f"1 to {PRECISION_MAX}"
        )
    if not 0 <= scale <= precision:
        _fail(
            ValueError,
            f"{label}: scale {scale} is out of range",
            f"0 to the precision, {precision}",
        )
    return "DECIMAL", precision, scale
