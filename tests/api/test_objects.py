"""Groups, destinations, packages, connections, keys: created, changed, refused, deleted."""

import hashlib
import json
import os
import re
import threading

import pytest
from conftest import Client, multipart, name, package

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")


# ---- account, users, keys ----


def test_account_and_users(api):
    account = api.get("/v1/account/info").data
    users = api.get("/v1/users").data["items"]
    assert account["user_id"] in [u["id"] for u in users]
    assert api.get("/v1/users/" + users[0]["id"]).data == users[0]
    assert api.get("/v1/users/nobody").code == "NotFound_User"


def test_keys_are_shown_once(api):
    made = api.post("/v1/keys", {"name": "ci", "role": "viewer"})
    assert made.status == 201 and len(made.data["secret"]) == 32
    listed = json.dumps(api.get("/v1/keys?limit=1000").json)
    assert made.data["key"] in listed and made.data["secret"] not in listed
    assert api.post("/v1/keys", {"name": "x", "role": "king"}).status == 400
    for wrong in [{}, {"name": "x"}, {"name": "x", "role": None}, {"role": "admin"}]:
        assert api.post("/v1/keys", wrong).status == 400, wrong


# ---- groups ----


def test_groups(api):
    made = api.post("/v1/groups", {"name": "My Group"})
    assert made.status == 201 and made.message == "Group has been created"
    one = made.data["id"]
    assert TIME.match(made.data["created_at"])
    assert api.get("/v1/groups/" + one).data == made.data
    assert api.post("/v1/groups", {"name": "My Group"}).status == 409
    assert api.patch("/v1/groups/" + one, {"name": "Other"}).data["name"] == "Other"
    assert api.patch("/v1/groups/" + one, {"name": "warehouse"}).status == 409
    gone = api.delete("/v1/groups/" + one)
    assert gone.message == f"Group with id '{one}' has been deleted" and "data" not in gone.json
    for answer in [
        api.get("/v1/groups/" + one),
        api.delete("/v1/groups/" + one),
        api.patch("/v1/groups/" + one, {"name": "x"}),
        api.get(f"/v1/groups/{one}/connectors"),
    ]:
        assert answer.status == 404 and answer.code == "NotFound_Group"


def test_a_group_in_use_stays(api, group, create):
    create()
    assert api.delete("/v1/groups/" + group).status == 409
    assert api.delete("/v1/destinations/" + group).status == 409


# ---- destinations ----


def destination(group, path, **more):
    return {"group_id": group, "service": "duckdb", "config": {"path": path}, **more}


@pytest.fixture
def new_group(api):
    made = api.post("/v1/groups", {"name": name()}).data["id"]
    yield made
    api.delete("/v1/groups/" + made)


def test_destinations(api, new_group, server):
    made = api.post("/v1/destinations", destination(new_group, "second.db", time_zone_offset="-3"))
    assert made.status == 201 and made.data["id"] == made.data["group_id"] == new_group
    assert made.data["setup_status"] == "connected" and made.data["time_zone_offset"] == "-3"
    assert {t["status"] for t in made.data["setup_tests"]} == {"PASSED"}
    assert made.data["config"]["path"] == os.path.join(server.data, "second.db")
    path = "/v1/destinations/" + new_group
    assert api.post("/v1/destinations", destination(new_group, "third.db")).status == 409
    assert api.patch(path, {"time_zone_offset": 2}).data["time_zone_offset"] == "2"
    assert api.patch(path, {"time_zone_offset": "+12"}).data["time_zone_offset"] == "+12"
    for wrong in ("+15", "+-3", "+", "x"):
        assert api.patch(path, {"time_zone_offset": wrong}).status == 400, wrong
    assert api.patch(path, {}).status == 400
    assert api.post(path + "/test", {}).message == "Setup tests have been completed"
    assert new_group in [d["id"] for d in api.get("/v1/destinations").data["items"]]
    assert api.delete(path).status == 200
    assert api.get(path).code == "NotFound_Destination"
    assert api.delete(path).code == "NotFound_Destination"


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../x.db", "/tmp/x.db", "sluice.db", "logs.db", "secret.key", "packages/x.db",
     "code/x.db", "no/such/folder/x.db", ".db", "/proc/self/x.db", "x.txt", "", "a\x00b.db"],
)  # fmt: skip
def test_paths_that_are_not_for_warehouses(api, new_group, path):
    answer = api.post("/v1/destinations", destination(new_group, path))
    assert answer.status == 400, answer
    assert api.get("/v1/destinations/" + new_group).status == 404


