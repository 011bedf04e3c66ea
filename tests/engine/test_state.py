"""Checkpoints: what is kept, what is discarded, which state a sync starts from."""

import json
import os
import stat

import peer
import pytest
from peer import DONE, STOP, table

SCHEMA = [table("t", ["id"])]


def run(pro, state=None, row=None, **more):
    """One sync that ends well: a row, a checkpoint."""
    s = pro.sync(schema=SCHEMA, **more)
    if row:
        s.upsert("t", row)
    if state is not None:
        s.checkpoint(state)
    start = s.state
    return start, s.done().ok()


def mirror(pro):
    with open(pro.mirror) as f:
        return f.read()


def write_mirror(pro, text):
    with open(pro.mirror, "w") as f:
        f.write(text)


# ---- what is committed


def test_rows_after_the_last_checkpoint_are_kept_when_all_ends_well(pro):
    s = pro.sync(schema=SCHEMA)
    s.upsert("t", {"id": 1})
    s.checkpoint({"at": 1})
    s.upsert("t", {"id": 2})
    s.done().ok()
    assert pro.rows("t", "id") == [(1,), (2,)]
    assert pro.state() == '{"at": 1}' == mirror(pro)


def fail_by_error(s):
    return s.error().failed("connector.py:3", "ValueError: broken")


def fail_by_closing(s):
    s.flush()
    return s.close().failed("ended")


def fail_by_exit(s):
    return s.error(type="SystemExit", message="0", exit=0).failed()


def fail_by_operation(s):
    s.frame(
        peer.ERROR, 1, json.dumps({"phase": "op", "type": None, "message": "given up"}).encode()
    )
    return s.finish().failed("given up")


def fail_by_count(s):
    return s.done(upserts=s.counts[0] + 1).failed("the connector sent", "upserts")


def fail_by_frame(s):
    s.raw(b"\xff" * 8)
    return s.finish().failed("frame")


@pytest.mark.parametrize("env", [{}, {"SL_BUFFER_BYTES": "100"}], ids=["in memory", "spilled"])
@pytest.mark.parametrize(
    "fail",
    [fail_by_error, fail_by_closing, fail_by_exit, fail_by_operation, fail_by_count, fail_by_frame],
)
def test_rows_after_the_last_checkpoint_are_discarded_on_failure(knobs, fail, env):
    """With everything that only they showed: wider types, columns, tables; and a truncate among them."""
    s = knobs.sync(schema=[*SCHEMA, table("named", ["id"])], env=env)
    for i in range(5):
        s.upsert("t", {"id": i, "v": i, "w": 1})
    s.upsert("loose", {"x": 1})
    s.checkpoint({"at": 1})
    s.truncate("t")
    s.upsert("t", {"id": "text", "v": "text", "w": 2.5, "new": 1})
    s.update("t", {"id": 0, "v": 99})
    s.delete("t", {"id": 1})
    s.upsert("loose", {"x": "y", "more": 1})
    s.upsert("fresh", {"x": 1})
    result = fail(s)
    assert knobs.columns("t") == {"id": "BIGINT", "v": "BIGINT", "w": "BIGINT"}
    assert knobs.rows("t") == [(i, i, 1, False) for i in range(5)]
    assert knobs.rows("loose", "x") == [(1,)]
    assert knobs.tables() == ["tester.loose", "tester.named", "tester.t"]
    assert knobs.state() == '{"at": 1}' == mirror(knobs)
    assert "discard" in result.out
    # The next sync goes on as if they had never been.
    s = knobs.sync(schema=SCHEMA, env=env)
    assert s.state == '{"at": 1}'
    s.upsert("t", {"id": 9, "v": 9, "new": 1.5})
    s.upsert("fresh", {"x": "text"})
    s.done().ok()
    assert knobs.columns("t") == {"id": "BIGINT", "v": "BIGINT", "w": "BIGINT", "new": "DOUBLE"}


def test_a_failure_before_the_first_checkpoint_leaves_nothing(pro):
    s = pro.sync(schema=SCHEMA)
    s.upsert("t", {"id": 1})
    s.error().failed()
    assert pro.tables() == [] and pro.state() is None and not os.path.exists(pro.mirror)
    start, _ = run(pro, {"at": 1}, {"id": "other type"})
    assert start == "{}"
    assert pro.columns("t") == {"id": "VARCHAR"}


