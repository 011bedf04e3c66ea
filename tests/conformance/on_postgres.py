"""PostgreSQL: a private server of the installed version, read with psycopg."""

import glob
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from peer import Json
from warehouse import Difference, Warehouse

PASSWORD = "quo'te \\ and \"space"


def programs():
    """The folder with initdb and postgres of the newest version, or None."""
    debian = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]))
    found = shutil.which("postgres")
    return os.path.dirname(os.path.realpath(found)) if found else debian[-1] if debian else None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


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
    name_max = 63
    columns_max = 1600
    differs = {
        "text-nul": Difference("U+0000 becomes U+FFFD, which is counted and told", replaced),
        "json-nul": Difference("\\u0000 becomes \\ufffd, which is counted and told", replaced),
        "test_json_is_kept_as_written": Difference(
            "jsonb keeps the value, not its spaces, the order of its members or how a character is spelled"
        ),
    }

    process = None
    folder = None
    con = None
    number = 0

    @classmethod
    def missing(cls):
        if programs() is None:
            return "no PostgreSQL server: apt-get install postgresql (scripts/setup does it)"
        try:
            import psycopg  # noqa: F401
        except ImportError:
            return "no driver to read with: pip install 'psycopg[binary]'"
        return None

    # ---- the server

    def start(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-postgres-")
        self.user = {}
        if os.geteuid() == 0:  # it refuses to run as root
            who = pwd.getpwnam("postgres")
            os.chown(self.folder, who.pw_uid, who.pw_gid)
            self.user = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
        with open(os.path.join(self.folder, "password"), "w") as f:
            f.write(PASSWORD + "\n")
        self.data = os.path.join(self.folder, "data")
        self._run("initdb", "-D", self.data, "-U", "sluice", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
                  "--pwfile", os.path.join(self.folder, "password"))  # fmt: skip
        self.port = free_port()
        # Nothing here is kept, so nothing is synced: what is tested is the engine's side of a crash, not the server's.
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "fsync": "off",
                    "full_page_writes": "off", "shared_buffers": "128MB", "max_wal_size": "4GB", "timezone": "Asia/Kathmandu"}  # fmt: skip
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen(
            [os.path.join(programs(), "postgres"), "-D", self.data, *("-c%s=%s" % s for s in settings.items())],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, cwd=self.folder, **self.user)  # fmt: skip
        self._wait()

    def _run(self, program, *args):
        done = subprocess.run([os.path.join(programs(), program), *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, cwd=self.folder, **self.user)  # fmt: skip
        assert done.returncode == 0, done.stdout

    def _wait(self, seconds=60):
        import psycopg

        until = time.monotonic() + seconds
        while True:
            try:
                self.admin = self.connect("postgres")
                return
            except psycopg.OperationalError:
                with open(self.log.name) as f:
                    assert self.process.poll() is None and time.monotonic() < until, f.read()
                time.sleep(0.05)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)  # at once: nothing is kept
            self.process.wait(30)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- a database per test

    def fresh(self, folder):
        self.let_go()
        if self.number:
            self.admin.execute('DROP DATABASE "%s" WITH (FORCE)' % self.database)
        self.number += 1
        self.database = "Test %d" % self.number
        self.admin.execute('CREATE DATABASE "%s"' % self.database)

    def address(self):
        return "127.0.0.1", self.port

    def options(self):
        return {
            "type": "postgres",
            "host": "127.0.0.1",
            "port": self.port,
            "database": self.database,
            "user": "sluice",
            "password": PASSWORD,
            "sslmode": "disable",
        }

    # ---- reading

    def connect(self, database):
        import psycopg

        class JsonText(psycopg.adapt.Loader):
            def load(self, data):
                return Json(bytes(data).decode())

        class Float4(psycopg.adapt.Loader):
            """The value itself, not the nearest double of its shortest text."""

            def load(self, data):
                return struct.unpack("f", struct.pack("f", float(bytes(data))))[0]

        con = psycopg.connect(host="127.0.0.1", port=self.port, user="sluice", password=PASSWORD, dbname=database, autocommit=True,
                              options="-c timezone=UTC")  # fmt: skip
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
            self.con = self.connect(self.database)
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
