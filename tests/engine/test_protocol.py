"""What a broken or hostile connector may send: a clear error, an exit code, and the data that was there before."""

import json
import os
import random
import struct

import peer
import pytest
from peer import (
    CHECKPOINT,
    DONE,
    ERROR,
    HELLO,
    LOG,
    PREPARE,
    SCHEMA,
    SHAPE,
    TABLE,
    TRUNCATE,
    UPSERT,
    Json,
    Raw,
    pack,
    sized,
    table,
)

GOOD = [(1, "kept", False)]


@pytest.fixture
def used(pro):
    """A project with a committed row."""
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", {"id": 1, "v": "kept"})
    s.checkpoint({"at": 1})
    s.done().ok()
    return pro


def intact(pro, rows=GOOD):
    assert pro.rows("t", "id, v, _fivetran_deleted") == rows
    assert pro.state() == '{"at": 1}'
    assert pro.leftovers() == []
    pro.let_go()


def shape(ident, t, *names, count=None):
    return pack(
        SHAPE,
        ident,
        struct.pack("<II", t, len(names) if count is None else count)
        + b"".join(sized(n) for n in names),
    )


T = pack(TABLE, 0, sized(b"") + b"t")
S = shape(0, 0, b"id", b"v")
ROW = pack(UPSERT, 0, peer.cell(2) + peer.cell("x"))

