"""How rows lie in the file: what a merge appends, and when a checkpoint tidies up (docs/decisions/0006)."""

from peer import table

SCHEMA = [table("t", ["id"])]


def groups(pro, name="t"):
    """(row groups, rows stored, rows live): dead rows are stored until a checkpoint merges their group with another."""
    (n,) = pro.query(f"SELECT count(DISTINCT row_group_id) FROM pragma_storage_info('tester.{name}')")[0]  # fmt: skip
    (stored,) = pro.query("SELECT estimated_size FROM duckdb_tables() WHERE table_name = ?", name)[0]  # fmt: skip
    return n, stored, len(pro.rows(name, "id"))


def sync(pro, number, rows):
    s = pro.sync(schema=SCHEMA)
    for key, value in rows:
        s.upsert("t", {"id": key, "v": value})
    s.checkpoint({"number": number})
    return s.done().ok()


def test_small_syncs_are_tidied_every_16th_commit(pro):
    for n in range(15):
        sync(pro, n, [(n, "x")])
    assert groups(pro) == (15, 15, 15)
    sync(pro, 15, [(15, "x")])
    assert groups(pro) == (1, 16, 16)
    sync(pro, 16, [(16, "x")])
    assert groups(pro)[0] == 2


def test_a_few_replaced_rows_stay_where_they_are_an_eighth_of_all_does_not(pro):
    sync(pro, 0, [(i, "x") for i in range(1000)])
    result = sync(pro, 1, [(i, "y") for i in range(0, 1000, 20)])
    assert result.rows["updated"] == 50
    assert groups(pro) == (2, 1050, 1000)
    result = sync(pro, 2, [(i, "z") for i in range(0, 1000, 5)])
    assert result.rows["updated"] == 200
    assert groups(pro) == (1, 1000, 1000)


def test_new_keys_between_known_ones(pro):
    """Beyond the largest key: appended; the rest joined. NULL and keys below the largest are not beyond it."""
    sync(pro, 0, [(i, "x") for i in range(0, 100, 2)])
    s = pro.sync(schema=SCHEMA)
    for key, value in [(98, "x"), (99, "new"), (3, "new"), (200, "gone"), (None, "new"), (0, "y"), (101, "new")]:  # fmt: skip
        s.upsert("t", {"id": key, "v": value})
    s.delete("t", {"id": 200})
    s.update("t", {"id": 300, "v": "missed"})
    rows = s.done().ok().rows
    assert (rows["inserted"], rows["updated"], rows["deleted"], rows["unchanged"]) == (4, 1, 1, 1)
    assert pro.query("SELECT id FROM tester.t WHERE v = 'new' ORDER BY ALL") == [(3,), (99,), (101,), (None,)]  # fmt: skip
    assert pro.query("SELECT v, _fivetran_deleted FROM tester.t WHERE id = 200") == [("gone", True)]
    assert pro.query("SELECT count(*), count(DISTINCT id) FROM tester.t") == [(55, 54)]