@pytest.mark.parametrize("name", ["upserts", "updates", "deletes", "truncates", "checkpoints"])
def test_counts_that_differ_fail_the_sync(pro, name):
    for said in (0, 2, 10**6):
        s = pro.sync(schema=SCHEMA)
        s.upsert("t", {"id": 1})
        s.update("t", {"id": 1, "v": 1})
        s.delete("t", {"id": 2})
        s.truncate("t")
        s.checkpoint({"at": 1})
        s.done(**{name: said}).failed(
            "the connector sent %d %s" % (said, name), "the engine read 1"
        )


def test_rounded_cut_and_replaced_are_added(pro):
    s = pro.sync(schema=SCHEMA)
    result = s.done(rounded=3, cut=4, replaced=5).ok()
    for word in ("3 values rounded", "4 times cut", "5 values replaced"):
        assert word in result.out


# ---- acknowledgement and stopping


def test_a_durable_checkpoint_is_acknowledged_after_its_commit(pro):
    """The file cannot be read while the engine has it: what is there when the engine is killed tells."""
    s = pro.sync(schema=SCHEMA)
    for n in range(1, 4):
        s.upsert("t", {"id": n})
        s.checkpoint({"at": -n})
        s.upsert("t", {"id": n * 10})
        kind, _, payload = s.checkpoint({"at": n}, durable=True)
        assert int.from_bytes(payload, "little") == 2 * n
    s.upsert("t", {"id": 99})
    s.flush()
    s.kill()
    s.close()
    assert pro.state() == '{"at": 3}'
    assert sorted(pro.rows("t", "id")) == [(1,), (2,), (3,), (10,), (20,), (30,)]


def test_an_interrupt_stops_at_the_next_checkpoint(pro):
    s = pro.sync(schema=SCHEMA)
    s.upsert("t", {"id": 1})
    s.checkpoint({"at": 1})
    s.upsert("t", {"id": 2})
    s.flush()
    s.interrupt()
    assert s.wait_for(STOP)[1] == 1
    s.checkpoint({"at": 2})
    s.upsert("t", {"id": 3})
    s.error(type="SyncCancelled", message="").failed(code=130)
    assert pro.rows("t", "id") == [(1,), (2,)]
    assert pro.state() == '{"at": 2}'


def test_two_interrupts_stop_at_once(pro):
    s = pro.sync(schema=SCHEMA)
    s.upsert("t", {"id": 1})
    s.checkpoint({"at": 1})
    s.flush()
    s.interrupt()
    s.wait_for(STOP)
    s.interrupt()
    s.finish().failed(code=130)
    assert pro.state() is None


# ---- which state a sync starts from


def test_the_state_of_the_warehouse_rules(pro):
    assert run(pro, {"at": 1}, {"id": 1})[0] == "{}"
    assert run(pro, {"at": 2})[0] == '{"at": 1}'
    os.unlink(pro.mirror)
    assert run(pro, {"at": 3})[0] == '{"at": 2}'
    assert mirror(pro) == '{"at": 3}'
    # Equal to the mirror, or one commit behind it as after a kill: no edit.
    write_mirror(pro, '{"at": 3}\n')
    start, result = run(pro)
    assert start == '{"at": 3}' and "was edited" not in result.out
    write_mirror(pro, '{"at": 2}')
    start, result = run(pro)
    assert start == '{"at": 3}' and "was edited" not in result.out


def test_an_edited_mirror_is_used_and_said(pro):
    run(pro, {"at": 1}, {"id": 1})
    write_mirror(pro, '{"at": "mine"}')
    start, result = run(pro)
    assert start == '{"at": "mine"}' and "files/state.json was edited" in result.out
    assert pro.state() == '{"at": "mine"}'
    start, result = run(pro)
    assert start == '{"at": "mine"}' and "was edited" not in result.out
    write_mirror(pro, "{}")
    assert run(pro)[0] == "{}"


def test_a_given_state_wins(pro):
    run(pro, {"at": 1}, {"id": 1})
    write_mirror(pro, '{"at": "mine"}')
    s = pro.sync(schema=SCHEMA, state={"at": "given"})
    assert json.loads(s.state) == {"at": "given"}
    s.done().ok()
    assert json.loads(pro.state()) == {"at": "given"}


