"""Commands on the directory of a server that runs; backups that become another server."""

import os
import re
import shutil

import pytest

from harness import ONE_ROW, Server, wait_for

SECRET = "a-password-nobody-guesses"


@pytest.fixture
def beside(program, server, sluiced):
    sluiced.data = server.data
    return sluiced


def test_a_key_works_at_once_and_is_refused_at_once(server, beside):
    key = beside.json("key", "create", "--name", "second")
    assert server.call("GET", "/v1/groups", auth=key["base64"]).status == 200
    beside.ok("key", "revoke", key["key"])
    assert server.call("GET", "/v1/groups", auth=key["base64"]).status == 401
    assert server.call("GET", "/v1/groups").status == 200


def test_use_of_a_key_is_noted(server, beside):
    server.ok("GET", "/v1/groups")
    (key,) = beside.json("key", "list")
    assert key["last_used_at"]


def test_one_server_per_directory(server, beside):
    for args in (["serve", "--listen", "127.0.0.1:0"], ["rotate-key"]):
        said = beside.refused(4, *args)
        assert f"process {server.pid}" in said
    assert "process" in beside.refused(4, "init")


def test_what_runs_is_shown(server, beside):
    con = server.deploy("one_row", {"connector.py": ONE_ROW}, {"password": SECRET})
    con.unpause()
    con.wait_for_sync()
    (shown,) = beside.json("show")
    assert (shown["id"], shown["schema"], shown["nsyncs"]) == (con.id, "one_row", 1)
    assert "secrets" not in shown and shown["succeeded_at"]
    (sync,) = beside.json("show", "syncs")
    assert (sync["connection_id"], sync["status"]) == (con.id, "SUCCESSFUL")
    assert "one_row" in beside.ok("show") and "SUCCESSFUL" in beside.ok("show", "syncs")
    assert "nothing runs" in beside.ok("show", "jobs")


def test_a_backup_becomes_the_same_server(server, beside, tmp_path):
    con = server.deploy("one_row", {"connector.py": ONE_ROW}, {"password": SECRET})
    file, folder = tmp_path / "a.backup", tmp_path / "restored"
    beside.ok("backup", file)
    assert "exists already" in beside.refused(2, "backup", file)
    assert server.ok("GET", f"/v1/connections/{con.id}")["id"] == con.id  # it went on
    beside.data = folder
    assert "1 package" in beside.ok("restore", file)
    assert "not empty" in beside.refused(2, "restore", file)
    # Without its key it starts nothing, and makes up none.
    assert "master key" in beside.refused(2, "serve", "--listen", "127.0.0.1:0")
    assert not (folder / "secret.key").exists()
    shutil.copy(server.data / "secret.key", folder / "secret.key")
    key, group = server.key, server.group
    server.stop()
    other = Server(folder, server.bin)
    other.key = key
    try:
        other.start()
        assert other.group == group
        again = other.ok("GET", f"/v1/connections/{con.id}")
        assert again["schema"] == "one_row"
        # Its code and its secrets are there: the setup tests run with both.
        tests = other.ok("POST", f"/v1/connections/{con.id}/test", {})
        assert tests["status"]["setup_state"] == "connected", tests
    finally:
        other.stop()


def test_a_backup_with_its_key_starts_by_itself(server, beside, tmp_path):
    beside.ok("backup", tmp_path / "a.backup", "--with-key")
    beside.data = tmp_path / "restored"
    beside.ok("restore", tmp_path / "a.backup")
    other = Server(beside.data, server.bin)
    other.key = server.key
    try:
        other.start()
        assert other.call("GET", "/v1/groups").status == 200
    finally:
        other.stop()


def test_secrets_of_connections_stand_nowhere_in_clear(server, beside, tmp_path):
    body = "import os\nlog.info('connected with ' + configuration['password'])\nop.upsert('t', {'id': 1})\nop.checkpoint({'n': 1})"
    from harness import connector

    con = server.deploy("leaky", {"connector.py": connector(body)}, {"password": SECRET})
    con.unpause()
    con.wait_for_sync()
    wait_for("its line is kept", lambda: any("connected with" in x["message"] for x in con.logs()))
    beside.ok("backup", tmp_path / "a.backup")
    server.stop()
    wanted = [SECRET.encode(), server.key.encode()]
    for path in sorted(tmp_path.rglob("*")):
        # What the server prints of its first start is for its owner's eyes.
        if path.is_file() and path != server.said:
            content = path.read_bytes()
            assert not any(w in content for w in wanted), path


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_damaged_backup_restores_nothing(sluiced, tmp_path, cut):
    sluiced.ok("init")
    sluiced.ok("backup", tmp_path / "a.backup", "--with-key")
    content = (tmp_path / "a.backup").read_bytes()
    (tmp_path / "bad").write_bytes(content[: int(len(content) * cut)])
    sluiced.data = tmp_path / "restored"
    assert "no whole backup" in sluiced.refused(1, "restore", tmp_path / "bad")
    assert "cannot read" in sluiced.refused(2, "restore", tmp_path / "absent")
    assert not sluiced.data.exists()
    assert not [p for p in os.listdir(tmp_path) if re.search("restoring", p)]


@pytest.mark.skipif(
    "SLUICE_FAULT_BIN" not in os.environ, reason="needs the build with crash points"
)
def test_the_clock_of_a_server_can_be_moved(tmp_path):
    """The test seam itself: what the server stores follows SL_TIME_FILE."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    server = Server(
        tmp_path / "data", os.environ["SLUICE_FAULT_BIN"], env={"SL_TIME_FILE": str(clock)}
    )
    try:
        server.start()
        first = server.ok("POST", "/v1/groups", {"name": "first"})["created_at"]
        new = tmp_path / "clock.new"
        new.write_text(str(400 * 86400 * 1000000))
        new.replace(clock)

        def moved():
            name = "g" + os.urandom(4).hex()
            return int(server.ok("POST", "/v1/groups", {"name": name})["created_at"][:4]) > int(
                first[:4]
            )

        wait_for("the server sees another year", moved)
    finally:
        server.stop()
