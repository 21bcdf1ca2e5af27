"""The page of faults names a test for every row, and every test that it names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.command_line import ROOT

PAGE = ROOT / "docs" / "faults.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| condition |")
]


@cache
def functions_of(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_a_row_says_what_happens_and_names_tests_that_exist(row: list[str]) -> None:
    condition, happens, tests = row
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", tests)

    assert condition
    assert happens
    assert named
    assert re.sub(r"`[^`]*`", "", tests).strip() == ""
    assert [name for file, name in named if name not in functions_of(ROOT / file)] == []


def test_all_parts_are_there() -> None:
    parts = re.findall(r"^## (\w)\.", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert (parts, len(ROWS) > 40) == (["A", "B", "C", "D", "E"], True)
