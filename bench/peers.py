"""Who takes part: how each is installed, and the command that runs one workload from start to end."""

import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "scripts"))

import wheel  # noqa: E402
from steps import (  # noqa: E402
    BUILD,
    PACKAGE,
    Failed,
    default_python,
    line,
    make_venv,
    pip,
    pythons,
    step,
)

VENVS = os.path.join(BUILD, "bench")
JOBS = os.path.join(HERE, "jobs")
# Pinned. 2.13.1 is the last release of the official SDK that is wholly MIT: no later one is installed.
REQUIREMENTS = {
    "sdk": ["fivetran-connector-sdk==2.13.1", "grpcio==1.80.0", "protobuf==6.33.6"],
    "dlt": ["dlt[duckdb]==1.31.0", "duckdb==1.5.5", "pyarrow==26.0.1"],
    "singer": ["target-duckdb==0.8.0", "duckdb==1.5.5"],
    "pg": ["psycopg[binary]==3.3.9"],
    "dlt-pg": ["dlt[postgres]==1.31.0"],
    "fernet": ["cryptography==44.0.2"],
}


class Skipped(Exception):
    pass


def python(venv):
    return os.path.join(VENVS, venv, "bin", "python")


def install(names):
    """The venvs of the named peers, made once; ours afresh from the wheel."""
    found = pythons()
    base = found[default_python(found)]["path"]
    for name in names:
        folder = os.path.join(VENVS, name)
        wanted = REQUIREMENTS[name]
        stamp = os.path.join(folder, "requirements.json")
        try:
            with open(stamp) as f:
                if json.load(f) == wanted:
                    continue
        except (OSError, ValueError):
            pass
        step(
            "bench: install %s" % name,
            make_venv(folder, base),
            pip(python(name), "install", "--quiet", *wanted),
        )
        probe = "import importlib.util as u; print(u.find_spec('%s_core'))" % PACKAGE
        done = subprocess.run([python(name), "-c", probe], stdout=subprocess.PIPE, text=True)
        if done.stdout.strip() != "None":
            shutil.rmtree(folder)
            line("bench: install %s" % name, "FAILED: it brought %s_core, removed" % PACKAGE)
            raise Failed(name)
        with open(stamp, "w") as f:
            json.dump(wanted, f)


def install_ours():
    found = pythons()
    minor = default_python(found)
    built = wheel.build_all()
    step(
        "bench: install ours",
        make_venv(os.path.join(VENVS, "ours"), found[minor]["path"]),
        pip(python("ours"), "install", "--quiet", built[minor]),
    )


# --- one run ---------------------------------------------------------------------------------------


def ours(work, rows, folder):
    """A project folder with the connector; what is in it already (a warehouse) stays."""
    shutil.copy(os.path.join(JOBS, "ours_connector.py"), os.path.join(folder, "connector.py"))
    shutil.copy(os.path.join(HERE, "workloads.py"), folder)
    with open(os.path.join(folder, "configuration.json"), "w") as f:
        json.dump({"work": work, "rows": str(rows)}, f)
    return [fivetran(), "debug", "--configuration", "configuration.json"]


def fivetran():
    return os.path.join(VENVS, "ours", "bin", "fivetran")


def sdk(work, rows, folder):
    return [python("sdk"), os.path.join(JOBS, "sdk_client.py"), work, str(rows)]


def dlt_rows(work, rows, folder):
    return [python("dlt"), os.path.join(JOBS, "dlt_job.py"), "rows", work, str(rows), folder]


def dlt_arrow(work, rows, folder):
    return [python("dlt"), os.path.join(JOBS, "dlt_job.py"), "arrow", work, str(rows), folder]


def singer(work, rows, folder):
    if work not in ("W1", "W2", "W3"):
        raise Skipped("this tap has no deletes")
    database = os.path.join(folder, "out.duckdb")
    with open(os.path.join(folder, "target.json"), "w") as f:
        json.dump(
            {
                "path": database,
                "filepath": database,
                "default_target_schema": "ds",
                "batch_size_rows": 100_000,
                "add_metadata_columns": False,
            },
            f,
        )
    pipe = '"$1" "$2" "$3" "$4" | "$5" -c target.json >/dev/null'
    target = os.path.join(os.path.dirname(python("singer")), "target-duckdb")
    tap = os.path.join(JOBS, "singer_tap.py")
    return ["sh", "-c", pipe, "sh", python("singer"), tap, work, str(rows), target]


class Peer:
    def __init__(self, title, command, venv, table, env=None):
        self.title = title  # in the table
        self.command = command
        self.venv = venv  # which of REQUIREMENTS, None for ours
        self.table = (
            table  # (database file, table) to count afterwards; None: it has no destination
        )
        self.env = env or {}


PEERS = {
    "ours": Peer("ours", ours, None, ("files/warehouse.db", "tester.t")),
    "sdk": Peer("official SDK, emission only", sdk, "sdk", None),
    # What its own `fivetran debug` turns on: cells as bytes instead of one message each.
    "sdk-bytes": Peer(
        "official SDK, emission as bytes", sdk, "sdk", None, {"ConnectorSdkRemoveValueType": "true"}
    ),
    "dlt-rows": Peer("dlt, dict rows, parquet loader", dlt_rows, "dlt", ("out.duckdb", "ds.t")),
    "dlt-arrow": Peer("dlt, Arrow tables", dlt_arrow, "dlt", ("out.duckdb", "ds.t")),
    "singer": Peer("Singer target-duckdb", singer, "singer", ("out.duckdb", "ds.t")),
}
