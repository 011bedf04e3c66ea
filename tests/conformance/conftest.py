"""One suite, run once per destination. SLUICE_DESTINATIONS=postgres,duckdb takes some only."""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("faults", "engine"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), folder))
sys.path.insert(0, HERE)

import peer  # noqa: E402
import values  # noqa: E402
from warehouse import Project  # noqa: E402

import destinations  # noqa: E402

WANTED = os.environ.get("SLUICE_DESTINATIONS", "").split(",")
CHOSEN = [d for d in destinations.ALL if WANTED == [""] or d.name in WANTED]


@pytest.fixture(scope="session", params=CHOSEN, ids=lambda d: d.name)
def warehouse(request):
    kind = request.param
    reason = kind.missing()
    if reason and os.environ.get("CI"):
        pytest.fail("%s: %s" % (kind.title, reason))
    if reason:
        pytest.skip("%s: %s" % (kind.title, reason))
    made = kind()
    try:
        made.start()
        yield made
    finally:
        made.let_go()
        made.stop()


@pytest.fixture
def pro(warehouse, tmp_path, request):
    """A project that syncs into an empty warehouse."""
    difference = warehouse.differs.get(request.node.originalname)
    if difference and difference.stored is None:
        pytest.skip("%s: %s" % (warehouse.title, difference.words))
    with Project(tmp_path / "pro", warehouse, peer.engine()) as project:
        yield project


@pytest.fixture
def knobs(pro):
    """The same with the build that reads SL_* from its environment."""
    pro.binary = peer.fault_engine()
    return pro


def is_run(item):
    """Faults of the network are for servers (a file's are in tests/faults), long ones for SLUICE_TRIALS."""
    kind = getattr(item, "callspec", None) and item.callspec.params.get("warehouse")
    if kind and not kind.server and {"net", "rig"} & set(item.fixturenames):
        return False
    return bool(os.environ.get("SLUICE_TRIALS")) or not item.get_closest_marker("long_run")


def pytest_collection_modifyitems(config, items):
    """A difference that names no case is a mistake."""
    cases = {i.originalname for i in items} | set(values.CASES)
    for kind in CHOSEN:
        unknown = set(kind.differs) - cases
        if len({i.path for i in items}) > 3 and unknown:
            raise pytest.UsageError("%s: no such cases: %s" % (kind.__name__, sorted(unknown)))
    left_out = [i for i in items if not is_run(i)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [i for i in items if is_run(i)]


def pytest_configure(config):
    config.addinivalue_line("markers", "long_run: only with SLUICE_TRIALS set")