FRAMES = {
    # what is sent after HELLO and SCHEMA: words of the error
    "unknown type": (pack(77), "unknown type 77"),
    "type 0": (pack(0), "unknown type 0"),
    "a frame of the engine's": (pack(65), "unknown type 65"),
    "longer than a frame may be": (struct.pack("<II", 0xFFFFFFFF, UPSERT), "bytes long, the limit is"),
    "just longer": (struct.pack("<II", (1 << 30) + 1, UPSERT), "bytes long, the limit is"),
    "announced, never sent": (struct.pack("<II", 1 << 30, UPSERT), "ends inside frame"),
    "cut head": (b"\x00\x00\x00", "ends inside frame"),
    "cut payload": (T[:-1], "ends inside frame"),
    "table ids out of order": (pack(TABLE, 1, sized(b"") + b"t"), "table ids"),
    "table id twice": (T + T, "table ids"),
    "table without a name": (pack(TABLE, 0, sized(b"")), "name is empty"),
    "table with NUL": (pack(TABLE, 0, sized(b"") + b"a\x00b"), "NUL"),
    "table not UTF-8": (pack(TABLE, 0, sized(b"") + b"\xc3"), "UTF-8"),
    "schema not UTF-8": (pack(TABLE, 0, sized(b"\xed\xa0\x80") + b"t"), "UTF-8"),
    "table cut": (pack(TABLE, 0, b"\x09\x00\x00\x00t"), "cut short"),
    "table empty": (pack(TABLE, 0, b""), "cut short"),
    "shape ids out of order": (T + shape(3, 0, b"id"), "shape ids"),
    "shape of no table": (T + shape(0, 1, b"id"), "SHAPE"),
    "shape before its table": (shape(0, 0, b"id"), "SHAPE"),
    "shape with too many columns": (T + shape(0, 0, b"id", count=1 << 31), "SHAPE"),
    "shape with one more column": (T + shape(0, 0, b"id", count=2), "column"),
    "shape with bytes left": (T + pack(SHAPE, 0, struct.pack("<II", 0, 1) + sized(b"id") + b"x"), "left over"),
    "shape cut": (T + pack(SHAPE, 0, b"\x00"), "SHAPE"),
    "column not UTF-8": (T + shape(0, 0, b"\xff"), "UTF-8"),
    "column with NUL": (T + shape(0, 0, b"a\x00"), "NUL"),
    "a column twice": (T + shape(0, 0, b"id", b"v", b"v"), "twice"),
    "row of no shape": (T + pack(UPSERT, 0, b""), "not defined"),
    "row of a shape far away": (T + S + pack(UPSERT, 0xFFFFFF, b""), "not defined"),
    "row without cells": (T + S + pack(UPSERT, 0, b""), "cut short"),
    "row with one cell": (T + S + pack(UPSERT, 0, peer.cell(2)), "cut short"),
    "row with bytes left": (T + S + pack(UPSERT, 0, peer.cell(2) + peer.cell("x") + b"\x00"), "left over"),
    "cell of unknown kind": (T + S + pack(UPSERT, 0, peer.cell(2) + b"\x0e"), "unknown kind"),
    "cell cut": (T + S + pack(UPSERT, 0, peer.cell(2) + b"\x03\x00"), "cut short"),
    "text longer than its frame": (T + S + pack(UPSERT, 0, peer.cell(2) + b"\x05\xff\xff\xff\xff"), "cut short"),
    "truncate of no table": (pack(TRUNCATE, 0), "TRUNCATE"),
    "truncate with a payload": (T + pack(TRUNCATE, 0, b"x"), "TRUNCATE"),
    "update without the key": (T + shape(0, 0, b"v") + pack(peer.UPDATE, 0, peer.cell("x")), "key column is missing in op.update"),
    "delete without the key": (T + shape(0, 0, b"v") + pack(peer.DELETE, 0, peer.cell("x")), "key column is missing in op.delete"),
    "a second HELLO": (pack(HELLO, 0, b'{"protocol":1}'), "second HELLO"),
    "a second SCHEMA": (pack(SCHEMA, 0, b'{"tables":[]}'), "second SCHEMA"),
    "DONE is no JSON": (pack(DONE, 0, b"{"), "DONE"),
    "DONE is a list": (pack(DONE, 0, b"[]"), "DONE"),
    "ERROR is no JSON": (pack(ERROR, 0, b"\xff"), "ERROR"),
    "log of no level": (pack(LOG, 0, b"x"), "level"),
    "log of level 99": (pack(LOG, 99, b"x"), "level"),
    "a checkpoint without a state": (pack(CHECKPOINT, 0, b""), "CHECKPOINT"),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_frames_that_make_no_sense(used, name):
    data, words = FRAMES[name]
    s = used.sync(schema=[table("t", ["id"])])
    s.raw(data)
    s.finish(half_close=True).failed(words)
    intact(used)


def test_what_a_checkpoint_covered_is_kept_whatever_follows(used):
    s = used.sync(schema=[table("t", ["id"])])
    s.raw(T + S + ROW + pack(CHECKPOINT, 0, b'{"at": 1}') + pack(UPSERT, 0, peer.cell(3)))
    s.finish().failed("cut short")
    intact(used, [*GOOD, (2, "x", False)])


CELLS = {
    "text not UTF-8": (b"\x05" + sized(b"ok\xff"), "not UTF-8"),
    "a surrogate": (b"\x05" + sized(b"\xed\xa0\x80"), "not UTF-8"),
    "overlong": (b"\x05" + sized(b"\xc0\x80"), "not UTF-8"),
    "beyond Unicode": (b"\x05" + sized(b"\xf4\x90\x80\x80"), "not UTF-8"),
    "JSON cut": (b"\x07" + sized(b'{"a":'), "not JSON"),
    "JSON empty": (b"\x07" + sized(b""), "not JSON"),
    "JSON not UTF-8": (b"\x07" + sized(b'"\xff"'), "not JSON"),
    "JSON with half a surrogate pair": (b"\x07" + sized(b'"\\ud800"'), "not JSON"),
    "JSON too deep": (b"\x07" + sized(b"[" * 100000 + b"]" * 100000), "not JSON"),
    "JSON NaN": (b"\x07" + sized(b"[NaN]"), "not JSON"),
    "two JSON values": (b"\x07" + sized(b"1 2"), "not JSON"),
    "decimal empty": (b"\x09" + sized(b""), "malformed"),
    "decimal with exponent": (b"\x09" + sized(b"1e5"), "malformed"),
    "decimal NaN": (b"\x09" + sized(b"NaN"), "malformed"),
    "decimal without digits": (b"\x09" + sized(b"-.5"), "malformed"),
    "decimal with NUL": (b"\x09" + sized(b"1\x00"), "malformed"),
    "integer with a sign": (b"\x08" + sized(b"+1"), "malformed"),
    "integer of words": (b"\x08" + sized(b"one"), "malformed"),
    "date before year 1": (struct.pack("<Bi", 10, -719163), "years 1 to 9999"),
    "date infinity": (struct.pack("<Bi", 10, 2**31 - 1), "years 1 to 9999"),
    "datetime after 9999": (struct.pack("<Bq", 11, 253402300800000000), "years 1 to 9999"),
    "datetime infinity": (struct.pack("<Bq", 12, 2**63 - 1), "years 1 to 9999"),
    "datetime minus infinity": (struct.pack("<Bq", 12, -(2**63)), "years 1 to 9999"),
}  # fmt: skip


@pytest.mark.parametrize("what", ["upsert", "update", "delete"])
@pytest.mark.parametrize("name", CELLS)
def test_values_that_are_none(used, name, what):
    data, words = CELLS[name]
    s = used.sync(schema=[table("t", ["id"])])
    getattr(s, what)("t", {"id": 1, "other": Raw(data)})
    s.done().failed(words, "t.other", "operation 1")
    intact(used)


@pytest.mark.parametrize("where", ["key", "keyless"])
def test_values_that_are_none_in_keys(used, where):
    for name, (data, words) in CELLS.items():
        s = used.sync(schema=[table("t", ["id"]), table("k", ["a"])])
        s.upsert("k" if where == "key" else "loose", {"a": Raw(data)})
        result = s.done().failed(words)
        assert name and result
    intact(used)


SCHEMAS = [
    b"", b"null", b"[]", b"{", b'{"tables":{}}', b'{"tables":[1]}', b'{"tables":[{}]}', b'{"tables":[{"table":""}]}', b'{"tables":[{"table":5}]}',
    b'{"tables":[{"table":"x","columns":[["a","WHAT"]]}]}', b'{"tables":[{"table":"x","columns":[["a"]]}]}', b'{"tables":[{"table":"x","columns":[[]]}]}',
    b'{"tables":[{"table":"x","columns":[5]}]}', b'{"tables":[{"table":"x","columns":[["a","DECIMAL",39,0]]}]}',
    b'{"tables":[{"table":"x","columns":[["a","DECIMAL",5,6]]}]}', b'{"tables":[{"table":"x","columns":[["a","DECIMAL",-1,0]]}]}',
    b'{"tables":[{"table":"x","columns":[["a","DECIMAL",5,-1]]}]}', b'{"tables":[{"table":"x","columns":[["a","DECIMAL"]]}]}',
    b'{"tables":[{"table":"x","primary_key":["a","a"]}]}', b'{"tables":[{"table":"a\\u0000b"}]}', b'{"tables":[{"table":"\xff"}]}',
    b'{"tables":[{"table":"x","columns":[["a\\u0000","LONG"]]}]}', b'{"tables":' + b"[" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("text", SCHEMAS, ids=lambda t: t[:70].decode("latin-1"))
def test_schemas_that_make_no_sense(used, text):
    s = used.sync()
    s.frame(SCHEMA, 0, text)
    s.done().failed("SCHEMA")
    intact(used)


def test_a_schema_after_the_first_table(used):
    s = used.sync()
    s.raw(T + pack(SCHEMA, 0, json.dumps({"tables": [table("t", ["id"])]}).encode()))
    # without schema() the table has no key: that alone is refused
    s.done().failed()
    s = used.sync()
    s.raw(
        pack(TABLE, 0, sized(b"") + b"other")
        + pack(SCHEMA, 0, json.dumps({"tables": [table("other", ["id"])]}).encode())
    )
    s.done().failed("SCHEMA frame after")
    intact(used)


@pytest.mark.parametrize(
    "name",
    ["upsert", "schema", "done", "garbage", "wrong version", "no version", "not json", "closed"],
)
def test_before_hello(used, name):
    data = {
        "upsert": pack(UPSERT), "schema": pack(SCHEMA, 0, b'{"tables":[]}'), "done": pack(DONE, 0, b"{}"), "garbage": bytes(range(256)) * 10,
        "wrong version": pack(HELLO, 0, b'{"protocol":99}'), "no version": pack(HELLO, 0, b"{}"), "not json": pack(HELLO, 0, b"{"), "closed": b"",
    }[name]  # fmt: skip
    words = {
        "upsert": "before HELLO",
        "schema": "before HELLO",
        "done": "before HELLO",
        "wrong version": "protocol 99",
        "closed": "ended",
    }
    s = used.sync(hello=False)
    s.frame(PREPARE, 0, b'{"configuration":{},"state":null}')
    s.raw(data)
    s.finish(half_close=True).failed(words.get(name, ""))
    intact(used)


PREPARES = [
    b"",
    b"{",
    b"[]",
    b'{"configuration":5}',
    b'{"configuration":{"a":1}}',
    b'{"configuration":{},"state":5}',
    b'{"configuration":{},"state":"{}"}',
]


@pytest.mark.parametrize("text", PREPARES, ids=repr)
def test_the_first_frame(used, text):
    s = used.sync(hello=False)
    s.frame(PREPARE, 0, text)
    result = s.finish(half_close=True)
    assert (
        result.code in (1, 2)
        and "Sanitizer" not in result.out
        and len(result.out.splitlines()) <= 6
    ), result.out
    intact(used)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("<II", 0xFFFFFFF0, 100),
        pack(HELLO, 0, b"{}"),
    ],
    ids=repr,
)
def test_no_first_frame(used, data):
    s = used.sync(hello=False)
    s.raw(data)
    s.finish(half_close=True).failed("first frame" if len(data) >= 8 else "ended")
    intact(used)


