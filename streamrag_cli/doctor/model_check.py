"""The model's server, by a real question that is as small as one can be."""

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
_PIECES: Final = 2  # after these the answer is not needed: it streams, and the rest would be paid for
_HELD_BACK_MS: Final = (
    1000.0  # what comes in one piece sooner may be a quick server; later, something waits for the end
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """What came of the question. `complete` says that the answer ended before it was broken off."""

    first_token_ms: float
    pieces: int
    retries: int
    complete: bool


def check_model(settings: Settings) -> Iterator[Finding]:
    """Raises what choosing the model and asking it raise."""
    endpoint = choose_endpoint(
        model=settings.model,
        base_url=settings.base_url,
        api_key=settings.api_key,
        timeout_s=settings.timeout_s,
    )
    if endpoint is None:
        yield ok("model", f"none: answers are quotes{_to_connect_one()}")
        return
    warm_up_client(endpoint.scheme)  # not the server's time
    heard = asyncio.run(_ask(endpoint, timeout_s=settings.timeout_s))
    who = f"{shown_model(endpoint.model)} at {endpoint.address}"
    first_token_ms = round(heard.first_token_ms, 1)
    figures = {"first_token_ms": first_token_ms, "retries": heard.retries}
    if heard.retries:
        yield warning("model", f"{who} answered at retry {heard.retries} only", code="retrying", figures=figures)
    elif heard.complete and heard.pieces < _PIECES and first_token_ms > _HELD_BACK_MS:
        late = f"{who} sent its answer in one piece after {first_token_ms:,.0f} ms: it does not stream,"
        yield warning("model", f"{late} or a proxy holds the stream back", code="not_streamed", figures=figures)
    else:
        yield ok("model", f"{who} streams; first token in {first_token_ms:,.0f} ms", figures=figures)


def _to_connect_one() -> str:
    here = [
        f"{server.name} is at {server.base_url} with {', '.join(server.models[:3]) or 'no model'}"
        for server in find_local_servers()
    ]
    return f"; {'; '.join(here)}" if here else "; no model server runs here"


async def _ask(endpoint: ModelEndpoint, *, timeout_s: float) -> _Heard:
    first_token_ms, pieces, retries, complete = 0.0, 0, 0, False
    asked_at_s = time.perf_counter()
    async with SharedResources() as library:
        stream = stream_chat(_QUESTION, endpoint=endpoint, timeout_s=timeout_s, client_for=library.client)
        async with aclosing(stream):
            async for part in stream:
                match part:
                    case ModelText():
                        pieces += 1
                        first_token_ms = first_token_ms or (time.perf_counter() - asked_at_s) * 1000
                    case ModelRetrying():
                        retries += 1
                        asked_at_s = time.perf_counter() + part.wait_s
                    case ModelFinished():
                        complete = True
                    case _:
                        pass
                if pieces >= _PIECES:
                    break
    return _Heard(first_token_ms=first_token_ms, pieces=pieces, retries=retries, complete=complete)
