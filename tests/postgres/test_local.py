"""`fivetran debug --destination FILE`: the file, its secrets, the mirror, and what happens when the server does not play along."""

import json
import os

import peer
import pg as server
import pytest
from peer import table

ORDERS = [table("orders", key=["id"])]


def write(pro, options, name="dest.json"):
    path = os.path.join(pro.path, name)
    with open(path, "w") as f:
        json.dump(options, f)
    return path


def sync(pro, path, env=None, **more):
    return pro.sync(env={"SLUICE_DESTINATION_FILE": path, **(env or {})}, **more)


def run(pro, path, rows, state, schema=ORDERS, **more):
    s = sync(pro, path, schema=schema, **more)
    if s.start is not None:
        for row in rows:
            s.upsert("orders", row)
        s.checkpoint(state)
    return s.done()


def test_first_load_merge_and_state(pro, pg):
    path = write(pro, pg.options())
    first = run(pro, path, [{"id": i, "v": "a"} for i in range(100)], {"at": 1}).ok()
    assert first.rows["inserted"] == 100
    assert pg.rows("SELECT contype FROM pg_constraint WHERE conrelid = 'tester.orders'::regclass") == [("p",)]  # fmt: skip
    s = sync(pro, path, schema=ORDERS)
    assert json.loads(s.state) == {"at": 1}
    s.upsert("orders", {"id": 1, "v": "a"})
    s.upsert("orders", {"id": 2, "v": "b"})
    s.upsert("orders", {"id": 200, "v": "c"})
    s.update("orders", {"id": 3, "v": "d"})
    s.delete("orders", {"id": 4})
    s.update("orders", {"id": 999, "v": "e"})
    s.checkpoint({"at": 2})
    second = s.done().ok()
    want = {"inserted": 1, "updated": 2, "deleted": 1, "unchanged": 1, "missed": 1, "folded": 0}
    assert second.rows == want
    assert pg.rows("SELECT v FROM tester.orders WHERE id IN (2, 3, 200) ORDER BY id") == [
        ("b",),
        ("d",),
        ("c",),
    ]
    assert pg.rows("SELECT id FROM tester.orders WHERE _fivetran_deleted") == [(4,)]
    assert json.loads(pg.rows("SELECT state FROM _sluice.state")[0][0]) == {"at": 2}


def test_each_destination_file_has_its_mirror(pro, pg):
    """A run into the project's own warehouse in between does not make one's state the other's edit."""
    path = write(pro, pg.options(), "pg.json")
    run(pro, path, [{"id": 1}], {"at": 1}).ok()
    files = os.path.join(pro.path, "files")
    assert sorted(n for n in os.listdir(files) if n.startswith("state")) == ["state.pg.json"]
    own = pro.sync(schema=ORDERS)
    assert own.state == "{}"
    own.checkpoint({"own": 1})
    own.done().ok()
    again = sync(pro, path, schema=ORDERS)
    assert json.loads(again.state) == {"at": 1}
    assert "was edited" not in again.done().ok().out


def test_another_schema(pro, pg):
    run(pro, write(pro, pg.options(schema="mine")), [{"id": 1}], {"at": 1}).ok()
    assert pg.rows("SELECT count(*) FROM mine.orders") == [(1,)]
    assert pg.rows("SELECT connection FROM _sluice.state") == [("mine",)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "postgresql"}, ['no destination of type "postgresql"', "duckdb, postgres"]),
        ({"host": None}, ["host is missing"]),
        ({"port": "many"}, ["port is a whole number from 1 to 65535"]),
        ({"sslmode": "maybe"}, ["sslmode is one of"]),
        ({"pasword": "x"}, ["there is no option pasword", "password"]),
        ({"sslrootcert": "@nowhere.pem"}, ["nowhere.pem"]),
        ({"schema": "_sluice"}, ["schema is a name of lower-case letters"]),
    ],
)
def test_a_file_that_is_wrong(pro, change, words):
    options = {"type": "postgres", "host": "h", "database": "d", "user": "u", **change}
    result = run(pro, write(pro, options), [], {})
    result.failed("dest.json", *words, code=2)


def test_what_a_login_can_be_refused_for(pro, pg):
    for change, words, code in (
        ({"password": "not the secret"}, "password authentication failed", 2),
        ({"database": "nowhere"}, 'database "nowhere" does not exist', 2),
        ({"port": server.free_port()}, "is the server running there", 4),
        ({"sslmode": "require"}, "the server has no TLS", 2),
    ):
        result = run(pro, write(pro, pg.options(**change)), [], {})
        result.failed(words, code=code)
        assert "not the secret" not in result.out


def test_missing_grants_come_with_the_statement(pro, pg):
    pg.execute("DROP ROLE IF EXISTS small")
    pg.execute("CREATE ROLE small LOGIN PASSWORD 'smallpass'")
    options = pg.options(user="small", password="smallpass")
    result = run(pro, write(pro, options), [], {})
    result.failed("permission denied", 'GRANT CREATE ON DATABASE "app" TO "small"')
    pg.execute('GRANT CREATE ON DATABASE "app" TO small')
    run(pro, write(pro, options), [{"id": 1}], {"at": 1}).ok()


def test_one_writer(pro, pg, tmp_path):
    path = write(pro, pg.options())
    first = sync(pro, path, schema=ORDERS)
    with peer.Project(tmp_path / "other", peer.engine()) as other:
        run(other, write(other, pg.options()), [], {}).failed("another sync writes to", code=4)
        run(other, write(other, pg.options(schema="beside")), [{"id": 1}], {}).ok()
    first.done().ok()


def test_a_table_someone_else_made(pro, pg):
    pg.execute("CREATE SCHEMA tester")
    pg.execute("CREATE TABLE tester.orders (x int)")
    result = run(pro, write(pro, pg.options()), [{"id": 1}], {})
    result.failed("already exists", "not made by this connection")
