"""What a table holds after a stream of operations, the obvious way: one after the other, in a dict.

Rows are dicts of the values given; a column that is not there is NULL. Two keys are one if their `identity` is.
"""

import json

FIELDS = ("inserted", "updated", "deleted", "unchanged")


def plain(value):
    """A value as it compares: JSON by value, NaN equal to NaN."""
    if isinstance(value, str) and type(value) is not str:
        return ("json", json.dumps(json.loads(value), sort_keys=True))
    if isinstance(value, (dict, list)):
        return ("json", json.dumps(value, sort_keys=True))
    if isinstance(value, float) and value != value:
        return "nan"
    return value


class Row:
    def __init__(self, values, deleted=False):
        self.values = values
        self.deleted = deleted

    def same(self, other):
        if other is None or self.deleted != other.deleted:
            return False
        names = set(self.values) | set(other.values)
        return all(plain(self.values.get(n)) == plain(other.values.get(n)) for n in names)


class Table:
    """A table with a key."""

    def __init__(self, key, identity=lambda value: value):
        self.key = tuple(key)
        self.identity = identity
        self.rows = {}
        self.begin()

    def of(self, values):
        return tuple(self.identity(values.get(k)) for k in self.key)

    # ---- one transaction

    def begin(self):
        self.before = {k: Row(dict(r.values), r.deleted) for k, r in self.rows.items()}
        self.touched = set()  # keys that an operation of this transaction found or made
        self.calls = 0
        self.truncated = False

    def changes(self):
        """Keys whose row is not what it was at begin()."""
        return {k for k, r in self.rows.items() if not r.same(self.before.get(k))}

    def counts(self):
        """What the engine must count for this transaction, applied whole."""
        n = dict.fromkeys(FIELDS, 0)
        for k, row in self.rows.items():
            old = self.before.get(k)
            if row.same(old):
                n["unchanged"] += k in self.touched
            elif row.deleted and not (old and old.deleted):
                n["deleted"] += 1
            elif old is None and not row.deleted:
                n["inserted"] += 1
            else:
                n["updated"] += 1
        # Calls that are not the one that decided their key's row: folded into another, or without a row.
        n["rest"] = self.calls - len(self.touched)
        return n

    # ---- operations

    def upsert(self, values):
        k = self.of(values)
        self.calls += 1
        self.touched.add(k)
        self.rows[k] = Row({c: v for c, v in values.items() if c not in self.key})

    def update(self, values):
        k = self.of(values)
        self.calls += 1
        row = self.rows.get(k)
        if row is not None and not row.deleted:
            self.touched.add(k)
            row.values.update((c, v) for c, v in values.items() if c not in self.key)

    def delete(self, values):
        k = self.of(values)
        self.calls += 1
        row = self.rows.get(k)
        if row is not None and not row.deleted:
            self.touched.add(k)
            row.deleted = True

    def truncate(self):
        self.truncated = True
        for row in self.rows.values():
            row.deleted = True
