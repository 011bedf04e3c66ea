#!/usr/bin/env python3
"""Seeds for the frame fuzzer: a few whole streams and one of each kind of frame. Writes tests/fuzz/corpus/."""

import json
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "engine"))

from peer import (  # noqa: E402
    CHECKPOINT,
    DELETE,
    DONE,
    ERROR,
    SCHEMA,
    SHAPE,
    TABLE,
    TRUNCATE,
    UPDATE,
    UPSERT,
    pack,
    sized,
)

LOG, WARNING = 10, 11
CELLS = [
    b"\x00", b"\x01", b"\x02", b"\x03" + struct.pack("<q", -5), b"\x04" + struct.pack("<d", 0.1), b"\x05" + sized(b"text"),
    b"\x06" + sized(b"\x00\xff"), b"\x07" + sized(b'{"a":[1,null]}'), b"\x08" + sized(b"18446744073709551616"),
    b"\x09" + sized(b"-12.50"), b"\x0a" + struct.pack("<i", 19000), b"\x0b" + struct.pack("<q", 1), b"\x0c" + struct.pack("<q", -1),
    b"\x0d",
]  # fmt: skip


def shape(number, table, names):
    return pack(
        SHAPE, number, struct.pack("<II", table, len(names)) + b"".join(sized(n) for n in names)
    )


def done(*counts):
    names = ("upserts", "updates", "deletes", "truncates", "checkpoints")
    return pack(DONE, 0, json.dumps(dict(zip(names, counts))).encode())


def schema(*tables):
    return pack(SCHEMA, 0, json.dumps({"tables": list(tables)}).encode())


def seeds():
    one = {"schema": None, "table": "t", "primary_key": ["k"], "columns": []}
    declared = {
        "table": "d",
        "primary_key": ["k"],
        "columns": [["k", "INT"], ["v", "DECIMAL", 10, 2], ["j", "JSON"]],
    }
    keyed = schema(one) + pack(TABLE, 0, sized(b"") + b"t") + shape(0, 0, [b"k", b"v"])
    row = b"\x03" + struct.pack("<q", 1)
    yield "empty", done(0, 0, 0, 0, 0)
    yield (
        "keyed",
        keyed + b"".join(pack(UPSERT, 0, row + c) for c in CELLS) + done(len(CELLS), 0, 0, 0, 0),
    )
    yield (
        "operations",
        keyed
        + pack(UPSERT, 0, row + CELLS[5])
        + pack(UPDATE, 0, row + CELLS[3])
        + pack(CHECKPOINT, 1, b"{}")
        + pack(DELETE, 0, row + CELLS[0])
        + pack(TRUNCATE, 0)
        + pack(UPSERT, 0, row + CELLS[7])
        + pack(CHECKPOINT, 0, b'{"a":1}')
        + done(2, 1, 1, 1, 2),
    )
    loose = schema() + pack(TABLE, 0, sized(b"s") + b"u") + shape(0, 0, [b"a", b"b", b"A"])
    yield (
        "keyless",
        loose
        + b"".join(pack(UPSERT, 0, c + d + CELLS[0]) for c in CELLS for d in CELLS[:4])
        + done(len(CELLS) * 4, 0, 0, 0, 0),
    )
    yield (
        "declared",
        schema(declared)
        + pack(TABLE, 0, sized(b"") + b"d")
        + shape(0, 0, [b"k", b"v", b"j"])
        + pack(UPSERT, 0, row + CELLS[9] + CELLS[7])
        + done(1, 0, 0, 0, 0),
    )
    error = {
        "phase": "update",
        "type": "ValueError",
        "message": "x",
        "file": "connector.py",
        "line": 3,
        "traceback": "T",
        "exit": 1,
    }
    yield (
        "error",
        keyed
        + pack(LOG, 4, b"careful")
        + pack(WARNING, 0, b"w")
        + pack(ERROR, 0, json.dumps(error).encode()),
    )


def main():
    folder = os.path.join(HERE, "corpus")
    os.makedirs(folder, exist_ok=True)
    for name, data in seeds():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
