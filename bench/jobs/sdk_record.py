"""CPU of building the official record of one 5-column row: sdk_record.py ROWS

Only the record: not the call around it, the queue, or the bytes on the stream. Prints JSON.
"""

import json
import sys
import time

import workloads
from fivetran_connector_sdk.operations import UPSERT_TYPE, _build_record

rows = list(workloads.rows("W1", 10_000))
times = max(1, int(sys.argv[1]) // len(rows))
started = time.thread_time()
for _ in range(times):
    for row in rows:
        _build_record(None, "t", row, UPSERT_TYPE, None)
print(json.dumps({"ns": (time.thread_time() - started) / (times * len(rows)) * 1e9}))
