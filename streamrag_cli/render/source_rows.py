"""Prints sources: as rows on a terminal, as complete lines elsewhere."""

import textwrap
from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, TextIO

from streamrag_cli.documents.formats import has_row_places, page_name, text_kind
from streamrag_cli.model import Source
from streamrag_cli.render.consoles import console_for, print_line
from streamrag_cli.render.links import uri_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WEAK_SCORE: Final = 0.5
"""Sources below this score are marked as weak matches."""
_COPIES_NAMED: Final = 3
_LEAST_HEADING_COLUMNS: Final = 12
_LEAST_COLUMNS: Final = 20
"""Below this width, locations are not shortened, and the terminal wraps them."""
_GAP: Final = "   "


def location(source: Source) -> str:
    """Return the location: `path:line`, `path p. PAGE`, `path slide NUMBER`, `path sheet NAME, row N`, or the path."""
    if source.line_start is not None:
        return f"{source.source}:{source.line_start}"
    if source.page is not None:
        return f"{source.source} {_page(source)}"
    if has_row_places(PurePosixPath(source.source)):
        return f"{source.source} {source.title.rpartition(' > ')[2]}"
    return source.source


def _page(source: Source) -> str:
    return f"{page_name(PurePosixPath(source.source))} {source.page}"


def notes(source: Source) -> list[str]:
    """Return the notes on a source: its collection if several were searched, a missing file, and near-duplicates."""
    texts = [f"in {source.collection}"] if source.collection else []
    texts += ["file missing"] if source.path in source.gone_paths else []
    if source.also:
        more = f" and {len(source.also) - _COPIES_NAMED} more" if len(source.also) > _COPIES_NAMED else ""
        texts.append(f"also: {', '.join(source.also[:_COPIES_NAMED])}{more}")
    return texts


def print_nearest(
    err: TextIO, sources: Sequence[Source], *, plain: bool = False, editor_uri: str = "", query: str = ""
) -> None:
    """Print the closest sources if none is relevant to the question."""
    if not sources:
        return
    console = console_for(err, plain=plain)
    print_line(console, "closest matches, probably not relevant:")
    print_sources(console, sources, is_verbose=console.is_terminal, editor_uri=editor_uri, query=query)


def print_sources(
    console: "Console",
    sources: Sequence[Source],
    *,
    is_verbose: bool = False,
    max_rows: int | None = None,
    editor_uri: str = "",
    query: str = "",
    has_passages: bool = False,
) -> None:
    """Print one row per source, and its excerpt as well if `is_verbose`, with the words in `query` in bold.

    With `has_passages`, print whole passages instead of excerpts, indented and separated by empty lines.

    If there are more than `max_rows` sources, the last row counts the rest. A console that is not a terminal gets
    complete lines without alignment.
    """
    from rich.text import Text

    is_cut = max_rows is not None and len(sources) > max_rows
    shown = sources[: max_rows - 1] if is_cut and max_rows is not None else sources
    for row in rows(
        console, shown, is_verbose=is_verbose, editor_uri=editor_uri, query=query, has_passages=has_passages
    ):
        console.print(row, soft_wrap=True)
    if is_cut:
        console.print(Text(f"    {len(sources) - len(shown)} more; -v shows all"), soft_wrap=True)