def test_a_state_without_its_warehouse_stops_with_the_two_ways_out(pro):
    run(pro, {"at": 1}, {"id": 1})
    os.unlink(pro.warehouse)
    s = pro.sync(schema=SCHEMA)
    assert s.start is None
    result = s.close()
    assert result.code in (1, 2)
    for word in ("files/state.json", "fivetran reset", "--state"):
        assert word in result.out
    assert mirror(pro) == '{"at": 1}'
    # The two ways out.
    s = pro.sync(schema=SCHEMA, state={"at": 1})
    s.done().ok()
    pro.let_go()
    os.unlink(pro.warehouse)
    write_mirror(pro, " { } ")
    assert run(pro, {"at": 2}, {"id": 1})[0] == "{}"


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"a":}', "null", "\x00", '{"a": 1} x'])
def test_a_mirror_that_is_no_state(pro, text):
    run(pro, {"at": 1}, {"id": 1})
    write_mirror(pro, text)
    s = pro.sync(schema=SCHEMA)
    if text == "":  # empty is {}
        assert s.state == "{}"
        s.done().ok()
        return
    s.close().failed("files/state.json", "not a JSON object", code=2)
    os.unlink(pro.mirror)
    assert run(pro)[0] == '{"at": 1}'


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"[1]",
        b"null",
        b"{",
        b'{"a":}',
        b'{"a":"\xff"}',
        b'{"a":1}\x00',
        b'{"a":"\\ud800"}',
        b"{}{}",
    ],
    ids=repr,
)
def test_a_checkpoint_that_is_no_state(pro, state):
    run(pro, {"at": 1}, {"id": 1})
    s = pro.sync(schema=SCHEMA)
    s.upsert("t", {"id": 2})
    s.checkpoint(state)
    s.done().failed("CHECKPOINT" if not state else "state")
    assert pro.state() == '{"at": 1}' and pro.rows("t", "id") == [(1,)]


def test_states_are_kept_as_they_were_written(pro):
    for state in (
        b'{"z":1,  "a":[1.0, 1e2, "\\u00e9", "\xc3\xa9"]}',
        b'{"big":' + b"9" * 50 + b"}",
        b'{"t":"' + b"x" * 200000 + b'"}',
    ):
        run(pro, state)
        assert pro.state().encode() == state == mirror(pro).encode()
        assert run(pro)[0].encode() == state


def test_fifty_states_are_kept(pro):
    s = pro.sync(schema=SCHEMA)
    for n in range(1, 61):
        s.checkpoint({"at": n}, durable=True)
    s.done().ok()
    kept = [
        json.loads(x)["at"]
        for (x,) in pro.query("SELECT state FROM _sluice.state_history ORDER BY number")
    ]
    assert kept == list(range(11, 61))
    assert len(pro.query("SELECT DISTINCT batch FROM _sluice.state_history")) == 50


def test_a_sync_that_changes_nothing_writes_nothing(pro):
    run(pro, {"at": 1}, {"id": 1})
    before = pro.query("SELECT number FROM _sluice.state_history"), os.stat(pro.warehouse).st_size
    for _ in range(3):
        run(pro)
    assert (
        pro.query("SELECT number FROM _sluice.state_history"),
        os.stat(pro.warehouse).st_size,
    ) == before


def test_a_mirror_that_cannot_be_written_is_a_warning(pro):
    os.makedirs(os.path.join(pro.mirror, "in the way"))
    s = pro.sync(schema=SCHEMA, hello=True)
    if s.start is None:  # a folder where the mirror belongs is found before anything is done
        s.close()
        assert pro.leftovers() == []
        return
    s.checkpoint({"at": 1})
    result = s.done().ok()
    assert "WARNING" in result.out and pro.state() == '{"at": 1}'


def test_files_are_the_users_own(pro):
    run(pro, {"at": 1}, {"id": 1})
    assert pro.leftovers() == []
    assert stat.S_IMODE(os.stat(pro.mirror).st_mode) & 0o022 == 0


def test_a_second_sync_of_the_project_is_refused(pro):
    first = pro.sync(schema=SCHEMA)
    second = pro.sync(wait_start=False)
    second.finish().failed(code=4)
    first.upsert("t", {"id": 1})
    first.done().ok()
    assert pro.rows("t", "id") == [(1,)]


def test_done_is_the_last_frame(pro):
    """What comes after it is not read."""
    s = pro.sync(schema=SCHEMA)
    s.upsert("t", {"id": 1})
    said = {"upserts": 1, "updates": 0, "deletes": 0, "truncates": 0, "checkpoints": 0}
    s.frame(DONE, 0, json.dumps(said).encode())
    s.upsert("t", {"id": 2})
    s.finish().ok()
    assert pro.rows("t", "id") == [(1,)]
