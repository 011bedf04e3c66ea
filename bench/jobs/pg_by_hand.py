"""What one would write by hand for one table, the rows prepared as COPY BINARY: pg_by_hand.py first|conflict|merge FILE

The table is tester.t of the bench's connector. Prints the seconds from the connection to the commit.
"""

import os
import sys
import time

import psycopg

COLUMNS = "id bigint NOT NULL, name text, amount double precision, active boolean, created_at text"
PLAIN = ["name", "amount", "active", "created_at"]
STAGE = [
    "CREATE TEMP TABLE s (%s) ON COMMIT DROP" % COLUMNS,
    "COPY s FROM STDIN (FORMAT binary)",
]
SET = ", ".join("%s = {0}.%s" % (c, c) for c in PLAIN) + ", _fivetran_synced = now(), _fivetran_deleted = false"  # fmt: skip
DIFFERS = "(%s, t._fivetran_deleted) IS DISTINCT FROM (%s, false)" % (
    ", ".join("t." + c for c in PLAIN),
    ", ".join("{0}." + c for c in PLAIN),
)
WAYS = {
    "first": [
        "CREATE SCHEMA tester",
        "CREATE TABLE tester.t (%s, _fivetran_synced timestamptz, _fivetran_deleted boolean)" % COLUMNS,
        "COPY tester.t FROM STDIN (FORMAT binary)",
        "ALTER TABLE tester.t ADD PRIMARY KEY (id)",
    ],
    "conflict": [
        *STAGE,
        "INSERT INTO tester.t AS t SELECT s.*, now(), false FROM s ON CONFLICT (id) DO UPDATE SET "
        + SET.format("excluded")
        + " WHERE "
        + DIFFERS.format("excluded"),
    ],
    "merge": [
        *STAGE,
        "ANALYZE s",
        "MERGE INTO tester.t AS t USING s ON t.id = s.id WHEN MATCHED AND %s THEN UPDATE SET %s "
        "WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.name, s.amount, s.active, s.created_at, now(), false)"
        % (DIFFERS.format("s"), SET.format("s")),
    ],
}  # fmt: skip

way, path = sys.argv[1], sys.argv[2]
with open(path, "rb") as f:
    data = memoryview(f.read())
began = time.perf_counter()
with psycopg.connect(os.environ["PGURL"]) as con, con.cursor() as cur:
    for sql in WAYS[way]:
        if sql.startswith("COPY"):
            with cur.copy(sql) as copy:
                for at in range(0, len(data), 1 << 17):
                    copy.write(data[at : at + (1 << 17)])
        else:
            cur.execute(sql)
    con.commit()
    print(time.perf_counter() - began)
