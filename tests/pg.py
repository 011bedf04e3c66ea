"""A private PostgreSQL server for tests, benches and the demo: the newest one installed, in a folder of its own.

    with Cluster() as pg:
        pg.options()                    # the object of a destination file
        pg.rows("SELECT 1")             # [(1,)]
        pg.url()                        # postgresql://… for other people's tools

It listens on a free port of 127.0.0.1 with a password. Nothing is synced to disk unless asked for: what is kept here ends with
the folder. PostgreSQL refuses to run as root, so root starts it as the user `postgres` that its package made.
"""

import contextlib
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

PASSWORD = 'it\'s \\ a "secret"'
USER = "sluice"


def programs():
    """The folder with initdb and postgres of the newest version, or None."""
    debian = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]))
    found = shutil.which("postgres")
    return os.path.dirname(os.path.realpath(found)) if found else debian[-1] if debian else None


def missing():
    """Why there can be none here; None if there can."""
    if programs() is None:
        return "no PostgreSQL server: apt-get install postgresql (scripts/setup does it)"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "no driver to read with: pip install 'psycopg[binary]'"
    return None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Cluster:
    def __init__(self, durable=False, **settings):
        """durable: as a server one keeps; settings: of postgresql.conf."""
        self.folder = tempfile.mkdtemp(prefix="sluice-pg-")
        self.data = os.path.join(self.folder, "data")
        self.port = free_port()
        self.database = "app"
        self.process = None
        self._con = {}
        self._as = {}
        if os.geteuid() == 0:
            who = pwd.getpwnam("postgres")
            os.chown(self.folder, who.pw_uid, who.pw_gid)
            self._as = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
        fast = {} if durable else {"fsync": "off", "full_page_writes": "off"}
        self.settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "shared_buffers": "128MB",
            "max_wal_size": "4GB",
            "timezone": "Asia/Kathmandu",  # nobody's: what depends on it is found
            **fast,
            **settings,
        }
        try:
            self._make()
            self.start()
            self.execute('CREATE DATABASE "%s"' % self.database, "postgres")
        except BaseException:
            self.close()
            raise

    def _make(self):
        secret = os.path.join(self.folder, "password")
        with open(secret, "w") as f:
            f.write(PASSWORD + "\n")
        command = ["initdb", "-D", self.data, "-U", USER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
                   "--pwfile", secret]  # fmt: skip
        done = subprocess.run(
            [os.path.join(programs(), command[0]), *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            **self._as,
        )
        assert done.returncode == 0, done.stdout

    # ---- the process

    def start(self, seconds=60):
        import psycopg

        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [
                    os.path.join(programs(), "postgres"),
                    "-D",
                    self.data,
                    *("-c%s=%s" % s for s in self.settings.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                **self._as,
            )
        until = time.monotonic() + seconds
        while True:
            try:
                self.rows("SELECT 1", "postgres")
                return self
            except psycopg.OperationalError:
                assert self.process.poll() is None and time.monotonic() < until, self.said()
                time.sleep(0.05)

    def stop(self, how=signal.SIGINT):
        """SIGINT ends its sessions; SIGQUIT is what a power cut is to them."""
        self.let_go()
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(60)

    def said(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as f:
            return f.read()

    def close(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    # ---- what others need to reach it

    def options(self, **more):
        return {
            "type": "postgres",
            "host": "127.0.0.1",
            "port": self.port,
            "database": self.database,
            "user": USER,
            "password": PASSWORD,
            **more,
        }

    def url(self, database=None):
        return "postgresql://%s:%s@127.0.0.1:%d/%s" % (
            USER,
            urllib.parse.quote(PASSWORD, safe=""),
            self.port,
            database or self.database,
        )

    # ---- by other means than ours

    def connect(self, database=None):
        import psycopg

        con = psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=PASSWORD,
            dbname=database or self.database,
            autocommit=True,
            options="-c timezone=UTC",
        )
        return con

    def _kept(self, database):
        if database not in self._con or self._con[database].closed:
            self._con[database] = self.connect(database)
        return self._con[database]

    def rows(self, sql, database=None):
        return self._kept(database).execute(sql).fetchall()

    def execute(self, sql, database=None):
        self._kept(database).execute(sql)

    def let_go(self):
        for con in self._con.values():
            con.close()
        self._con = {}
