"""docs/faults.md matches the tests: every row has a test marked `@pytest.mark.fault("id")`, and every mark a row."""

import ast
import re
from collections.abc import Iterator

from tests.support.command_line import ROOT

PAGE = ROOT / "docs" / "faults.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| id |")
]
IDS = [row[0].strip("`") for row in ROWS]


def marks() -> Iterator[tuple[str, str]]:
    """The test function and id of every `@pytest.mark.fault(...)`."""
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        text = file.read_text(encoding="utf-8")
        if "@pytest.mark.fault(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                        yield from ((node.name, ast.literal_eval(each)) for each in mark.args)


def test_rows_of_the_faults_page_are_complete_and_have_unique_ids() -> None:
    assert [row for row in ROWS if len(row) != 3 or not all(row)] == []
    assert [row[0] for row in ROWS if not re.fullmatch(r"`[a-z0-9]+(-[a-z0-9]+)*`", row[0])] == []
    assert [each for each in IDS if IDS.count(each) > 1] == []


def test_each_row_of_the_faults_page_has_a_marked_test() -> None:
    assert sorted(set(IDS) - {fault for _, fault in marks()}) == []


def test_each_fault_mark_is_on_a_test_and_names_a_row() -> None:
    assert [mark for mark in marks() if mark[1] not in IDS or not mark[0].startswith("test_")] == []


def test_the_faults_page_has_all_its_sections() -> None:
    sections = re.findall(r"^## (\w)\.", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert (sections, len(ROWS) > 40) == (["A", "B", "C", "D", "E"], True)
