"""Who may do what, how often, and that the description says so: over every operation of /v1/openapi.json."""

import re
import time

import pytest
from conftest import Client

RANK = {"none": 0, "viewer": 1, "operator": 2, "admin": 3}


@pytest.fixture(scope="module")
def operations(server):
    described = Client(server.port).send("GET", "/v1/openapi.json").json
    return [
        (method.upper(), re.sub(r"\{\w+\}", "nothing", path), op)
        for path, ops in described["paths"].items()
        for method, op in ops.items()
    ]


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_roles(server, operations, role):
    client = server.new_client(role)
    for method, path, op in operations:
        if path == "/v1/events":
            continue  # a stream without end; its role stands in the same table
        # Of a type that is refused after the role and before anything is done.
        answer = client.send(method, path, b"x", {"Content-Type": "text/none", "Accept": "*/*"})
        allowed = RANK[role] >= RANK[op["x-role"]]
        assert (answer.status == 403) == (not allowed), (method, path, answer)
        assert allowed or answer.code == "Forbidden" and op["x-role"] in answer.message
        assert str(answer.status) in op["responses"], (method, path, answer)


def test_an_operator_switches_connections_on_and_off_and_changes_nothing_else(server, create):
    path = f"/v1/connections/{create()['id']}"
    operator = server.new_client("operator")
    for paused in (False, True):
        assert operator.send("PATCH", path, {"paused": paused}).data["paused"] is paused
    for more in [{"sync_frequency": 60}, {"config": {}}, {"run_setup_tests": True}, {"x": 1}]:
        for body in (more, {"paused": False, **more}):
            answer = operator.send("PATCH", path, body)
            assert (answer.status, answer.code) == (403, "Forbidden") and "paused" in answer.message
    assert operator.send("GET", path).data["paused"] is True
    assert server.new_client("viewer").send("PATCH", path, {"paused": False}).status == 403


def test_without_a_key(server, operations):
    client = Client(server.port)
    for method, path, op in operations:
        answer = client.send(method, path, None, {"Accept": "*/*"})
        public = op["x-role"] == "none" or path == "/metrics"
        assert (answer.status == 401) == (not public), (method, path, answer)


def test_the_rate(server):
    client = server.new_client()
    other = server.new_client()
    began, answers = time.monotonic(), []
    while time.monotonic() - began < 20 and not (answers and answers[-1].status == 429):
        answers.append(client.send("GET", "/v1/account/info"))
    last = answers[-1]
    assert last.status == 429 and last.code == "TooManyRequests", "300 a second were not reached"
    assert len(answers) > 300
    assert int(last.headers["Retry-After"]) == 1 and last.headers["X-Rate-Limit"] == "300"
    left = [int(a.headers["X-Rate-Limit-Remaining"]) for a in answers]
    assert left[0] > left[100] > left[-1] == 0
    assert other.get("/v1/account/info").status == 200, "another key is not held up"
    server.wait(lambda: client.send("GET", "/v1/account/info").status == 200, 5)
