"""State: in the transaction of its rows, never ahead of them, its history, and where the next sync begins."""

import json

from peer import Json, table

SCHEMA = [table("t", ["id"])]


def test_state_goes_with_its_rows(pro):
    """What a checkpoint covered is there with its state, and a sync begins with the last state."""
    s = pro.sync(schema=SCHEMA)
    assert s.state == "{}"
    s.upsert("t", {"id": 1})
    s.checkpoint({"at": 1}, durable=True)
    s.upsert("t", {"id": 2})
    s.checkpoint({"at": 2})
    s.upsert("t", {"id": 3})
    s.done().ok()
    assert pro.rows("t", "id") == [(1,), (2,), (3,)]
    assert pro.state() == '{"at": 2}'
    s = pro.sync(schema=SCHEMA)
    assert s.state == '{"at": 2}'
    s.checkpoint({"at": 3})
    s.done().ok()
    assert json.loads(pro.to.history()[-1]) == {"at": 3}
    assert [json.loads(h) for h in pro.to.history()][:2] == [{"at": 1}, {"at": 2}]


def test_rows_after_the_last_checkpoint_are_discarded_on_failure(pro):
    """A run that fails leaves what its last checkpoint covered: no later row, column, type, table or state."""
    s = pro.sync(schema=SCHEMA)
    for i in range(5):
        s.upsert("t", {"id": i, "v": i})
    s.checkpoint({"at": 1})
    s.truncate("t")
    s.upsert("t", {"id": "text", "v": 2.5, "new": 1})
    s.upsert("fresh", {"x": 1})
    s.error().failed("ValueError: broken")
    assert pro.rows("t") == [(i, i, False) for i in range(5)]
    assert pro.tables() == [("tester", "t")] and pro.state() == '{"at": 1}'
    s = pro.sync(schema=SCHEMA)
    assert s.state == '{"at": 1}'
    s.upsert("t", {"id": 9, "v": 9})
    s.done().ok()
    assert pro.rows("t")[-1] == (9, 9, False)


def test_the_connector_goes_away(pro):
    """A connector that dies: the same."""
    s = pro.sync(schema=SCHEMA)
    s.upsert("t", {"id": 1})
    s.checkpoint({"at": 1}, durable=True)
    s.upsert("t", {"id": 2})
    s.flush()
    s.close().failed()
    assert pro.rows("t", "id") == [(1,)] and pro.state() == '{"at": 1}'
    assert pro.to.leftovers() == []


def test_states_of_any_text(pro):
    """A state is kept byte for byte: order, spaces, signs of SQL, large; 50 of them are remembered."""
    texts = [
        b'{"b" : 1,"a":1.50}',
        '{"é\'\\u0041":"\\"; --","n":null}'.encode(),
        b'{"k":"%s"}' % (b"x" * 300000),
        b"{}",
    ]
    for text in texts:
        s = pro.sync(schema=SCHEMA)
        s.checkpoint(text)
        s.done().ok()
        assert pro.state() == text.decode()
    s = pro.sync(schema=SCHEMA)
    assert s.state == "{}"
    for i in range(60):
        s.checkpoint({"at": i}, durable=True)
    s.done().ok()
    history = [json.loads(h) for h in pro.to.history()]
    assert len(history) == 50 and history[-1] == {"at": 59} and history[0] == {"at": 10}


def test_a_sync_at_rest_writes_nothing(pro):
    """The same rows and state again: no commit, no new entry of the history."""
    for _ in range(2):
        s = pro.sync(schema=SCHEMA)
        s.upsert("t", {"id": 1, "j": Json('{"a":1}')})
        s.checkpoint({"at": 1})
        s.done().ok()
    assert len(pro.to.history()) == 1


def test_a_wider_type_that_is_discarded(pro):
    """A failed run's types are forgotten with its rows, also when a commit came between them and the failure."""
    s = pro.sync(schema=SCHEMA)
    s.upsert("t", {"id": 1, "v": 1})
    s.checkpoint({"at": 1}, durable=True)
    s.upsert("t", {"id": 2, "v": 1.5})
    s.checkpoint({"at": 2}, durable=True)
    s.upsert("t", {"id": 3, "v": "text"})
    s.error().failed()
    assert pro.columns("t")["v"] == pro.to.native("DOUBLE")
    assert pro.rows("t", "id", "v") == [(1, 1.0), (2, 1.5)]


def test_a_value_that_cannot_be_stored(pro):
    """NaN in a key: an error that names the column, nothing of it is stored, the next sync is not hurt."""
    s = pro.sync(schema=SCHEMA)
    s.upsert("t", {"id": 1.5})
    s.checkpoint({"good": 1})
    s.upsert("t", {"id": float("nan")})
    s.done().failed("NaN in a primary key", "t.id")
    assert pro.rows("t", "id") == [(1.5,)]
    s = pro.sync(schema=SCHEMA)
    s.upsert("t", {"id": 2.5})
    s.done().ok()
    assert pro.rows("t", "id") == [(1.5,), (2.5,)]


def test_two_syncs_at_once(pro):
    """Two syncs of one connection at once: one of them waits or gives up, and no row is lost."""
    first = pro.sync(schema=SCHEMA)
    first.upsert("t", {"id": 1})
    first.checkpoint({"at": 1}, durable=True)
    second = pro.sync(schema=SCHEMA, wait_start=False)
    second.finish().failed(code=4)
    first.upsert("t", {"id": 2})
    first.done().ok()
    assert pro.rows("t", "id") == [(1,), (2,)]
