"""Fixtures: a project folder for the command under test, and one for the build with knobs and crash points."""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import peer  # noqa: E402


@pytest.fixture
def pro(tmp_path):
    with peer.Project(tmp_path / "pro", peer.engine()) as project:
        yield project


@pytest.fixture
def knobs(tmp_path):
    """The build that reads SL_* from its environment."""
    with peer.Project(tmp_path / "pro", peer.fault_engine()) as project:
        yield project
