#!/usr/bin/env python3
"""make demo: install the clone into a fresh venv, run the tutorial there: first on this machine, then deployed to a server of
its own. Ends with the row in the server's warehouse: its DuckDB file, or with DEST=postgres a private PostgreSQL server."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

from steps import ROOT, Failed, default_python, line, main, make_venv, name, pip, pythons, step

TUTORIAL = os.path.join(ROOT, "examples", "tutorial")
ROW = "If you can read this, you have the correct key"
WARNING = "Example: QuickStart Examples - Configuration"
# A first sync installs the requirements; that may take a minute where the network is slow.
PATIENCE = 300


def fail(what):
    line("demo", "FAILED: %s" % what)
    raise Failed("demo")


def show(command, shown=None, **more):
    """Run a command as a reader would, its output on the screen; return the output."""
    print("\n$ %s" % (shown or " ".join(command)), flush=True)
    text = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1, **more) as running:
        for part in running.stdout:
            print(part, end="", flush=True)
            text += part
    if running.returncode:
        fail("%s ended with exit code %d" % (shown or command[0], running.returncode))
    return text


class Server:
    """`sluiced serve` in a folder of its own; what it prints at its first start is read and shown."""

    def __init__(self, folder, env):
        self.folder = folder
        print("\n$ sluiced serve --data %s" % os.path.basename(folder), flush=True)
        self.process = subprocess.Popen(
            ["sluiced", "serve", "--data", folder, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )
        self.url = self.key = None
        for text in self.process.stdout:
            print(text, end="", flush=True)
            self.url = self.url or (re.findall(r"http://127\.0\.0\.1:\d+", text) or [None])[0]
            self.key = self.key or (re.findall(r"base64\s+(\S+)", text) or [None])[0]
            if self.url and self.key:
                return
        fail("sluiced did not start")

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": "Basic " + self.key, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer).get("data")

    def wait_for_sync(self, connection, after):
        """The connection once a sync has ended after that time of success."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = self.call("GET", "/v1/connections/" + connection)
            if found["failed_at"]:
                fail(self.call("GET", "/v1/connections/%s/sync-history" % connection)["items"][0])
            if (found["succeeded_at"] or "") > after:
                return found
            time.sleep(0.1)  # a poll, with a deadline
        fail("the sync did not end")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


class DuckDB:
    """The destination that a server has from the start."""

    name = "warehouse"

    def create(self, server):
        pass

    def show(self, server, env):
        return show(
            ["fivetran", "show", "--warehouse", os.path.join(server.folder, "warehouse.db")],
            env=env,
        )

    def close(self):
        pass


class PostgreSQL:
    """A private server of the newest PostgreSQL installed, as the tests have it; the destination is made by the API."""

    name = "postgres"

    def __init__(self, work):
        driver = os.path.join(work, "driver")
        step(
            "demo: a driver for PostgreSQL",
            pip(sys.executable, "install", "--quiet", "--target", driver, "psycopg[binary]==3.3.9"),
        )
        sys.path[:0] = [driver, os.path.join(ROOT, "tests")]
        import pg

        if pg.missing():
            fail(pg.missing())
        self.programs = pg.programs()
        self.cluster = pg.Cluster()

    def create(self, server):
        config = self.cluster.options()
        del config["type"]
        print("\n# a group and its destination: PostgreSQL at port %d" % self.cluster.port)
        group = server.call("POST", "/v1/groups", {"name": self.name})
        made = server.call(
            "POST",
            "/v1/destinations",
            {"group_id": group["id"], "service": "postgres", "config": config},
        )
        for test in made["setup_tests"]:
            print("%s: %s %s" % (test["title"], test["status"], test["message"]))
        if made["setup_status"] != "connected":
            fail("the destination's tests failed")

    def show(self, server, env):
        query = "SELECT * FROM hello_connection.crypto"
        return show(
            [os.path.join(self.programs, "psql"), self.cluster.url(), "--expanded", "-c", query],
            shown='psql app -c "%s"' % query,
        )

    def close(self):
        self.cluster.close()


def deployed(work, project, env, destination):
    """The tutorial's second half: deploy, start, look at the log and the row, run again."""
    server = Server(os.path.join(work, "server"), env)
    try:
        destination.create(server)
        text = show(
            [
                "fivetran",
                "deploy",
                "--url",
                server.url,
                "--api-key",
                server.key,
                "--destination",
                destination.name,
                "--connection",
                "hello_connection",
                "--configuration",
                "configuration.json",
            ],
            shown="fivetran deploy --api-key $FIVETRAN_APIKEY --destination %s "
            "--connection hello_connection --configuration configuration.json" % destination.name,
            cwd=project,
            env=env,
        )
        connection = re.search(r"connection id:\s*(\S+)", text).group(1)
        print("\n# unpause: the initial sync runs", flush=True)
        server.call("PATCH", "/v1/connections/" + connection, {"paused": False})
        first = server.wait_for_sync(connection, "")
        logs = server.call("GET", "/v1/connections/%s/logs" % connection)["items"]
        for entry in logs:
            print("%(time)s %(level)-7s %(message)s" % entry)
        said = [entry["message"] for entry in logs]
        if WARNING not in said or any("Decrypting" in m for m in said):
            fail("the log does not have what it should")
        print("\n# once more: nothing changes", flush=True)
        server.call("POST", "/v1/connections/%s/sync" % connection, {})
        server.wait_for_sync(connection, first["succeeded_at"])
        history = server.call("GET", "/v1/connections/%s/sync-history" % connection)["items"]
        print(
            "rows changed: %d, unchanged: %d"
            % (
                sum(history[0]["counts"][k] for k in ("inserted", "updated", "deleted")),
                history[0]["counts"]["unchanged"],
            )
        )
        if history[0]["counts"]["unchanged"] != 1:
            fail("the second sync counted something else than one unchanged row")
        return destination.show(server, env)
    finally:
        server.stop()


def destination_of(work):
    wanted = os.environ.get("DEST") or "duckdb"
    if wanted not in ("duckdb", "postgres"):
        fail("DEST is duckdb or postgres, not %s" % wanted)
    return PostgreSQL(work) if wanted == "postgres" else DuckDB()


def demo():
    found = pythons()
    minor = default_python(found)
    with tempfile.TemporaryDirectory(prefix="sluice-demo-") as work:
        venv = os.path.join(work, "venv")
        project = os.path.join(work, "my_fivetran_connector")
        commands = os.path.join(venv, "bin")
        step(
            "demo: fresh venv with Python %s" % name(minor),
            make_venv(venv, found[minor]["path"], with_pip=True),
        )
        step(
            "demo: pip install .",
            [os.path.join(commands, "pip"), "install", "--disable-pip-version-check", ROOT],
        )
        shutil.copytree(TUTORIAL, project)
        env = {
            **os.environ,
            "PATH": commands + os.pathsep + os.environ["PATH"],
            "VIRTUAL_ENV": venv,
        }
        for command in (
            "fivetran --version",
            "fivetran debug --configuration configuration.json",
            "fivetran show",
        ):
            shown = show(command.split(), cwd=project, env=env)
        if ROW not in shown:
            fail("the row is not there")
        destination = destination_of(work)
        try:
            if ROW not in deployed(work, project, env, destination):
                fail("the row is not in the server's warehouse")
        finally:
            destination.close()


if __name__ == "__main__":
    main(demo)
