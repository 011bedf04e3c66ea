"""Tests of a running server from outside: what it survives, and what it keeps connectors from.

SLUICE_TEST_BIN: bin folder with sluiced and fivetran; SLUICE_FAULT_BIN: the same with the debug build, whose clock can be moved.
"""

from pg_fixtures import *  # noqa: F403  (cluster, pg)

from harness import *  # noqa: F403  (fixtures and the report hook)
