"""What may happen to a sync from outside: a restart of the server, a stop, a dead writer's lock, locks and keys of others, missing grants."""

import json
import signal
import threading
import time

import pytest
from peer import table
from test_local import ORDERS, run, sync, write

ROWS = 3000
EACH = {"SL_COMMIT_BYTES": "1"}  # a commit at each checkpoint


def wait_for(what, seconds=60):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.02)


def load(pro, pg, state=None):
    run(pro, write(pro, pg.options()), [{"id": i, "v": "a"} for i in range(10)], state or {"at": 1}).ok()  # fmt: skip


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


# ---- the server


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["shutdown", "crash"])
def test_a_restart_between_two_checkpoints(knobs, pg, how):
    """The session is lost while the connector works; the next commit makes it anew."""
    load(knobs, pg)
    s = sync(knobs, write(knobs, pg.options()), env=EACH, schema=ORDERS)
    s.upsert("orders", {"id": 100, "v": "b"})
    s.checkpoint({"at": 2})
    s.flush()
    wait_for(lambda: pg.rows("SELECT count(*) FROM tester.orders") == [(11,)])
    pg.stop(how)
    pg.start()
    s.upsert("orders", {"id": 101, "v": "c"})
    s.checkpoint({"at": 3})
    s.done().ok()
    assert pg.rows("SELECT count(*) FROM tester.orders") == [(12,)]
    assert json.loads(pg.rows("SELECT state FROM _sluice.state")[0][0]) == {"at": 3}


def test_a_restart_while_rows_go_ahead(knobs, pg):
    """A new table is half loaded when the server goes down: the load begins anew, each row is there once."""
    env = {"SL_AHEAD_BYTES": "1000", "SL_AHEAD_IN_TURN": "1"}
    s = sync(knobs, write(knobs, pg.options()), env=env, schema=ORDERS)
    for i in range(ROWS):
        s.upsert("orders", {"id": i, "v": "x" * 20})
    s.flush()
    wait_for(lambda: pg.rows("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'") != [(0,)])  # fmt: skip
    pg.stop()
    pg.start()
    for i in range(ROWS, 2 * ROWS):
        s.upsert("orders", {"id": i, "v": "x" * 20})
    s.checkpoint({"at": 1})
    s.done().ok()
    assert pg.rows("SELECT count(*), count(DISTINCT id) FROM tester.orders") == [(2 * ROWS,) * 2]


def test_a_server_that_is_away_for_long(pro, pg):
    """Down when the commit is due: the sync waits for it."""
    load(pro, pg)
    s = sync(pro, write(pro, pg.options()), schema=ORDERS)
    s.upsert("orders", {"id": 1, "v": "b"})
    s.checkpoint({"at": 2})
    pg.stop()
    thread = threading.Thread(target=lambda: (threading.Event().wait(5), pg.start()))
    thread.start()
    result = s.done()
    thread.join()
    result.ok()
    assert pg.rows("SELECT v FROM tester.orders WHERE id = 1") == [("b",)]


# ---- stop


def test_a_stop_in_the_middle_of_a_statement(knobs, pg):
    """Someone else has the table locked; two interrupts end the wait, and the server's statement with it."""
    load(knobs, pg)
    with pg.connect() as other:
        pg.execute("BEGIN; LOCK TABLE tester.orders")
        s = sync(knobs, write(knobs, pg.options()), env=EACH, schema=ORDERS)
        s.upsert("orders", {"id": 1, "v": "b"})
        s.checkpoint({"at": 2})
        s.flush()
        wait_for(lambda: other.execute(WAITING).fetchall() != [(0,)])
        s.interrupt()
        wait_for(lambda: "interrupt" in s.said().lower() or "stop" in s.said().lower())
        s.interrupt()
        result = s.close()
        assert result.code != 0 and "stopped" in result.out, result.out
        wait_for(lambda: other.execute(WAITING).fetchall() == [(0,)])
        pg.execute("ROLLBACK")
    load(knobs, pg, {"at": 3})


