"""The questions and answers in one chat, for follow-up questions and for saving to a file."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from streamrag_cli.events import THINKING_SHOWN, AskEvent, Citations, Done, Error, Notice, Sources, Token
from streamrag_cli.history.entry import failure_of
from streamrag_cli.model import Source, Turn
from streamrag_cli.text import sanitise

if TYPE_CHECKING:
    from streamrag_cli.history.reading import LoggedTurn


@dataclass(slots=True, kw_only=True, eq=False)
class Exchange:
    """One question and the part of its answer that was shown.

    `failure` is the message of the error that ended the answer, or "". `notices` are the codes of the answer's notices.
    """

    question: str
    pieces: list[str] = field(default_factory=list)
    sources: tuple[Source, ...] = ()
    cited: tuple[str, ...] = ()
    unsupported: tuple[int, ...] = ()
    is_complete: bool = False
    failure: str = ""
    notices: frozenset[str] = frozenset()

    @classmethod
    def from_log(cls, turn: "LoggedTurn") -> Self:
        """Create an exchange from a logged turn. The log does not contain the sources' excerpts."""
        return cls(
            question=turn.question,
            pieces=[turn.answer],
            sources=tuple(Source(**each, content="") for each in turn.sources),
            cited=tuple(turn.cited),
            unsupported=tuple(turn.unsupported),
            is_complete=turn.state == "complete",
            failure=failure_of(turn.state),
        )

    @property
    def answer(self) -> str:
        return "".join(self.pieces)

    @property
    def turn(self) -> Turn:
        """The turn to which later questions may refer. The citations of an incomplete answer are read from its text."""
        cited = self.cited
        if not self.is_complete and self.sources:
            from streamrag_cli.answer.citations import resolve  # the package is not needed before the first answer

            cited = _ids(resolve(self.answer, self.sources))
        return Turn(question=self.question, answer=self.answer, cited=cited)

    async def observe(self, events: AsyncGenerator[AskEvent, None]) -> AsyncGenerator[AskEvent, None]:
        """Yield the events; each event is added to this exchange before it is yielded."""
        async with aclosing(events):
            async for event in events:
                self._add(event)
                yield event

    def _add(self, event: AskEvent) -> None:
        match event:
            case Sources(sources=sources):
                self.sources = sources
            case Token(text=text):
                self.pieces.append(text)
            case Citations(unsupported=unsupported):
                self.cited, self.unsupported = _ids(event), tuple(unsupported)
            case Done():
                self.is_complete = True
            case Error(message=message):
                self.failure = message
            case Notice(code=code):
                self.notices |= {code}
                if event == THINKING_SHOWN:
                    self.pieces.clear()


def _ids(citations: Citations) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.chunk_id for each in citations.citations))


def as_markdown(exchanges: Sequence[Exchange]) -> str:
    """Return the conversation as Markdown: each question as a heading or quote, its answer and its sources."""
    return "\n\n".join(part for each in exchanges for part in _parts(each)) + "\n"


def _parts(exchange: Exchange) -> list[str]:
    question = sanitise(exchange.question).strip()
    lines = question.splitlines()
    heading = f"## {question}" if len(lines) == 1 else "## Question\n\n" + "\n".join(f"> {line}" for line in lines)
    state = f"*{exchange.failure or 'interrupted before the answer was complete'}*"
    from streamrag_cli.render.plain import source_list

    parts = [
        heading,
        exchange.answer.strip(),
        "" if exchange.is_complete else state,
        source_list(exchange.sources, doubtful=exchange.unsupported),
    ]
    return [part for part in parts if part]
