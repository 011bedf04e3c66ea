"""The same connector for the official SDK 2.13.1, served over gRPC: sdk_server.py PORT WORK ROWS"""

import sys

import workloads
from fivetran_connector_sdk import Connector, Operations as op

port, work, n = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


def schema(configuration):
    return [{"table": "t", "primary_key": [workloads.KEY]}]


def update(configuration, state):
    for row in workloads.rows(work, n):
        op.upsert("t", row)
    for key in workloads.deletes(work, n):
        op.delete("t", key)
    op.checkpoint({"rows": n})


server = Connector(update=update, schema=schema).run(port=port, configuration={}, state={})
server.wait_for_termination()
