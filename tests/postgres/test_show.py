"""`fivetran show --destination FILE`: a read-only look at what was loaded into PostgreSQL."""

import json
import subprocess

import peer
from test_local import run, write


def show(pro, path, *args):
    return subprocess.run(
        [peer.engine(), "show", "--destination", path, *args],
        cwd=pro.path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_tables_rows_and_state(pro, pg):
    path = write(pro, pg.options())
    rows = [{"id": i, "v": "row %d" % i, "none": None} for i in range(450)]
    run(pro, path, rows, {"at": 1}).ok()
    pg.execute("CREATE TABLE tester.theirs (x int)")  # nobody's business
    shown = json.loads(show(pro, path, "--json", "--rows", "1000").stdout)
    assert shown["state"] == {"at": 1}
    (orders,) = shown["tables"]
    assert (orders["schema"], orders["table"], orders["rows"], orders["live_rows"]) == ("tester", "orders", 450, 450)  # fmt: skip
    kinds = {c["name"]: (c["type"], c["key"]) for c in orders["columns"]}
    assert kinds["id"][1] and kinds["v"] == ("text", False)
    assert kinds["_fivetran_synced"][0] == "timestamp with time zone"
    assert len(orders["first_rows"]) == 450
    assert {(r["id"], r["v"]) for r in orders["first_rows"]} == {
        (str(r["id"]), r["v"]) for r in rows
    }
    text = show(pro, path, "orders", "--rows", "2").stdout
    assert "tester.orders: 450 rows" in text and text.count("\n│ ") == 4


def test_nothing_was_loaded_yet(pro, pg):
    shown = show(pro, write(pro, pg.options()))
    assert "no tables yet; state: none" in shown.stdout
    assert pg.rows("SELECT count(*) FROM pg_namespace WHERE nspname = '_sluice'") == [(0,)]


def test_a_server_that_is_not_there(pro, pg):
    shown = show(pro, write(pro, pg.options(port=1)))
    assert shown.returncode != 0 and "127.0.0.1:1" in shown.stderr
