"""Checks the model server with one short question."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from streamrag_cli.answer.chat_model import (
    ModelFinished,
    ModelRetrying,
    ModelText,
    stream_chat,
    warm_up_client,
)
from streamrag_cli.answer.model_choice import choose_endpoint, find_local_servers
from streamrag_cli.answer.shared_resources import SharedResources
from streamrag_cli.doctor.findings import Finding, ok, warning
from streamrag_cli.model_server.endpoint import ModelEndpoint
from streamrag_cli.model_server.errors import shown_model
from streamrag_cli.settings import Settings

_QUESTION: Final = (("user", "Count from 1 to 20."),)
_PIECES: Final = 2  # two pieces prove that the server streams; cancelling the request saves the cost of the rest
_NOT_STREAMED_MS: Final = 1000.0  # a single piece that arrives earlier may come from a fast server


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """Measurements of the answer. `complete` is True if the answer ended before the request was cancelled."""

    first_token_ms: float
    pieces: int
    retries: int
    complete: bool


def check_model(settings: Settings) -> Iterator[Finding]:
    """Ask the model one short question. Raises the errors that `choose_endpoint` and `stream_chat` raise."""
    endpoint = choose_endpoint(
        model=settings.model,
        base_url=settings.base_url,
        api_key=settings.api_key,
        timeout_s=settings.timeout_s,
    )
    if endpoint is None:
        yield ok("model", f"not configured, so answers are quotes; {_local_servers()}")
        return
    warm_up_client(endpoint.scheme)  # the client's imports must not count as the server's time
    reply = asyncio.run(_ask(endpoint, timeout_s=settings.timeout_s))
    model = f"{shown_model(endpoint.model)} at {endpoint.address}"
    first_token_ms = round(reply.first_token_ms, 1)
    figures = {"first_token_ms": first_token_ms, "retries": reply.retries}
    if reply.retries:
        yield warning("model", f"{model} answered only on retry {reply.retries}", code="retrying", figures=figures)
    elif reply.complete and reply.pieces < _PIECES and first_token_ms > _NOT_STREAMED_MS:
        message = f"{model} sent its answer in one piece after {first_token_ms:,.0f} ms: it does not stream,"
        yield warning("model", f"{message} or a proxy buffers the stream", code="not_streamed", figures=figures)
    else:
        yield ok("model", f"{model} streams; first token after {first_token_ms:,.0f} ms", figures=figures)


def _local_servers() -> str:
    """Describe the model servers on this machine in a clause."""
    servers = [
        f"{server.name} is running at {server.base_url} with {', '.join(server.models[:3]) or 'no model'}"
        for server in find_local_servers()
    ]
    return "; ".join(servers) or "no local model server is running"


async def _ask(endpoint: ModelEndpoint, *, timeout_s: float) -> _Reply:
    first_token_ms, pieces, retries, complete = 0.0, 0, 0, False
    sent_at_s = time.perf_counter()
    async with SharedResources() as resources:
        stream = stream_chat(_QUESTION, endpoint=endpoint, timeout_s=timeout_s, client_for=resources.client)
        async with aclosing(stream):
            async for part in stream:
                match part:
                    case ModelText():
                        pieces += 1
                        first_token_ms = first_token_ms or (time.perf_counter() - sent_at_s) * 1000
                    case ModelRetrying():
                        retries += 1
                        sent_at_s = time.perf_counter() + part.wait_s
                    case ModelFinished():
                        complete = True
                    case _:
                        pass
                if pieces >= _PIECES:
                    break
    return _Reply(first_token_ms=first_token_ms, pieces=pieces, retries=retries, complete=complete)