def test_a_dead_writer_is_not_waited_for(knobs, pg):
    """Killed with its connection still open on the server, at work: the next run ends that and goes on."""
    load(knobs, pg)
    with pg.connect() as other:
        pg.execute("BEGIN; LOCK TABLE tester.orders")
        s = sync(knobs, write(knobs, pg.options()), env=EACH, schema=ORDERS)
        s.upsert("orders", {"id": 1, "v": "lost"})
        s.checkpoint({"at": 2})
        s.flush()
        wait_for(lambda: other.execute(WAITING).fetchall() != [(0,)])
        s.kill()
        s.close()
        following = sync(knobs, write(knobs, pg.options()), schema=ORDERS)
        assert json.loads(following.state) == {"at": 1}
        assert other.execute(WAITING).fetchall() == [(0,)]
        pg.execute("ROLLBACK")
        following.upsert("orders", {"id": 1, "v": "b"})
        following.checkpoint({"at": 3})
        following.done().ok()
    assert pg.rows("SELECT v FROM tester.orders WHERE id = 1") == [("b",)]


# ---- keys


def test_a_key_that_a_foreign_key_needs(pro, pg):
    """The table is empty, and someone refers to it: its key stays, and the rows come."""
    path = write(pro, pg.options())
    schema = [table("orders", key=["id"], columns=[("id", "LONG"), ("v", "STRING")])]
    run(pro, path, [], {"at": 1}, schema=schema).ok()
    pg.execute("CREATE TABLE notes (order_id bigint REFERENCES tester.orders (id))")
    run(pro, path, [{"id": i, "v": "a"} for i in range(5)], {"at": 2}, schema=schema).ok()
    pg.execute("INSERT INTO notes VALUES (3)")
    run(pro, path, [{"id": i, "v": "b"} for i in range(9)], {"at": 3}, schema=schema).ok()
    assert pg.rows("SELECT count(*) FROM tester.orders WHERE v = 'b'") == [(9,)]
    assert pg.rows("SELECT count(*) FROM pg_constraint WHERE conrelid = 'tester.orders'::regclass AND contype = 'p'") == [(1,)]  # fmt: skip


@pytest.mark.parametrize("version", ["150000", "140000"])
def test_null_in_a_key(knobs, pg, version):
    """From 15 on an index finds such a row; before, two statements look for it."""
    path = write(knobs, pg.options())
    env = {"SL_PG_VERSION": version}
    schema = [table("orders", key=["id", "part"])]

    def go(rows, deleted, state):
        s = sync(knobs, path, env=env, schema=schema)
        for row in rows:
            s.upsert("orders", row)
        for row in deleted:
            s.delete("orders", row)
        s.checkpoint(state)
        return s.done().ok().rows

    first = [{"id": 1, "part": None, "v": 1}, {"id": 1, "part": 2, "v": 1}, {"id": 2, "part": None, "v": 1}]  # fmt: skip
    go(first, [], {"at": 1})
    again = go([*first[:1], {"id": 1, "part": 2, "v": 5}, {"id": 3, "part": None, "v": 1}], [{"id": 2, "part": None}], {"at": 2})  # fmt: skip
    assert (again["inserted"], again["updated"], again["deleted"], again["unchanged"]) == (1, 1, 1, 1)  # fmt: skip
    assert pg.rows("SELECT id, part, v::int, _fivetran_deleted FROM tester.orders ORDER BY 1, 2") == [
        (1, 2, 5, False), (1, None, 1, False), (2, None, 1, True), (3, None, 1, False)]  # fmt: skip


# ---- grants


def test_each_missing_grant_at_a_sync(pro, pg):
    """The statement that is given is enough to come further, until the sync goes through."""
    load(pro, pg)
    pg.execute("DROP ROLE IF EXISTS small")
    pg.execute("CREATE ROLE small LOGIN PASSWORD 'smallpass'")
    pg.execute('REVOKE TEMPORARY ON DATABASE "app" FROM PUBLIC')
    path = write(pro, pg.options(user="small", password="smallpass"))
    rows = [{"id": i, "v": "b"} for i in range(5)]
    given = []
    while len(given) < 10:
        result = run(pro, path, rows, {"at": 2 + len(given)})
        if result.code == 0:
            break
        words = result.failed(" run: ").out.split(" run: ")[1].splitlines()[0]
        assert words not in given, "it was given and did not help: %s\n%s" % (words, result.out)
        given.append(words)
        pg.execute(words)
    assert len(given) == 3 and "TEMPORARY" in given[2], given
    assert pg.rows("SELECT count(*) FROM tester.orders WHERE v = 'b'") == [(5,)]
    pg.execute("DROP OWNED BY small")
