"""A minimal Singer tap: singer_tap.py WORK ROWS"""

import json
import sys

import workloads

KINDS = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object"}


def column(value):
    kind = {"type": ["null", KINDS[type(value)]]}
    if isinstance(value, str) and value.startswith("2024-"):
        kind["format"] = "date-time"
    return kind


work, n = sys.argv[1], int(sys.argv[2])
write = sys.stdout.write
first = next(iter(workloads.rows(work, 1)))
shape = {"type": "object", "properties": {name: column(value) for name, value in first.items()}}
write(
    json.dumps(
        {"type": "SCHEMA", "stream": "t", "schema": shape, "key_properties": [workloads.KEY]}
    )
)
write("\n")
for row in workloads.rows(work, n):
    write('{"type": "RECORD", "stream": "t", "record": ' + json.dumps(row) + "}\n")
write(json.dumps({"type": "STATE", "value": {"rows": n}}) + "\n")
