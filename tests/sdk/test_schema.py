"""schema(): what is accepted, what is refused, in which words."""
# ruff: noqa: E501 (tables of cases)

import pytest

from fivetran_connector_sdk._schema import check_schema


def one(entry):
    (decl,) = check_schema([entry])
    return decl.to_json()


def test_everything():
    columns = {
        "id": "LONG",
        "n": {"type": "decimal", "precision": 12, "scale": 2},
        "s": "string",
        "u": " Utc_Datetime ",
    }
    assert one(
        {
            "schema": "s",
            "table": "t",
            "primary_key": ("id", "x"),
            "columns": columns,
            "description": "ours",
        }
    ) == {
        "schema": "s",
        "table": "t",
        "primary_key": ["id", "x"],
        "columns": [
            ["id", "LONG"],
            ["n", "DECIMAL", 12, 2],
            ["s", "STRING"],
            ["u", "UTC_DATETIME"],
        ],
    }


@pytest.mark.parametrize(
    "kind",
    "BOOLEAN SHORT INT LONG FLOAT DOUBLE NAIVE_DATE NAIVE_DATETIME UTC_DATETIME BINARY XML STRING JSON".split(),
)
def test_types(kind):
    assert one({"table": "t", "columns": {"c": kind.lower()}})["columns"] == [["c", kind]]


@pytest.mark.parametrize(
    "result, tables",
    [
        ([], []),
        ((), []),
        (iter([{"table": "a"}]), ["a"]),
        ([{"table": "a", "primary_key": None, "columns": None, "schema": None}], ["a"]),
        ([{"table": "a"}, {"table": "a", "schema": "s"}, {"table": "A"}], ["a", "s.a", "A"]),
    ],
)
def test_accepted(result, tables):
    assert [decl.label for decl in check_schema(result)] == tables


def test_a_key_given_twice_is_one_key():
    assert one({"table": "t", "primary_key": ["a", "a"]})["primary_key"] == ["a"]


def column(kind):
    return [{"table": "t", "columns": {"c": kind}}]


REFUSED = [
    (None, TypeError, "schema() returned None", "return a list"),
    ({"table": "t"}, TypeError, "must return a list of dicts, got dict", "put the table's dict into a list"),
    (5, TypeError, "must return a list of dicts, got int 5", None),
    (["t"], TypeError, "each table must be a dict, got str 't'", "write"),
    ([{"primary_key": ["id"]}], ValueError, "Entry missing table name: {'primary_key': ['id']}", "write"),
    ([{"name": "t"}], ValueError, "unknown key 'name'", "did you mean 'table'?"),
    ([{"table": 1}], TypeError, "Table name must be a string, got int", None),
    ([{"table": "  "}], ValueError, "Table name must be a non-empty string", None),
    ([{"table": "t", "schema": 1}], TypeError, "'schema' must be a string, got int", None),
    ([{"table": "t"}, {"table": "t"}], ValueError, "Table already defined: t", "once"),
    ([{"table": "t", "schema": "s"}] * 2, ValueError, "Table already defined: s.t", "once"),
    ([{"table": "t", "primary_key": "id"}], TypeError, "t: primary_key must be a list of column names, got str 'id'", "write ['id']"),
    ([{"table": "t", "primary_key": 5}], TypeError, "primary_key must be a list", None),
    ([{"table": "t", "primary_key": [5]}], TypeError, "a column name in primary_key must be a string, got int", None),
    ([{"table": "t", "primary_key": [""]}], ValueError, "a column name in primary_key must be a non-empty string", None),
    ([{"table": "t", "primary_keys": ["id"]}], ValueError, "table 't': unknown key 'primary_keys'", "did you mean 'primary_key'?"),
    ([{"table": "t", "PrimaryKey": ["id"]}], ValueError, "unknown key 'PrimaryKey'", "did you mean 'primary_key'?"),
    ([{"table": "t", "column": {}}], ValueError, "unknown key 'column'", "did you mean 'columns'?"),
    ([{"table": "t", "columns": ["id"]}], TypeError, "t: columns must be a dict of names and types, got list ['id']", "LONG"),
    ([{"table": "t", "columns": {5: "INT"}}], TypeError, "t: a column name must be a string, got int", None),
    (column("DECIMAL"), ValueError, "t.c: DECIMAL data type missing precision and scale", '"precision": 15'),
    (column("decimal(10,2)"), ValueError, "t.c: Unrecognized column type encountered: 'decimal(10,2)'", '"precision": 15'),
    (column("integer"), ValueError, "t.c: Unrecognized column type encountered: 'integer'", "did you mean INT?"),
    (column("VARCHAR(255)"), ValueError, "Unrecognized column type", "did you mean STRING?"),
    (column("NAIVE_TIME"), ValueError, "Unrecognized column type", "did you mean STRING?"),
    (column("UNDECLARED"), ValueError, "Unrecognized column type", "types: BOOLEAN, SHORT"),
    (column("wat"), ValueError, "Unrecognized column type", "types: BOOLEAN, SHORT"),
    (column(5), TypeError, "t.c: a column type must be a str or a DECIMAL dict, got int 5", None),
    (column({"type": "INT"}), ValueError, "t.c: Expecting DECIMAL data type for dictionary column entry, but got: 'INT'", "write the type itself: 'INT'"),
    (column({"type": "DECIMAL"}), ValueError, "t.c: DECIMAL without precision", "write"),
    (column({"type": "DECIMAL", "precision": 5}), ValueError, "t.c: DECIMAL without scale", "write"),
    (column({"type": "DECIMAL", "precision": 39, "scale": 0}), ValueError, "t.c: precision 39 is out of range", "1 to 38"),
    (column({"type": "DECIMAL", "precision": 0, "scale": 0}), ValueError, "precision 0 is out of range", "1 to 38"),
    (column({"type": "DECIMAL", "precision": 5, "scale": 6}), ValueError, "scale 6 is out of range", "0 to the precision, 5"),
    (column({"type": "DECIMAL", "precision": 5, "scale": -1}), ValueError, "scale -1 is out of range", None),
    (column({"type": "DECIMAL", "precision": True, "scale": 0}), TypeError, "precision must be an int, got bool True", "write"),
    (column({"type": "DECIMAL", "precision": "5", "scale": 0}), TypeError, "precision must be an int, got str '5'", "write"),
]  # fmt: skip


@pytest.mark.parametrize("result, kind, message, hint", REFUSED, ids=lambda x: repr(x)[:50])
def test_refused(result, kind, message, hint):
    with pytest.raises(kind) as caught:
        check_schema(result)
    text = str(caught.value)
    assert message in text.partition("\n  hint: ")[0]
    assert hint is None or hint in caught.value.hint


def test_an_error_of_a_generator_passes_through():
    def tables():
        yield {"table": "t"}
        raise TypeError("the author's own")

    with pytest.raises(TypeError, match="^the author's own$"):
        check_schema(tables())