def test_two_destinations_do_not_share_a_file(api, new_group):
    answer = api.post("/v1/destinations", destination(new_group, "warehouse.db"))
    assert answer.status == 409 and "warehouse.db" in answer.message


def test_a_file_that_is_no_database_fails_the_test(api, new_group, server):
    with open(os.path.join(server.data, "text.db"), "w") as f:
        f.write("this is no database at all")
    made = api.post("/v1/destinations", destination(new_group, "text.db"))
    assert made.status == 201 and made.data["setup_status"] == "incomplete"
    assert "FAILED" in [t["status"] for t in made.data["setup_tests"]]


def test_other_services(api, new_group):
    body = {"group_id": new_group, "service": "snowflake", "config": {}}
    answer = api.post("/v1/destinations", body)
    assert answer.status == 400 and "Unsupported destination service" in answer.message
    assert api.post("/v1/destinations", destination("nothing", "x.db")).code == "NotFound_Group"


def test_a_group_without_destination_takes_no_connection(api, new_group):
    body = {"group_id": new_group, "service": "connector_sdk", "config": {"schema": "x"}}
    answer = api.post("/v1/connections", body)
    assert answer.status == 400 and "destination" in answer.message


# ---- packages ----


def test_packages(api):
    data = package(requirements__txt="")
    made = api.upload(data)
    assert made.status == 201 and made.message == "Package created successfully"
    one = made.data
    assert one["file_sha256_hash"] == hashlib.sha256(data).hexdigest()
    assert one["connection_id"] is None and one["connection_ids"] == []
    path = "/v1/connector-sdk/packages/" + one["id"]
    assert api.get(path).data == one
    assert api.send("GET", path + "/download").body == data
    other = package("x = 2")
    changed = api.upload(other, path, "PATCH")
    assert changed.status == 200 and changed.message == "Package updated successfully"
    assert changed.data["file_sha256_hash"] == hashlib.sha256(other).hexdigest()
    assert api.send("GET", path + "/download").body == other
    assert api.delete(path).message == "Package deleted successfully"
    for answer in [api.get(path), api.delete(path), api.upload(data, path, "PATCH")]:
        assert answer.status == 404 and answer.code == "NotFound_ConnectorSdkPackage"


def test_a_part_with_a_type(api):
    body = (
        b'--q\r\nContent-Disposition: form-data; name="file"; filename="code.zip"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + package() + b"\r\n--q--\r\n"
    )
    kind = {"Content-Type": 'multipart/form-data; boundary="q"'}
    made = api.post("/v1/connector-sdk/packages", body, headers=kind)
    assert made.status == 201 and made.data["file_name"] == "code.zip"


def bomb():
    return package(big__bin="\0" * (1 << 20))[:-30]


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [("file", "a.zip", b"")],
        [("file", "a.zip", b"not a zip")],
        [("file", "a.zip", package(None, main__py="x"))],
        [("file", "a.zip", package(None, **{"sub/connector__py": "x"}))],
        [("file", "a.zip", package(**{"../evil__py": "x"}))],
        [("file", "a.zip", package(**{"/abs__py": "x"}))],
        [("file", "a.zip", bomb())],
        [("other", "a.zip", package())],
        [("file", "a.zip", package()), ("file", "b.zip", package())],
        [("file", "a.zip", package()), ("more", "b.zip", package())],
    ],
)
def test_uploads_that_are_none(api, parts, server):
    body, kind = multipart(*parts)
    answer = api.post("/v1/connector-sdk/packages", body, headers={"Content-Type": kind})
    assert answer.status == 400, answer
    left = [f for f in os.listdir(server.data / "packages") if f.startswith("incoming")]
    assert not left


