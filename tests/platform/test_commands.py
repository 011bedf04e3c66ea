"""init, key, show, rotate-key, help: without a server."""

import base64
import os
import re
import stat
import subprocess

import pytest


def everything_below(folder):
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, path.read_bytes()


def test_help_lists_the_commands_and_each_has_its_own(sluiced):
    text = sluiced.ok("--help", data=False)
    names = re.findall(r"^  (\S+) ", text, re.M)
    assert {"serve", "init", "key", "show", "backup", "restore", "rotate-key", "version"} <= {
        *names
    }
    assert "_engine" not in names
    for name in names:
        if name != "version":
            assert "--data" in sluiced.ok(name, "--help", data=False)
    assert sluiced.ok("--version", data=False).startswith("sluiced ")


@pytest.mark.parametrize(
    "typed, meant",
    [
        ("serv", "serve"),
        ("kye", "key"),
        ("bakcup", "backup"),
        ("start", "serve"),
        ("status", "show"),
    ],
)
def test_typing_mistakes_are_met_with_a_suggestion(sluiced, typed, meant):
    assert f"`sluiced {meant}`" in sluiced.refused(2, typed, data=False)


@pytest.mark.parametrize(
    "args, says",
    [
        (["key"], "create, list or revoke"),
        (["key", "make"], 'not "make"'),
        (["key", "create"], "needs a name"),
        (["key", "create", "--name", "x", "--role", "root"], 'not "root"'),
        (["key", "revoke"], "which key?"),
        (["key", "list", "now"], '"now"'),
        (["show", "tables"], '"tables"'),
        (["show", "--rows", "0"], "--rows"),
        (["show", "--json=1"], "--json"),
        (["backup"], "which file?"),
        (["show", "--rwos", "3"], "did you mean --rows?"),
    ],
)
def test_wrong_use_is_explained_and_costs_2(sluiced, args, says):
    sluiced.ok("init")
    assert says in sluiced.refused(2, *args)


@pytest.mark.parametrize(
    "args",
    [["key", "list"], ["key", "create", "--name", "x"], ["show"], ["backup", "f"], ["rotate-key"]],
)
def test_commands_make_no_directory(sluiced, args):
    assert "is not a data directory" in sluiced.refused(2, *args)
    assert not sluiced.data.exists()
    sluiced.data.mkdir()
    assert "is not a data directory" in sluiced.refused(2, *args)
    assert list(sluiced.data.iterdir()) == []
    assert "--data DIR is needed" in sluiced.refused(2, *args, data=False)


def test_the_directory_may_come_from_the_environment(sluiced):
    sluiced.ok("init", data=False, env={"SLUICE_DATA": str(sluiced.data)})
    assert len(sluiced.json("key", "list", data=False, env={"SLUICE_DATA": str(sluiced.data)})) == 1


def test_init_makes_a_private_directory_once(sluiced):
    key = sluiced.json("init")
    assert base64.b64decode(key["base64"]).decode() == f"{key['key']}:{key['secret']}"
    assert re.fullmatch("[0-9a-f]{16}", key["key"]) and re.fullmatch("[0-9a-f]{32}", key["secret"])
    assert stat.S_IMODE(sluiced.data.stat().st_mode) == 0o700
    for path in sluiced.data.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert "already" in sluiced.refused(2, "init")


def test_secrets_stand_nowhere_in_clear(sluiced):
    keys = [sluiced.json("init"), sluiced.json("key", "create", "--name", "second")]
    master = (sluiced.data / "secret.key").read_text().strip().encode()
    sluiced.ok("backup", sluiced.data.parent / "plain.backup")
    for path, content in everything_below(sluiced.data.parent):
        for key in keys:
            assert key["secret"].encode() not in content, path
            assert key["base64"].encode() not in content, path
        assert path.name == "secret.key" or master not in content, path
    assert "hash" not in sluiced.ok("key", "list", "--json")


