"""What the suite needs of a destination: a Warehouse (its class says what differs there), and a Project that syncs into it.

A destination is a class of its own in a file of its own (on_duckdb.py, on_postgres.py) and one line in destinations.py. It reads its
tables back by other means than ours. Nothing here imports a driver: scripts/docs.py reads the classes for docs/conformance.md.
"""

import datetime as dt
import decimal
import json
import os
import typing

import peer
from peer import Json

SYSTEM = ("_fivetran_synced", "_fivetran_deleted")


class Difference(typing.NamedTuple):
    """Where a destination is not as the others: known, told in the docs, and tested as it is told."""

    words: str  # a sentence for the docs
    stored: typing.Optional[typing.Callable] = (
        None  # what a value of the case becomes; None: the case is not run
    )


class Warehouse:
    name = ""  # as in destination files, test ids and SLUICE_DESTINATIONS
    title = ""
    against = ""  # what the suite runs against, for the docs
    server = False  # spoken to over TCP: the chaos proxy goes in between
    commit = (
        b"COMMIT"  # of a server: what goes up to it at the end of a transaction, and nowhere else
    )
    # Our types → the names columns() gives; DECIMAL stands for its form with numbers.
    types: typing.ClassVar[dict] = {}
    name_max = 255  # bytes of a name
    columns_max = 10000
    value_max = None  # bytes of one value; None: more than the suite tries
    env: typing.ClassVar[dict] = {}  # of the engine; SL_* is read by test builds
    # Case → Difference. A case is a test function's name, or one of values.CASES ("text-nul").
    differs: typing.ClassVar[dict] = {}

    @classmethod
    def missing(cls):
        """Why it cannot be run here and what to install; None if it can."""
        return None

    def start(self):
        """Once a session: the server, or what stands for it."""

    def stop(self):
        """Ends what start() began; also after it failed."""

    def fresh(self, folder):
        """An empty warehouse for one test; `folder` is the project's."""

    def let_go(self):
        """Called before each sync: give back what a reader holds."""

    def options(self):
        """The destination file's object; None: the command's default."""
        return None

    def address(self):
        """Of a server: (host, port), which the proxy stands in front of; options "host" and "port" lead to the proxy."""
        raise NotImplementedError

    # ---- reading, and meddling, by other means than ours

    def columns(self, schema, table):
        """{column: type as the warehouse says it}, in order, system columns included."""
        raise NotImplementedError

    def rows(self, schema, table):
        """Rows as dicts. Values are Python's own; JSON is peer.Json."""
        raise NotImplementedError

    def tables(self):
        """("schema", "table") of all that is no system's and not in _sluice, sorted."""
        raise NotImplementedError

    def state(self, connection="tester"):
        """The committed state's text; None if there is none."""
        raise NotImplementedError

    def history(self, connection="tester"):
        """Texts of the states committed, oldest first."""
        raise NotImplementedError

    def execute(self, sql):
        """What a user might do."""
        raise NotImplementedError

    def settle(self):
        """Wait until no session of an engine is left, so that what one had begun is done or undone."""

    def leftovers(self):
        """What a sync should have taken away: staging tables, sessions."""
        return []

    def quote(self, name):
        return '"%s"' % name.replace('"', '""')

    def native(self, kind):
        """Our type, as columns() names it."""
        base, _, numbers = kind.partition("(")
        made = self.types[base]
        return "%s(%s" % (made, numbers) if numbers and "(" not in made else made

    def keep(self, case, value):
        """What a value of this case is expected back as."""
        difference = self.differs.get(case)
        return difference.stored(value) if difference and difference.stored else value


class Project(peer.Project):
    """A connector's folder, with a destination file if the destination wants one."""

    def __init__(self, path, warehouse, binary, env=None, naming=None):
        super().__init__(path, binary, {**warehouse.env, **(env or {})}, naming)
        self.to = warehouse
        self.through = {}  # options that differ from the warehouse's own: the proxy's address
        warehouse.fresh(self.path)
        if warehouse.options() is not None:
            self.mirror = os.path.join(self.path, "files", "state.destination.json")

    def sync(self, env=None, **more):
        self.let_go()
        options = self.to.options()
        if options is not None:
            more["destination"] = os.path.join(self.path, "destination.json")
            with open(more["destination"], "w") as f:
                json.dump({**options, **self.through}, f)
        more.setdefault("naming", self.naming)
        return peer.Sync(self.path, binary=self.binary, env={**self.env, **(env or {})}, **more)

    def let_go(self):
        self.to.let_go()

    def query(self, sql, *values):
        raise TypeError("a test of this suite knows no SQL")

    def columns(self, name, schema="tester"):
        have = self.to.columns(schema, name)
        return {c: t for c, t in have.items() if c not in SYSTEM}

    def cells(self, name, schema="tester"):
        return self.to.rows(schema, name)

    def rows(self, name, *columns, schema="tester"):
        """Rows as tuples of these columns, in some fixed order; of all but _fivetran_synced if none is named."""
        columns = columns or [c for c in self.to.columns(schema, name) if c != "_fivetran_synced"]
        return sorted(
            (tuple(row[c] for c in columns) for row in self.cells(name, schema)), key=repr
        )

    def by(self, column, name, schema="tester"):
        """{value of this column: row}"""
        found = self.cells(name, schema)
        made = {row[column]: row for row in found}
        assert len(made) == len(found), "%s of %s is there twice" % (column, name)
        return made

    def synced(self, name, key="id"):
        return {row[key]: row["_fivetran_synced"] for row in self.cells(name)}

    def tables(self):
        return self.to.tables()

    def state(self):
        return self.to.state()

    def settle(self):
        self.to.settle()

    def leftovers(self):
        return [*super().leftovers(), *self.to.leftovers()]


def plain(value):
    """A value as it compares: its type counts, NaN is NaN, -0.0 is not 0.0, JSON compares by value."""
    if isinstance(value, Json):
        return ("json", canonical(value))
    if isinstance(value, float):
        return ("float", repr(value))
    if isinstance(value, dt.datetime):
        return ("utc" if value.tzinfo else "naive", value)
    return (type(value).__name__, value)


def number(text):
    """1, 1.0 and 1e0 are one number; 15 digits too many are not."""
    value = decimal.Decimal(text)
    return {"\0number": str(value.normalize(decimal.Context(prec=5000)) if value else 0)}


def canonical(text):
    """JSON with its numbers by value and its members in order."""
    return json.dumps(json.loads(text, parse_int=number, parse_float=number), sort_keys=True)


def short(value, most=90):
    text = repr(value)
    return text if len(text) <= most else "%s… (%d)" % (text[:most], len(text))
