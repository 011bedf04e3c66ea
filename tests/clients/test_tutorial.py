"""Our own `fivetran deploy` with the tutorial's files and words, from the empty server to the row and back."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from conftest import TIMEOUT, Ran

from harness import Connection, connector, start_server

TUTORIAL = Path(__file__).parents[2] / "examples" / "tutorial"
ROW = "If you can read this, you have the correct key"
WARNING = "Example: QuickStart Examples - Configuration"
KEY = "EKlFpH8sZmdhhZ9lGhezgMTwAw3_Y2e7wbco7Gxt3SA="


class Author:
    """A person with our package installed, a home and a project folder."""

    def __init__(self, home, server):
        self.server, self.home = server, home
        self.project = home / "my_fivetran_connector"
        shutil.copytree(TUTORIAL, self.project)

    def command(self, args, env):
        # Certificates that this machine's own network needs are not what is tested.
        strange = ("XDG_CONFIG_HOME", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
        clean = {k: v for k, v in self.server.env.items() if k not in strange}
        clean = {**clean, "HOME": str(self.home), "TERM": "dumb", **env}
        return {
            "args": [os.path.join(self.server.bin, "fivetran"), *args],
            "cwd": self.project,
            "env": clean,
        }

    def run(self, *args, **env):
        done = subprocess.run(
            **self.command(args, env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        return Ran(done)

    def deploy(self, *args, **env):
        """The tutorial's command; the server's address is in the environment."""
        given = ["--api-key", self.server.key, "--connection", "hello_connection", *args]
        return self.run("deploy", *given, FIVETRAN_API_URL=self.server.url, **env)

    def talk(self, *args, answers, **env):
        """On a terminal: `answers` are (pattern of the question, what to type). Returns a Ran."""
        main, side = pty.openpty()
        process = subprocess.Popen(
            **self.command(args, env), stdin=side, stdout=side, stderr=side, start_new_session=True
        )
        os.close(side)
        shown, at, todo, deadline = "", 0, list(answers), time.monotonic() + TIMEOUT
        while True:
            assert time.monotonic() < deadline, f"it still waits:\n{shown}"
            if not select.select([main], [], [], 0.5)[0]:
                continue
            try:
                data = os.read(main, 65536)
            except OSError:  # the other side is closed
                data = b""
            if not data:
                break
            shown += data.decode("utf-8", "replace")
            asked = todo and re.search(todo[0][0], shown[at:])
            if asked:
                at = len(shown)
                os.write(main, todo.pop(0)[1].encode() + b"\n")
        os.close(main)
        assert not todo, f"never asked: {todo}\n{shown}"
        done = subprocess.CompletedProcess(args, process.wait(30), shown.replace("\r", ""), "")
        return Ran(done)


@pytest.fixture
def author(tmp_path, server):
    return Author(tmp_path / "home", server)


def test_the_tutorial(author, server):
    ran = author.deploy("--destination", "warehouse", "--configuration", "configuration.json")
    assert ran.code == 0, ran
    id = ran.found(r"connection id: (\S+)")
    assert f"{server.url}/dashboard/connections/{id}/status" in ran.out
    assert server.key not in ran.out and KEY not in ran.out
    con = Connection(server, id)
    made = con.details()
    assert made["paused"] is True and made["status"]["sync_state"] == "paused"
    assert made["schema"] == "hello_connection" and made["sync_frequency"] == 15
    assert con.history() == []

    con.unpause()
    done = con.wait_for_sync()
    assert server.rows("select msg from hello_connection.crypto") == [(ROW,)]
    said = [(x["level"], x["message"]) for x in con.logs()]
    assert ("WARNING", WARNING) in said
    assert not any("Decrypting" in text or level in ("FINE", "DEBUG") for level, text in said), said
    first = con.history()[0]
    assert first["status"] == "SUCCESSFUL" and first["counts"]["inserted"] == 1, first

    con.sync()
    second = con.history()[0]
    counts = second["counts"]
    assert counts["unchanged"] == 1
    assert counts["inserted"] == counts["updated"] == counts["deleted"] == 0, counts
    assert con.details()["succeeded_at"] > done["succeeded_at"]
    assert server.rows("select count(*) from hello_connection.crypto") == [(1,)]


def test_destination_may_be_left_out_when_there_is_one(author, server):
    ran = author.deploy("--configuration", "configuration.json")
    assert ran.code == 0, ran
    assert "destination: warehouse (the only one in the account)" in ran.out
    server.ok("POST", "/v1/groups", {"name": "second"})
    again = author.deploy("--configuration", "configuration.json", "--force")
    assert again.code == 2
    assert "multiple destinations found and --destination not provided" in again.out
    assert "warehouse" in again.out and "second" in again.out


def simple(author, row):
    (author.project / "requirements.txt").unlink()
    body = f"op.upsert('t', {{'id': {row}, 'key': configuration['my_key']}})\nop.checkpoint({{}})"
    (author.project / "connector.py").write_text(connector(body))
    return author


def test_force_redeploys_and_keeps_the_stored_values(author, server):
    simple(author, 1)
    ran = author.deploy("--configuration", "configuration.json")
    con = Connection(server, ran.found(r"connection id: (\S+)"))
    con.unpause()
    first = con.wait_for_sync()

    simple_again = connector("op.upsert('t', {'id': 2, 'key': configuration['my_key']})")
    (author.project / "connector.py").write_text(simple_again)
    refused = author.deploy()
    assert refused.code == 2, "nobody can answer the question"
    assert "--yes" in refused.out or "--force" in refused.out
    (author.project / "configuration.json").unlink()
    ran = author.deploy("--force")
    assert ran.code == 0, ran
    assert ran.found(r"connection id: (\S+)") == con.id
    after = con.details()
    assert after["succeeded_at"] == first["succeeded_at"] and after["paused"] is False
    con.sync()
    rows = server.rows("select id, key from hello_connection.t order by id")
    assert rows == [(1, KEY), (2, KEY)]


def test_questions_on_a_terminal(author, server):
    """Name and key are asked for; the key is not echoed; an existing connection is a question."""
    simple(author, 1)
    ran = author.talk(
        "deploy",
        answers=[(r"connection name.*: $", "hello_connection"), (r"API Key.*: $", server.key)],
        FIVETRAN_API_URL=server.url + "/v1",
    )
    assert ran.code == 0, ran
    assert server.key not in ran.out
    id = ran.found(r"connection id: (\S+)")

    args = ["deploy", "--connection", "hello_connection", "--api-key", server.key]
    no = author.talk(
        *args, answers=[(r"continue with update\? \(y/N\): $", "n")], FIVETRAN_API_URL=server.url
    )
    assert no.code == 1
    assert "connection 'hello_connection' already exists in destination 'warehouse'" in no.out
    assert "update cancelled" in no.out
    before = Connection(server, id).details()["config"]["package_id"]
    yes = author.talk(
        *args, answers=[(r"continue with update\? \(y/N\): $", "y")], FIVETRAN_API_URL=server.url
    )
    assert yes.code == 0, yes
    yes.has("✓ connection updated", f"  connection id: {id}")
    assert Connection(server, id).details()["config"]["package_id"] != before


def test_login(author, server):
    """Address and key are kept once, for the owner only; deploy needs neither then."""
    simple(author, 1)
    ran = author.run("login", "--url", server.url, "--api-key", server.key)
    assert ran.code == 0, ran
    kept = author.home / ".config" / "sluice" / "login.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    ran = author.run("deploy", "--connection", "hello_connection")
    assert ran.code == 0, ran
    assert author.run("logout").code == 0
    assert not kept.exists()

    wrong = author.run("login", "--url", server.url, "--api-key", "bm90OmtleQ==")
    assert wrong.code != 0
    assert "401" in wrong.out or "key" in wrong.out.lower()
    assert not kept.exists()


def test_over_tls(tmp_path, bin_dir, certificate):
    with start_server(
        tmp_path / "data",
        bin_dir,
        ["--tls-cert", certificate[0], "--tls-key", certificate[1]],
        trust=certificate[0],
    ) as server:
        author = simple(Author(tmp_path / "home", server), 1)
        strange = author.deploy("--configuration", "configuration.json")
        assert strange.code == 4, strange
        assert "certificate" in strange.out.lower()
        assert server.items("/v1/connector-sdk/packages") == []
        ran = author.deploy(
            *("--configuration", "configuration.json"), SSL_CERT_FILE=str(certificate[0])
        )
        assert ran.code == 0, ran


def test_wrong_key_and_names(author, server):
    simple(author, 1)
    ran = author.deploy("--configuration", "configuration.json", "--api-key", "bm90OmtleQ==")
    assert ran.code == 1, ran
    assert "401" in ran.out or "API key" in ran.out
    ran = author.deploy("--destination", "warehose", "--configuration", "configuration.json")
    assert ran.code == 1
    assert "did you mean 'warehouse'?" in ran.out
    ran = author.run(
        *("deploy", "--connection", "Hello-Connection", "--api-key", server.key),
        FIVETRAN_API_URL="http://127.0.0.1:9",  # nobody answers there: the rule is checked before
    )
    assert ran.code == 2
    assert "invalid connection name: 'Hello-Connection'" in ran.out
    assert "hello_connection" in ran.out
    assert server.items("/v1/connections") == [] == server.items("/v1/connector-sdk/packages")
