"""Citation markers are resolved to sources."""

import pytest

from streamrag_cli.answer.citations import cited_numbers, resolve
from streamrag_cli.events import Citations
from streamrag_cli.model import Citation, Source


def source(n: int) -> Source:
    return Source(
        n=n,
        source=f"docs/{n}.md",
        page=None,
        line_start=1,
        line_end=2,
        title="",
        content="",
        score=0.5,
        chunk_id=f"chunk-{n}",
    )


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("So it is [1].", [1]),
        ("Both [2][1], and again [2].", [2, 1]),
        ("All three [1, 2; 3].", [1, 2, 3]),
        ("A link [4](http://x) and a footnote\n\n[5]: http://y", []),
        ("Code `rows[3]` and\n```\nx[1]\n```\nbut prose [2].", [2]),
        ("An index rows[3] is code.", []),
        ("An open fence\n```\nx [1]", []),
        ("None at all.", []),
        ("Too long [1234].", []),
    ],
)
def test_only_markers_in_prose_are_citations(answer: str, numbers: list[int]) -> None:
    assert cited_numbers(answer) == numbers


def test_a_marker_without_a_source_is_reported() -> None:
    assert resolve("Yes [2], surely [9].", [source(1), source(2)]) == Citations(
        citations=(Citation(n=2, source="docs/2.md", chunk_id="chunk-2"),), unknown=(9,)
    )