def test_keys_are_made_listed_and_revoked(sluiced):
    sluiced.ok("init")
    for role in ("admin", "operator", "viewer"):
        made = sluiced.json("key", "create", "--name", f"a {role}", "--role", role)
        found = {k["id"]: k for k in sluiced.json("key", "list")}[made["key"]]
        assert (found["name"], found["role"], found["revoked_at"]) == (f"a {role}", role, None)
    assert made["key"] in sluiced.ok("key", "revoke", made["key"])
    sluiced.ok("key", "revoke", made["key"])  # twice is fine
    found = {k["id"]: k for k in sluiced.json("show", "keys")}[made["key"]]
    assert found["revoked_at"]
    assert "there is no key" in sluiced.refused(2, "key", "revoke", "0123")
    text = sluiced.ok("key", "create", "--name", "for people")
    assert "shown only now" in text and "FIVETRAN_API_KEY" in text


def test_an_empty_server_has_something_to_show(sluiced):
    sluiced.ok("init")
    assert "no connections yet" in sluiced.ok("show")
    assert "no syncs yet" in sluiced.ok("show", "syncs")
    assert "nothing runs" in sluiced.ok("show", "jobs")
    assert sluiced.json("show") == [] == sluiced.json("show", "syncs")
    assert sluiced.json("show", "jobs") == {"running": [], "due": []}
    assert "first key" in sluiced.ok("show", "keys")


def test_a_lost_master_key_is_not_replaced(sluiced):
    sluiced.ok("init")
    path = sluiced.data / "secret.key"
    kept = path.read_text()
    path.unlink()
    for args in (
        ["key", "create", "--name", "x"],
        ["rotate-key"],
        ["serve", "--listen", "127.0.0.1:0"],
    ):
        assert "master key" in sluiced.refused(2, *args)
        assert not path.exists()
    sluiced.ok("show", "keys")  # needs no secret
    path.write_text("0" * 64 + "\n")
    assert "not the one" in sluiced.refused(2, "key", "create", "--name", "x")
    path.write_text(kept)
    sluiced.ok("key", "create", "--name", "x")


def test_rotating_changes_the_key_and_keeps_everything(sluiced):
    sluiced.ok("init")
    path = sluiced.data / "secret.key"
    before = path.read_text()
    assert str(path) in sluiced.ok("rotate-key")
    assert path.read_text() != before and stat.S_IMODE(path.stat().st_mode) == 0o600
    sluiced.ok("key", "create", "--name", "after")
    path.write_text(before)
    assert "not the one" in sluiced.refused(2, "key", "create", "--name", "x")


def test_the_master_key_may_come_from_a_command(sluiced):
    old, new = os.urandom(32).hex(), os.urandom(32).hex()
    say = {"SLUICE_KEY_COMMAND": f"echo {old}"}
    sluiced.ok("init", env=say)
    assert not (sluiced.data / "secret.key").exists()
    assert "master key" in sluiced.refused(2, "key", "create", "--name", "x")
    sluiced.ok("key", "create", "--name", "x", env=say)
    assert "prints no new key" in sluiced.refused(2, "rotate-key", env=say)
    sluiced.ok("rotate-key", env={"SLUICE_KEY_COMMAND": f"echo {new}; echo {old}"})
    sluiced.ok("key", "create", "--name", "x", env={"SLUICE_KEY_COMMAND": f"echo {new}"})
    failed = sluiced.refused(
        2, "key", "create", "--name", "x", env={"SLUICE_KEY_COMMAND": f"echo {new}; exit 9"}
    )
    assert "status 9" in failed and new not in failed


def test_two_at_once_do_not_lose_a_key(sluiced):
    sluiced.ok("init")
    args = [
        sluiced.program,
        "key",
        "create",
        "--name",
        "many",
        "--json",
        "--data",
        str(sluiced.data),
    ]
    running = [subprocess.Popen(args, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    made = [p.communicate(timeout=60)[0] for p in running]
    assert all(p.returncode == 0 for p in running)
    found = {k["id"] for k in sluiced.json("key", "list")}
    assert len(found) == 9
    assert all(re.search('"key":"([0-9a-f]+)"', text).group(1) in found for text in made)
