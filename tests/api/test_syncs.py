"""Runs, by the API: start, stop, re-sync, states, schemas, logs and history. With the real worker."""

import http.client
import json
import threading

import pytest
from conftest import ENDLESS, HELLO, Client, package

RUNNING = "syncing"


@pytest.fixture
def hello(create):
    return create(tests=True)["id"]


@pytest.fixture
def endless(api, server, create):
    """The id of a connection that syncs now."""
    one = create(tests=True, code=ENDLESS)
    assert one["status"]["setup_state"] == "connected", one["setup_tests"]
    path = "/v1/connections/" + one["id"]
    assert api.post(path + "/force").status == 200
    server.wait(lambda: api.get(path).data["status"]["sync_state"] == RUNNING)
    return one["id"]


def history(api, connection):
    return api.get(f"/v1/connections/{connection}/sync-history").data["items"]


# ---- setup ----


def test_setup_tests_pass(create):
    one = create(tests=True)
    assert one["status"]["setup_state"] == "connected"
    assert one["setup_tests"] and {t["status"] for t in one["setup_tests"]} <= {"PASSED", "WARNING"}


def test_a_failed_setup_is_a_connection_that_can_be_mended(api, create, package_id):
    one = create(tests=True, code="this is no python")
    assert one["status"]["setup_state"] == "incomplete"
    failed = [t for t in one["setup_tests"] if t["status"] == "FAILED"]
    assert failed and failed[0]["title"] and failed[0]["message"]
    path = "/v1/connections/" + one["id"]
    refused = api.post(path + "/force")
    assert refused.status == 409 and failed[0]["title"] in refused.message
    mended = api.patch(path, {"config": {"package_id": package_id}, "run_setup_tests": True})
    assert mended.data["status"]["setup_state"] == "connected"


def untested(create, **more):
    """Created as Terraform does it: nobody tests its setup."""
    one = create(**more)
    assert one["status"]["setup_state"] == "incomplete" and "setup_tests" not in one
    return "/v1/connections/" + one["id"]


def test_what_was_never_tested_is_tested_on_demand(api, create):
    path = untested(create)
    tested = api.post(path + "/test", {})
    assert tested.message == "Setup tests have been completed"
    assert tested.data["status"]["setup_state"] == "connected"
    assert tested.data["succeeded_at"] is None and tested.data["paused"] is True


@pytest.mark.parametrize("how", ["created so", "unpaused", "asked for"])
def test_the_first_sync_tests_a_setup_that_nobody_tested(api, server, create, how):
    path = untested(create, paused=how != "created so")
    if how == "unpaused":
        assert api.patch(path, {"paused": False, "sync_frequency": 60}).status == 200
    if how == "asked for":
        assert api.post(path + "/sync", {"force": False}).status == 200
    done = server.wait(lambda: (one := api.get(path).data)["succeeded_at"] and one)
    assert done["status"]["setup_state"] == "connected" and not done["paused"]


def test_a_first_sync_that_fails_before_its_schema_leaves_the_setup_open(api, server, create):
    path = untested(create, paused=False, code="this is no python")
    failed = server.wait(lambda: (one := api.get(path).data)["failed_at"] and one)
    assert failed["status"]["setup_state"] == "incomplete" and failed["failures_in_a_row"] == 1
    assert failed["next_sync_at"], "it is tried again"


def test_new_code_without_a_test_leaves_a_failed_one_behind(api, server, create, package_id):
    one = create(tests=True, paused=False, code="this is no python")
    path = "/v1/connections/" + one["id"]
    assert one["status"]["setup_state"] == "incomplete" and one["setup_tests"]
    assert one["running_sync_id"] is None and api.post(path + "/sync").status == 409
    body = {"config": {"package_id": package_id}, "run_setup_tests": False}
    assert "setup_tests" not in api.patch(path, body).data
    done = server.wait(lambda: (one := api.get(path).data)["succeeded_at"] and one)
    assert done["status"]["setup_state"] == "connected"


def test_without_code_there_is_nothing_to_run(api, create):
    one = create(tests=True, config={"package_id": None})
    assert one["setup_tests"][0]["status"] == "FAILED"
    refused = api.post(f"/v1/connections/{one['id']}/force")
    assert refused.status == 409 and "package_id" in refused.message


# ---- runs ----


