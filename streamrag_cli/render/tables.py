"""Prints sources as a table that fits any width."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from streamrag_cli.model import Source

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_MIN_TABLE_COLUMNS: Final = 60
_COPIES_NAMED: Final = 3


def location(source: Source) -> str:
    """The location of a source: `path:line`, `path p. PAGE` for paged documents, or the path."""
    if source.line_start is not None:
        return f"{source.source}:{source.line_start}"
    if source.page is not None:
        return f"{source.source} p. {source.page}"
    return source.source


def notes(source: Source) -> list[str]:
    """Notes on a source: that its file is missing, and the locations of near-duplicates."""
    texts = ["file missing"] if source.path in source.gone_paths else []
    if source.also:
        more = f" and {len(source.also) - _COPIES_NAMED} more" if len(source.also) > _COPIES_NAMED else ""
        texts.append(f"also: {', '.join(source.also[:_COPIES_NAMED])}{more}")
    return texts


def print_sources(console: "Console", sources: Sequence[Source]) -> None:
    """Print the sources in the order of their numbers; on a narrow screen as lines instead of a table."""
    if console.width < _MIN_TABLE_COLUMNS:
        _print_lines(console, sources)
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True, header_style="bold")
    table.add_column("", justify="right", no_wrap=True, width=2)
    table.add_column("source", overflow="fold", ratio=4)
    table.add_column("score", justify="right", no_wrap=True, width=5)
    table.add_column("heading and excerpt", overflow="fold", ratio=6)
    for source in sources:
        excerpt = Text(source.title, style="bold")
        if source.title:
            excerpt.append("\n")
        excerpt.append(source.content, style="not bold dim")
        place = _linked_location(console, source)
        for note in notes(source):
            place.append(f"\n({note})", style="yellow" if source.path in source.gone_paths else "dim")
        table.add_row(Text(str(source.n), style="cyan"), place, Text(f"{source.score:.2f}"), excerpt)
    console.print(table)


def _print_lines(console: "Console", sources: Sequence[Source]) -> None:
    for source in sources:
        line = _linked_location(console, source)
        console.print(
            f"[{source.n}]", line, f"{source.score:.2f}", *(f"({note})" for note in notes(source)), soft_wrap=True
        )


def _linked_location(console: "Console", source: Source) -> "Text":
    """The location; on a terminal, a link to the file."""
    from rich.style import Style
    from rich.text import Text

    shown = Text(location(source))
    if console.is_terminal and source.path:
        from pathlib import Path

        shown.stylize(Style(link=Path(source.path).as_uri()))
    return shown
