"""PostgreSQL as a destination of the server: made by the API, tested, loaded, cut off, looked into."""

import json
import os
import shutil
import signal
import subprocess
import uuid
from pathlib import Path

import pg as postgres
import pytest

from harness import ONE_ROW, Connection, connector, start_server, wait_for

TUTORIAL = Path(__file__).parents[2] / "examples" / "tutorial"
ROW = "If you can read this, you have the correct key"
# The long form is 1000000.
ROWS = int(os.environ.get("SLUICE_ROWS", "20000"))


def config(pg, **more):
    options = pg.options(**more)
    del options["type"]
    return options


def group(server):
    return server.ok("POST", "/v1/groups", {"name": "g" + uuid.uuid4().hex[:10]})["id"]


def create(server, pg, service="postgres", **more):
    """The id of a destination that passed its tests."""
    made = server.ok(
        "POST",
        "/v1/destinations",
        {"group_id": group(server), "service": service, "config": config(pg, **more)},
    )
    assert made["setup_status"] == "connected", made["setup_tests"]
    return made["id"]


def engine_of(pg):
    """The process that loads: it says so to the server."""
    sql = "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'sluice %@%'"
    (name,) = wait_for("an engine", lambda: [x[0] for x in pg.rows(sql)])
    return int(name.split()[1].split("@")[0])


def is_syncing(con):
    return con.details()["status"]["sync_state"] == "syncing"


# ---- the API ----


def test_a_destination(server, pg):
    made = server.ok(
        "POST",
        "/v1/destinations",
        {"group_id": group(server), "service": "postgres", "config": config(pg, port=str(pg.port))},
    )
    path = "/v1/destinations/" + made["id"]
    assert {t["status"] for t in made["setup_tests"]} == {"PASSED"}, made["setup_tests"]
    assert len(made["setup_tests"]) >= 5
    assert made["setup_tests"][0]["title"] == "Connection and login"
    assert made["service"] == "postgres" and made["setup_status"] == "connected"
    shown = made["config"]
    assert shown["password"] == "******" and shown["port"] == pg.port and shown["user"] == "sluice"
    assert server.ok("GET", path)["config"] == shown

    # What was shown can be sent back; a mask keeps.
    kept = server.ok("PATCH", path, {"config": {**shown, "connect_timeout": 20}})
    assert kept["setup_status"] == "connected" and kept["config"]["connect_timeout"] == 20
    wrong = server.ok("PATCH", path, {"config": {"password": "another-secret-4711"}})
    assert wrong["setup_status"] == "incomplete"
    (failed,) = wrong["setup_tests"]
    assert failed["status"] == "FAILED" and "password" in failed["message"], failed
    assert "another-secret-4711" not in json.dumps(wrong)
    assert server.ok("POST", path + "/test", {})["setup_status"] == "broken"
    without = server.ok("PATCH", path, {"config": {"password": None}, "run_setup_tests": False})
    assert "password" not in without["config"] and "setup_tests" not in without
    assert server.call("DELETE", path).status == 200
    for place in (server.data / "sluice.db", server.data / "sluice.db-wal", server.said):
        if place.exists():
            assert b"another-secret-4711" not in place.read_bytes()
            assert postgres.PASSWORD.encode() not in place.read_bytes()


@pytest.mark.parametrize(
    "change, said",
    [
        ({"host": None}, "config.host is missing"),
        ({"port": "http"}, "config.port is a whole number from 1 to 65535"),
        ({"sslmode": "maybe"}, "config.sslmode is one of"),
        ({"hots": "db"}, "there is no option config.hots"),
        ({"database": ["app"]}, "config.database is one line of text"),
    ],
)
def test_a_configuration_that_cannot_be(server, pg, change, said):
    body = {"group_id": group(server), "service": "postgres", "config": {**config(pg), **change}}
    answer = server.call("POST", "/v1/destinations", body)
    assert answer.status == 400 and said in answer.message, answer
    assert postgres.PASSWORD not in answer.text
    assert server.call("GET", "/v1/destinations/" + body["group_id"]).status == 404


def test_what_is_wrong_is_told_with_what_to_do(server, pg):
    pg.execute("DROP ROLE IF EXISTS nobody")
    pg.execute("CREATE ROLE nobody LOGIN PASSWORD 'nothing'")
    body = {
        "group_id": group(server),
        "service": "postgres",
        "config": config(pg, user="nobody", password="nothing"),
    }
    made = server.ok("POST", "/v1/destinations", body)
    (failed,) = [t for t in made["setup_tests"] if t["status"] == "FAILED"]
    assert made["setup_status"] == "incomplete"
    assert 'GRANT CREATE ON DATABASE "app" TO "nobody"' in failed["message"]
    pg.execute('GRANT CREATE ON DATABASE "app" TO "nobody"')
    assert (
        server.ok("POST", f"/v1/destinations/{made['id']}/test", {})["setup_status"] == "connected"
    )
    nowhere = server.ok(
        "PATCH", "/v1/destinations/" + made["id"], {"config": {"port": postgres.free_port()}}
    )
    assert nowhere["setup_status"] == "incomplete"
    assert "127.0.0.1" in nowhere["setup_tests"][0]["message"]


