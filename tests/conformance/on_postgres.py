"""PostgreSQL: a private server of the installed version (tests/pg.py), read with psycopg."""

import os
import struct
import time

import pg
from peer import Json
from warehouse import Difference, Warehouse


def replaced(value):
    """PostgreSQL has no U+0000 in text, and jsonb not even its escape."""
    return type(value)(value.replace("\0", "\ufffd").replace("\\u0000", "\\ufffd"))


class PostgreSQL(Warehouse):
    name = "postgres"
    title = "PostgreSQL"
    against = "PostgreSQL 15 of Debian 12"
    server = True
    commit = b"COMMIT\0"  # a Query message; "ON COMMIT DROP" is not one
    types = {
        "BOOLEAN": "boolean",
        "SHORT": "smallint",
        "INT": "integer",
        "LONG": "bigint",
        "DECIMAL": "numeric",
        "FLOAT": "real",
        "DOUBLE": "double precision",
        "NAIVE_DATE": "date",
        "NAIVE_DATETIME": "timestamp without time zone",
        "UTC_DATETIME": "timestamp with time zone",
        "BINARY": "bytea",
        "XML": "text",
        "STRING": "text",
        "JSON": "jsonb",
    }
    # An older server, as far as the engine is concerned: SLUICE_PG_VERSION=140000, with test builds throughout.
    env = {
        "SL_" + k[len("SLUICE_") :]: v for k, v in os.environ.items() if k == "SLUICE_PG_VERSION"
    }
    name_max = 63
    columns_max = 1600
    differs = {
        "text-nul": Difference("U+0000 becomes U+FFFD, which is counted", replaced),
        "json-nul": Difference("\\u0000 becomes \\ufffd, which is counted", replaced),
        "test_json_is_kept_as_written": Difference(
            "jsonb keeps the value, not its spaces, the order of its members or how a character is spelled"
        ),
    }

    cluster = None
    number = 0
    con = None

    @classmethod
    def missing(cls):
        return pg.missing()

    def start(self):
        self.cluster = pg.Cluster()

    def stop(self):
        if self.cluster is not None:
            self.cluster.close()

    def fresh(self, folder):
        """A database per test, with a name that wants quoting."""
        self.let_go()
        if self.number:
            self.cluster.execute('DROP DATABASE "%s" WITH (FORCE)' % self.database, "postgres")
        self.number += 1
        self.database = "Test %d" % self.number
        self.cluster.execute('CREATE DATABASE "%s"' % self.database, "postgres")

    def address(self):
        return "127.0.0.1", self.cluster.port

    def options(self):
        """In the clear, so that the proxy sees what passes."""
        return self.cluster.options(database=self.database, sslmode="disable")

    # ---- reading

    def connect(self):
        import psycopg

        class JsonText(psycopg.adapt.Loader):
            def load(self, data):
                return Json(bytes(data).decode())

        class Float4(psycopg.adapt.Loader):
            """The value itself, not the nearest double of its shortest text."""

            def load(self, data):
                return struct.unpack("f", struct.pack("f", float(bytes(data))))[0]

        con = self.cluster.connect(self.database)
        for kind in ("json", "jsonb"):
            con.adapters.register_loader(kind, JsonText)
        con.adapters.register_loader("float4", Float4)
        return con

    def let_go(self):
        if self.con is not None:
            self.con.close()
            self.con = None

    def query(self, sql, *values):
        if self.con is None:
            self.con = self.connect()
        return self.con.execute(sql, values or None).fetchall()

    def execute(self, sql):
        self.query("SELECT 1")
        self.con.execute(sql)

    def columns(self, schema, table):
        return dict(self.query(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0"
            " AND NOT a.attisdropped ORDER BY a.attnum", schema, table))  # fmt: skip

    def rows(self, schema, table):
        found = self.query("TABLE %s.%s" % (self.quote(schema), self.quote(table)))
        names = list(self.columns(schema, table))
        return [dict(zip(names, row)) for row in found]

    def tables(self):
        return self.query(
            "SELECT schemaname::text, tablename::text FROM pg_tables WHERE schemaname NOT IN ('_sluice', 'pg_catalog',"
            ' \'information_schema\') ORDER BY schemaname COLLATE "C", tablename COLLATE "C"')  # fmt: skip

    def _has_state(self):
        return self.query("SELECT to_regclass('_sluice.state')")[0][0]

    def state(self, connection="tester"):
        found = self._has_state() and self.query(
            "SELECT state FROM _sluice.state WHERE connection = %s", connection
        )
        return found[0][0] if found else None

    def history(self, connection="tester"):
        return [s for (s,) in self.query(
            "SELECT state FROM _sluice.state_history WHERE connection = %s ORDER BY number", connection)]  # fmt: skip

    def sessions(self):
        return self.query("SELECT 'session', pid, state, query FROM pg_stat_activity"
                          " WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip

    def settle(self, seconds=30):
        until = time.monotonic() + seconds
        while self.sessions():
            assert time.monotonic() < until, "sessions go on: %s" % self.sessions()
            time.sleep(0.01)

    def leftovers(self):
        self.settle()
        return [*self.query("SELECT 'table', tablename FROM pg_tables WHERE schemaname = '_sluice' AND tablename NOT IN"
                            " ('meta', 'tables', 'columns', 'state', 'state_history')"),
                *self.query("SELECT 'temporary', relname FROM pg_class WHERE relpersistence = 't'"),
                *self.query("SELECT 'prepared', gid FROM pg_prepared_xacts WHERE database = current_database()")]  # fmt: skip
