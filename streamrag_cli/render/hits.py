"""What `search` prints: a table on a terminal, a line a hit in a pipe, JSON for programs."""

from collections.abc import Sequence
from typing import TextIO

from streamrag_cli.codec import encode, public, to_json
from streamrag_cli.events import Error
from streamrag_cli.json_objects import hits_object
from streamrag_cli.model import Source
from streamrag_cli.render.machine import write_line
from streamrag_cli.render.tables import location, notes, print_sources


def show_hits(
    sources: Sequence[Source],
    *,
    query: str,
    out: TextIO,
    json: bool = False,
    jsonl: bool = False,
    plain: bool = False,
    error: Error | None = None,
) -> None:
    """Print the hits. In a pipe each is `path:line`, score and excerpt, separated by tabs,
    and what `notes` says. `error` is for JSON."""
    if json:
        write_line(out, encode(hits_object(sources, query=query, error=error, paths=True)))
    elif jsonl and error is not None:
        write_line(out, to_json(error))
    elif jsonl:
        for source in sources:
            write_line(out, encode(public(source)))
    elif out.isatty() and not plain:
        from streamrag_cli.render.consoles import console_for

        print_sources(console_for(out, plain=False), sources)
    else:
        for source in sources:
            out.write(f"{location(source)}\t{source.score:.2f}\t{source.content}{_notes(source)}\n")
        out.flush()


def _notes(source: Source) -> str:
    return "".join(f"\t({note})" for note in notes(source))
