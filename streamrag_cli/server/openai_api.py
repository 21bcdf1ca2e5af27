"""`/v1/chat/completions` and `/v1/models`: an API that OpenAI's clients can use to ask the documents.

The model `streamrag` stands for the server's default collection, and `streamrag/NAME` for the collection NAME. The last
user message is the question; the other messages are its conversation. In a stream, the first chunk has the extra field
`sources`, and the chunk with the finish reason has `citations` and `notices`. A reply without streaming has all three.
"""

from fastapi import APIRouter, Request, Response

from streamrag_cli.errors import UsageError
from streamrag_cli.server.openai_completion import Completion
from streamrag_cli.server.openai_request import MODEL, ChatRequest
from streamrag_cli.server.replies import OPENAI_PREFIX, JsonReply
from streamrag_cli.server.requests import QueryParameters, settings_of
from streamrag_cli.server.serving import Serving
from streamrag_cli.server.streaming import client_left, while_connected

router = APIRouter(prefix=OPENAI_PREFIX, tags=["openai"])


@router.get("/models", response_class=JsonReply)
async def models(request: Request) -> Response:
    """List one model for each served collection."""
    names = await _names(request)
    if names is None:
        return client_left()
    listed = [_model(name) for name in names]
    return JsonReply({"object": "list", "data": listed})


@router.get("/models/{name:path}", response_class=JsonReply)
async def model(request: Request, name: str) -> Response:
    """Return one model, whose name may contain a slash."""
    names = await _names(request)
    if names is None:
        return client_left()
    if name not in names:
        raise _no_such_model(name)
    return JsonReply(_model(name))


@router.post("/chat/completions", response_class=JsonReply)
async def chat_completions(request: Request, chat: ChatRequest) -> Response:
    """Answer the last user message from the documents; `stream` works as in OpenAI's API."""
    serving: Serving = request.app.state.serving
    question = chat.question()
    settings = settings_of(request, QueryParameters(collection=_collection(chat.model)))
    completion = Completion(chat)
    if chat.stream:
        return serving.stream(request, question, settings, completion.encoder())
    events = serving.events(request, question, settings)
    whole = serving.streams.run_whole(lambda: completion.whole(events))
    reply = await while_connected(request.receive, whole)
    return reply if reply is not None else client_left()


async def _names(request: Request) -> list[str] | None:
    """The names of the models; None if the client has disconnected."""
    serving: Serving = request.app.state.serving
    names = await while_connected(request.receive, serving.collections())
    return None if names is None else [MODEL, *(f"{MODEL}/{name}" for name in names)]


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "streamrag"}


def _collection(model: str) -> str | None:
    name, _, collection = model.partition("/")
    if name != MODEL:
        raise _no_such_model(model)
    return collection or None


def _no_such_model(name: str) -> UsageError:
    return UsageError(f"unknown model {name!r}", code="no_such_model", hint=f"use {MODEL} or {MODEL}/COLLECTION")
