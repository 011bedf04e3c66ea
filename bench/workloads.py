"""The rows of the benches: deterministic, generated as they are asked for, with the stdlib only.

rows(work, n)     iterator of dicts to upsert; the key is "id"
deletes(work, n)  iterator of keys to delete (W5 only)

W1   5 columns: integer key, text of about 20 characters, float, boolean, ISO time
W1C  W1 with every row changed (the re-sync of 5 million)
W1P  n changed rows, spread over a W1 table of BASE rows
W2   50 columns of all kinds
W3   a nested document of about 350 bytes of JSON
W4   W1 again: nothing changed
W5   n upserts over a W1 table of BASE rows, half new, half changed and spread over the table; n/10 deletes
W6   strings of 1 MiB
W8   UUID text keys in random order, one row in twenty repeats an earlier key
W8R  the rows of W8 in another order
"""

import hashlib
import itertools

KEY = "id"
BASE = 1_000_000

_DAYS = ["2024-%02d-%02d" % (m, d) for m in range(1, 13) for d in range(1, 29)]
_CLOCK = ["T%02d:%02d:%02d+00:00" % (s // 3600, s // 60 % 60, s % 60) for s in range(86400)]
_TIMES = [_DAYS[i % 336] + _CLOCK[i * 7919 % 86400] for i in range(86400)]


def _customer(i, salt=0):
    return {
        "id": i,
        "name": f"customer {i} of many",
        "amount": (i + salt) * 0.25,
        "active": i % 3 == 0,
        "created_at": _TIMES[i % 86400],
    }


def _w1(n):
    return map(_customer, range(n))


def _w1c(n):
    return map(_customer, range(n), itertools.repeat(1))


def _w1p(n):
    return map(_customer, range(0, BASE, BASE // n), itertools.repeat(1, n))


def _w2(n):
    times = _TIMES
    integers = [f"col_i{k}" for k in range(15)]
    texts = [f"col_s{k}" for k in range(15)]
    floats = [f"col_f{k}" for k in range(10)]
    booleans = [f"col_b{k}" for k in range(4)]
    instants = [f"col_t{k}" for k in range(5)]
    for i in range(n):
        row = {"id": i}
        for k in integers:
            row[k] = i * 31
        for k in texts:
            row[k] = f"{k} value {i}"
        for k in floats:
            row[k] = i * 0.5
        for k in booleans:
            row[k] = (i & 1) == 0
        for k in instants:
            row[k] = times[i % 86400]
        yield row


def _w3(n):
    for i in range(n):
        user = {
            "id": i,
            "name": f"user {i}",
            "email": f"user{i}@example.com",
            "tags": ["a", "b", "c", "some longer tag"],
        }
        address = {
            "street": f"{i} Main Street",
            "city": "Springfield",
            "zip": "12345",
            "geo": {"lat": 12.5, "lon": -45.25},
        }
        yield {
            "id": i,
            "doc": {
                "user": user,
                "address": address,
                "active": True,
                "score": i * 0.125,
                "note": "the quick brown fox jumps",
                "ts": _TIMES[i % 86400],
            },
        }


def _w5(n):
    half = n // 2
    step = BASE // half
    for k in range(half):
        yield _customer(k * step, 1)
        yield _customer(BASE + k)


def _w6(n):
    base = "".join(chr(97 + k * 7 % 26) for k in range(1 << 20))
    for i in range(n):
        yield {"id": i, "body": f"{i:08d}" + base[8:]}


def _uuid_row(i):
    # Every twentieth row is a later version of an earlier one.
    key = i * 7919 % i if i % 20 == 19 else i
    h = hashlib.blake2b(key.to_bytes(8, "little"), digest_size=16).hexdigest()
    return {
        "id": f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}",
        "name": f"customer {i} of many",
        "amount": i * 0.25,
        "active": i % 3 == 0,
        "created_at": _TIMES[i % 86400],
    }


def _w8(n):
    return map(_uuid_row, range(n))


def _w8r(n):
    # 999,983 is prime: a full cycle through 0..n-1 for any n that is not a multiple of it.
    return (_uuid_row(i * 999_983 % n) for i in range(n))


_ROWS = {
    "W1": _w1,
    "W1C": _w1c,
    "W1P": _w1p,
    "W2": _w2,
    "W3": _w3,
    "W4": _w1,
    "W5": _w5,
    "W6": _w6,
    "W8": _w8,
    "W8R": _w8r,
}


def rows(work, n):
    return _ROWS[work](n)


def deletes(work, n):
    if work == "W5":
        count = n // 10
        step = BASE // (4 * count)
        for k in range(count):
            yield {"id": BASE // 2 + 1 + k * 2 * step}


def distinct(work, n):
    """How many live rows a correct destination has after `work` (W5: after it ran over W1)."""
    if work == "W5":
        gone = {d["id"] for d in deletes(work, n)}
        return BASE + n // 2 - len(gone)
    if work in ("W8", "W8R"):
        return len({i * 7919 % i if i % 20 == 19 else i for i in range(n)})
    return n