@pytest.mark.parametrize("kind", [None, "application/json", "application/json;version=2"])
def test_an_empty_body_starts_a_sync(run, hello, kind):
    done = run(hello, headers={"Content-Type": kind} if kind else {})
    assert done["succeeded_at"] and done["failed_at"] is None
    assert done["paused"] is False, "it was paused, and a trigger unpauses"
    assert done["status"]["is_historical_sync"] is False


def test_times_rise(run, hello):
    times = [run(hello)["succeeded_at"] for _ in range(3)]
    assert times == sorted(set(times))


def test_a_failure_keeps_the_last_success(api, run, hello):
    good = run(hello)
    broken = ENDLESS.replace("while True:", "if True:\n        raise ValueError('bad day')")
    made = api.upload(package(broken)).data["id"]
    path = "/v1/connections/" + hello
    api.patch(path, {"config": {"package_id": made}, "run_setup_tests": False})
    failed = run(hello)
    assert failed["succeeded_at"] == good["succeeded_at"] and failed["failed_at"]
    last = history(api, hello)[0]
    assert last["status"].startswith("FAILURE") and "bad day" in last["reason"]


def test_the_record_of_a_sync(api, run, hello):
    run(hello)
    one = history(api, hello)[0]
    assert one["status"] == "SUCCESSFUL" and one["trigger"] == "api" and one["is_historical"]
    assert one["start_time"] <= one["end_time"] and one["number"] == 1
    assert one["counts"]["upserts"] == 1 and one["tables"][0]["table"] == "t"
    path = f"/v1/connections/{hello}/syncs/"
    assert api.get(path + one["sync_id"]).data == one
    assert api.get(path + "none").code == "NotFound_Sync"
    assert api.get(f"/v1/connections/{hello}/usage").data["items"][0]["active_rows"] == 1
    only = f"/v1/connections/{hello}/sync-history?"
    assert api.get(only + "start_time=2100-01-01T00:00:00Z").data["items"] == []
    assert len(api.get(only + "end_time=2100-01-01T00:00:00Z").data["items"]) == 1
    assert len(api.get(only + "status=SUCCESSFUL").data["items"]) == 1
    assert api.get(only + "status=FAILURE").data["items"] == []
    for wrong in ["start_time=yesterday", "end_time=2026-13-01", "status=x", "limit=0"]:
        assert api.get(only + wrong).status == 400, wrong


def test_a_second_trigger_changes_nothing(api, endless):
    path = "/v1/connections/" + endless
    running = api.get(path).data["running_sync_id"]
    for body in [{"force": False}, {}, {"force": "false"}]:
        assert api.post(path + "/sync", body).status == 200
    assert api.get(path).data["running_sync_id"] == running
    assert len(history(api, endless)) == 1


def test_force_begins_again(api, server, endless):
    path = "/v1/connections/" + endless
    first = api.get(path).data["running_sync_id"]
    assert api.post(path + "/sync", {"force": True}).status == 200
    server.wait(lambda: api.get(path).data["running_sync_id"] not in (None, first))
    assert api.get(f"{path}/syncs/{first}").data["status"] == "CANCELED"
    assert api.get(path).data["failed_at"] is None, "who waits now waits for the second"


def test_cancel(api, endless):
    path = "/v1/connections/" + endless
    assert api.post(path + "/cancel").status == 200
    now = api.get(path).data
    assert now["running_sync_id"] is None
    assert history(api, endless)[0]["status"] == "CANCELED"
    # Clients wait for the later of the two times; the connection is as well as it was.
    assert now["failed_at"] and now["succeeded_at"] is None and now["failures_in_a_row"] == 0
    assert api.post(path + "/cancel").status == 200, "again: nothing to do"


def test_pause_stops_a_sync(api, server, endless):
    path = "/v1/connections/" + endless
    paused = api.patch(path, {"paused": True}).data
    assert paused["status"]["sync_state"] == "paused" and paused["running_sync_id"] is None
    assert history(api, endless)[0]["status"] == "CANCELED" and paused["failed_at"]
    # Switched on again it does at once what it could not do.
    assert api.patch(path, {"paused": False}).status == 200
    server.wait(lambda: api.get(path).data["running_sync_id"])


def test_new_code_stops_a_sync(api, endless, package_id):
    path = "/v1/connections/" + endless
    body = {"config": {"package_id": package_id}, "run_setup_tests": False}
    assert api.patch(path, body).status == 200
    assert history(api, endless)[-1]["status"] == "CANCELED"


