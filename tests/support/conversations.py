"""Asks the test model server and collects the pieces of its answer."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from streamrag_cli.answer.chat_model import (
    ModelFinished,
    ModelPiece,
    ModelRetrying,
    ModelText,
    stream_chat,
)
from streamrag_cli.answer.chat_request import AnswerLimits
from streamrag_cli.answer.shared_resources import SharedResources
from streamrag_cli.errors import StreamragError
from streamrag_cli.model_server.endpoint import ModelEndpoint

Result = TypeVar("Result")

_NO_LIMITS = AnswerLimits()
KEY = "sk-test-0123456789abcdef"
_TURNS = 100
QUESTION = [("system", "Answer {briefly}."), ("user", "What is {this}?")]


@dataclass(slots=True, kw_only=True)
class Conversation:
    """The result of one question: pieces, the error that ended the answer, and waits before retries."""

    pieces: list[ModelPiece] = field(default_factory=list)
    error: StreamragError | None = None
    waits_s: list[float] = field(default_factory=list)

    @property
    def tokens(self) -> list[str]:
        return [piece.text for piece in self.pieces if isinstance(piece, ModelText)]

    @property
    def retries(self) -> list[ModelRetrying]:
        return [piece for piece in self.pieces if isinstance(piece, ModelRetrying)]

    @property
    def finished(self) -> ModelFinished | None:
        last = self.pieces[-1] if self.pieces else None
        return last if isinstance(last, ModelFinished) else None

    @property
    def code(self) -> str | None:
        return self.error.code if self.error else None


def converse(
    base_url: str,
    *,
    messages: list[tuple[str, str]] | None = None,
    api_key: str | None = KEY,
    timeout_s: float = 10.0,
    limits: AnswerLimits = _NO_LIMITS,
    on_piece: Callable[[ModelPiece], None] = lambda piece: None,
) -> Conversation:
    """Ask and collect the answer, even if it is incomplete. Waits before retries are recorded and skipped."""
    conversation = Conversation()

    async def note_wait(wait_s: float) -> None:
        conversation.waits_s.append(wait_s)

    async def ask() -> None:
        endpoint = ModelEndpoint(model="some-model", base_url=base_url, api_key=api_key)
        try:
            async with SharedResources() as library:
                stream = stream_chat(
                    messages or QUESTION,
                    endpoint=endpoint,
                    timeout_s=timeout_s,
                    client_for=library.client,
                    limits=limits,
                    sleep=note_wait,
                )
                async with aclosing(stream):
                    async for piece in stream:
                        conversation.pieces.append(piece)
                        on_piece(piece)
        except StreamragError as error:
            conversation.error = error

    run_cleanly(ask())
    return conversation


def stream_from(base_url: str, *, timeout_s: float = 10.0) -> AsyncGenerator[ModelPiece, None]:
    """The stream of an answer, for tests that stop it early."""
    endpoint = ModelEndpoint(model="some-model", base_url=base_url, api_key=KEY)
    return _with_new_resources(endpoint, timeout_s)


async def _with_new_resources(endpoint: ModelEndpoint, timeout_s: float) -> AsyncGenerator[ModelPiece, None]:
    async with SharedResources() as resources:
        stream = stream_chat(QUESTION, endpoint=endpoint, timeout_s=timeout_s, client_for=resources.client)
        async with aclosing(stream):
            async for piece in stream:
                yield piece


def run_cleanly(conversation: Coroutine[Any, Any, Result]) -> Result:
    """Like `asyncio.run`, but fail if a task is still running afterwards or the event loop reported an error."""
    errors: list[dict[str, Any]] = []

    async def watched() -> Result:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        result = await conversation
        for _ in range(_TURNS):
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if not left:
                break
            await asyncio.sleep(0)
        assert not left, left
        return result

    result = asyncio.run(watched())
    assert errors == []
    return result
