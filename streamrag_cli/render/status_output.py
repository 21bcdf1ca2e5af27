"""Prints everything except the answer on stderr: sources, notices, timings, errors."""

from collections.abc import Callable, Collection
from typing import Protocol, TextIO

from streamrag_cli.events import AskEvent, Citations, Done, Error, Notice, QuestionAsked, Sources, Token
from streamrag_cli.model import Source
from streamrag_cli.render.consoles import console_for, print_line, size_of
from streamrag_cli.render.error_output import print_error
from streamrag_cli.render.source_rows import cut
from streamrag_cli.render.timings import stage_lines, timings_line


class StatusOutput(Protocol):
    """Shows all events except the tokens of an answer. Callers pass its first token before they print it."""

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
    """Shows the sources as rows, and notices, timings and errors as lines.

    With `has_footnotes`, the cited sources are shown again after the answer. `hides_notice` is called with the code of
    a notice and returns whether to hide it.
    """

    def __init__(
        self,
        err: TextIO,
        *,
        plain: bool,
        is_verbose: bool = False,
        has_footnotes: bool = False,
        hides_notice: Callable[[str], bool] | None = None,
        editor_uri: str = "",
    ) -> None:
        self._err = err
        self._plain = plain
        self._is_verbose = is_verbose
        self._has_footnotes = has_footnotes
        self._hides_notice = hides_notice
        self._editor_uri = editor_uri
        self._sources: tuple[Source, ...] = ()
        self._is_blank_line_due = False

    def handle(self, event: AskEvent) -> None:
        if isinstance(event, Token | Error | Done):
            self._print_blank_line()
        match event:
            case QuestionAsked() if self._err.isatty() and (text := search_line(event)):
                self._line(cut(text, size_of(self._err)[0] - 1))
            case Sources(sources=sources):
                self._sources = sources
                self._print_sources()
            case Citations(citations=citations, unknown=unknown, unsupported=unsupported):
                self._print_footnotes({each.n for each in citations}, unsupported)
                if unknown:
                    markers = " ".join(f"[{n}]" for n in unknown)
                    self._note(f"the answer cites {markers}, but there {_is_or_are(len(self._sources), 'source')}")
                if unsupported:
                    self._note(_unsupported_note(unsupported))
            case Notice(message=message, code=code) if not (self._hides_notice and self._hides_notice(code)):
                self._note(message)
            case Done():
                columns = size_of(self._err)[0] - 1 if self._err.isatty() else None
                self._line(timings_line(event, columns=columns), style="dim")
                is_aligned = console_for(self._err, plain=self._plain).is_terminal
                for line in stage_lines(event.timings.stages or {}, is_aligned=is_aligned):
                    self._line(line, style="dim")
            case Error(message=message, hint=hint):
                print_error(self._err, message, hint)
                self._print_nearest(event)
            case _:
                pass

    def _print_nearest(self, error: Error) -> None:
        if error.nearest:
            from streamrag_cli.render.source_rows import print_nearest

            print_nearest(self._err, error.nearest, plain=self._plain, editor_uri=self._editor_uri)

    def close(self) -> None:
        self._err.flush()

    def _print_sources(self) -> None:
        from streamrag_cli.render.source_rows import print_sources

        if not self._sources:
            return
        console = console_for(self._err, plain=self._plain)
        max_rows = None if self._is_verbose or not console.is_terminal else max(3, size_of(self._err)[1] // 3)
        print_sources(
            console, self._sources, is_verbose=self._is_verbose, max_rows=max_rows, editor_uri=self._editor_uri
        )
        self._is_blank_line_due = console.is_terminal

    def _print_blank_line(self) -> None:
        """Print the blank line that separates the sources and their notes from the following output."""
        if self._is_blank_line_due:
            self._is_blank_line_due = False
            console_for(self._err, plain=self._plain).print()

    def _print_footnotes(self, cited: Collection[int], unsupported: Collection[int]) -> None:
        from streamrag_cli.render.source_rows import rows

        sources = [source for source in self._sources if source.n in cited]
        if not (self._has_footnotes and sources):
            return
        console = console_for(self._err, plain=self._plain)
        self._line("─" * 5, style="dim")
        for row in rows(console, sources, has_brackets=True, doubtful=unsupported, editor_uri=self._editor_uri):
            console.print(row, soft_wrap=True)

    def _note(self, message: str) -> None:
        print_line(console_for(self._err, plain=self._plain), message, label="note: ")

    def _line(self, text: str, *, style: str = "") -> None:
        print_line(console_for(self._err, plain=self._plain), text, style=style)


def search_line(question: QuestionAsked) -> str:
    """Return the queries that were searched as one line; "" if only the question itself was searched."""
    queries = [" ".join(query.split()) for query in question.searched_for]
    typed = " ".join(question.text.split())
    others = [query for query in dict.fromkeys(queries) if query != typed]
    if not others:
        return ""
    return f"{'also searched' if typed in queries else 'searched'} for: {' | '.join(others)}"


def _unsupported_note(numbers: Collection[int]) -> str:
    markers = " ".join(f"[{n}]" for n in numbers)
    if len(numbers) == 1:
        return f"source {markers} may not support a sentence that cites it; check that sentence"
    return f"sources {markers} may not support sentences that cite them; check these sentences"


def _is_or_are(count: int, noun: str) -> str:
    return f"is only 1 {noun}" if count == 1 else f"are only {count} {noun}s"
