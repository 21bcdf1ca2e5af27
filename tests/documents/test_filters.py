"""The filters that users write are parsed, and invalid filters are rejected."""

from pathlib import Path

import pytest

from streamrag_cli.documents.filters import FilterWords, pattern_for_names, pattern_for_paths, read_filter
from streamrag_cli.errors import UsageError
from streamrag_cli.model import Filter, PathPattern

NOW_S = 1_700_000_000.0
HERE, HOME = Path("/home/ada/work"), Path("/home/ada")


def read(words: FilterWords, prefix: str = "--") -> Filter:
    return read_filter(words, now_s=NOW_S, pattern_of=pattern_for_names, prefix=prefix)


@pytest.mark.parametrize(
    ("written", "path", "name"),
    [
        ("manual", "/home/ada/work/manual", "**/manual"),
        ("manual/", "/home/ada/work/manual", "**/manual"),
        ("./manual/", "/home/ada/work/manual", "manual"),
        ("../*/v?", "/home/ada/*/v?", "../*/v?"),
        (".", "/home/ada/work", "."),
        ("~/notes", "/home/ada/notes", "~/notes"),
        ("/srv/docs/**", "/srv/docs/**", "/srv/docs/**"),
        ("*.md", "/**/*.md", ""),
        ("**", "/home/ada/work/**", "**"),
    ],
)
def test_a_command_line_pattern_is_relative_to_the_working_directory(written: str, path: str, name: str) -> None:
    assert pattern_for_paths(written, HERE, HOME) == PathPattern(path, name)


def test_without_a_working_directory_a_relative_pattern_matches_names() -> None:
    assert pattern_for_paths("manual", None, None) == PathPattern("", "**/manual")


def test_a_pattern_from_an_http_client_never_matches_absolute_paths() -> None:
    written = ["manual", "/etc", "*.md", ".", "../x", "~/notes"]

    assert [pattern_for_names(each) for each in written] == [
        PathPattern("", name) for name in ("manual", "/etc", "**/*.md", "**", "../x", "~/notes")
    ]


def test_the_format_filter_accepts_names_and_suffixes() -> None:
    words = FilterWords(formats=["Markdown", ".TS", "rst"], tags=["#sea", " two words "], since="2d")

    assert read(words) == Filter(
        suffixes=(".md", ".markdown", ".mkd", ".mdown", ".qmd", ".rmd", ".ts", ".rst", ".rest"),
        tags=("sea", "two words"),
        since_ns=(1_700_000_000 - 2 * 24 * 3600) * 1_000_000_000,
        text="--since 2d --format Markdown --format .TS --format rst --tag '#sea' --tag ' two words '",
    )


def test_a_date_is_in_local_time_unless_it_has_a_time_zone() -> None:
    assert read(FilterWords(since="2023-11-14T22:13:20Z")).since_ns == 1_700_000_000 * 1_000_000_000


def test_a_filter_without_values_is_empty() -> None:
    assert read(FilterWords()).is_empty
    assert not read(FilterWords(since="1h")).is_empty


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (FilterWords(since="last week"), "--since: 'last week' is neither a date nor an age", "2026-01-31"),
        (FilterWords(since="-3d"), "--since: '-3d' is neither a date nor an age", "7d"),
        (FilterWords(since="2023-02-30"), "--since: '2023-02-30' is neither a date nor an age", "7d"),
        (
            FilterWords(formats=["markdwn"]),
            "unknown format 'markdwn'",
            "did you mean markdown? Use a suffix such as md, or one of these formats: asciidoc,",
        ),
        (FilterWords(formats=["", "md"]), "unknown format ''", "suffix such as md"),
        (FilterWords(within=["docs", " "]), "--in must not be empty", "omit --in, or"),
        (FilterWords(tags=["#"]), "--tag must not be empty", "omit --tag, or"),
    ],
)
def test_an_invalid_filter_is_rejected_with_a_hint(words: FilterWords, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(words)

    assert (caught.value.message, caught.value.code) == (message, "bad_filter")
    assert hint in caught.value.hint
