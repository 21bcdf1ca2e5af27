"""The flags that restrict a question to some documents."""

import time
from dataclasses import replace
from typing import Annotated

import typer

from streamrag_cli.cli.process import Process
from streamrag_cli.model import Filter

In = Annotated[
    list[str] | None,
    typer.Option(
        "--in", metavar="GLOB", help="Use only this file or folder, or files that match a pattern such as '*.md'."
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="DATE", help="Use only files modified since a date (2026-01-31) or within a period (7d)."
    ),
]
Format = Annotated[
    list[str] | None,
    typer.Option("--format", metavar="NAME", help="Use only files with this format or suffix, such as pdf."),
]
Tag = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="Use only documents with this tag; repeat to require several tags."),
]


def filter_from(
    process: Process, within: list[str] | None, since: str | None, formats: list[str] | None, tags: list[str] | None
) -> Filter:
    """Create the filter from the flags, and add these flags to the hints. Raises UsageError `bad_filter`."""
    if within is None and since is None and formats is None and tags is None:
        return Filter()
    from streamrag_cli.documents.filters import FilterWords, pattern_for_paths, read_filter

    words = FilterWords(
        within=[_text(each) for each in within or ()],
        since=None if since is None else _text(since),
        formats=[_text(each) for each in formats or ()],
        tags=[_text(each) for each in tags or ()],
    )
    process.hint_command = replace(process.hint_command, filter=tuple(words.arguments("--")))
    return read_filter(
        words,
        now_s=time.time(),
        pattern_of=lambda written: pattern_for_paths(written, process.working_directory, process.home),
    )


def _text(argument: str) -> str:
    """Replace invalid UTF-8 in an argument."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
