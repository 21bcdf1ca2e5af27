"""Output of `search`: two rows per hit on a terminal, one line per hit in a pipe, or JSON."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TextIO

from streamrag_cli.codec import encode, public, to_json
from streamrag_cli.events import AskEvent, Error, Notice, Sources
from streamrag_cli.json_objects import hits_object
from streamrag_cli.model import Source
from streamrag_cli.render.consoles import console_for, has_forced_color
from streamrag_cli.render.error_output import print_error, print_notes
from streamrag_cli.render.machine import write_line
from streamrag_cli.render.source_rows import highlighted, location, notes, print_nearest, print_sources


class Hits:
    """Renders hits. In a pipe, a line consists of `path:line`, score, excerpt and notes, separated by tabs.

    With `full` or `max_chars`, a hit is followed by its whole passage instead of an excerpt, and by an empty line.
    `max_chars` limits the length of passages, including in JSON.
    """

    def __init__(
        self,
        out: TextIO,
        err: TextIO,
        *,
        query: str,
        json: bool,
        jsonl: bool,
        quiet: bool,
        plain: bool,
        full: bool = False,
        max_chars: int | None = None,
        editor_uri: str = "",
    ) -> None:
        self._full = full or max_chars is not None
        self._max_chars = max_chars
        self._editor_uri = editor_uri
        self._out = out
        self._err = err
        self._query = query
        self._json = json
        self._jsonl = jsonl
        self._quiet = quiet
        self._plain = plain or quiet
        self._notices: list[Notice] = []

    def handle(self, event: AskEvent) -> None:
        match event:
            case Sources(sources=sources):
                self._show(sources)
                self._note()
            case Notice():
                self._notices.append(event)  # printed before the hits: they would scroll earlier output off the screen
            case Error():
                if self._json:
                    self._write(hits_object((), query=self._query, notices=self._notices, error=event, paths=True))
                elif self._jsonl:
                    write_line(self._out, to_json(event))
                self._note()
                print_error(self._err, event.message, event.hint)
                if not (self._quiet or self._json or self._jsonl):
                    print_nearest(self._err, event.nearest, editor_uri=self._editor_uri, query=self._query)
            case _:
                pass

    def close(self) -> None:
        """Do nothing: all output is already written."""

    def _note(self) -> None:
        """Print the notices, unless they are part of the JSON object."""
        if not (self._quiet or self._json):
            print_notes(self._err, [each.message for each in self._notices])

    def _show(self, sources: Sequence[Source]) -> None:
        sources = with_texts_cut(sources, self._max_chars)
        if self._json:
            self._write(hits_object(sources, query=self._query, notices=self._notices, paths=True))
        elif self._jsonl:
            for source in sources:
                self._write(public(source))
        elif self._plain or not (self._out.isatty() or has_forced_color(plain=False)):
            self._out.writelines(self._line(source) for source in sources)
            self._out.flush()
        elif (console := console_for(self._out, plain=False)).is_terminal:
            print_sources(
                console,
                sources,
                is_verbose=True,
                has_passages=self._full,
                query=self._query,
                editor_uri=self._editor_uri,
            )
        else:
            from rich.segment import Segments

            for source in sources:
                line = highlighted(self._line(source), self._query)
                console.print(Segments(line.render(console)), soft_wrap=True, end="")  # a Text would lose its tabs

    def _line(self, source: Source) -> str:
        if self._full:
            return f"{location(source)}\t{source.score:.2f}\n{source.text.strip()}\n\n"
        suffix = "".join(f"\t({note})" for note in notes(source))
        return f"{location(source)}\t{source.score:.2f}\t{source.content}{suffix}\n"

    def _write(self, value: object) -> None:
        write_line(self._out, encode(value))


def with_texts_cut(sources: Sequence[Source], max_chars: int | None) -> Sequence[Source]:
    """Cut the sources' texts to at most `max_chars` characters; a text that was cut ends in `…`."""
    if max_chars is None:
        return sources
    return [
        each if len(each.text) <= max_chars else replace(each, text=f"{each.text[: max_chars - 1].rstrip()}…")
        for each in sources
    ]
