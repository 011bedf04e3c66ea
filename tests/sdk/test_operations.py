"""Operations against an encoder: arguments, names, keys, shapes, order, cancellation, the socket (both encoders)."""
# ruff: noqa: E501 (tables of cases)

import json
import math
import socket
import threading

import pytest
from conftest import Rig, never

import wire
from wire import ABSENT, LONG, NULL, STRING

KEYED = [
    {"table": "t", "primary_key": ["id", "org"]},
    {"schema": "s", "table": "t", "primary_key": ["k"]},
]


class Stopped(BaseException):
    pass


def stop():
    raise Stopped


# ---------------------------------------------------------------------- arguments


def test_all_spellings_of_a_call(rig):
    row = {"a": 1}
    calls = [
        lambda: rig.upsert("t", row),
        lambda: rig.upsert(table="t", data=row),
        lambda: rig.upsert(data=row, table="t"),
        lambda: rig.upsert("t", data=row, schema=None, file=None),
        lambda: rig.upsert(**{"".join(["ta", "ble"]): "t", "".join(["da", "ta"]): row}),
        lambda: rig.update(table="t", modified=row),
        lambda: rig.delete(table="t", keys=row),
        lambda: rig.truncate(table="t"),
        lambda: rig.truncate("t", schema=None),
        lambda: rig.checkpoint(state={}),
        lambda: rig.checkpoint({}, False),
    ]
    for call in calls:
        assert call() == ()
    names = [frame.name for frame in rig.frames()]
    assert (
        names
        == ["TABLE", "SHAPE"]
        + ["UPSERT"] * 5
        + ["UPDATE", "DELETE"]
        + ["TRUNCATE"] * 2
        + ["CHECKPOINT"] * 2
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda rig: rig.upsert("t"),
        lambda rig: rig.upsert(data={}),
        lambda rig: rig.upsert("t", {}, "schema"),
        lambda rig: rig.upsert("t", {}, nonsense=1),
        lambda rig: rig.upsert("t", {}, table="t"),
        lambda rig: rig.update("t", data={}),
        lambda rig: rig.delete("t", {}, file=None),
        lambda rig: rig.truncate("t", {}),
        lambda rig: rig.checkpoint(),
        lambda rig: rig.checkpoint({}, False, 1),
    ],
)
def test_wrong_arguments(rig, call):
    with pytest.raises(TypeError, match=r"argument"):
        call(rig)
    assert rig.take() == b""


@pytest.mark.parametrize(
    "table, schema, error",
    [
        (5, None, "TypeError: Table name must be a string, got int"),
        (None, None, "TypeError: Table name must be a string, got NoneType"),
        ("", None, "ValueError: Table name must be a non-empty string"),
        ("  ", None, "ValueError: Table name must be a non-empty string"),
        ("t", 5, "TypeError: 'schema' must be a string, got int"),
        ("t", " ", "ValueError: 'schema' must be a non-empty string"),
        ("\ud800", None, "ValueError: the table name '\\ud800' holds a lone surrogate"),
    ],
)
def test_names_are_checked(rig, table, schema, error):
    for call in (
        lambda: rig.upsert(table, {}, schema=schema),
        lambda: rig.update(table, {}, schema=schema),
        lambda: rig.delete(table, {}, schema=schema),
        lambda: rig.truncate(table, schema=schema),
    ):
        with pytest.raises((TypeError, ValueError)) as caught:
            call()
        assert f"{type(caught.value).__name__}: {caught.value}" == error
    assert rig.take() == b""


@pytest.mark.parametrize("data", [[{"a": 1}], None, "text", 5, dict])
def test_data_must_be_a_dict(rig, data):
    with pytest.raises(
        TypeError, match=r"^t: a row must be a dict of column names and values, got "
    ):
        rig.upsert("t", data)


