"""Asks the model to rewrite a follow-up question so that it can be searched without its conversation."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

from streamrag_cli.answer.chat_model import ModelLoading, ModelRetractsThinking, ModelRetrying, ModelText, stream_chat
from streamrag_cli.answer.chat_request import AnswerLimits
from streamrag_cli.answer.earlier_turns import earlier_turns
from streamrag_cli.answer.generation import model_endpoint
from streamrag_cli.answer.prompt import Message, turn_messages
from streamrag_cli.answer.shared_resources import SharedResources
from streamrag_cli.errors import StreamragError
from streamrag_cli.model import Question
from streamrag_cli.model_server.endpoint import ModelEndpoint
from streamrag_cli.settings import Settings
from streamrag_cli.text import sanitise, sanitise_line

REWRITE_LIMIT_S: Final = 10.0
_HISTORY_CHARS: Final = 2000
_MAX_CHARS: Final = 1000
_LIMITS: Final = AnswerLimits(tokens=400, seconds=REWRITE_LIMIT_S)
_QUOTES: Final = "\"'`“”„«»*_ "
_INSTRUCTIONS: Final = """\
You rewrite questions for a search engine. The last message contains a question from the conversation above. Rewrite \
it so that it can be understood without the conversation: replace its pronouns, and add what it leaves out. Keep its \
language. If it can be understood already, repeat it. Reply only with the rewritten question, on one line. Never \
answer it."""


class RewriteFailedError(Exception):
    """The question could not be rewritten; the message is the reason."""


async def self_contained_question(question: Question, settings: Settings, resources: SharedResources) -> str:
    """Ask the model to rewrite the question, and return the result on one line. Raises RewriteFailedError.

    Sends one request without retries. It may take `REWRITE_LIMIT_S`, or `settings.timeout_s` if that is less.
    """
    limit_s = min(REWRITE_LIMIT_S, settings.timeout_s)
    try:
        async with asyncio.timeout(limit_s):
            endpoint = await model_endpoint(settings)
            if endpoint is None:
                raise RewriteFailedError("no model is connected")
            reply = await _reply(_prompt(question), endpoint, settings, resources)
    except TimeoutError:
        raise RewriteFailedError(f"the model took longer than {limit_s:g} s") from None
    except StreamragError as error:
        raise RewriteFailedError(sanitise_line(error.message)) from error
    rewritten = _first_line(reply)
    if not rewritten or len(rewritten) > _MAX_CHARS:
        raise RewriteFailedError("the model's reply is not a question")
    return rewritten


def _prompt(question: Question) -> Sequence[Message]:
    earlier = earlier_turns(question.history, chars=_HISTORY_CHARS).turns
    last = f"Rewrite this question: {sanitise(question.text)}"
    return [("system", _INSTRUCTIONS), *turn_messages(earlier), ("user", last)]


async def _reply(
    prompt: Sequence[Message], endpoint: ModelEndpoint, settings: Settings, resources: SharedResources
) -> str:
    """The model's reply, up to the end of the first line that contains text."""
    text = ""
    stream = stream_chat(
        prompt, endpoint=endpoint, timeout_s=settings.timeout_s, client_for=resources.client, limits=_LIMITS
    )
    async with aclosing(stream):
        async for piece in stream:
            match piece:
                case ModelText():
                    text += piece.text
                    if "\n" in text.lstrip():
                        break
                case ModelRetractsThinking():
                    text = ""
                case ModelRetrying(message=message):
                    raise RewriteFailedError(sanitise_line(message))
                case ModelLoading():
                    raise RewriteFailedError("the model server is still loading the model")
                case _:
                    pass
    return text


def _first_line(reply: str) -> str:
    """The first line of the reply that contains text, without the quotation marks and emphasis around it."""
    return next((line for each in reply.splitlines() if (line := sanitise_line(each).strip(_QUOTES))), "")
