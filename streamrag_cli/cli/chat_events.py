"""Adapts the events of a single question to those of one turn in a chat."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from streamrag_cli.errors import UsageError
from streamrag_cli.events import AskEvent, Notice, QuestionAsked, Sources, Status, as_event
from streamrag_cli.model import Question
from streamrag_cli.text import sanitise


async def with_question_first(
    events: AsyncGenerator[AskEvent, None], question: Question
) -> AsyncGenerator[AskEvent, None]:
    """Yield the events of a turn, beginning with `QuestionAsked` even if the turn fails before the search.

    A `Status` or `Notice` that arrives before `QuestionAsked` is moved after it.
    """
    waiting: list[Status | Notice] = []
    has_begun = False
    async with aclosing(events):
        async for event in events:
            if has_begun:
                yield event
            elif isinstance(event, Status | Notice):
                waiting.append(event)
            else:
                has_begun = True
                yield (
                    event
                    if isinstance(event, QuestionAsked)
                    else _question_event(question, searched=isinstance(event, Sources))
                )
                for earlier in waiting:
                    yield earlier
                if not isinstance(event, QuestionAsked):
                    yield event


def _question_event(question: Question, *, searched: bool) -> QuestionAsked:
    text = sanitise(question.text)
    return QuestionAsked(
        n=question.turn_number, thread=question.thread, text=text, searched_for=(text,) if searched else ()
    )


async def line_too_long() -> AsyncGenerator[AskEvent, None]:
    """Yield the single event for a line that was too long to be read completely."""
    yield as_event(
        UsageError(
            "a line of input is longer than 1 MB",
            code="question_too_long",
            hint='pass long text on stdin: streamrag ask --stdin "QUESTION" < FILE',
        )
    )