def test_whatever_has_items_is_a_row(rig):
    import collections
    import types

    class Row:
        def items(self):
            return [("a", 1)]

    ordered = collections.OrderedDict(a=1, b=2)
    ordered.move_to_end("a")
    for data in (Row(), types.MappingProxyType({"a": 1}), ordered):
        rig.upsert("t", data)
    reader = wire.Reader().feed(rig.frames())
    assert reader.rows() == [{"a": (LONG, 1)}, {"a": (LONG, 1)}, {"b": (LONG, 2), "a": (LONG, 1)}]
    assert list(reader.rows()[2]) == ["b", "a"]


@pytest.mark.parametrize(
    "name, error",
    [
        (5, r"^t: column names must be str, got int 5"),
        (None, r"^t: column names must be str, got NoneType"),
        ("", r"^t: a column name is empty"),
        ("\udfff", r"^a column name '\\udfff' holds a lone surrogate"),
    ],
)
def test_column_names_are_checked(rig, name, error):
    with pytest.raises((TypeError, ValueError), match=error):
        rig.upsert("t", {"ok": 1, name: 2})
    rig.upsert("t", {"ok": 1})
    assert wire.Reader().feed(rig.frames()).rows() == [{"ok": (LONG, 1)}]


def test_str_subclasses_as_names(rig):
    import enum

    class Name(str, enum.Enum):
        TABLE = "t"
        COLUMN = "c"

    rig.upsert(Name.TABLE, {Name.COLUMN: 1})
    rig.upsert("t", {"c": 2})
    reader = wire.Reader().feed(rig.frames())
    assert reader.tables == ["t"] and reader.shapes == [("t", ["c"])]


def test_files_are_refused_by_name(rig):
    with pytest.raises(ValueError, match=r"^t: file= needs a destination with object storage"):
        rig.upsert("t", {"a": 1}, file=object())
    with pytest.raises(ValueError, match="object storage"):
        rig.update("t", {"a": 1}, file=object())


def test_a_refused_row_leaves_nothing_behind(new_rig):
    rig = new_rig([{"table": "t", "columns": {"n": "LONG"}}])
    rig.upsert("t", {"a": "x", "n": 1})
    with pytest.raises(ValueError):
        rig.upsert("t", {"a": "y", "n": "abc"})
    rig.upsert("t", {"a": "z", "n": 2})
    rows = wire.Reader().feed(rig.frames()).rows()
    assert [row["a"][1] for row in rows] == ["x", "z"]
    assert rig.counts()["upserts"] == 2


# ---------------------------------------------------------------------- keys


@pytest.mark.parametrize("op", ["update", "delete"])
def test_a_missing_key_column_is_an_error(new_rig, op):
    rig = new_rig(KEYED)
    with pytest.raises(ValueError) as caught:
        getattr(rig, op)("t", {"id": 1, "v": 2})
    assert str(caught.value).startswith(f"t: {op} without key column 'org'; given: id, v\n  hint: ")
    with pytest.raises(ValueError, match=r"^s\.t: .* without key column 'k'; given: nothing"):
        getattr(rig, op)("t", {}, schema="s")
    getattr(rig, op)("t", {"id": 1, "org": None})
    getattr(rig, op)("t", {"ID": 1, "Or-g": 2})  # may be the same column: the engine decides
    getattr(rig, op)("other", {"v": 1})
    getattr(rig, op)("T", {"v": 1})  # a table that only looks the same
    assert len(wire.Reader().feed(rig.frames()).rows(op=op.upper())) == 4


def test_an_upsert_may_lack_its_key(new_rig):
    rig = new_rig(KEYED)
    assert rig.upsert("t", {"v": 1}) == ()
    with pytest.raises(ValueError):
        rig.update("t", {"v": 1})  # the shape of the row above, in another operation


# ---------------------------------------------------------------------- tables and shapes


def test_a_table_per_schema_and_name(rig):
    for schema in (None, "s", "r", None, "s"):
        rig.upsert("t", {"a": 1}, schema=schema)
    rig.upsert("".join(["t"]), {"a": 1}, schema="".join(["s"]))
    reader = wire.Reader().feed(rig.frames())
    assert reader.tables == ["t", "s.t", "r.t"]
    assert [event[1] for event in reader.events] == ["t", "s.t", "r.t", "t", "s.t", "s.t"]


