"""A sync made of steps, and what its tables must hold whatever happened on the way.

Step k is emitted by every run whose state says "step <= k", followed by the checkpoint {"step": k + 1}. Its rows carry the number of the
run that emitted them, so that a step applied twice, or lost and papered over, shows: after the last run the rows of step k carry
exactly the run that moved the committed state past k.
"""

STEPS = 10
ROWS = 40


def value(step, i):
    """LONG, then DOUBLE, then STRING."""
    return i if step < 4 else i + 0.5 if step < 7 else "text %d" % i


def fresh(step):
    return "fresh_" + "abcdefghij"[step]


SCHEMA = [
    {"table": "keyed", "primary_key": ["id"]},
    {"table": "cut", "primary_key": ["id"]},
    {"table": "wide", "primary_key": ["id"]},
    *({"table": fresh(step), "primary_key": ["id"]} for step in range(STEPS)),
]


def operations(step, run):
    """(operation, table, values) of one step."""
    for i in range(ROWS):
        yield (
            "upsert",
            "keyed",
            {
                "id": step * ROWS + i,
                "step": step,
                "run": run,
                "text": "row %d of step %d" % (i, step),
            },
        )
        row = {"id": step * ROWS + i, "run": run, "v": value(step, i)}
        if step >= 6:
            row["later"] = i % 3 == 0
        yield "upsert", "wide", row
        yield "upsert", "loose", {"step": step, "i": i // 2}
        # A table of this step alone: its rows go ahead of the commit.
        yield "upsert", fresh(step), {"id": i, "step": step, "run": run, "text": "row %d" % i}
    if step:
        before = (step - 1) * ROWS
        for i in range(0, ROWS, 3):
            yield "update", "keyed", {"id": before + i, "run": run, "changed": step}
        for i in range(1, ROWS, 3):
            yield "delete", "keyed", {"id": before + i}
    if step in (5, 8):
        yield "truncate", "cut", None
    for i in range(10):
        yield "upsert", "cut", {"id": i + step, "run": run, "step": step}


def expected(runs):
    """{table: {key: (values, deleted)}} when step k came from run runs[k]."""
    tables = {"keyed": {}, "wide": {}, "cut": {}, "loose": {}}
    tables.update({fresh(step): {} for step in range(STEPS)})
    for step in range(STEPS):
        for what, name, values in operations(step, runs[step]):
            rows = tables[name]
            if what == "truncate":
                for key in rows:
                    rows[key] = (rows[key][0], True)
                continue
            key = values["id"] if "id" in values else (values["step"], values["i"])
            if what == "upsert":
                rows[key] = (dict(values), False)
            elif what == "update" and not rows[key][1]:
                rows[key] = ({**rows[key][0], **values}, False)
            elif what == "delete":
                rows[key] = (rows[key][0], True)
    for rows in tables.values():
        for key, (row, deleted) in rows.items():
            rows[key] = (plain(row), deleted)
    return tables


def plain(row):
    """An integer that was a DOUBLE for some commits in between has the text of one ("5.0"): numbers compare as numbers."""
    if "v" not in row:
        return row
    try:
        return {**row, "v": float(row["v"])}
    except ValueError:
        return row
