"""Prints everything except the answer on stderr: sources, notices, timings, errors."""

from typing import Protocol, TextIO

from streamrag_cli.events import AskEvent, Citations, Done, Error, Notice, QuestionAsked, Sources
from streamrag_cli.model import Source
from streamrag_cli.render.consoles import console_for, print_line, size_of
from streamrag_cli.render.error_output import print_error
from streamrag_cli.render.timings import stage_lines, timings_line


class StatusOutput(Protocol):
    """Shows all events except the tokens of the answer."""

    def handle(self, event: AskEvent) -> None: ...

    def close(self) -> None: ...


class ErrorsOnly:
    """Shows only errors."""

    def __init__(self, err: TextIO) -> None:
        self._err = err

    def handle(self, event: AskEvent) -> None:
        if isinstance(event, Error):
            print_error(self._err, event.message, event.hint)

    def close(self) -> None:
        """Do nothing: all output is already written."""


class StatusPanel:
    """Shows the sources as a table, and notices, timings and errors as lines."""

    def __init__(self, err: TextIO, *, plain: bool) -> None:
        self._err = err
        self._plain = plain
        self._sources: tuple[Source, ...] = ()

    def handle(self, event: AskEvent) -> None:
        match event:
            case QuestionAsked() if self._err.isatty() and (text := search_line(event)):
                self._line(_cut(text, size_of(self._err)[0] - 1), style="dim")
            case Sources(sources=sources):
                self._sources = sources
                self._print_sources()
            case Citations(unknown=unknown) if unknown:
                markers = " ".join(f"[{n}]" for n in unknown)
                count = len(self._sources)
                self._note(f"the answer cites {markers}, but there {_is_or_are(count, 'source')}")
            case Notice(message=message):
                self._note(message)
            case Done():
                self._line(timings_line(event), style="dim")
                for line in stage_lines(event.timings.stages or {}):
                    self._line(line, style="dim")
            case Error(message=message, hint=hint):
                print_error(self._err, message, hint)
            case _:
                pass

    def close(self) -> None:
        self._err.flush()

    def _print_sources(self) -> None:
        from streamrag_cli.render.tables import print_sources

        if self._sources:
            print_sources(console_for(self._err, plain=self._plain), self._sources)

    def _note(self, message: str) -> None:
        self._line(f"note: {message}", style="yellow")

    def _line(self, text: str, *, style: str) -> None:
        print_line(console_for(self._err, plain=self._plain), text, style=style)


def search_line(question: QuestionAsked) -> str:
    """The queries that were searched, on one line; "" if only the question itself was searched."""
    queries = [" ".join(query.split()) for query in question.searched_for]
    typed = " ".join(question.text.split())
    others = [query for query in dict.fromkeys(queries) if query != typed]
    if not others:
        return ""
    return f"{'also searched' if typed in queries else 'searched'} for: {' | '.join(others)}"


def _cut(text: str, columns: int) -> str:
    """`text`, cut to this width on the screen; it then ends in `...`."""
    from rich.cells import cell_len, set_cell_size  # already imported by the console

    if cell_len(text) <= columns:
        return text
    return f"{set_cell_size(text, max(0, columns - 3)).rstrip()}..."


def _is_or_are(count: int, noun: str) -> str:
    return f"is 1 {noun}" if count == 1 else f"are {count} {noun}s"