def test_many_tables_and_shapes_in_turn(rig):
    expected = []
    for i in range(600):
        table, columns = f"t{i % 23}", {f"c{(i * j) % 7}": i for j in range(1, 4)}
        rig.upsert(table, columns)
        expected.append((table, {name: (LONG, i) for name in columns}))
    reader = wire.Reader().feed(rig.frames())
    assert [(event[1], event[2]) for event in reader.events] == expected
    assert len(reader.tables) == 23
    assert len(reader.shapes) == len({(table, tuple(row)) for table, row in expected}), (
        "each shape once"
    )


def test_column_order_is_kept(rig):
    rig.upsert("t", {"a": 1, "b": 2})
    rig.upsert("t", {"b": 2, "a": 1})
    assert [list(row) for row in wire.Reader().feed(rig.frames()).rows()] == [
        ["a", "b"],
        ["b", "a"],
    ]


def test_rows_that_only_begin_like_the_last_one(rig):
    rows = [
        {"a": 1, "b": 2, "c": 3},
        {"a": 1, "b": 2},
        {"a": 1, "b": 2, "d": 3},
        {"a": 1},
        {},
        {"a": 1, "b": 2, "c": 3, "d": 4},
    ]
    for _ in range(3):
        for row in rows:
            rig.upsert("t", row)
    reader = wire.Reader().feed(rig.frames())
    assert [{name: value for name, (_, value) in row.items()} for row in reader.rows()] == rows * 3
    assert len(reader.shapes) == len(rows)


def test_past_a_thousand_shapes_one_of_all_columns(new_rig):
    rig = new_rig([{"table": "t", "primary_key": ["id"]}])
    for i in range(1000):
        rig.upsert("t", {"id": i, f"c{i}": i})
    rig.upsert("t", {"id": 1, "c1": 1, "c2": None})
    rig.upsert("t", {"c3": "x", "id": 2})
    rig.upsert("t", {"id": 3, "new": 1})
    rig.upsert("t", {"id": 4, "new": 1, "c5": 5})
    rig.upsert("t", {"id": 5, "c1": 1})
    rig.update("t", {"c9": 1, "id": 6, "c8": 1})
    with pytest.raises(ValueError, match="without key column 'id'"):
        rig.update("t", {"c9": 1, "c8": 1})
    reader = wire.Reader().feed(rig.frames())
    assert len(reader.shapes) == 1002, "a thousand, the union, the union with the new column"
    given = [
        {name: cell for name, cell in row.items() if cell[0] != ABSENT}
        for row in reader.rows()[1000:]
    ]
    assert given == [
        {"id": (LONG, 1), "c1": (LONG, 1), "c2": (NULL, None)},
        {"id": (LONG, 2), "c3": (STRING, "x")},
        {"id": (LONG, 3), "new": (LONG, 1)},
        {"id": (LONG, 4), "c5": (LONG, 5), "new": (LONG, 1)},
        {"id": (LONG, 5), "c1": (LONG, 1)},
    ]
    assert reader.rows(op="UPDATE")[0]["c8"] == (LONG, 1)


# ---------------------------------------------------------------------- names that look the same


def test_declared_types_reach_names_that_look_the_same(new_rig):
    rig = new_rig([{"table": "user_data", "columns": {"user_id": "LONG", "n": "LONG"}}])
    rig.upsert("userData", {"userID": "5", "N": "7"})
    assert wire.Reader().feed(rig.frames()).rows() == [{"userID": (LONG, 5), "N": (LONG, 7)}]


def test_a_value_that_does_not_fit_there_is_sent_as_it_is(new_rig):
    rig = new_rig([{"table": "t", "columns": {"id": "LONG"}}])
    rig.upsert("t", {"ID": "abc"})
    assert wire.Reader().feed(rig.frames()).rows() == [{"ID": (STRING, "abc")}]
    with pytest.raises(ValueError):
        rig.upsert("t", {"id": "abc"})


