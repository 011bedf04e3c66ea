"""Fixtures: one private server for the suite, an empty database for each test."""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "engine"))

import peer  # noqa: E402
from pg_fixtures import *  # noqa: E402, F403  (cluster, pg)


@pytest.fixture
def pro(tmp_path):
    with peer.Project(tmp_path / "pro", peer.engine()) as project:
        yield project


@pytest.fixture
def knobs(tmp_path):
    """The build that reads SL_* from its environment."""
    with peer.Project(tmp_path / "pro", peer.fault_engine()) as project:
        yield project
