"""Output of `show`: text from a document, which is rendered if it is Markdown and the output is a terminal.

If a single line was requested, its passage is printed without rendering, and the line is marked.
"""

import time
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TextIO

from streamrag_cli.codec import encode, public
from streamrag_cli.documents.formats import has_row_places, inline_markup, page_name, text_kind
from streamrag_cli.documents.row_places import parse_place
from streamrag_cli.events import Notice
from streamrag_cli.json_objects import FORMAT_VERSION
from streamrag_cli.model import Passage
from streamrag_cli.render.consoles import at_words, console_for, size_of
from streamrag_cli.render.error_output import print_notes
from streamrag_cli.render.machine import write_line


def show_passage(
    passage: Passage, notices: Sequence[Notice], out: TextIO, err: TextIO, *, json: bool, plain: bool
) -> None:
    """Print the text on `out`; on a terminal, its location is printed first. Notices are printed on `err`."""
    if json:
        listed = [public(each) for each in notices]
        content = {"version": FORMAT_VERSION, **public(passage, paths=True), "notices": listed, "error": None}
        write_line(out, encode(content))
        return
    is_live = out.isatty() and not plain
    if is_live:
        _print_place(passage, err if err.isatty() else out)
    print_notes(err, [notice.message for notice in notices])
    if is_live and passage.marked:
        _print_marked(passage, out)
    elif is_live and inline_markup(PurePosixPath(passage.path)) == "markdown":
        _render_markdown(passage.text, out)
    else:
        text = passage.text if plain else wrapped_passage(passage.text, passage.path, out)
        out.write(text if text.endswith("\n") or not text else f"{text}\n")
    out.flush()


def wrapped_passage(text: str, path: str, terminal: TextIO) -> str:
    """Add spaces to the lines of a passage so that the terminal wraps them between words.

    Code is returned unchanged; other text too, unless `terminal` is a TTY.
    """
    if not terminal.isatty() or text_kind(PurePosixPath(path)) == "code":
        return text
    columns = size_of(terminal)[0]
    return "\n".join(line if "\t" in line else at_words(line, columns) for line in text.split("\n"))


def place_of(passage: Passage) -> str:
    """Return the name of the document with its lines, page or rows, as sources show it and `show` accepts it."""
    path, heading = PurePosixPath(passage.path), passage.title.rpartition(" > ")[2]
    if passage.line_start is not None:
        end = "" if passage.line_end in {None, passage.line_start} else f"-{passage.line_end}"
        return f"{passage.source}:{passage.line_start}{end}"
    if passage.page is not None:
        return f"{passage.source} {page_name(path)} {passage.page}"
    is_in_sheet = has_row_places(path) and parse_place(heading) is not None
    return f"{passage.source} {heading}" if is_in_sheet else passage.source


def _print_place(passage: Passage, stream: TextIO) -> None:
    from rich.cells import cell_len
    from rich.text import Text

    from streamrag_cli.render.source_rows import cut, repeats_path, shortened_path

    console = console_for(stream, plain=False)
    columns = console.width - 1
    place = place_of(passage)
    row = Text(shortened_path(place, columns), style="cyan")
    room = columns - cell_len(row.plain) - 3
    heading = passage.title.rpartition(" > ")[2]
    if heading and room >= 12 and not place.endswith(heading) and not repeats_path(heading, passage.source):
        row.append(f"   {cut(heading, room)}")
    console.print(row, soft_wrap=True)


def _print_marked(passage: Passage, out: TextIO) -> None:
    """Print the text without rendering, and mark the requested line."""
    from rich.text import Text

    console = console_for(out, plain=False)
    lines = enumerate(passage.text.removesuffix("\n").split("\n"))
    text = "\n".join(f"{'> ' if at in passage.marked else '  '}{line}".rstrip() for at, line in lines)
    for at, row in enumerate(wrapped_passage(text, passage.path, out).split("\n")):
        console.print(Text(row, style="bold" if at in passage.marked else ""), soft_wrap=True)


def _render_markdown(text: str, out: TextIO) -> None:
    from streamrag_cli.render.markdown import MarkdownStream

    console = console_for(out, plain=False)
    columns, lines = size_of(out)
    stream = MarkdownStream(
        out,
        columns=columns,
        lines=lines,
        color_system=console.color_system,  # type: ignore[arg-type]  # never "windows" because legacy_windows is off
        no_color=console.no_color,
    )
    stream.feed(text, time.monotonic())
    stream.finish()