def test_random_damage_to_a_good_stream(used, request):
    """Bytes changed, cut out, doubled: an error or a sync that ends well, never a crash, never lost data."""
    seed = peer.seed_of(7)
    r = random.Random(seed)
    stream = bytearray(T + S)
    for i in range(2, 30):
        stream += pack(
            UPSERT,
            0,
            peer.cell(i) + peer.cell(r.choice(["x", 1.5, None, Json("[1]"), b"\xff", 2**70])),
        )
    stream += pack(peer.TRUNCATE, 0) + pack(CHECKPOINT, 0, b'{"at": 1}') + ROW
    for turn in range(60):
        data = bytearray(stream)
        for _ in range(r.randrange(1, 4)):
            at = r.randrange(len(data))
            how = r.randrange(3)
            if how == 0:
                data[at] = r.randrange(256)
            elif how == 1:
                del data[at : at + r.randrange(1, 20)]
            else:
                data[at:at] = data[at : at + r.randrange(1, 20)]
        s = used.sync(schema=[table("t", ["id"])])
        s.raw(data)
        s.frame(
            DONE,
            0,
            json.dumps(dict(upserts=29, updates=0, deletes=0, truncates=1, checkpoints=1)).encode(),
        )
        result = s.finish(half_close=True)
        where = "turn %d; %s" % (turn, peer.rerun(request.node.nodeid, seed))
        assert result.code in (0, 1), where + "\n" + result.out
        assert "Sanitizer" not in result.out and "runtime error" not in result.out, (
            where + "\n" + result.out
        )
        assert (1,) in used.query("SELECT id::INT FROM tester.t WHERE id::VARCHAR = '1'"), where
        assert used.leftovers() == []


