"""The benched connector, run by `fivetran debug`: upsert every row of a workload, one checkpoint at the end."""

import workloads
from fivetran_connector_sdk import Connector, Operations as op


def schema(configuration):
    return [{"table": "t", "primary_key": [workloads.KEY]}]


def update(configuration, state):
    work, n = configuration["work"], int(configuration["rows"])
    upsert = op.upsert
    for row in workloads.rows(work, n):
        upsert("t", row)
    for key in workloads.deletes(work, n):
        op.delete("t", key)
    op.checkpoint({"rows": n})


connector = Connector(update=update, schema=schema)
