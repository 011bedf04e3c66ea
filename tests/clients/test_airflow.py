"""The Airflow provider: slow to install, so that only `make clients-long` runs it."""

import json
import subprocess
from pathlib import Path

import pytest
from conftest import TIMEOUT, client, key_and_secret

from harness import connector

pytestmark = [pytest.mark.once, pytest.mark.long]
SCRIPT = Path(__file__).with_name("orchestrate_airflow.py")
CONNECTOR = connector(
    """
    if state.get('n') == 2:
        raise RuntimeError('the source is down')
    op.upsert('t', {'id': state.get('n', 0)})
    op.checkpoint({'n': state.get('n', 0) + 1})
    """
)


def airflow(server, tmp_path, id, *actions):
    key, secret = key_and_secret(server)
    done = subprocess.run(
        [client("airflow", "bin/python"), str(SCRIPT), id, *actions],
        env={
            "PATH": "/usr/bin:/bin",
            "TEST_URL": server.url,
            "TEST_KEY": key,
            "TEST_SECRET": secret,
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
        },
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_operators(server, tmp_path):
    """A paused connection: the operator unpauses and forces at once, and exactly one sync runs for each of its runs."""
    con = server.deploy("airflow_probe", {"connector.py": CONNECTOR})
    tested, first, second, failed, resynced, schemas = airflow(
        *(server, tmp_path, con.id),
        *("test_connection", "sync", "sync", "sync", "resync", "schemas"),
    )
    assert tested[0] is True, tested
    assert first["paused"] is False and first["type"] == "manual"
    assert second["succeeded_at"] > first["succeeded_at"]
    assert "failed" in failed["failure"].lower(), failed
    assert resynced["succeeded_at"] > second["succeeded_at"], resynced
    assert schemas == ["airflow_probe"]
    assert len(con.history()) == 4
    assert server.rows("select id from airflow_probe.t order by 1") == [(0,), (1,)]
