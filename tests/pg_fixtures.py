"""Fixtures of the suites that need PostgreSQL: a private server, and an empty database in it for each test.

In a suite's conftest.py: from pg_fixtures import *
"""

import os

import pg as postgres
import pytest

__all__ = ["cluster", "need_postgresql", "pg"]


def need_postgresql():
    """Skips where none is installed; in CI that is a failure."""
    reason = postgres.missing()
    if reason and os.environ.get("CI"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def cluster():
    need_postgresql()
    with postgres.Cluster() as made:
        yield made


@pytest.fixture
def pg(cluster):
    cluster.let_go()
    cluster.execute('DROP DATABASE IF EXISTS "app" WITH (FORCE)', "postgres")
    cluster.execute('CREATE DATABASE "app"', "postgres")
    return cluster
