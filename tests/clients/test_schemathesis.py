"""schemathesis against our own description: thousands of requests, and every answer has to be one that it promises."""

import re
import subprocess

import pytest
from conftest import client, key_and_secret

pytestmark = pytest.mark.once
SECONDS = 60
# Rules of this API that a description cannot say: null is "not given" and unknown fields are ignored; cursors, names, paths and zips
# must mean something; too many wrong keys are 429, not 401 (tests/api/test_roles.py tries every operation without one).
WITHOUT = "positive_data_acceptance,negative_data_rejection,ignored_auth"


def test_every_answer_is_described(server, tmp_path):
    done = subprocess.run(
        [client("schemathesis", "bin/st"), "run", server.url + "/v1/openapi.json"]
        + ["--auth", ":".join(key_and_secret(server)), "--exclude-checks", WITHOUT]
        # A stream has no end; the index is for pip, and none of its answers is JSON.
        + ["--exclude-path", "/v1/events", "--exclude-path-regex", "^/simple"]
        + ["--max-examples", "10", "--max-time", str(SECONDS), "--rate-limit", "280/s"]
        + ["--generation-deterministic", "--continue-on-failure", "--no-color"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=5 * SECONDS,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
    asked = re.search(r"(\d+) generated", done.stdout)
    assert asked and int(asked.group(1)) > 2000, done.stdout[-5_000:]