def test_two_declared_twins_are_not_mixed_up(new_rig):
    rig = new_rig([{"table": "t", "columns": {"id": "LONG", "ID": "STRING"}}])
    rig.upsert("t", {"id": "1", "ID": "1", "i_d": "1"})
    assert wire.Reader().feed(rig.frames()).rows() == [
        {"id": (LONG, 1), "ID": (STRING, "1"), "i_d": (STRING, "1")}
    ]


# ---------------------------------------------------------------------- checkpoints


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"a": [1, 2.5, None, True, "x"], "b": {"c": {}}},
        {2: "a", 1.5: "b", None: "c", True: "d"},
        {"e": 'é日😀\u2028"\\\n\x01'},
        {"big": 2**80, "tuple": (1, 2)},
    ],
    ids=repr,
)
def test_state_is_compact_json(rig, state):
    assert rig.checkpoint(state) == ()
    (frame,) = rig.frames()
    assert frame.text == json.dumps(state, ensure_ascii=False, separators=(",", ":"))


def test_state_keeps_what_json_dumps_keeps(rig):
    rig.checkpoint({"n": [math.nan, math.inf, -math.inf]})
    (frame,) = rig.frames()
    assert frame.text == '{"n":[NaN,Infinity,-Infinity]}'


def test_state_subclasses(rig):
    import collections
    import enum

    class Level(enum.IntEnum):
        A = 1

    class Name(str, enum.Enum):
        B = "b"

    rig.checkpoint(
        collections.OrderedDict(
            [("z", Level.A), (Name.B, Name.B), ("t", collections.namedtuple("P", "x")(1))]
        )
    )
    assert rig.frames()[0].text == '{"z":1,"b":"b","t":[1]}'


@pytest.mark.parametrize(
    "state, error",
    [
        (None, r"^checkpoint state must be a dict, got None\n  hint: "),
        ([1, 2], r"^checkpoint state must be a dict, got list\n  hint: wrap it"),
        ("text", r"^checkpoint state must be a dict, got str\n  hint: "),
        (5, r"^checkpoint state must be a dict, got int\n  hint: "),
        (object(), r"^checkpoint state must be a dict, got object\n  hint: "),
        ({"a": object()}, r"Object of type object is not JSON serializable"),
        ({"a": {1, 2}}, r"Object of type set is not JSON serializable"),
        ({"a": [b"x"]}, r"Object of type bytes is not JSON serializable\n  hint: "),
        ({(1, 2): 3}, r"keys must be str, int, float, bool or None, not tuple"),
    ],
)
def test_state_that_json_dumps_refuses(rig, state, error):
    rig.upsert("t", {"a": 1})
    before = rig.counts()
    with pytest.raises(TypeError, match=error):
        rig.checkpoint(state)
    assert rig.counts() == before
    assert [frame.name for frame in rig.frames()] == ["TABLE", "SHAPE", "UPSERT"]


@pytest.mark.parametrize(
    "state",
    [{"s": "\ud800x"}, {"\udfff": 1}, {"a": [{"b": "é\ud800"}]}, {"é": "x" * 100 + "\udc00"}],
    ids=ascii,
)
def test_lone_surrogates_in_a_state_are_an_error(rig, state):
    rig.upsert("t", {"a": 1})
    before = rig.counts()
    with pytest.raises(
        ValueError, match=r"^checkpoint state: text with a lone surrogate '\\ud[8cf]"
    ) as error:
        rig.checkpoint(state)
    assert "hint: decode the source" in str(error.value)
    assert rig.counts() == before
    assert [frame.name for frame in rig.frames()] == ["TABLE", "SHAPE", "UPSERT"]


def test_state_cycle(rig):
    state = {}
    state["self"] = state
    with pytest.raises(ValueError, match="nested deeper than 512"):
        rig.checkpoint(state)


def test_durable_waits_for_its_number(frames):
    waited = []
    rig = Rig(frames, on_durable=waited.append)
    rig.checkpoint({})
    rig.checkpoint({}, durable=True)
    rig.configure(rig.catalog, True, 0)
    rig.checkpoint({})
    assert waited == [2, 3]
    assert [frame.id for frame in rig.frames()] == [0, 1, 1]


