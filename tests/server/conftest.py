"""Tests of a running server from outside: what it survives, and what it keeps connectors from.

SLUICE_TEST_BIN: bin folder with sluiced and fivetran; SLUICE_FAULT_BIN: the same with the debug build, whose clock can be moved.
"""

import os

import pytest

from harness import *  # noqa: F403  (fixtures and the report hook)
from harness import start_server


class Clock:
    """The clock of a server of the debug build: a file with the microseconds to add (SL_TIME_FILE)."""

    def __init__(self, path):
        self.path, self.moved = path, 0
        self.forward(0)

    def forward(self, seconds):
        self.moved += int(seconds * 1_000_000)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"{self.moved}\n")
        fresh.rename(self.path)


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path / "clock")


@pytest.fixture
def moved(tmp_path, clock):
    """A server of the debug build whose clock is `clock`."""
    bin_dir = os.environ.get("SLUICE_FAULT_BIN")
    if not bin_dir:
        pytest.fail("SLUICE_FAULT_BIN is not set: name a bin folder with the debug build")
    env = {"SL_TIME_FILE": str(clock.path), "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1"}
    with start_server(tmp_path / "data", bin_dir, env=env) as one:
        yield one