def test_forms_that_are_none(api):
    body, _ = multipart(("file", "a.zip", package()))
    path = "/v1/connector-sdk/packages"
    for kind in ["multipart/form-data", "multipart/form-data; boundary=other"]:
        assert api.post(path, body, headers={"Content-Type": kind}).status == 400, kind
    cut = {"Content-Type": "multipart/form-data; boundary=b0undary"}
    assert api.post(path, body[:-20], headers=cut).status == 400
    assert api.post(path, b"", headers={"Content-Type": "application/zip"}).status == 415
    assert api.post(path, {"file": "x"}).status == 415


def test_the_file_name_is_not_trusted(api):
    body, kind = multipart(("file", "../../etc/pass wd", package()))
    made = api.post("/v1/connector-sdk/packages", body, headers={"Content-Type": kind})
    assert made.data["file_name"] == "passwd"


def test_a_package_in_use_stays(api, create):
    used = api.upload(package("x = 3")).data["id"]
    one = create(config={"package_id": used})
    path = "/v1/connector-sdk/packages/" + used
    assert api.get(path).data["connection_ids"] == [one["id"]]
    assert api.get(path).data["connection_id"] == one["id"]
    assert api.delete(path).status == 403
    assert api.delete("/v1/connections/" + one["id"]).status == 200
    assert api.delete(path).status == 200
    assert api.delete(path).code == "NotFound_ConnectorSdkPackage"


# ---- connections ----


def test_the_object(api, create, package_id, group):
    one = create(config={"secrets_list": [{"key": "my_key", "value": "very secret"}]})
    assert one["config"]["secrets_list"] == [{"key": "my_key", "value": "******"}]
    assert one["config"]["python_version"] and one["config"]["package_id"] == package_id
    assert one["destination_schema_names"] == "FIVETRAN_NAMING"
    assert one["service_version"] == 0 and one["paused"] is True and one["sync_frequency"] == 15
    assert one["succeeded_at"] is None and one["failed_at"] is None
    assert TIME.match(one["created_at"])
    status = one["status"]
    assert status["setup_state"] == "incomplete" and status["sync_state"] == "paused"
    assert status["is_historical_sync"] is True and status["tasks"] == status["warnings"] == []
    assert one["dashboard_url"].endswith(one["id"] + "/status")
    assert "very secret" not in json.dumps(api.get("/v1/connections/" + one["id"]).json)


@pytest.mark.parametrize("given, kept", [("360", 360), (360, 360), (1, 1), ("1440", 1440)])
def test_frequencies(create, given, kept):
    assert create(sync_frequency=given)["sync_frequency"] == kept


@pytest.mark.parametrize("given", [0, 7, 1441, "x", "", 1.5, True, [], "15.0", -15, 2**60])
def test_wrong_frequencies(create, given):
    assert "sync_frequency" in create(sync_frequency=given, status=400).message


@pytest.mark.parametrize(
    "wrong", ["", "A", "1a", "a-b", "a b", "a.b", "é", "a" * 101, 7, None, [], "a%"]
)
def test_wrong_names(create, wrong):
    answer = create(config={"schema": wrong}, status=400)
    assert "schema" in answer.message


@pytest.mark.parametrize(
    "secrets",
    ["text", 7, {"key": "a"}, ["a"], [{}], [{"key": 7, "value": "x"}], [{"value": "x"}],
     [{"key": "a", "value": 7}], [{"key": "a", "value": True}], [{"key": "a", "value": {"b": 1}}],
     [{"key": "a", "value": "x"}, {"key": "a", "value": "y"}], [{"key": "", "value": "x"}],
     [{"key": "a", "value": None}], [{"key": f"k{i}", "value": "x"} for i in range(101)]],
)  # fmt: skip
def test_wrong_secrets(api, create, secrets):
    schema = name()
    answer = create(schema, config={"secrets_list": secrets}, status=400)
    assert "secrets_list" in answer.message
    assert api.get("/v1/connections?schema=" + schema).data["items"] == [], "half a connection"