def rows(
    console: "Console",
    sources: Sequence[Source],
    *,
    is_verbose: bool = False,
    has_brackets: bool = False,
    doubtful: Collection[int] = (),
    editor_uri: str = "",
    query: str = "",
    has_passages: bool = False,
) -> list["Text"]:
    """Return the rows for these sources. With `has_brackets`, numbers are written as `[1]`, or `[1?]` if doubtful."""
    from rich.cells import cell_len
    from rich.text import Text

    if not console.is_terminal:
        plain = (_plain_lines(each, is_verbose=is_verbose, is_doubtful=each.n in doubtful) for each in sources)
        return [Text(line) for lines in plain for line in lines]
    columns = console.width - 1  # some terminals wrap a row that fills the last column
    labels = [
        f"[{source.n}{'?' if source.n in doubtful else ''}]" if has_brackets else f"{source.n:>2}" for source in sources
    ]
    gap = " " if has_brackets else "  "
    label_columns = max(map(len, labels), default=0) + len(gap)
    room = columns - label_columns
    places = [location(source) for source in sources]
    if room >= _LEAST_COLUMNS:
        widest = min(room, _location_columns(places, room * 3 // 5))
        shorter = [shortened_path(place, widest) for place in places]
        has_headings = room - max(map(cell_len, shorter), default=0) - len(_GAP) >= _LEAST_HEADING_COLUMNS
        places = shorter if has_headings else [shortened_path(place, room) for place in places]
    location_columns = max(map(cell_len, places), default=0)
    result = []
    for label, place, source in zip(labels, places, sources, strict=True):
        row = Text()
        row.append(label, style="cyan")
        row.append(gap + " " * (label_columns - len(gap) - len(label)))
        row.append_text(_linked(place, uri_of(source, editor_uri)))
        rest = room - location_columns - len(_GAP)
        if rest >= _LEAST_HEADING_COLUMNS and (heading := _heading(source, rest, is_verbose=is_verbose)):
            row.append(" " * (location_columns - cell_len(place)) + _GAP)
            row.append_text(heading)
        elif source.path in source.gone_paths:
            row.stylize("red")
        result.append(row)
        indent = " " * label_columns
        if has_passages:
            lines = (f"{indent}{line}".rstrip() for line in _wrapped(source, room))
            result += [*(highlighted(line, query) for line in lines), Text()]
        elif is_verbose and source.content:
            result.append(highlighted(indent + cut(_with_ellipsis(source.content), room), query))
    return result


def _with_ellipsis(excerpt: str) -> str:
    """Write the end of a cut excerpt like that of a cut row."""
    return f"{excerpt.removesuffix('...')}…" if excerpt.endswith("...") else excerpt


def _wrapped(source: Source, columns: int) -> Iterator[str]:
    """The lines of the passage; long lines are wrapped at words, except in code."""
    is_code = text_kind(PurePosixPath(source.source)) == "code"
    is_fenced = False
    for line in source.text.strip("\n").split("\n"):
        is_fenced ^= line.startswith("```")
        if is_code or is_fenced or len(line) <= columns or line[:1].isspace():
            yield line
        else:
            yield from textwrap.wrap(line, max(columns, 1), break_long_words=False, break_on_hyphens=False)


def _location_columns(places: Sequence[str], usual: int) -> int:
    """Return the width of the location column: at most `usual`, unless a file name is longer."""
    from rich.cells import cell_len

    names = (cell_len(place.rpartition("/")[2]) + 2 * ("/" in place) for place in places)
    return min(max(map(cell_len, places), default=0), max(usual, *names, 0))


def highlighted(text: str, query: str, *, style: str = "") -> "Text":
    """Return the text with the words of `query` in bold."""
    from rich.text import Text

    from streamrag_cli.retrieval.matched_words import matched_spans  # imports the stemmer

    highlighted = Text(text, style=style)
    for start, end in matched_spans(text, query):
        highlighted.stylize("bold not dim", start, end)
    return highlighted


def _plain_lines(source: Source, *, is_verbose: bool, is_doubtful: bool) -> list[str]:
    suffix = "".join(f" ({note})" for note in notes(source))
    line = f"[{source.n}{'?' if is_doubtful else ''}] {location(source)}{suffix}"
    if not is_verbose:
        return [line]
    return [
        f"{line} {source.score:.2f} {source.title}".rstrip(),
        *([f"    {source.content}"] if source.content else []),
    ]


def _heading(source: Source, columns: int, *, is_verbose: bool) -> "Text":
    """Return the last heading, followed by the notes and the score, in at most `columns` columns.

    The heading is shortened to fit, and its slide number is left out. The score is included if it is weak or if
    `is_verbose` is True.
    """
    from rich.cells import cell_len
    from rich.text import Text

    is_missing = source.path in source.gone_paths
    note = "; ".join(notes(source))
    if cell_len(note) > columns // 2:
        copies = f"{len(source.also)} {'copy' if len(source.also) == 1 else 'copies'}"
        shorter = [
            f"in {source.collection}" if source.collection else "",
            "file missing" * is_missing,
            copies * bool(source.also),
        ]
        note = "; ".join(filter(None, shorter))
    parts = [f"({note})"] if note else []
    if is_verbose:
        parts.append(f"{source.score:.2f}")
    elif source.score < WEAK_SCORE:
        parts.append(f"(weak, {source.score:.2f})")
    while len(parts) > 1 and cell_len("  ".join(parts)) > columns:
        parts.pop()
    suffix = "".join(f"  {part}" for part in parts)
    room = columns - cell_len(suffix)
    headings = source.title
    if has_row_places(PurePosixPath(source.source)):  # the last heading is in the location
        headings = headings.rpartition(" > ")[0]
    heading = headings.rpartition(" > ")[2].removeprefix(f"{_page(source).capitalize()}: ")
    if repeats_path(heading, source.source):
        heading = ""
    title = cut(heading, room) if room > 1 else ""
    text = Text(title)
    text.append(suffix if title else cut(suffix.lstrip(), columns), style="red" if is_missing else "")
    return text


def repeats_path(heading: str, path: str) -> bool:
    """Whether a heading is only the end of the path without its suffix, as the title of a document without headings.

    >>> repeats_path("house/insurance", "docs/house/insurance.txt"), repeats_path("Insurance", "insurance.txt")
    (True, False)
    """
    stem = str(PurePosixPath(path).with_suffix("")) if path.strip("/. ") else path
    return f"/{stem}".endswith(f"/{heading}")


def shortened_path(place: str, columns: int) -> str:
    """Shorten a location on the left, if possible at a directory, so that the file name stays whole.

    >>> [shortened_path("docs/guides/agents.md:99", columns) for columns in (24, 21, 14, 9)]
    ['docs/guides/agents.md:99', '…/guides/agents.md:99', '…/agents.md:99', '…ts.md:99']
    """
    from rich.cells import cell_len

    if cell_len(place) <= columns:
        return place
    folders, _, name = place.rpartition("/")
    names = folders.split("/") if folders else []
    for start in range(1, len(names) + 1):
        shorter = "/".join(["…", *names[start:], name])
        if cell_len(shorter) <= columns:
            return shorter
    while name and cell_len(name) + 1 > columns:
        name = name[1:]
    return f"…{name}"


def cut(text: str, columns: int) -> str:
    """Shorten text to a width, at a word if possible.

    >>> cut("Agent delegation and dependencies", 20), cut("Agent", 20), cut("Abcdefghij", 5)
    ('Agent delegation…', 'Agent', 'Abcd…')
    """
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= columns:
        return text
    shorter = set_cell_size(text, max(columns - 1, 0)).rstrip()
    if text[len(shorter) : len(shorter) + 1].strip() and " " in shorter[len(shorter) // 2 :]:
        shorter = shorter.rpartition(" ")[0]
    return f"{shorter.rstrip(' ,;:.')}…"


def _linked(place: str, uri: str) -> "Text":
    """Return the location, as a link if there is a URI."""
    from rich.style import Style
    from rich.text import Text

    return Text(place, style=Style(link=uri)) if uri else Text(place)