def test_a_value_of_64_megabytes_and_many_small_frames(pro):
    s = pro.sync(schema=[table("t", ["id"])])
    s.upsert("t", {"id": 0, "v": "x" * (64 << 20)})
    for i in range(1, 2000):
        s.upsert("t", {"id": i, "v": str(i)})
        s.frame(LOG, 1, b"")
        s.checkpoint({"at": i})
    result = s.done()
    if result.code == 0:
        assert pro.query("SELECT count(*), max(length(v)) FROM tester.t") == [(2000, 64 << 20)]
    else:
        result.failed("--memory-limit")
        assert pro.tables() == []


def test_ten_thousand_columns_are_the_limit(pro):
    s = pro.sync(schema=[])
    s.upsert("t", {"c%dx" % i: None for i in range(10001)})
    s.done().failed("more than 10000 columns")


def test_a_connector_that_does_not_read(pro):
    """STOP and ACK are small: a peer that never reads does not stop the engine."""
    s = pro.sync(schema=[table("t", ["id"])])
    for i in range(200):
        s.upsert("t", {"id": i})
        s.frame(CHECKPOINT, 0, b'{"at": 1}')
        s.counts[4] += 1
    s.done().ok()
    assert pro.query("SELECT count(*) FROM tester.t") == [(200,)]


def test_an_engine_without_its_socket(pro):
    """--fd that is no socket is an error, not a hang."""
    import subprocess

    for fd in ("99", "-1", "x", "0"):
        done = subprocess.run(
            [peer.engine(), "_session", "--fd", fd, "--project", pro.path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=30, env={**os.environ, "SLUICE_DUCKDB_LIB": peer.LIBRARY},
        )  # fmt: skip
        assert done.returncode in (1, 2), (fd, done.stdout)
