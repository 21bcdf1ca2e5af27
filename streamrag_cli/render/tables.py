"""Tables: sources, and what a store holds. They fit any width."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from streamrag_cli.model import Source

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_ROOM_FOR_A_TABLE: Final = 60
_COPIES_NAMED: Final = 3


def location(source: Source) -> str:
    """Where to look: `path:line` where the file has lines, else the path and, in a paged document, the page."""
    if source.line_start is not None:
        return f"{source.source}:{source.line_start}"
    if source.page is not None:
        return f"{source.source} p. {source.page}"
    return source.source


def notes(source: Source) -> list[str]:
    """What to know about the source: that its file is gone, where near-copies of it are."""
    found = ["file is gone"] if source.path in source.gone_paths else []
    if source.also:
        more = f" and {len(source.also) - _COPIES_NAMED} more" if len(source.also) > _COPIES_NAMED else ""
        found.append(f"also: {', '.join(source.also[:_COPIES_NAMED])}{more}")
    return found


def print_sources(console: "Console", sources: Sequence[Source]) -> None:
    """The sources in the order of their numbers; on a narrow screen as lines instead of a table."""
    if console.width < _ROOM_FOR_A_TABLE:
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
        what = Text(source.title, style="bold")
        if source.title:
            what.append("\n")
        what.append(source.content, style="not bold dim")
        where = _linked(console, source)
        for note in notes(source):
            where.append(f"\n({note})", style="yellow" if source.path in source.gone_paths else "dim")
        table.add_row(Text(str(source.n), style="cyan"), where, Text(f"{source.score:.2f}"), what)
    console.print(table)


def _print_lines(console: "Console", sources: Sequence[Source]) -> None:
    for source in sources:
        line = _linked(console, source)
        console.print(
            f"[{source.n}]", line, f"{source.score:.2f}", *(f"({note})" for note in notes(source)), soft_wrap=True
        )


def _linked(console: "Console", source: Source) -> "Text":
    """The location, on a terminal as a link to the file."""
    from rich.style import Style
    from rich.text import Text

    shown = Text(location(source))
    if console.is_terminal and source.path:
        from pathlib import Path

        shown.stylize(Style(link=Path(source.path).as_uri()))
    return shown
