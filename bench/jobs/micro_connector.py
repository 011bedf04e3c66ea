"""Costs inside a connector, run by `fivetran debug`; the result is written as JSON to configuration["out"]."""

import json
import operator
import time

import workloads
from fivetran_connector_sdk import Connector, Operations as op


def _loop(call, rows, times):
    """CPU seconds of this thread for call("t", row) over all rows, `times` times."""
    started = time.thread_time()
    for _ in range(times):
        for row in rows:
            call("t", row)
    return time.thread_time() - started


def emission(n):
    rows = list(workloads.rows("W1", 10_000))
    times = max(1, n // len(rows))
    _loop(op.upsert, rows, 1)
    call = _loop(operator.is_, rows, times)  # an empty C call with the same arguments
    upsert = _loop(op.upsert, rows, times)
    op.checkpoint({})
    return {"ns": (upsert - call) / (times * len(rows)) * 1e9}


def checkpoints(n):
    upsert, checkpoint = op.upsert, op.checkpoint
    rows = workloads.rows("W1", n)
    started = time.perf_counter()
    for row in rows:
        upsert("t", row)
        checkpoint({"cursor": row["id"], "updated_at": row["created_at"]})
    return {"us": (time.perf_counter() - started) / n * 1e6}


def states(n):
    """A state of 100 kB: a thousand cursors of a hundred bytes, one of which moves each time."""
    state = {"table_%04d" % i: "cursor " + "0123456789" * 8 for i in range(1000)}
    started = time.perf_counter()
    for i in range(n):
        state["table_0000"] = "cursor %d" % i
        op.checkpoint(state)
    return {"bytes": len(json.dumps(state)), "s": time.perf_counter() - started}


def schema(configuration):
    return [{"table": "t", "primary_key": [workloads.KEY]}]


def update(configuration, state):
    what = {"emission": emission, "checkpoints": checkpoints, "states": states}
    result = what[configuration["what"]](int(configuration["n"]))
    with open(configuration["out"], "w") as f:
        json.dump(result, f)


connector = Connector(update=update, schema=schema)