def test_by_the_names_of_other_apis(server, pg):
    made = create(
        server, pg, "postgres_warehouse", connection_type="Directly", always_encrypted=True
    )
    shown = server.ok("GET", "/v1/destinations/" + made)
    assert shown["service"] == "postgres_warehouse" and "connection_type" not in shown["config"]
    body = {
        "group_id": group(server),
        "service": "postgres_warehouse",
        "config": config(pg, connection_type="SshTunnel"),
    }
    answer = server.call("POST", "/v1/destinations", body)
    assert answer.status == 400 and "connection_type" in answer.message
    body["config"]["connection_type"] = "Directly"
    assert server.call("POST", "/v1/destinations", body).status == 409, "the same database"


def test_kinds_of_destinations(server):
    kinds = {k["id"]: k for k in server.ok("GET", "/v1/metadata/destination-types")["items"]}
    assert list(kinds) == ["duckdb", "postgres"]
    options = {o["name"]: o for o in kinds["postgres"]["options"]}
    assert options["password"]["secret"] and options["host"]["required"]
    assert options["port"]["default"] == "5432" and "require" in options["sslmode"]["choices"]
    one = server.ok("GET", "/v1/metadata/destination-types/postgres_warehouse")
    assert one == kinds["postgres"]
    assert server.call("GET", "/v1/metadata/destination-types/null").status == 404


# ---- syncs ----


