"""dagster-fivetran against a server with TLS: its client's address is a constant of the module, nothing else is changed."""

import json
import subprocess
from pathlib import Path

import pytest
from conftest import TIMEOUT, client, key_and_secret

from harness import connector, start_server

pytestmark = pytest.mark.once
SCRIPT = Path(__file__).with_name("orchestrate_dagster.py")
CONNECTOR = connector(
    """
    if state.get('n') == 2:
        raise RuntimeError('the source is down')
    op.upsert('t', {'id': state.get('n', 0)})
    op.checkpoint({'n': state.get('n', 0) + 1})
    """
)


@pytest.fixture
def secure_server(tmp_path, bin_dir, certificate):
    with start_server(
        tmp_path / "data",
        bin_dir,
        ["--tls-cert", certificate[0], "--tls-key", certificate[1]],
        trust=certificate[0],
    ) as one:
        yield one


def dagster(server, certificate, id, *actions):
    key, secret = key_and_secret(server)
    done = subprocess.run(
        [client("dagster", "bin/python"), str(SCRIPT), id, *actions],
        env={
            "PATH": "/usr/bin:/bin",
            "TEST_URL": server.url,
            "TEST_KEY": key,
            "TEST_SECRET": secret,
            "REQUESTS_CA_BUNDLE": str(certificate),
            "DAGSTER_HOME": str(server.data.parent),
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        },
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_sync_and_poll(secure_server, certificate):
    server = secure_server
    con = server.deploy("dagster_probe", {"connector.py": CONNECTOR})
    paused, tables = dagster(server, certificate[0], con.id, "sync", "workspace")
    assert paused is None, "dagster leaves a paused connection alone"
    assert con.history() == []
    assert tables == ["dagster_probe.t"], "schema() was asked by the setup test"

    con.change(paused=False, schedule_type="manual")
    first, second, failed, resynced = dagster(
        server, certificate[0], con.id, "sync", "sync", "sync", "resync"
    )
    assert first["details"]["status"]["sync_state"] == "scheduled"
    assert "t" in first["schemas"]["schemas"]["dagster_probe"]["tables"]
    assert second["details"]["succeeded_at"] > first["details"]["succeeded_at"]
    assert failed["failure"] == f"Sync for connector '{con.id}' failed!"
    assert resynced["details"]["succeeded_at"] > resynced["details"]["failed_at"]
    assert con.details()["schedule_type"] == "manual", "dagster takes the schedule over"
    assert server.rows("select id from dagster_probe.t order by 1") == [(0,), (1,)]
    triggers = [x["trigger"] for x in reversed(con.history())]
    assert len(triggers) == 4, "each trigger ran once"