def test_deleting_right_after_a_trigger(api, create):
    for _ in range(5):
        path = "/v1/connections/" + create(tests=True)["id"]
        assert api.post(path + "/sync").status == 200
        assert api.delete(path).status == 200
        assert api.get(path).status == 404


def test_deleting_stops_a_sync(api, endless):
    assert api.delete("/v1/connections/" + endless).status == 200
    assert api.get("/v1/connections/" + endless).status == 404


def test_unpausing_starts_the_initial_sync_once(api, server, hello):
    path = "/v1/connections/" + hello
    api.patch(path, {"schedule_type": "auto"})
    assert api.patch(path, {"paused": False}).data["paused"] is False
    server.wait(lambda: api.get(path).data["succeeded_at"])
    assert len(history(api, hello)) == 1
    assert api.get(path).data["next_sync_at"] > api.get(path).data["succeeded_at"]


def test_unpause_and_force_make_one_run_on_a_manual_schedule(api, server, hello):
    """As the Airflow operator does."""
    path = "/v1/connections/" + hello
    assert api.patch(path, {"schedule_type": "manual"}).status == 200
    assert api.patch(path, {"paused": False}).status == 200
    assert api.post(path + "/force", headers={"Content-Type": "application/json"}).status == 200
    server.wait(lambda: api.get(path).data["succeeded_at"])
    assert len(history(api, hello)) == 1
    assert api.get(path).data["next_sync_at"] is None


# ---- re-sync ----


def test_resync_of_everything(api, server, run, hello):
    run(hello)
    path = "/v1/connections/" + hello
    before = api.get(path).data["succeeded_at"]
    assert api.post(path + "/resync").status == 200
    server.wait(lambda: api.get(path).data["succeeded_at"] > before)
    assert history(api, hello)[0]["is_historical"] and history(api, hello)[0]["trigger"] == "resync"
    assert api.get(path + "/state").data == {"state": {"n": 1}}, "it began from an empty state"


def test_resync_of_a_paused_connection_waits(api, server, run, hello):
    run(hello)
    path = "/v1/connections/" + hello
    before = api.patch(path, {"paused": True}).data["succeeded_at"]
    assert api.post(path + "/resync").status == 200
    shown = api.get(path).data
    assert (
        shown["status"]["is_historical_sync"] is True and shown["status"]["sync_state"] == "paused"
    )
    assert len(history(api, hello)) == 1
    api.patch(path, {"paused": False})
    server.wait(lambda: api.get(path).data["succeeded_at"] > before)
    assert api.get(path).data["status"]["is_historical_sync"] is False


def test_resync_of_tables(api, server, run, hello):
    run(hello)
    path = "/v1/connections/" + hello
    schema = api.get(path).data["schema"]
    wrong = [{"scope": {}}, {"scope": {schema: []}}, {"scope": {schema: ["none"]}}, {"scope": 7},
             {"scope": {"none": ["t"]}}, {"scope": {schema: "t"}}, {"scope": {schema: [7]}}]  # fmt: skip
    for body in wrong:
        assert api.post(path + "/resync", body).status == 400, body
        bare = body["scope"]
        assert api.post(path + "/schemas/tables/resync", bare if bare != 7 else {}).status == 400
    for n, (where, body) in enumerate(
        [
            ("/resync", {"scope": {schema: ["t"]}}),
            ("/schemas/tables/resync", {schema: ["t"]}),
            (f"/schemas/{schema}/tables/t/resync", None),
        ]  # fmt: skip
    ):
        before = api.get(path).data["succeeded_at"]
        assert api.post(path + where, body).status == 200
        server.wait(lambda seen=before: api.get(path).data["succeeded_at"] > seen)
        last = history(api, hello)[0]
        assert last["only_tables"] == [schema + ".t"] and last["number"] == n + 2
    assert api.post(path + f"/schemas/{schema}/tables/T/resync").status == 404


# ---- state ----