TYPES = {"text": "x", "number": 7, "real": 1.5, "yes": True, "list": [], "object": {}}
FIELDS = {
    "group_id": {"text"}, "service": {"text"}, "config": {"object"}, "paused": {"yes"},
    "schedule_type": {"text"}, "daily_sync_time": {"text"}, "run_setup_tests": {"yes"},
    "trust_certificates": {"yes"}, "pause_after_trial": {"yes"}, "data_delay_threshold": {"number"},
    "data_delay_sensitivity": {"text"}, "networking_method": {"text"}, "private_link_id": {"text"},
    "proxy_agent_id": {"text"}, "hybrid_deployment_agent_id": {"text"}, "memory_limit": {"number"},
    "deadline_seconds": {"number"}, "durable_checkpoints": {"yes"}, "schedule": {"object"},
    "destination_schema_names": {"text"}, "is_historical_sync": {"yes"},
}  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_fields_of_wrong_types(create, api, field):
    for kind, value in TYPES.items():
        if kind not in FIELDS[field]:
            assert field in create(status=400, **{field: value}).message, kind
    one = create()
    for kind, value in TYPES.items():
        if kind not in FIELDS[field] and field not in ("group_id", "service"):
            answer = api.patch("/v1/connections/" + one["id"], {"paused": True, field: value})
            assert answer.status == 400 and field in answer.message


@pytest.mark.parametrize("field", ["schema", "package_id", "python_version"])
@pytest.mark.parametrize("value", [7, True, [], {}, "", "no such thing"])
def test_config_of_wrong_types(create, field, value):
    assert create(config={field: value}, status=400).message


def test_unknown_fields_and_nulls_are_nothing(create):
    one = create(
        brand_new={"x": 1}, data_delay_sensitivity=None, data_delay_threshold=None,
        hybrid_deployment_agent_id=None, proxy_agent_id=None, sync_frequency=None,
    )  # fmt: skip
    assert one["data_delay_sensitivity"] == "NORMAL" and one["data_delay_threshold"] == 0


def test_unknown_service_group_python(api, create, group):
    body = {"group_id": group, "service": "postgres", "config": {"schema": "x"}}
    answer = api.post("/v1/connections", body)
    assert answer.status == 400 and "Unsupported connector service 'postgres'" in answer.message
    answer = api.post("/v1/connections", {**body, "group_id": "no", "service": "connector_sdk"})
    assert answer.status == 404 and answer.code == "NotFound_Group"
    have = api.get("/v1/pythons").data["items"]
    answer = create(config={"python_version": "2.7"}, status=400)
    assert all(version in answer.message for version in have)
    assert create(config={"python_version": have[0] + ".1"})["config"]["python_version"] == have[0]


def test_a_taken_name_is_409(create):
    one = create()
    answer = create(one["schema"], status=409)
    assert answer.code == "Conflict" and one["schema"] in answer.message


def test_two_at_once_make_one(server, group, package_id):
    for _ in range(5):
        schema, answers = name(), []
        body = {"group_id": group, "service": "connector_sdk", "run_setup_tests": False,
                "config": {"schema": schema, "package_id": package_id}}  # fmt: skip
        threads = [
            threading.Thread(
                target=lambda out, b: out.append(server.client().post("/v1/connections", b)),
                args=(answers, body),
            )
            for _ in range(4)
        ]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert sorted(a.status for a in answers) == [201, 409, 409, 409]
        found = server.client().get("/v1/connections?schema=" + schema).data["items"]
        assert len(found) == 1
        server.client().delete("/v1/connections/" + found[0]["id"])


def test_schema_filter_is_exact(api, group, create):
    create("a_b_exact")
    create("axb_exact")
    for given, count in [
        ("a_b_exact", 1),
        ("a%25b_exact", 0),
        ("A_B_EXACT", 0),
        ("", 0),
        ("a_b", 0),
    ]:
        found = api.get(f"/v1/groups/{group}/connectors?schema={given}").data
        assert len(found["items"]) == count, given