def test_the_tutorial(server, pg, tmp_path):
    made = create(server, pg)
    name = next(g["name"] for g in server.items("/v1/groups") if g["id"] == made)
    project = tmp_path / "project"
    shutil.copytree(TUTORIAL, project)
    done = subprocess.run(
        ["fivetran", "deploy", "--url", server.url, "--api-key", server.key, "--destination", name,
         "--connection", "hello_connection", "--configuration", "configuration.json"],
        cwd=project, env={**server.env, "HOME": str(tmp_path)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    con = next(c for c in server.items("/v1/connections") if c["schema"] == "hello_connection")
    con = Connection(server, con["id"])
    con.unpause()
    con.wait_for_sync()
    assert pg.rows("SELECT msg FROM hello_connection.crypto") == [(ROW,)]
    con.sync()
    counts = con.history()[0]["counts"]
    assert counts["unchanged"] == 1 and counts["inserted"] == counts["updated"] == 0
    assert pg.rows("SELECT count(*) FROM hello_connection.crypto") == [(1,)]


def test_the_password_is_in_no_command_line_environment_or_log(server, pg):
    told = connector(
        """
        op.upsert("t", {"id": 1})
        log.warning("the password is " + bytes.fromhex("%s").decode())
        while True:
            op.checkpoint({"n": 1})
            time.sleep(0.05)
        """
        % postgres.PASSWORD.encode().hex()
    )
    con = server.deploy("secretive", {"connector.py": told}, group=create(server, pg))
    con.unpause()
    said = wait_for("the line", lambda: [x["message"] for x in con.logs(level="WARNING")])
    assert any(x.startswith("the password is") for x in said)
    assert postgres.PASSWORD not in " ".join(said)
    for pid in (engine_of(pg), server.pid):
        for part in ("cmdline", "environ"):
            assert postgres.PASSWORD.encode() not in Path(f"/proc/{pid}/{part}").read_bytes()
    server.ok("POST", con.path + "/cancel", {})
    wait_for("its end", lambda: not is_syncing(con), 60)
    assert postgres.PASSWORD not in con.story() and postgres.PASSWORD not in server.log


def test_one_writer_for_each_connection(server, pg):
    made = create(server, pg)
    con = server.deploy("held", {"connector.py": ONE_ROW}, group=made)
    con.unpause()
    con.wait_for_sync()
    # Two connections into one database at once.
    others = [server.deploy(n, {"connector.py": ONE_ROW}, group=made) for n in ("one", "two")]
    for other in others:
        other.unpause()
    for other in others:
        other.wait_for_sync()
    assert pg.rows("SELECT count(*) FROM one.t, two.t, held.t") == [(1,)]


TYPES = connector(
    """
    from datetime import date, datetime, timezone
    op.upsert("t", {
        "id": 1, "yes": True, "real": 1.5e16, "whole": 2.0, "price": "12.50", "day": date(2024, 2, 29),
        "at": datetime(2024, 2, 29, 12, 30, 0, 250000, tzinfo=timezone.utc), "doc": {"a": [1, 2], "b": "c, d"},
        "raw": bytes(range(6)), "long": "x" * 5000, "big": bytes(3000), "nothing": None,
    })
    op.checkpoint({})
    """,
    schema="""[{"table": "t", "primary_key": ["id"], "columns": {
        "price": {"type": "DECIMAL", "precision": 10, "scale": 2}, "doc": "JSON", "nothing": "STRING"}}]""",
)


def test_a_look_into_it(server, pg):
    made = create(server, pg)
    con = server.deploy("looked", {"connector.py": TYPES}, group=made)
    con.unpause()
    con.wait_for_sync()
    seen = server.ok("GET", con.path + "/data?schema=looked&table=t")
    names = [c["name"] for c in seen["columns"]]
    (row,) = seen["rows"]
    row = dict(zip(names, row, strict=True))
    assert seen["total_rows"] == seen["live_rows"] == 1
    assert next(c for c in seen["columns"] if c["name"] == "id")["key"]
    long, big = row.pop("long"), row.pop("big")
    assert long == "x" * 1000 + "… (5000 bytes)"
    assert big.startswith("AAAA") and big.endswith("… (3000 bytes)") and len(big) < 1400
    assert row.pop("_fivetran_synced").endswith("Z")
    assert row == {
        "id": "1",
        "yes": "true",
        "real": "1.5e+16",
        "whole": "2.0",
        "price": "12.5",
        "day": "2024-02-29",
        "at": "2024-02-29T12:30:00.250000Z",
        "doc": '{"a":[1,2],"b":"c, d"}',
        "raw": "AAECAwQF",
        "nothing": None,
        "_fivetran_deleted": "false",
    }


# ---- kills ----

# Goes on until it is told otherwise; the state says how many rows there are.
ENDLESS = connector(
    """
    i = state.get("i", 0)
    while True:
        for _ in range(300):
            op.upsert("t", {"id": i, "v": "x" * (i % 50)})
            i += 1
        op.checkpoint({"i": i})
        if configuration["endless"] != "yes":
            break
        time.sleep(0.01)
    """
)


def count(pg):
    """The rows. Whenever one looks, they are those that the state says."""
    if not pg.rows("SELECT to_regclass('endless.t') IS NOT NULL")[0][0]:
        return 0
    state, rows, last = pg.rows("SELECT (SELECT state FROM _sluice.state), count(*), max(id) FROM endless.t")[0]  # fmt: skip
    assert json.loads(state) == {"i": rows} and rows == last + 1
    return rows


LOCKS = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database =
    (SELECT oid FROM pg_database WHERE datname = current_database())"""


def wait_for_more(pg):
    before = count(pg)
    wait_for("rows of this sync", lambda: count(pg) > before, 60)


@pytest.mark.parametrize("what", ["server", "engine"])
def test_killed_in_the_middle(tmp_path, pg, what):
    with start_server(tmp_path / "data", os.environ["SLUICE_TEST_BIN"]) as server:
        made = create(server, pg)
        con = server.deploy(
            "endless",
            {"connector.py": ENDLESS},
            {"endless": "yes"},
            group=made,
            durable_checkpoints=True,
        )
        con.unpause()
        for _ in range(3):
            wait_for_more(pg)
            assert pg.rows(LOCKS) == [(1,)], "one writer, that of now"
            if what == "server":
                server.kill()
                server.start()
            else:
                os.kill(engine_of(pg), signal.SIGKILL)
                wait_for("its end", lambda: not is_syncing(con), 60)
                server.call("POST", con.path + "/sync", {})
        con.change(config={"secrets_list": [{"key": "endless", "value": "no"}]})
        con.sync()
        assert con.state() == {"i": count(pg)}


# ---- many rows ----

MANY = connector(
    """
    total, n = int(configuration["rows"]), state.get("n", 0)
    if n == 0:
        for i in range(total):
            op.upsert("t", {"id": i, "name": "row %d" % i, "amount": i})
            if i % 100000 == 99999:
                op.checkpoint({"n": 0})
    elif n == 1:
        for i in range(0, total, 10):
            op.update("t", {"id": i, "name": "changed"})
        for i in range(1, total, 20):
            op.delete("t", {"id": i})
        op.upsert("t", {"id": total, "name": "wide", "amount": "12.5 EUR"})
    op.checkpoint({"n": n + 1})
    """
)


def test_many_rows_updates_deletes_and_a_type_that_widens(server, pg):
    made = create(server, pg)
    con = server.deploy("many", {"connector.py": MANY}, {"rows": str(ROWS)}, group=made)
    con.unpause()
    con.wait_for_sync(timeout=600)
    sql = "SELECT data_type FROM information_schema.columns WHERE table_schema = 'many' AND column_name = 'amount'"
    assert pg.rows("SELECT count(*), sum(amount) FROM many.t") == [(ROWS, ROWS * (ROWS - 1) // 2)]
    assert pg.rows(sql) != [("text",)]
    con.sync(timeout=600)
    assert pg.rows(sql) == [("text",)]
    assert pg.rows(
        "SELECT count(*), count(*) FILTER (WHERE name = 'changed'), count(*) FILTER (WHERE _fivetran_deleted), "
        "min(amount) FILTER (WHERE id = 7), min(amount) FILTER (WHERE id = %d) FROM many.t" % ROWS
    ) == [(ROWS + 1, ROWS // 10, ROWS // 20, "7", "12.5 EUR")]
    con.sync(timeout=600)
    counts = con.history()[0]["counts"]
    assert counts["inserted"] == counts["updated"] == counts["deleted"] == 0
