"""A server as it looks after weeks of use: connections that are well, paused, broken, syncing, unfinished, each with a history."""

import json

from records import MINUTE, Store

from harness import connector, wait_for

ORDERS = connector(
    """
log.info("reading orders since " + str(state.get("n", 0)))
for n in range(40):
    op.upsert("orders", {"id": n, "customer": f"customer {n % 7}", "total": n * 1.25, "paid": n % 3 > 0})
    op.upsert("order_lines", {"id": n, "order_id": n // 2, "note": None if n % 4 else "a gift"})
log.warning("2 orders have no customer")
log.severe("the source was slow: 4.2 s for one page")
op.checkpoint({"n": state.get("n", 0) + 40})
""",
    schema='[{"table": "orders", "primary_key": ["id"]}, {"table": "order_lines", "primary_key": ["id"]}]',
)
ENDLESS = connector(
    """
n = 0
while True:
    n += 1
    op.upsert("clicks", {"id": n})
    op.checkpoint({"n": n})
    time.sleep(0.02)
"""
)
REASON = "HTTPError: 401 Client Error: Unauthorized for url https://api.example.com/v2/invoices"
HINT = "the API key in the configuration was refused: set a new one on the Setup tab"


def history(st, name, count, last="SUCCESSFUL"):
    """A sync every six hours; some failed, the last as told."""
    for n in range(1, count + 1):
        at = st.now - (count - n) * 360 * MINUTE - 30 * MINUTE
        status = last if n == count else "FAILURE" if n % 5 == 0 else "SUCCESSFUL"
        bad = status.startswith("FAILURE")
        rows = (n * 7919) % 5000
        st.sync(
            name,
            n,
            status=status,
            scheduled_for=at,
            started_at=at,
            finished_at=at + (n * 37 % 50 + 4) * 1_000_000,
            reason=REASON if bad else "it ran out of memory" if status == "RESCHEDULED" else None,
            hint=HINT if bad else None,
            counts=json.dumps({"inserted": rows, "updated": rows // 9, "deleted": rows // 50}),
            stages=json.dumps({"environment": 180_000, "connector": 2_400_000, "engine": 300_000}),
            peak_memory=61 << 20,
            checkpoints=n % 6 + 1,
        )
    st.db.execute("update connection set nsyncs = ? where id = ?", [count, name])


def records(server):
    st = Store(server)
    soon, ago = st.now + 95 * MINUTE, st.now - 30 * MINUTE
    well = {"paused": 0, "next_run_at": soon, "succeeded_at": ago}
    st.db.execute("begin immediate")
    for name in ("crm_contacts", "helpdesk_tickets", "inventory", "web_analytics"):
        st.connection(name, **well)
        history(st, name, 14)
    st.connection("ads_spend", succeeded_at=ago)
    history(st, "ads_spend", 12)
    st.connection(
        "billing_invoices", **{**well, "failed_at": ago, "failures": 1}, setup_state="broken"
    )
    history(st, "billing_invoices", 12, "FAILURE_WITH_TASK")
    st.connection("shop_reviews", **{**well, "failed_at": ago, "failures": 3})
    history(st, "shop_reviews", 12, "FAILURE")
    st.connection("warehouse_stock", **{**well, "next_run_at": st.now - 200 * MINUTE})
    history(st, "warehouse_stock", 9)
    tests = [
        {"title": "Validate configuration", "status": "FAILED", "message": "no value for api_key"}
    ]
    st.connection("payroll", setup_state="incomplete", setup_tests=json.dumps(tests))
    st.db.execute("commit")


def fill(server):
    """Returns the connection that really ran."""
    orders = server.deploy("orders_api", {"connector.py": ORDERS})
    clicks = server.deploy("click_stream", {"connector.py": ENDLESS})
    orders.sync()
    orders.change(sync_frequency=60)
    orders.unpause()
    clicks.start()
    records(server)
    wait_for(
        "click_stream moves rows",
        lambda: any(r["rows"] > 0 for r in server.ok("GET", "/dashboard/health.json")["running"]),
        60,
    )
    return orders


def paths(server, con):
    """{name: address} of every page and tab."""
    found = {
        p: f"/dashboard/{p}" for p in ("connections", "destinations", "alerts", "users", "audit")
    }
    found |= {p: f"/dashboard/{p}" for p in ("health", "account")}
    found["connections_grouped"] = "/dashboard/connections?group=destination&sort=-status"
    found["destination"] = f"/dashboard/destinations/{server.group}"
    found["failing"] = "/dashboard/connections/shop_reviews/status"
    found["pending"] = "/dashboard/connections/payroll/status"
    for tab in tabs(server, con):
        found["tab_" + tab] = f"/dashboard/connections/{con.id}/{tab}"
    return found


def tabs(server, con):
    names = ("status", "logs", "schema", "data", "usage", "setup")
    return [
        t
        for t in names
        if server.call("GET", f"/dashboard/connections/{con.id}/{t}.json").status == 200
    ]
