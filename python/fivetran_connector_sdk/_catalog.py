"""What schema() declared, looked up by the names the operations use."""

from __future__ import annotations

from ._errors import shorten, with_hint
from ._protocol import KIND
from ._values import Column, Tally, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, NoReturn, Optional, Tuple

    from ._schema import TableDecl


def loose_name(name: str) -> str:
    """Return the name as it looks to a careless reader: no case, only letters and digits."""
    return "".join(char for char in name.casefold() if char.isalnum())


class Table:
    """One table the operations wrote to."""

    __slots__ = (
        "_decl",
        "_loose_columns",
        "_tally",
        "columns",
        "exact",
        "label",
        "name",
        "schema",
        "shapes",
    )

    def __init__(
        self, tally: Tally, schema: Optional[str], name: str, decl: Optional[TableDecl], exact: bool
    ) -> None:
        self.schema = schema
        self.name = name
        self.label = f"{schema}.{name}" if schema is not None else name
        self.exact = exact
        self.columns: Dict[str, Column] = {}
        self.shapes = 0
        self._tally = tally
        self._decl = decl
        self._loose_columns = _by_loose_name(decl.columns) if decl else {}

    def column(self, name: Any) -> Column:
        """Return the column of that name, made at its first use.

        Raises:
            TypeError: the name is not a str.
            ValueError: the name is empty or holds a lone surrogate.
        """
        if not isinstance(name, str):
            raise TypeError(
                f"{self.label}: column names must be str, got {type_name(name)} {shorten(name)}"
            )
        name = str.__str__(name)
        column = self.columns.get(name)
        if column is None:
            if not name:
                raise ValueError(f"{self.label}: a column name is empty")
            _check_utf8("a column name", name)
            column = self.columns[name] = self._new_column(name)
        return column

    def _new_column(self, name: str) -> Column:
        label = f"{self.label}.{name}"
        decl = self._decl
        if decl is None:
            return Column(self._tally, label, name)
        declared = decl.columns.get(name)
        loose = not self.exact
        if declared is None:
            twin = self._loose_columns.get(loose_name(name))
            if twin is not None:
                declared = decl.columns[twin]
                loose = True
        is_key = self.exact and name in decl.primary_key
        if declared is None:
            return Column(self._tally, label, name, is_key=is_key)
        kind, precision, scale = declared
        return Column(self._tally, label, name, KIND[kind], precision, scale, is_key, loose)

    def names(self) -> "Tuple[str, ...]":
        """Return every column name seen, in the order of first use."""
        return tuple(self.columns)

    def missing_keys(self, names: "Iterable[str]") -> "List[str]":
        """Return the declared key columns that are not among names, not even under a name that looks the same."""
        if self._decl is None or not self.exact:
            return []
        given = set(names)
        missing = [key for key in self._decl.primary_key if key not in given]
        if not missing:
            return []
        looks = {loose_name(name) for name in given}
        return [key for key in missing if loose_name(key) not in looks]

    def refuse_without_keys(self, operation: str, names: "Iterable[str]") -> NoReturn:
        given = list(names)
        missing = ", ".join(repr(key) for key in self.missing_keys(given))
        raise with_hint(
            ValueError,
            f"{self.label}: {operation} without key column {missing}; given: {', '.join(given) or 'nothing'}",
            "every column of the table's primary_key must be given",
        )


class Catalog:
    """All tables of a run, declared or not."""

    def __init__(self, tally: Tally, decls: "Iterable[TableDecl]" = ()) -> None:
        self.tally = tally
        self._tables: Dict[Tuple[Optional[str], str], Table] = {}
        self._decls = {(decl.schema, decl.table): decl for decl in decls}
        self._loose = _by_loose_name(
            self._decls, lambda key: f"{loose_name(key[0] or '')}.{loose_name(key[1])}"
        )

    def table(self, schema: Any, name: Any) -> Table:
        """Return the table of that name, made at its first use.

        Raises:
            TypeError: a name is not a str.
            ValueError: a name is blank or holds a lone surrogate.
        """
        if not isinstance(name, str):
            raise TypeError(f"Table name must be a string, got {type(name).__name__}")
        name = str.__str__(name)
        if schema is not None:
            if not isinstance(schema, str):
                raise TypeError(f"'schema' must be a string, got {type(schema).__name__}")
            schema = str.__str__(schema)
        table = self._tables.get((schema, name))
        if table is None:
            if not name.strip():
                raise ValueError("Table name must be a non-empty string")
            _check_utf8("the table name", name)
            if schema is not None:
                if not schema.strip():
                    raise ValueError("'schema' must be a non-empty string")
                _check_utf8("the schema name", schema)
            table = self._tables[schema, name] = self._new_table(schema, name)
        return table

    def _new_table(self, schema: "Optional[str]", name: str) -> Table:
        decl = self._decls.get((schema, name))
        if decl is not None:
            return Table(self.tally, schema, name, decl, True)
        twin = self._loose.get(f"{loose_name(schema or '')}.{loose_name(name)}")
        return Table(self.tally, schema, name, self._decls[twin] if twin else None, False)


def _by_loose_name(names: "Iterable[Any]", loosen: Any = loose_name) -> "Dict[str, Any]":
    """Return {loose name: name} of the names whose loose form is their own."""
    found: Dict[str, Any] = {}
    twice = set()
    for name in names:
        key = loosen(name)
        if key in found:
            twice.add(key)
        found[key] = name
    return {key: name for key, name in found.items() if key not in twice}


def check_data(label: str, data: Any) -> "Dict[Any, Any]":
    """Return data as a plain dict; whatever has .items(), as the official SDK asks for nothing more.

    Raises:
        TypeError: it has none.
    """
    if type(data) is dict:
        return data
    items = getattr(data, "items", None)
    if items is None or isinstance(data, type):
        raise with_hint(
            TypeError,
            f"{label}: a row must be a dict of column names and values, got {type_name(data)} {shorten(data)}",
            "call the operation once for each row" if isinstance(data, (list, tuple)) else None,
        )
    return dict(items())


def refuse_file(label: str) -> NoReturn:
    raise with_hint(
        ValueError,
        f"{label}: file= needs a destination with object storage; this destination has none",
        "leave out file=, or store the content in a BINARY column",
    )


def _check_utf8(what: str, name: str) -> None:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{what} {shorten(name)} holds a lone surrogate") from None
