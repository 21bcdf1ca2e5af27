"""`/rag/stream` and `/rag/stream-with-sources`: the events of an answer as they happen, and `/search`."""

from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Header, Request, Response

from streamrag_cli.answer.pipeline import find_sources
from streamrag_cli.codec import to_json
from streamrag_cli.errors import NothingRelevantError
from streamrag_cli.events import AskEvent, Citations, Sources
from streamrag_cli.json_objects import hits_object
from streamrag_cli.model import Source
from streamrag_cli.server.replies import JsonReply
from streamrag_cli.server.requests import Asked, AskedInUrl, merged, question_of, settings_of
from streamrag_cli.server.serving import Serving
from streamrag_cli.server.streaming import Encoder, while_connected

router = APIRouter()
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events: `id: N` and `data: {json}`. The last one is `done` or `error`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    204: {"description": "A browser's own reconnect: the answer is not asked for, and paid, twice."},
}
_Body = Annotated[Asked | None, Body()]
_LastEventId = Annotated[str | None, Header(description="Sent by a browser that reconnects by itself.")]


@router.get("/rag/stream", responses=_STREAM, response_class=Response, tags=["rag"])
async def stream_by_get(request: Request, asked: AskedInUrl, last_event_id: _LastEventId = None) -> Response:
    """The answer alone, piece by piece."""
    return _answer(request, asked, last_event_id, with_sources=False)


@router.post("/rag/stream", responses=_STREAM, response_class=Response, tags=["rag"])
async def stream_by_post(
    request: Request, in_url: AskedInUrl, body: _Body = None, last_event_id: _LastEventId = None
) -> Response:
    """The answer alone, piece by piece."""
    return _answer(request, merged(in_url, body), last_event_id, with_sources=False)


@router.get("/rag/stream-with-sources", responses=_STREAM, response_class=Response, tags=["rag"])
async def stream_with_sources_by_get(
    request: Request, asked: AskedInUrl, last_event_id: _LastEventId = None
) -> Response:
    """The sources, then the answer piece by piece, then its citations."""
    return _answer(request, asked, last_event_id, with_sources=True)


@router.post("/rag/stream-with-sources", responses=_STREAM, response_class=Response, tags=["rag"])
async def stream_with_sources_by_post(
    request: Request, in_url: AskedInUrl, body: _Body = None, last_event_id: _LastEventId = None
) -> Response:
    """The sources, then the answer piece by piece, then its citations."""
    return _answer(request, merged(in_url, body), last_event_id, with_sources=True)


@router.get("/search", tags=["rag"], response_class=JsonReply)
async def search(request: Request, asked: AskedInUrl) -> Response:
    """The sources alone; no model is called. What `streamrag search --json` prints."""
    serving: Serving = request.app.state.serving
    settings = settings_of(request, asked)
    query = question_of(asked).text

    async def found() -> tuple[Source, ...]:
        async with serving.library.retriever(settings) as retriever:
            with suppress(NothingRelevantError):  # an empty list says so
                find = partial(find_sources, query, settings, retriever)
                return await retriever.in_thread(lambda cancellation: find(cancellation=cancellation))
            return ()

    sources = await while_connected(request.receive, found())
    if sources is None:
        return Response(status_code=204)  # nobody is there to read it
    return JsonReply(hits_object(sources, query=query))


def _answer(request: Request, asked: Asked, last_event_id: str | None, *, with_sources: bool) -> Response:
    if last_event_id is not None:
        return Response(status_code=204)
    serving: Serving = request.app.state.serving
    question = question_of(asked)
    return serving.stream(request, question, settings_of(request, asked), encoder(with_sources=with_sources))


def encoder(*, with_sources: bool) -> Encoder:
    """Events as server-sent events, numbered from 1: the data is the very line that `--jsonl` prints."""
    number = 0

    def encode(event: AskEvent) -> bytes:
        nonlocal number
        if not with_sources and isinstance(event, Sources | Citations):
            return b""
        number += 1
        return f"id: {number}\ndata: {to_json(event)}\n\n".encode()

    return encode
