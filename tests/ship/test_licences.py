"""The licences of what is in the wheel are in the wheel."""

import os
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "name, words",
    [
        ("LICENSE.duckdb", "DuckDB"),
        ("LICENSE.curl", "Daniel Stenberg"),
        ("LICENSE.libpq", "PostgreSQL Global Development Group"),
        ("LICENSES.libraries", "libjansson-dev"),
    ],
)
def test_licence(name, words):
    top = Path(os.environ["SLUICE_TEST_BIN"]).parent
    (found,) = top.glob("lib/python*/site-packages/fivetran_connector_sdk/lib/" + name)
    assert words in found.read_text("utf-8", "replace")
