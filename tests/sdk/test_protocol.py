"""The numbers of docs/protocol.md, of the Python table and of the C encoder are the same."""

import os
import re

import pytest
from conftest import FORCED

import wire
from fivetran_connector_sdk import _protocol

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "protocol.md")


def page():
    with open(PAGE, encoding="utf-8") as file:
        return file.read()


def rows(pattern):
    return re.findall(pattern, page(), re.MULTILINE)


def test_frames_are_those_of_the_page():
    found = {name: int(number) for number, name in rows(r"^\| (\d+) \| ([A-Z]+) \|")}
    frames = {name: n for n, name in wire.NAMES.items() if name in found}
    assert len(found) >= 25
    cells = {name for name in found if hasattr(_protocol, "CELL_" + name)} - set(frames)
    for name, number in found.items():
        if name not in cells and name not in ("NULL", "LONG", "JSON"):
            table = {"NAIVE_DATETIME": "CELL_NAIVE", "UTC_DATETIME": "CELL_UTC"}
            assert getattr(_protocol, table.get(name, name)) == number, name


def test_cells_are_those_of_the_page():
    names = dict(
        zip(
            "NULL LONG DOUBLE STRING BINARY JSON BIGINT DECIMAL DATE ABSENT".split(),
            [0, 3, 4, 5, 6, 7, 8, 9, 10, 13],
        )
    )
    text = page()
    for name, number in names.items():
        assert re.search(rf"^\| {number} \| {name} \|", text, re.MULTILINE), name
        assert getattr(_protocol, "CELL_" + name) == number
        assert wire.CELLS[number] == name
    assert "| 1 / 2 | false / true |" in text
    assert (_protocol.CELL_FALSE, _protocol.CELL_TRUE) == (1, 2)
    assert "| 11 | NAIVE_DATETIME |" in text and _protocol.CELL_NAIVE == 11
    assert "| 12 | UTC_DATETIME |" in text and _protocol.CELL_UTC == 12


def test_levels_are_those_of_the_page():
    from fivetran_connector_sdk import Logging

    (line,) = rows(r"^Log levels: (.*)\.$")
    assert line == ", ".join(f"{level.value} {level.name}" for level in Logging.Level)


def test_types_are_those_of_the_page():
    (line,) = re.findall(r"Types: ([A-Z_\s]+)\.", page())
    assert line.split() and set(line.split()) == set(_protocol.KINDS) - {"UNDECLARED"}


@pytest.mark.skipif(FORCED == "python", reason="the C encoder is not used")
def test_c_has_the_same_numbers():
    from fivetran_connector_sdk._cframes import NUMBERS

    for name, number in NUMBERS.items():
        table = _protocol.KIND[name[5:]] if name.startswith("KIND_") else getattr(_protocol, name)
        assert table == number, name
    assert sum(name.startswith("KIND_") for name in NUMBERS) == len(_protocol.KINDS) - 1
    assert sum(name.startswith("CELL_") for name in NUMBERS) == 14