def test_states_go_through_unharmed(api, run, hello):
    path = f"/v1/connections/{hello}/state"
    first = api.get(path)
    assert first.status == 400, "no state before the first sync"
    run(hello)
    assert api.get(path).data == {"state": {"n": 1}}
    text = (
        '{"big": 123456789012345678901234567890, "real": 0.1, "exp": 1e400, "text": "\\u00e9 ☃ \\"}",'
        ' "deep": %s, "long": "%s", "": null, "a": [{}, [], true]}'
        % ("[" * 100 + "]" * 100, "x" * 1_000_000)
    )
    kind = {"Content-Type": "application/json"}
    body = ('{ "other": "{", "state" : %s }' % text).encode()
    assert api.patch(path, body, headers=kind).status == 200
    kept = api.get(path).body.decode()
    assert kept == '{"code":"Success","data":{"state":%s}}' % text
    assert api.patch(path, {"state": None}).body.decode() == kept, "null keeps"
    for wrong in ["[]", '{"state": []}', '{"state": "x"}', "{", '{"state": {}} x', ""]:
        assert api.patch(path, wrong.encode(), headers=kind).status == 400, wrong
    assert api.patch(path, {"state": {"n": 41}}).data == {"state": {"n": 41}}
    run(hello)
    assert api.get(path).data == {"state": {"n": 42}}, "the connector went on from it"


def test_no_state_is_set_while_syncing(api, endless):
    answer = api.patch(f"/v1/connections/{endless}/state", {"state": {}})
    assert answer.status == 409 and "paused" in answer.message


def test_rewind(api, run, hello):
    for _ in range(3):
        run(hello)
    path = f"/v1/connections/{hello}/state-history"
    states = api.get(path).data["items"]
    assert [s["state"]["n"] for s in states] == [3, 2, 1]
    pages = api.get(path + "?limit=2").data
    assert len(pages["items"]) == 2
    assert len(api.get(f"{path}?cursor={pages['next_cursor']}").data["items"]) == 1
    assert api.post(f"{path}/{states[2]['number']}/restore").data == {"state": {"n": 1}}
    run(hello)
    assert api.get(f"/v1/connections/{hello}/state").data == {"state": {"n": 2}}
    for wrong in ["0", "x", "999999", "-1"]:
        assert api.post(f"{path}/{wrong}/restore").code == "NotFound_State"


# ---- schemas ----


def test_schemas_before_the_first_sync(api, create, hello):
    never = create()
    none = api.get(f"/v1/connections/{never['id']}/schemas")
    assert none.status == 404 and none.code == "NotFound_SchemaConfig"
    shown = api.get(f"/v1/connections/{hello}/schemas").data
    schema = api.get("/v1/connections/" + hello).data["schema"]
    assert shown["schema_change_handling"] == "ALLOW_ALL" and list(shown["schemas"]) == [schema]
    table = shown["schemas"][schema]["tables"]["t"]
    assert table["enabled"] is True and "columns" not in table


def test_columns_and_names(api, hello):
    schema = api.get("/v1/connections/" + hello).data["schema"]
    path = f"/v1/connections/{hello}/schemas"
    columns = api.get(f"{path}/{schema}/tables/t/columns").data["columns"]
    assert set(columns) >= {"id", "Note"} and columns["id"]["is_primary_key"] is True
    escaped = "".join("%%%02X" % ord(c) for c in schema)
    assert api.get(f"{path}/{escaped}/tables/%74/columns").data["columns"] == columns
    for wrong in [f"{schema.upper()}/tables/t", f"{schema}/tables/T", f"{schema}/tables/none"]:
        assert api.get(f"{path}/{wrong}/columns").status == 404


def test_choosing(api, run, hello):
    schema = api.get("/v1/connections/" + hello).data["schema"]
    path = f"/v1/connections/{hello}/schemas"

    def shown():
        return api.get(path).data["schemas"][schema]

    body = {"schemas": {schema: {"tables": {"t": {"enabled": False}}}}}
    assert api.patch(path, body).data["schemas"][schema]["tables"]["t"]["enabled"] is False
    assert api.patch(f"{path}/{schema}/tables/t", {"enabled": True}).status == 200
    assert shown()["tables"]["t"]["enabled"] is True
    assert api.patch(f"{path}/{schema}", {"enabled": False}).status == 200
    assert shown()["enabled"] is False
    api.patch(f"{path}/{schema}", {"enabled": True})
    off = api.patch(f"{path}/{schema}/tables/t/columns/Note", {"enabled": False})
    assert off.data["schemas"][schema]["tables"]["t"]["columns"]["Note"]["enabled"] is False
    key = api.patch(f"{path}/{schema}/tables/t/columns/id", {"enabled": False})
    assert key.status == 400 and "primary key" in key.message
    assert api.patch(f"{path}/{schema}/tables/t/columns/note", {"enabled": False}).status == 404
    for wrong in [{}, {"schemas": 7}, {"schemas": {"none": {"enabled": True}}}, {"schemas": {schema: 7}},
                  {"schemas": {schema: {"tables": {"x": {}}}}}, {"schema_change_handling": "x"},
                  {"schemas": {schema: {"enabled": "yes"}}}]:  # fmt: skip
        assert api.patch(path, wrong).status == 400, wrong
    assert api.patch(path, {"schema_change_handling": "BLOCK_ALL"}).status == 200
    assert shown()["tables"]["t"]["enabled"] is True, "what is known stays"
    run(hello)
    columns = api.get(f"{path}/{schema}/tables/t/columns").data["columns"]
    assert columns["Note"]["enabled"] is False and columns["id"]["enabled"] is True


