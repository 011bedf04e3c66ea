"""go-fivetran 1.3.5, which infrastructure tools are built on: tests/clients/go/main.go does the work."""

import hashlib
import json
import os
import subprocess

import pytest
from conftest import PYTHON, TIMEOUT, client, key_and_secret

from harness import connector, zip_of

CONNECTOR = connector(
    "op.upsert('t', {'id': 1})\nop.upsert('u', {'id': 1})\nop.checkpoint({'n': 1})",
    schema='[{"table": "t", "primary_key": ["id"]}, {"table": "u", "primary_key": ["id"]}]',
)


def run(server, *args):
    key, secret = key_and_secret(server)
    done = subprocess.run(
        [client("go", "client"), *map(str, args)],
        env={**os.environ, "FIVETRAN_APIKEY": key, "FIVETRAN_APISECRET": secret},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_life_cycle(server, tmp_path):
    zipped = zip_of({"connector.py": CONNECTOR})
    (tmp_path / "code.zip").write_bytes(zipped)
    seen = run(server, "life", server.url, tmp_path / "code.zip", PYTHON)
    assert seen["sha256"] == hashlib.sha256(zipped).hexdigest()
    assert len(set(seen["succeeded_at"])) == 3
    assert server.rows("select count(*) from go_probe.t") == [(1,)], (
        "the data outlives the connection"
    )
    assert server.items("/v1/connections") == []


@pytest.mark.once
def test_it_recovers_from_429(server):
    seen = run(server, "limit", server.url, 500)
    assert seen["refused"] > 0, f"the limit was never reached: {seen}"
    assert seen["failed"] == 0
    assert seen["sent"] == 500 + seen["refused"]
    assert server.call("GET", "/health", auth=None).status == 200
