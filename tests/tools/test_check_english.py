"""tools/check_english.py finds the listed phrases in prose and names, and ignores code."""

from pathlib import Path

import pytest

from tools.check_english import findings, main


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("a.py", "x = 1  # mends the index\n", [(1, "mends")]),
        ("a.py", '"""A file that\nis no\ndirectory."""\n', [(2, "is no")]),
        ("a.py", "# The list is read once\n# more from the disk.\n", [(1, "once more")]),
        ("a.py", "a_path_is_no_file = True\n", [(1, "is no")]),
        ("a.py", "test_what_is_read()\n", [(1, "test what")]),
        ("a.py", 'said = f"told {x}"\n', [(1, "said"), (1, "told")]),
        ("a.py", 'def f():\n    """What the server sent."""\n', [(2, "what")]),
        ("a.md", "The store\nis made anew.\n", [(2, "anew")]),
        ("a.js", "// Nobody reads\n", [(1, "nobody")]),
        ("a.md", "## Where there is none\n", [(1, "where there is none")]),
    ],
)
def test_phrases_are_found_with_their_line_numbers(path: str, source: str, expected: list[tuple[int, str]]) -> None:
    assert [(line, phrase) for line, phrase, _ in findings(path, source)] == expected


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("a.py", "x = [one for one in amendments if one.foretold]\n"),
        ("a.py", '"""There is no index. It is no longer read, and besides, one is enough."""\n'),
        ("streamrag_cli/documents/loaders/pdf.py", "# columns that are side by side\n"),
        ("a.py", '"""The title. It is None if the file has none."""\n'),
        ("a.md", "The answer starts at once, with its sources.\n"),
    ],
)
def test_plain_prose_and_code_pass(path: str, source: str) -> None:
    assert findings(path, source) == []


def test_each_finding_has_a_replacement() -> None:
    assert findings("a.md", "An error is mended.") == [(1, "mended", "fix; repair")]


def test_findings_are_printed_and_the_exit_code_is_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.md").write_text("It stays open\namid a search.\n", encoding="utf-8")
    (tmp_path / "b.md").write_text("It stays open during a search.\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tools.check_english.checked_files", lambda paths: paths)

    codes = [main(["b.md"]), main(["a.md", "b.md"])]

    assert (codes, capsys.readouterr().out) == (
        [0, 1],
        "a.md:2: 'amid': write 'during; in the middle of'\n",
    )