def test_a_table_left_out_is_counted(api, run, hello):
    schema = api.get("/v1/connections/" + hello).data["schema"]
    path = f"/v1/connections/{hello}"
    api.patch(path + "/schemas", {"schemas": {schema: {"tables": {"t": {"enabled": False}}}}})
    run(hello)
    last = history(api, hello)[0]
    assert last["counts"]["filtered"] == 1 and last["counts"]["inserted"] == 0


GROWING = HELLO.replace(
    "op.checkpoint(",
    """if state.get("n"):
        op.upsert("later", {"id": 1})
        op.upsert("t", {"id": 1, "Note": "x", "extra": 1})
    op.checkpoint(""",
)


@pytest.mark.parametrize("handling, column", [("BLOCK_ALL", False), ("ALLOW_COLUMNS", True)])
def test_what_is_new_stays_blocked(api, create, run, handling, column):
    """Also in the second sync after it was seen, and until somebody chooses it."""
    one = create(tests=True, code=GROWING)
    hello, schema = one["id"], one["schema"]
    run(hello)
    path = f"/v1/connections/{hello}/schemas"
    api.patch(path, {"schema_change_handling": handling})
    for turn in range(2):
        run(hello)
        assert history(api, hello)[0]["counts"]["filtered"] == 1, turn
        tables = api.get(path).data["schemas"][schema]["tables"]
        assert tables["t"]["enabled"] is True
        assert tables.get("later", {"enabled": False})["enabled"] is False
    columns = api.get(f"{path}/{schema}/tables/t/columns").data["columns"]
    assert columns["Note"]["enabled"] is True
    assert columns.get("extra", {"enabled": False})["enabled"] is column


TWO_SCHEMAS = HELLO.replace(
    "op.checkpoint(",
    """for name in ["first", "second"][: state.get("n", 0) + 1]:
        op.upsert(name, {"id": 1}, schema="sales")
    op.checkpoint(""",
)


@pytest.mark.parametrize("schema", ["sales", "its own"])
def test_a_disabled_schema_holds_for_tables_that_nobody_has_seen(api, create, run, schema):
    """Also in the sync after the one that saw them, and only for that schema."""
    one = create(tests=True, code=TWO_SCHEMAS if schema == "sales" else GROWING)
    id, off = one["id"], "sales" if schema == "sales" else one["schema"]
    run(id)
    path = f"/v1/connections/{id}/schemas"
    assert api.patch(f"{path}/{off}", {"enabled": False}).status == 200
    for turn in range(2):
        run(id)
        counts = history(api, id)[0]["counts"]
        # Of "sales": both of its tables. Of the connection's own: t twice, later once.
        assert counts["filtered"] == (2 if schema == "sales" else 3), (turn, counts)
        assert counts["inserted"] == 0, (turn, counts)
        assert api.get(path).data["schemas"][off]["enabled"] is False
    assert api.patch(f"{path}/{off}", {"enabled": True}).status == 200
    run(id)
    assert history(api, id)[0]["counts"]["inserted"] == 1, "the new table, when it is wanted"


def test_reload(api, create):
    one = create()
    path = f"/v1/connections/{one['id']}/schemas/reload"
    assert list(api.post(path, {"exclude_mode": "PRESERVE"}).data["schemas"]) == [one["schema"]]
    assert api.post(path, {"exclude_mode": "x"}).status == 400
    other = create()
    path = f"/v1/connections/{other['id']}/schemas/reload"
    shown = api.post(path, {"exclude_mode": "EXCLUDE"}).data
    assert shown["schemas"][other["schema"]]["enabled"] is False


# ---- logs and events ----


