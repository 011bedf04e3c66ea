"""Connectors that mean harm, or only take too much: stopped or denied, and the sync's record says why. The server goes on."""

import os

import pytest

from harness import ONE_ROW, connector, wait_for

SECRET = "planted-S3cret-value"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="own users and cgroups need root")


def run(server, name, body, configuration=None, **fields):
    con = server.deploy(name, {"connector.py": connector(body)}, configuration, **fields)
    con.sync(success=None)
    return con


def test_what_it_may_not_read_or_touch(server):
    """Each attempt is a row: what was tried, and how it ended."""
    con = server.deploy(
        "spy",
        {
            "connector.py": connector(
                f"""
                data, parent = {str(server.data)!r}, {server.pid}
                def attempt(name, what):
                    try:
                        what()
                        op.upsert("t", {{"id": name, "denied": False}})
                    except BaseException as e:
                        op.upsert("t", {{"id": name, "denied": True, "how": type(e).__name__}})
                attempt("store", lambda: open(data + "/sluice.db", "rb").read(1))
                attempt("key", lambda: open(data + "/secret.key", "rb").read(1))
                attempt("warehouse", lambda: open(data + "/warehouse.db", "rb").read(1))
                attempt("logs", lambda: open(data + "/logs.db", "rb").read(1))
                attempt("list", lambda: os.listdir(data))
                attempt("environment", lambda: open(f"/proc/{{parent}}/environ", "rb").read(1))
                attempt("memory", lambda: open(f"/proc/{{parent}}/mem", "rb").read(1))
                attempt("kill", lambda: os.kill(parent, 0))
                attempt("shadow", lambda: open("/etc/shadow").read(1))
                attempt("write", lambda: open("/usr/planted", "w"))
                op.checkpoint({{"tried": 1}})
                """
            )
        },
    )
    con.sync()
    tried = dict(server.rows("select id, denied from spy.t"))
    if os.geteuid() != 0:
        tried.pop("kill")  # the same user may
    assert len(tried) >= 9 and all(tried.values()), tried
    assert "landlock" in con.history()[0]["walls"]


@needs_root
def test_memory(server):
    con = server.deploy(
        "hog",
        {
            "connector.py": connector(
                "op.upsert('t', {'id': 1})\nop.checkpoint({'a': 1})\n"
                "x = []\nwhile True:\n    x.append(b'x' * 10_000_000)"
            )
        },
        memory_limit=200 << 20,
    )
    con.start()
    record = wait_for_end(con)
    assert record["status"] == "RESCHEDULED" and "memory" in record["reason"], record
    # What a checkpoint covered is kept, and the next one goes on from there.
    assert con.state() == {"a": 1} and con.details()["status"]["rescheduled_for"]


def wait_for_end(con):
    return wait_for(
        "the sync ends",
        lambda: (h := con.history()) and h[0]["status"] != "RUNNING" and h[0],
        60,
    )


@needs_root
def test_forks_without_end(server):
    con = server.deploy(
        "forks",
        {"connector.py": connector("while True:\n    if os.fork() == 0:\n        time.sleep(60)")},
    )
    con.start()
    record = wait_for_end(con)
    assert record["status"] == "FAILURE" and "BlockingIOError" in record["reason"], record


def test_a_flood_of_lines(server):
    con = run(
        server,
        "flood",
        "for i in range(5000):\n    log.info('line %d' % i)\nop.checkpoint({'n': 1})",
    )
    kept = [x for x in con.logs() if x["message"].startswith("line ")]
    dropped = [x for x in con.logs(level="WARNING") if "INFO lines were dropped" in x["message"]]
    assert con.history()[0]["status"] == "SUCCESSFUL"
    # 1,500 a minute; a minute may end in between.
    assert len(kept) in (1500, 3000) and len(dropped) == len(kept) // 1500
    assert sum(int(x["message"].split()[0]) for x in dropped) == 5000 - len(kept)


def test_its_own_output_is_kept_for_a_failure(server):
    """Also output that is no text in UTF-8."""
    con = run(server, "dies", "os.write(1, b'caf\\xe9\\n')\nprint('last words')\nos._exit(3)")
    record = con.history()[0]
    assert record["status"] == "FAILURE" and "status 3" in record["reason"]
    assert "last words" in record["detail"]["output"]


def test_secrets_are_nowhere(server):
    """Said in every way a connector has, and searched for in everything the server keeps or answers."""
    import base64
    import urllib.parse

    con = run(
        server,
        "talker",
        """
        s = configuration["api_key"]
        log.warning("the key is " + s)
        log.warning("quoted " + repr(s) + json.dumps({"k": s}))
        import base64, urllib.parse
        log.warning(base64.b64encode(s.encode()).decode())
        log.warning(urllib.parse.quote(s))
        print(s)
        raise ValueError("failed with " + s)
        """,
        {"api_key": SECRET},
    )
    answers = [str(con.details()), str(con.history()), str(con.logs())]
    forms = [SECRET, base64.b64encode(SECRET.encode()).decode(), urllib.parse.quote(SECRET)]
    server.stop()
    for form in forms:
        assert not any(form in text for text in answers)
        assert form not in server.log
        for folder, _, names in os.walk(server.data):
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    assert form.encode() not in f.read(), os.path.join(folder, name)


def test_the_server_goes_on_beside_them(server):
    endless = server.deploy("endless", {"connector.py": connector("while True: pass")})
    endless.start()
    one = server.deploy("one_row", {"connector.py": ONE_ROW})
    one.sync()
    assert endless.details()["status"]["sync_state"] == "syncing"
    endless.server.ok("POST", endless.path + "/cancel", {})
    assert endless.history()[0]["status"] == "CANCELED"
