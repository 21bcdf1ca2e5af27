"""`/rag/stream` and `/rag/stream-with-sources`, which stream the events of an answer, `/search` and `/passage`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Header, Query, Request, Response

from streamrag_cli.codec import public, to_json
from streamrag_cli.display_names import public_name
from streamrag_cli.events import AskEvent, Citations, Error, Notice, Sources
from streamrag_cli.json_objects import hits_object
from streamrag_cli.server.public import public_error, public_notice
from streamrag_cli.server.replies import JsonReply, reply_to_event
from streamrag_cli.server.request_log import entry_of
from streamrag_cli.server.requests import (
    PassageParameters,
    QueryParameters,
    QuestionBody,
    UrlParameters,
    check_text,
    merge_parameters,
    question_of,
    settings_of,
)
from streamrag_cli.server.serving import Serving
from streamrag_cli.server.streaming import Encoder, while_connected
from streamrag_cli.service.interface import Selection

router = APIRouter()
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Server-sent events with `id: N` and `data: {json}`. The last one is of type `done` or `error`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    204: {"description": "The browser reconnected automatically, so the question is not asked again."},
}
_Body = Annotated[QuestionBody | None, Body()]
_LastEventId = Annotated[str | None, Header(description="Sent by a browser that reconnects automatically.")]


@router.get("/rag/stream", responses=_STREAM, response_class=Response, tags=["rag"])
async def stream_by_get(request: Request, parameters: UrlParameters, last_event_id: _LastEventId = None) -> Response:
    """Stream the answer without sources."""
    return _answer(request, parameters, last_event_id, with_sources=False)


@router.post("/rag/stream", responses=_STREAM, response_class=Response, tags=["rag"])
async def stream_by_post(
    request: Request, in_url: UrlParameters, body: _Body = None, last_event_id: _LastEventId = None
) -> Response:
    """Stream the answer without sources."""
    return _answer(request, merge_parameters(in_url, body), last_event_id, with_sources=False)


@router.get("/rag/stream-with-sources", responses=_STREAM, response_class=Response, tags=["rag"])
async def stream_with_sources_by_get(
    request: Request, parameters: UrlParameters, last_event_id: _LastEventId = None
) -> Response:
    """Stream the sources, then the answer, then its citations."""
    return _answer(request, parameters, last_event_id, with_sources=True)


@router.post("/rag/stream-with-sources", responses=_STREAM, response_class=Response, tags=["rag"])
async def stream_with_sources_by_post(
    request: Request, in_url: UrlParameters, body: _Body = None, last_event_id: _LastEventId = None
) -> Response:
    """Stream the sources, then the answer, then its citations."""
    return _answer(request, merge_parameters(in_url, body), last_event_id, with_sources=True)


@router.get("/search", tags=["rag"], response_class=JsonReply)
async def search_by_get(request: Request, parameters: UrlParameters) -> Response:
    """Return only the sources, without calling a model, in the format of `streamrag search --json`."""
    return await _search(request, parameters)


@router.post("/search", tags=["rag"], response_class=JsonReply)
async def search_by_post(request: Request, in_url: UrlParameters, body: _Body = None) -> Response:
    """Return only the sources, without calling a model, in the format of `streamrag search --json`."""
    return await _search(request, merge_parameters(in_url, body))


@router.get("/passage", tags=["rag"], response_class=JsonReply)
async def passage(request: Request, parameters: Annotated[PassageParameters, Query()]) -> Response:
    """Return the whole text of a source, with its location."""
    serving: Serving = request.app.state.serving
    check_text(parameters.chunk_id, name="chunk_id")
    settings = settings_of(request, QueryParameters(collection=parameters.collection))
    read = serving.service.read(Selection(chunk_id=parameters.chunk_id), settings)
    passage_or_none = await while_connected(request.receive, read)
    if passage_or_none is None:
        return Response(status_code=204)  # the client has disconnected
    return JsonReply(public(replace(passage_or_none, source=public_name(passage_or_none.source))))


async def _search(request: Request, parameters: QueryParameters) -> Response:
    serving: Serving = request.app.state.serving
    question = question_of(parameters)
    events = serving.service.search(question, settings_of(request, parameters))
    notices, last = await while_connected(request.receive, _notices_and_last(events)) or ([], None)
    match last:
        case Sources(sources=sources):
            return JsonReply(hits_object(sources, query=question.text, notices=map(public_notice, notices)))
        case Error(code="nothing_relevant") as error:  # status 200: this is a result, not a failure
            return JsonReply(hits_object((), query=question.text, error=public_error(error)))
        case Error() as error:
            entry_of(request.scope).record_error(error)
            return reply_to_event(public_error(error), request.url.path)
        case _:
            return Response(status_code=204)  # the client has disconnected


async def _notices_and_last(events: AsyncGenerator[AskEvent, None]) -> tuple[list[Notice], AskEvent | None]:
    """The notices from a search, and its last event."""
    async with aclosing(events):
        all_events = [event async for event in events]
    return [each for each in all_events if isinstance(each, Notice)], all_events[-1]


def _answer(
    request: Request, parameters: QueryParameters, last_event_id: str | None, *, with_sources: bool
) -> Response:
    if last_event_id is not None:
        return Response(status_code=204)
    serving: Serving = request.app.state.serving
    question = question_of(parameters)
    return serving.stream(request, question, settings_of(request, parameters), encoder(with_sources=with_sources))


def encoder(*, with_sources: bool) -> Encoder:
    """Return an encoder that turns events into server-sent events, numbered from 1, with the JSON of `--jsonl`."""
    number = 0

    def encode(event: AskEvent) -> bytes:
        nonlocal number
        if not with_sources and isinstance(event, Sources | Citations):
            return b""
        number += 1
        return f"id: {number}\ndata: {to_json(event)}\n\n".encode()

    return encode