# ---------------------------------------------------------------------- counts, frames, log level


def test_counts(rig):
    rig.upsert("t", {"a": 1})
    rig.upsert("t", {"a": 1})
    rig.update("t", {"a": 1})
    rig.delete("t", {"a": 1})
    rig.truncate("t")
    rig.checkpoint({})
    assert rig.counts() == {
        "upserts": 2, "updates": 1, "deletes": 1, "truncates": 1, "checkpoints": 1, "rounded": 0, "cut": 0, "replaced": 0,
    }  # fmt: skip


def test_any_frame_goes_after_what_was_before(rig):
    rig.upsert("t", {"a": 1})
    rig.frame(10, 0x103, b"text")
    frame = rig.frames()[-1]
    assert (frame.name, frame.id, frame.payload) == ("LOG", 0x103, b"text")


def test_notes_below_the_log_level_are_not_sent(rig):
    rig.configure(rig.catalog, False, 5)
    rig.upsert("t", {"a": complex(1, 2)})
    assert [frame.name for frame in rig.frames()] == ["TABLE", "SHAPE", "UPSERT"]


# ---------------------------------------------------------------------- threads


def test_threads_keep_their_order_and_whole_rows(rig):
    class Slow:
        """Runs Python code in the middle of a row, so that threads meet there."""

        def __init__(self, n):
            self.n = n

        def __str__(self):
            for _ in range(50):
                pass
            return str(self.n)

    count, threads = 400, 6
    failures = []

    def work(me):
        try:
            for i in range(count):
                rig.upsert(f"t{me % 2}", {"thread": me, "i": i, "slow": Slow(i)})
        except BaseException as error:
            failures.append(error)

    running = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
    assert failures == []
    rows = wire.Reader().feed(rig.frames()).rows()
    assert len(rows) == count * threads
    for me in range(threads):
        mine = [row for row in rows if row["thread"] == (LONG, me)]
        assert [row["i"][1] for row in mine] == list(range(count))
        assert all(row["slow"] == (STRING, str(row["i"][1])) for row in mine)


def test_an_operation_inside_another_is_refused(rig):
    class Evil:
        def __str__(self):
            rig.upsert("other", {"x": 1})
            return "never"

    with pytest.raises((RuntimeError, ValueError), match="while another one of this thread"):
        rig.upsert("t", {"a": Evil()})
    rig.upsert("t", {"a": 1})
    assert wire.Reader().feed(rig.frames()).rows() == [{"a": (LONG, 1)}]


# ---------------------------------------------------------------------- cancellation


def test_cancel_ends_every_operation(frames):
    rig = Rig(frames, on_stop=stop)
    rig.upsert("t", {"a": 1})
    rig.cancel(1)
    for call in (
        lambda: rig.upsert("t", {"a": 2}),
        lambda: rig.truncate("t"),
        lambda: rig.checkpoint({}),
    ):
        with pytest.raises(Stopped):
            call()
    assert rig.counts()["upserts"] == 1


def test_cancel_at_the_next_checkpoint(frames):
    rig = Rig(frames, on_stop=stop)
    rig.cancel(2)
    rig.upsert("t", {"a": 1})
    with pytest.raises(Stopped):
        rig.checkpoint({"n": 1})
    assert rig.frames()[-1].text == '{"n":1}', "the checkpoint itself is sent"
    with pytest.raises(Stopped):
        rig.upsert("t", {"a": 1})


# ---------------------------------------------------------------------- the socket


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    with ours, theirs:
        yield ours, theirs


def test_a_checkpoint_is_sent_at_once(frames, pair):
    ours, theirs = pair
    rig = Rig(frames, fd=theirs.fileno())
    rig.upsert("t", {"a": 1})
    assert rig.dirty
    rig.checkpoint({"n": 1})
    assert not rig.dirty
    assert [frame.name for frame in wire.decode(ours.recv(1 << 16))] == [
        "TABLE",
        "SHAPE",
        "UPSERT",
        "CHECKPOINT",
    ]