def test_logs(api, run, hello):
    run(hello)
    run(hello)
    path = f"/v1/connections/{hello}/logs"
    lines = api.get(path + "?limit=1000").data["items"]
    numbers = [x["number"] for x in lines]
    assert numbers == sorted(numbers)
    said = [x for x in lines if x["message"] == "hello from the connector"]
    assert len(said) == 2 and said[0]["level"] == "WARNING" and said[0]["origin"] == "connector"
    first = history(api, hello)[-1]["sync_id"]
    of_one = api.get(f"{path}?sync_id={first}&q=HELLO").data["items"]
    assert [x["number"] for x in of_one] == [said[0]["number"]]
    assert {x["level"] for x in api.get(path + "?level=WARNING").data["items"]} == {"WARNING"}
    newest = api.get(path + "?order=desc&limit=1").data
    assert newest["items"][0]["number"] == numbers[-1] and "next_cursor" in newest
    older = api.get(f"{path}?order=desc&limit=1&cursor={newest['next_cursor']}").data["items"]
    assert older[0]["number"] == numbers[-2]
    assert api.get(path + "?since=2100-01-01T00:00:00Z").data["items"] == []
    index = api.get(path + "?index=2").data
    assert index["count"] == len(numbers) and index["last"] == numbers[-1]
    assert index["numbers"] == numbers[::2]
    page = api.get(f"{path}?limit=2&after={index['numbers'][1] - 1}").data["items"]
    assert [x["number"] for x in page] == numbers[2:4]
    assert api.get(f"{path}?index=10&sync_id={first}&q=HELLO").data["count"] == 1
    saved = api.send("GET", f"{path}?download=true&sync_id={first}&q=HELLO&level=WARNING")
    assert saved.headers["Content-Type"].startswith("text/plain")
    assert saved.headers["Content-Disposition"] == 'attachment; filename="sync.log"'
    text = saved.body.decode()
    assert text.count("\n") == 1 and text.endswith(
        " WARNING  connector: hello from the connector\n"
    )
    assert api.send("GET", path + "?download=true").body.count(b"\n") == sum(
        1 + x["message"].count("\n") for x in lines
    )
    for wrong in ["level=x", "order=up", "since=x", "follow=1", "limit=0", "index=0", "after=-1"]:
        assert api.get(f"{path}?{wrong}").status == 400


def events(server, path, until, headers=None, ready=None):
    """Reads a stream until a line for which until() is true; all lines."""
    conn = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    auth = {"Authorization": "Basic " + server.key, **(headers or {})}
    conn.request("GET", path, headers=auth)
    answer = conn.getresponse()
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream"
    lines = []
    while True:
        line = answer.readline().decode().rstrip("\n")
        lines.append(line)
        if ready and line.startswith(":"):
            ready.set()
        if until(line):
            conn.close()
            return lines


def test_logs_as_they_come(api, server, run, hello):
    path = f"/v1/connections/{hello}/logs"
    seen, ready = [], threading.Event()
    thread = threading.Thread(
        target=lambda: seen.extend(
            events(
                server, path, lambda x: "hello from" in x, {"Accept": "text/event-stream"}, ready
            )
        )
    )
    thread.start()
    assert ready.wait(20)
    run(hello)
    thread.join(30)
    last = json.loads(seen[-1].removeprefix("data: "))
    assert last["message"] == "hello from the connector" and f"id: {last['number']}" in seen
    again = events(server, path + "?follow=true", lambda x: x.startswith("id:"),
                   {"Last-Event-ID": str(last["number"] - 1)})  # fmt: skip
    assert again[-1] == f"id: {last['number']}", "a client that comes back goes on where it was"
    for after, back, first in ((0, None, None), (1, str(last["number"] - 1), last["number"])):
        headers = {"Last-Event-ID": back} if back else None
        began = events(
            server, f"{path}?follow=true&after={after}", lambda x: x.startswith("id:"), headers
        )
        number = int(began[-1].removeprefix("id: "))
        assert number == (first or api.get(path + "?limit=1").data["items"][0]["number"])


def test_what_runs_as_it_changes(server, endless):
    lines = events(server, "/v1/events", lambda x: x.startswith("data:") and endless in x)
    running = json.loads(lines[-1].removeprefix("data: "))
    assert [r["connection_id"] for r in running] == [endless]
    metrics = Client(server.port).send("GET", "/metrics").body.decode()
    assert "sluice_syncs_running 1" in metrics