def test_changes(api, create):
    one = create(config={"secrets_list": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]})
    path = "/v1/connections/" + one["id"]

    def keys(body):
        answer = api.patch(path, {"config": body, "run_setup_tests": False})
        assert answer.status == 200, answer
        return [s["key"] for s in answer.data["config"]["secrets_list"]]

    assert keys({"schema": one["schema"]}) == ["a", "b"], "absent keeps"
    assert keys({"secrets_list": [{"key": "b", "value": None}]}) == ["b"], "replaces"
    assert keys({"secrets_list": []}) == []
    assert api.patch(path, {"config": {"schema": "other"}}).status == 400
    for nothing in [{}, {"run_setup_tests": True}, {"trust_certificates": True}, {"foo": 1}]:
        assert api.patch(path, nothing).status == 400
    changed = api.patch(path, {"networking_method": "Directly", "proxy_agent_id": None,
                               "data_delay_threshold": "5"})  # fmt: skip
    assert changed.data["data_delay_threshold"] == 5
    assert api.patch("/v1/connections/none", {"paused": True}).code == "NotFound_Connection"


def test_schedules(api, create):
    path = "/v1/connections/" + create()["id"]
    daily = api.patch(path, {"sync_frequency": 1440, "daily_sync_time": "14:00"}).data
    assert daily["daily_sync_time"] == "14:00" and daily["sync_frequency"] == 1440
    assert api.patch(path, {"daily_sync_time": None}).data["daily_sync_time"] is None
    assert api.patch(path, {"daily_sync_time": "15:00"}).data["daily_sync_time"] == "15:00"
    assert api.patch(path, {"sync_frequency": "60"}).data["daily_sync_time"] is None
    for wrong in ["24:00", "1:00", "14:30", "x"]:
        body = {"sync_frequency": 1440, "daily_sync_time": wrong}
        assert api.patch(path, body).status == 400
    assert api.patch(path, {"daily_sync_time": "14:00"}).status == 400, "only with 1440"
    assert (
        api.patch(path, {"schedule": {"schedule_type": "MANUAL"}}).data["schedule_type"] == "manual"
    )
    shown = api.patch(path, {"schedule": {"schedule_type": "INTERVAL", "interval": 30}}).data
    assert shown["schedule_type"] == "auto" and shown["sync_frequency"] == 30
    body = {"schedule": {"schedule_type": "TIME_OF_DAY", "time_of_day": "06:00"}}
    assert api.patch(path, body).data["daily_sync_time"] == "06:00"
    assert api.patch(path, {"schedule": {"schedule_type": "CRON"}}).status == 400


def test_deleting(api, create):
    one = create()
    path = "/v1/connections/" + one["id"]
    assert api.delete(path).message == f"Connection with id '{one['id']}' has been deleted"
    again = api.delete(path)
    assert again.status == 404 and again.code.startswith("NotFound")
    for method, rest in [("GET", ""), ("GET", "/state"), ("GET", "/logs"), ("GET", "/schemas"),
                         ("GET", "/sync-history"), ("GET", "/usage"), ("GET", "/deployments"),
                         ("GET", "/state-history"), ("POST", "/force"), ("POST", "/cancel"),
                         ("POST", "/resync"), ("POST", "/test")]:  # fmt: skip
        assert api.ask(method, path + rest).code == "NotFound_Connection", rest