def test_rows_are_sent_in_large_writes(frames, pair):
    ours, theirs = pair
    rig = Rig(frames, fd=theirs.fileno())
    data = bytearray()

    def read():
        while True:
            part = ours.recv(1 << 20)
            if not part:
                return
            data.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    rows = 30_000
    for i in range(rows):
        rig.upsert("t", {"i": i, "text": "some text of a row"})
    assert rig.dirty, "the last ones wait for a flush"
    rig.flush()
    theirs.shutdown(socket.SHUT_WR)
    reader.join(30)
    assert [row["i"][1] for row in wire.Reader().feed(wire.decode(data)).rows()] == list(
        range(rows)
    )


def test_a_huge_row(frames, pair):
    ours, theirs = pair
    rig = Rig(frames, fd=theirs.fileno())
    text = "é" * (9 << 20)
    sender = threading.Thread(target=lambda: rig.upsert("t", {"a": text}))
    sender.start()
    engine = wire.Engine(ours)
    assert [engine.read_frame().name for _ in range(2)] == ["TABLE", "SHAPE"]
    assert wire.cells(engine.read_frame().payload, 1) == [(STRING, text)]
    sender.join(30)


def test_a_closed_socket_stops_the_run(frames, pair):
    ours, theirs = pair
    rig = Rig(frames, fd=theirs.fileno(), on_stop=stop)
    ours.close()
    with pytest.raises(Stopped):
        rig.checkpoint({})
    with pytest.raises(Stopped):
        rig.upsert("t", {"a": 1})


def test_a_full_socket_holds_the_sender_back(frames, pair):
    """Writing blocks without the interpreter lock: this thread can still read."""
    ours, theirs = pair
    rig = Rig(frames, fd=theirs.fileno())

    def work():
        for i in range(60_000):
            rig.upsert("t", {"i": i, "text": "x" * 50})
        rig.checkpoint({})
        theirs.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=work)
    sender.start()
    data = bytearray()
    while True:
        part = ours.recv(1 << 20)
        if not part:
            break
        data += part
    sender.join(30)
    assert len(wire.Reader().feed(wire.decode(data)).rows()) == 60_000


def test_an_interrupted_write_keeps_the_stream_whole(frames, pair):
    import signal

    ours, theirs = pair

    class Alarm(Exception):
        pass

    def ring(number, frame):
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    rig = Rig(frames, fd=theirs.fileno(), on_stop=stop)
    sent = 0
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.05)
        with pytest.raises(Alarm):
            while True:
                sent += 1
                rig.upsert("t", {"i": sent, "text": "x" * 1000})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    data = bytearray()

    def read():
        while True:
            part = ours.recv(1 << 20)
            if not part:
                return
            data.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    rig.upsert("t", {"i": sent + 1, "text": "after"})
    rig.flush()
    theirs.shutdown(socket.SHUT_WR)
    reader.join(30)
    numbers = [row["i"][1] for row in wire.Reader().feed(wire.decode(data)).rows()]
    assert numbers in (list(range(1, sent + 2)), [*range(1, sent), sent + 1])


def test_signals_that_raise_nothing_do_not_disturb_a_write(frames, pair):
    import signal

    ours, theirs = pair
    rig = Rig(frames, fd=theirs.fileno())
    data = bytearray()
    rang = []

    def read():
        while True:
            part = ours.recv(3000)
            if not part:
                return
            data.extend(part)

    before = signal.signal(signal.SIGALRM, lambda number, frame: rang.append(number))
    reader = threading.Thread(target=read)
    reader.start()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        for i in range(4000):
            rig.upsert("t", {"i": i, "text": "x" * 1000})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    rig.flush()
    theirs.shutdown(socket.SHUT_WR)
    reader.join(30)
    rows = wire.Reader().feed(wire.decode(data)).rows()
    assert [row["i"][1] for row in rows] == list(range(4000))
    assert rang


def test_never_is_never_called():
    with pytest.raises(AssertionError):
        never()
