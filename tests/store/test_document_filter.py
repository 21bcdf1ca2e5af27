"""How a filter's patterns match paths and names."""

import time

import pytest

from streamrag_cli.store.document_filter import bounds, matcher

NAMES = (
    "manual/setup.md",
    "manual/v2/setup.md",
    "manual/v2/deep/er/setup.md",
    "manual/setup.md.bak",
    "manuals/setup.md",
    "app/[id]/page.tsx",
    "app/i/page.tsx",
    "notes/2024-05 trip.txt",
)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("manual", {0, 1, 2, 3}),
        ("manual/", {0, 1, 2, 3}),
        ("manual/setup.md", {0}),
        ("manual/*.md", {0}),
        ("manual/*/setup.md", {1}),
        ("manual/**/setup.md", {0, 1, 2}),
        ("manual/v2/**", {1, 2}),
        ("**/*.md", {0, 1, 2, 4}),
        ("**/v?", {1, 2}),
        ("**/[m-n]*/*.txt", {7}),
        ("**/[!0-9]*.txt", set()),
        ("app/[id]/page.tsx", {5, 6}),  # a pattern, and the name of a folder with brackets
        ("app/[]/page.tsx", set()),
        ("notes/[z-a]*", set()),
        ("notes/[!--9]*", set()),  # no warning of a set difference
        ("manual/s.tup.md", set()),
        ("**", set(range(8))),
    ],
)
def test_a_pattern_matches_files_and_everything_below_folders(pattern: str, expected: set[int]) -> None:
    assert {number for number, name in enumerate(NAMES) if matcher(pattern)(name)} == expected


def test_the_bounds_of_a_pattern_contain_every_path_that_it_matches() -> None:
    paths = [f"/{name}" for name in (*NAMES, "manual", "manual!", "manual0")]

    for pattern in ("/manual", "/manual/*.md", "/**/setup.md", "/app/[id]/page.tsx", "/"):
        low, high = bounds(pattern)
        assert [path for path in paths if matcher(pattern)(path) and not low <= path < high] == []
    assert [path for path in paths if bounds("/app/**")[0] <= path < bounds("/app/**")[1]] == [
        "/app/[id]/page.tsx",
        "/app/i/page.tsx",
    ]


@pytest.mark.parametrize("pattern", ["*a" * 200 + "b", "**/" * 100 + "*a*b", "**/a/" * 100 + "b", "[" * 400, "?" * 400])
def test_no_pattern_makes_matching_slow(pattern: str) -> None:
    matches = matcher(pattern)
    started = time.process_time()

    matches("a" * 4000)
    matches("a/" * 2000)

    assert time.process_time() - started < 1
