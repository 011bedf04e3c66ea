"""DuckDB: the file of the project, read with the duckdb package."""

import os

from peer import Json
from warehouse import Warehouse


class DuckDB(Warehouse):
    name = "duckdb"
    title = "DuckDB"
    against = "DuckDB 1.5.5, a file"
    types = {
        "BOOLEAN": "BOOLEAN",
        "SHORT": "SMALLINT",
        "INT": "INTEGER",
        "LONG": "BIGINT",
        "DECIMAL": "DECIMAL",
        "FLOAT": "FLOAT",
        "DOUBLE": "DOUBLE",
        "NAIVE_DATE": "DATE",
        "NAIVE_DATETIME": "TIMESTAMP",
        "UTC_DATETIME": "TIMESTAMP WITH TIME ZONE",
        "BINARY": "BLOB",
        "XML": "VARCHAR",
        "STRING": "VARCHAR",
        "JSON": "JSON",
    }

    con = None

    def fresh(self, folder):
        self.file = os.path.join(folder, "files", "warehouse.db")

    def let_go(self):
        if self.con is not None:
            self.con.close()
            self.con = None

    def query(self, sql, *values):
        """The file stays open until the next sync; only one process may have it."""
        if self.con is None:
            import duckdb

            if not os.path.exists(self.file):
                return []
            self.con = duckdb.connect(self.file)
            self.con.execute("SET TimeZone = 'UTC'")
        return self.con.execute(sql, list(values)).fetchall()

    def execute(self, sql):
        self.query(sql)

    def columns(self, schema, table):
        return dict(self.query(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? ORDER BY column_index",
            schema, table))  # fmt: skip

    def rows(self, schema, table):
        kinds = self.columns(schema, table)
        found = self.query("FROM %s.%s" % (self.quote(schema), self.quote(table)))
        return [
            {c: Json(v) if kinds[c] == "JSON" and v is not None else v for c, v in zip(kinds, row)}
            for row in found
        ]

    def tables(self):
        return self.query(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name <> '_sluice' ORDER BY ALL"
        )

    def _has_state(self):
        return self.query(
            "SELECT 1 FROM duckdb_tables() WHERE schema_name = '_sluice' AND table_name = 'state'"
        )

    def state(self, connection="tester"):
        found = self._has_state() and self.query(
            "SELECT state FROM _sluice.state WHERE connection = ?", connection
        )
        return found[0][0] if found else None

    def history(self, connection="tester"):
        return [s for (s,) in self.query(
            "SELECT state FROM _sluice.state_history WHERE connection = ? ORDER BY number", connection)]  # fmt: skip
