"""Records put into a server's store as they would be after weeks of use: what a test has no time to wait for."""

import sqlite3
import uuid

NOW_US = "cast((julianday('now') - 2440587.5) * 86400000000 as integer)"
MINUTE = 60_000_000


class Store:
    """The store of a (running) server. Whatever is not given and must be there is 0."""

    def __init__(self, server):
        self.db = sqlite3.connect(server.data / "sluice.db", timeout=30, isolation_level=None)
        self.now = self.db.execute(f"select {NOW_US}").fetchone()[0]
        self.group = self.db.execute('select id from "group" order by seq').fetchone()[0]
        self.defaults = {}

    def insert(self, table, **values):
        if table not in self.defaults:
            columns = self.db.execute(f'pragma table_info("{table}")').fetchall()
            self.defaults[table] = {c[1]: 0 for c in columns if c[3] and c[1] not in ("seq", "id")}
        row = {"id": str(uuid.uuid4()), **self.defaults[table], **values}
        names = ", ".join(f'"{n}"' for n in row)
        marks = ", ".join("?" * len(row))
        self.db.execute(f'insert into "{table}" ({names}) values ({marks})', list(row.values()))
        return row["id"]

    def connection(self, name, **values):
        """Set up, paused, without code: nothing runs by itself."""
        return self.insert(
            "connection",
            **{
                "id": name,
                "group_id": self.group,
                "service": "connector_sdk",
                "schema": name,
                "created_at": self.now - 9999 * MINUTE,
                "setup_state": "connected",
                "schedule_type": "auto",
                "sync_frequency": 360,
                "paused": 1,
                **values,
            },
        )

    def sync(self, connection, number, **values):
        return self.insert(
            "sync",
            **{
                "connection_id": connection,
                "number": number,
                "status": "SUCCESSFUL",
                "trigger": "schedule",
                "started_at": self.now - 5 * MINUTE,
                "finished_at": self.now - 4 * MINUTE,
                **values,
            },
        )
