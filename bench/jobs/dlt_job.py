"""dlt into DuckDB, or the PostgreSQL of $PGURL, merged by key: dlt_job.py rows|arrow WORK ROWS FOLDER

rows   dict rows, loader_file_format="parquet", for PostgreSQL "csv" (its default, INSERT VALUES, is slower)
arrow  the same dicts as pyarrow tables of 50,000 rows
"""

import itertools
import json
import os
import sys

import workloads

URL = os.environ.get("PGURL")
kind, work, n, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
os.environ["DLT_DATA_DIR"] = os.path.join(folder, "dlt")
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
import dlt  # noqa: E402 - reads the environment at import

KEYED = "W5"  # the workload with deletes


def dicts():
    yield from workloads.rows(work, n)
    for key in workloads.deletes(work, n):
        yield {**key, "deleted": True}


def tables():
    import pyarrow as pa

    columns = None
    if work == KEYED:
        columns = pa.schema(
            [
                ("id", pa.int64()),
                ("name", pa.string()),
                ("amount", pa.float64()),
                ("active", pa.bool_()),
                ("created_at", pa.string()),
                ("deleted", pa.bool_()),
            ]
        )
    source = dicts()
    while True:
        batch = list(itertools.islice(source, 50_000 if work != "W6" else 50))
        if not batch:
            return
        if work == "W3":
            for row in batch:
                row["doc"] = json.dumps(row["doc"])
        yield pa.Table.from_pylist(batch, schema=columns)


hints = {}
if work == KEYED:
    hints["deleted"] = {"hard_delete": True}
if work == "W3" and kind == "rows":
    hints["doc"] = {"data_type": "json"}
resource = dlt.resource(
    dicts if kind == "rows" else tables,
    name="t",
    primary_key=workloads.KEY,
    write_disposition="merge",
    columns=hints,
    max_table_nesting=0,
)
pipeline = dlt.pipeline(
    pipeline_name="bench",
    destination=dlt.destinations.postgres(URL)
    if URL
    else dlt.destinations.duckdb(os.path.join(folder, "out.duckdb")),
    dataset_name="ds",
    pipelines_dir=os.path.join(folder, "pipelines"),
)
FORMAT = "csv" if URL else "parquet"
pipeline.run(resource, loader_file_format=FORMAT if kind == "rows" else None)
