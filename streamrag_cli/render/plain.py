"""Prints the answer as plain text, to a pipe or to a terminal that cannot redraw."""

import re
from collections.abc import Collection, Sequence
from typing import TextIO

from streamrag_cli.events import AskEvent, Citations, Done, Error, Sources, Token
from streamrag_cli.model import Source
from streamrag_cli.render.source_rows import location
from streamrag_cli.render.status_output import StatusOutput


class PlainText:
    """Writes each token as it arrives, and a newline after the last one.

    With `stream=False`, the answer is written when it is complete. With `has_footnotes`, the cited sources follow as a
    Markdown list.
    """

    def __init__(self, out: TextIO, status: StatusOutput, *, stream: bool, has_footnotes: bool = False) -> None:
        self._has_footnotes = has_footnotes
        self._sources: tuple[Source, ...] = ()
        self._out = out
        self._status = status
        self._stream = stream
        self._pending: list[str] = []
        self._wrote = False

    def handle(self, event: AskEvent) -> None:
        match event:
            case Token(text=text) if self._stream:
                if not self._wrote:
                    self._status.handle(event)
                self._write(text)
            case Token(text=text):
                self._pending.append(text)
            case Citations() | Done() | Error():
                self._end()
                if isinstance(event, Citations) and self._has_footnotes:
                    self._out.write(footnotes(event, self._sources))
                    self._out.flush()
                self._status.handle(event)
            case _:
                if isinstance(event, Sources):
                    self._sources = event.sources
                if self._wrote:
                    self._out.flush()  # a pipe is block-buffered: keep the order
                self._status.handle(event)

    def close(self) -> None:
        self._end()
        self._status.close()

    def _end(self) -> None:
        if self._pending:
            self._status.handle(Token(text=""))
            self._write("".join(self._pending))
            self._pending = []
        if self._wrote:
            self._write("\n")
            self._wrote = False

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
        self._wrote = True


def footnotes(citations: Citations, sources: Sequence[Source]) -> str:
    """Return the cited sources as a Markdown list for the end of an answer; "" if there are none."""
    cited = {each.n for each in citations.citations}
    listed = source_list([each for each in sources if each.n in cited], doubtful=citations.unsupported)
    return f"\n{listed}\n" if listed else ""


def source_list(sources: Sequence[Source], *, doubtful: Collection[int]) -> str:
    """Return the sources as a Markdown list; "" if there are none.

    A line before the list separates it from a list at the end of the answer.
    """
    items = "\n".join(footnote(each, is_doubtful=each.n in doubtful) for each in sources)
    return f"Sources:\n\n{items}" if items else ""


def footnote(source: Source, *, is_doubtful: bool = False) -> str:
    """Return a Markdown list item with a source's number, location and headings, all escaped.

    The number of a doubtful source is written as `[1?]`.

    >>> footnote(Source(n=1, source="a_b.md", page=None, line_start=7, line_end=9, title="Use > `x` *now*", content="",
    ...                 score=1.0, chunk_id=""))
    '- [1] `a_b.md:7` Use \\\\> \\\\`x\\\\` \\\\*now\\\\*'
    """
    place = location(source)
    fence = "`" * (max(map(len, re.findall("`+", place)), default=0) + 1)
    padding = " " if place.startswith("`") or place.endswith("`") else ""
    title = re.sub(r"([\\`*_\[\]<>#|~&])", r"\\\1", source.title)
    return f"- [{source.n}{'?' if is_doubtful else ''}] {fence}{padding}{place}{padding}{fence} {title}".rstrip()