def test_versions_and_rollback(api, create):
    first = api.upload(package("x = 'first'")).data
    second = api.upload(package("x = 'second'")).data
    one = create(config={"package_id": first["id"]})
    path = "/v1/connections/" + one["id"]
    quiet = {"run_setup_tests": False}
    api.patch(path, {"config": {"package_id": second["id"]}, **quiet})
    api.upload(package("x = 'third'"), "/v1/connector-sdk/packages/" + second["id"], "PATCH")
    listed = api.get(path + "/deployments").data["items"]
    assert [d["number"] for d in listed] == [3, 2, 1]
    assert [d["reason"] for d in listed] == ["package updated", "deploy", "deploy"]
    back = api.post(path + "/deployments/1/rollback")
    assert back.data["config"]["package_id"] == first["id"]
    # The package of the second has other code now: its own comes back as a package of its own.
    again = api.post(path + "/deployments/2/rollback").data["config"]["package_id"]
    assert again not in (first["id"], second["id"])
    found = api.get("/v1/connector-sdk/packages/" + again).data
    assert found["file_sha256_hash"] == second["file_sha256_hash"]
    assert api.get(path + "/deployments").data["items"][0]["reason"] == "rollback to 2"
    assert api.post(path + "/deployments/99/rollback").code == "NotFound_Deployment"
    assert api.post(path + "/deployments/x/rollback").code == "NotFound_Deployment"


def test_what_is_done_is_audited(api, create):
    one = create(config={"secrets_list": [{"key": "k", "value": "planted-secret"}]})
    api.patch("/v1/connections/" + one["id"], {"sync_frequency": 30})
    seen = api.get("/v1/audit?subject_kind=connection&subject_id=" + one["id"]).data["items"]
    assert [a["action"] for a in seen][:2] == ["connection.update", "connection.create"]
    assert seen[0]["actor"].startswith("key:") and seen[0]["detail"] == {
        "fields": ["sync_frequency"]
    }
    assert "planted-secret" not in json.dumps(seen)
    for paused, action in ((False, "connection.unpause"), (True, "connection.pause")):
        api.patch("/v1/connections/" + one["id"], {"paused": paused})
        last = api.get("/v1/audit?subject_kind=connection&subject_id=" + one["id"]).data["items"][0]
        assert (last["action"], last["detail"]) == (action, None)


def test_types_of_connectors(api):
    one = api.get("/v1/metadata/connector-types/connector_sdk").data
    assert {"schema", "package_id", "python_version", "secrets_list"} <= set(
        one["config"]["properties"]
    )
    assert [t["id"] for t in api.get("/v1/metadata/connector-types").data["items"]] == [
        "connector_sdk"
    ]
    assert api.get("/v1/metadata/connector-types/x").code == "NotFound_Integration"


def test_the_index_has_one_project(server):
    client = Client(server.port)
    root = client.send("GET", "/simple/")
    assert root.status == 200 and b"fivetran-connector-sdk" in root.body
    for other in ["requests", "fivetran-connector-sdk-core", "..", "%2e%2e%2fetc"]:
        assert client.send("GET", f"/simple/{other}/").status == 404
        assert client.send("GET", f"/simple/{other}").status == 404
    for file in ["secret.key", "..%2f..%2fsecret.key", "x.whl", "fivetran_connector_sdk-1.whl"]:
        answer = client.send("GET", f"/simple/fivetran-connector-sdk/{file}")
        assert answer.status == 404, file


@pytest.mark.once  # the sanitizers keep freed memory
def test_a_large_upload_takes_no_memory(api, server):
    """190 MiB are on the disk when the answer comes, and were never in memory."""

    def memory(field):
        with open(f"/proc/{server.pid}/status") as f:
            return next(int(x.split()[1]) << 10 for x in f if x.startswith(field))

    data = package(**{f"big{i}__bin": os.urandom(2 << 20) for i in range(95)})
    api.upload(package())
    before = memory("VmRSS")
    with open(f"/proc/{server.pid}/clear_refs", "w") as f:
        f.write("5")  # the peak begins now
    made = api.upload(data)
    assert made.status == 201, made
    assert made.data["file_sha256_hash"] == hashlib.sha256(data).hexdigest()
    assert memory("VmHWM") - before < 20 << 20
    assert api.delete("/v1/connector-sdk/packages/" + made.data["id"]).status == 200


@pytest.mark.once  # slow with sanitizers
def test_more_than_allowed_is_refused_and_gone(api, server):
    answer = api.upload(package(big__bin=os.urandom(205 << 20)))
    assert answer.status in (400, 413) and ("MB" in answer.message or "KiB" in answer.message)
    assert not [f for f in os.listdir(server.data / "packages") if f.startswith("incoming")]
