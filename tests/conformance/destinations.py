"""The destinations the suite knows."""

from on_duckdb import DuckDB
from on_postgres import PostgreSQL

ALL = [DuckDB, PostgreSQL]
