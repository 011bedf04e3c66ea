"""Fixtures: every test of the encoder runs on the pure one and on the C one."""

import importlib.util
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
# The installed package if there is one; else the tree, where the C module must have been built by hand.
if importlib.util.find_spec("fivetran_connector_sdk") is None:
    sys.path.insert(0, os.path.join(HERE, "..", "..", "python"))

import wire  # noqa: E402

FORCED = os.environ.get("SLUICE_FRAMES", "")
ENCODERS = {"python": "_frames", "c": "_cframes"}


def load_encoder(name):
    return importlib.import_module(f"fivetran_connector_sdk.{ENCODERS[name]}").Encoder


def never(*args):
    raise AssertionError("called")


class Rig:
    """An encoder that keeps its bytes, with the tables of a schema()."""

    def __init__(self, name, schema=(), fd=-1, on_stop=never, on_durable=never):
        from fivetran_connector_sdk._catalog import Catalog
        from fivetran_connector_sdk._schema import check_schema
        from fivetran_connector_sdk._values import Tally

        self.name = name
        self.catalog = Catalog(Tally(), check_schema(list(schema)))
        self.encoder = load_encoder(name)(fd, self.catalog, on_stop, on_durable)

    def __getattr__(self, name):
        return getattr(self.encoder, name)

    def frames(self):
        return list(wire.decode(self.encoder.take()))

    def cell(self, value, kind=None, **options):
        """Send one value in one column, return its (tag, value)."""
        columns = {"c": kind} if kind else {}
        rig = Rig(self.name, [{"table": "t", "columns": columns, **options}])
        assert rig.upsert("t", {"c": value}) == ()
        self.last = rig
        self.last_frames = rig.frames()
        (row,) = wire.Reader().feed(self.last_frames).rows("t")
        return row["c"]

    def notes(self):
        """The warnings that followed the value of cell()."""
        return [frame.text for frame in self.last_frames if frame.name == "LOG"]


@pytest.fixture(params=[FORCED] if FORCED else list(ENCODERS))
def frames(request):
    """The name of an encoder: "c" or "python"."""
    return request.param


@pytest.fixture
def rig(frames):
    return Rig(frames)


@pytest.fixture
def new_rig(frames):
    return lambda *args, **options: Rig(frames, *args, **options)
