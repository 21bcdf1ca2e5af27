"""Generates the answer to a question in a conversation of any length."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Final

from streamrag_cli.answer.clock import Clock
from streamrag_cli.answer.context import Context
from streamrag_cli.answer.earlier_turns import EarlierTurns, earlier_turns
from streamrag_cli.answer.generation import generate
from streamrag_cli.answer.prompt import Message, messages, new_mark
from streamrag_cli.answer.shared_resources import SharedResources
from streamrag_cli.errors import ModelServerError
from streamrag_cli.events import AskEvent, Notice, Token
from streamrag_cli.model import Question, Turn
from streamrag_cli.model_server.endpoint import ModelEndpoint
from streamrag_cli.settings import Settings

_CODE: Final = "history_cut"
_WITHOUT_HISTORY: Final = Notice(
    message="the conversation is too long for the model, so the question is sent without it", code=_CODE
)


async def generate_with_history(
    question: Question,
    context: Context,
    endpoint: ModelEndpoint,
    *,
    settings: Settings,
    clock: Clock,
    resources: SharedResources,
) -> AsyncGenerator[AskEvent, None]:
    """Stream the answer. If the prompt is too long for the model, repeat the request without the conversation."""
    earlier = earlier_turns(question.history, chars=settings.history_chars)
    if settings.history_chars and (notice := _cut_notice(earlier)):
        yield notice
    mark = new_mark()
    question_to_send = replace(question, instructions=_instructions(settings, question))
    stream = partial(
        generate, question, endpoint=endpoint, mark=mark, settings=settings, clock=clock, resources=resources
    )
    has_begun = False
    try:
        async with aclosing(stream(prompt=_prompt(question_to_send, context, earlier.turns, mark))) as events:
            async for event in events:
                has_begun = has_begun or isinstance(event, Token)
                yield event
    except ModelServerError as error:
        if error.code != "context_too_long" or has_begun or not (earlier.turns or context.cited):
            raise
    else:
        return
    yield _WITHOUT_HISTORY
    async with aclosing(stream(prompt=_prompt(question_to_send, context, None, mark))) as events:
        async for event in events:
            yield event


def _instructions(settings: Settings, question: Question) -> str:
    """The instructions from the settings, which are the same for every question, followed by those from a client."""
    return "\n\n".join(filter(None, (settings.instructions, question.instructions)))


def _prompt(question: Question, context: Context, history: Sequence[Turn] | None, mark: str) -> list[Message]:
    """The prompt with the turns in `history`. If `history` is None, the conversation and its passages are left out."""
    is_single = history is None
    return messages(
        question.text,
        context.retrieved.hits if is_single else [*context.retrieved.hits, *context.cited],
        context.texts if is_single else [*context.texts, *context.cited_texts],
        extra=question.extra,
        history=history or (),
        instructions=question.instructions,
        mark=mark,
    )


def _cut_notice(earlier: EarlierTurns) -> Notice | None:
    """The notice that part of the conversation is not sent; None if all of it is sent."""
    left_out = earlier.left_out
    parts = []
    if left_out:
        parts.append("the first turn was left out" if left_out == 1 else f"the first {left_out} turns were left out")
    if earlier.shortened:
        parts.append("long turns were shortened")
    if not parts:
        return None
    return Notice(message=f"the conversation was not sent to the model in full: {', '.join(parts)}", code=_CODE)
