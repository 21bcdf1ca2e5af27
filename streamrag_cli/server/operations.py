"""What those who run a server ask it: is it alive, can it answer, how is it doing, what is in the store."""

from functools import partial

from fastapi import APIRouter, Request, Response

from streamrag_cli.errors import StreamragError, with_target_flags
from streamrag_cli.new_thread import run_in_new_thread
from streamrag_cli.retrieval.search import count_chunks
from streamrag_cli.server.replies import JsonReply, reply_to
from streamrag_cli.server.request_log import entry_of
from streamrag_cli.server.serving import Serving
from streamrag_cli.settings import defaults
from streamrag_cli.store.interface import Counts, Reader
from streamrag_cli.store.time_limit import RETRIEVAL_LIMIT_S, TimeLimit
from streamrag_cli.system_errors import has_spare_descriptors, too_many_open_files

router = APIRouter(tags=["operations"])


@router.get("/healthz", response_class=JsonReply)
async def alive() -> JsonReply:
    """The process answers. The one route that never needs a key."""
    return JsonReply({"status": "ok"})


@router.get("/readyz", response_class=JsonReply)
async def ready(request: Request) -> JsonReply:
    """The collection is open and a question can be answered; 503 says why not."""
    serving: Serving = request.app.state.serving
    try:
        if not has_spare_descriptors():  # what is open already would still answer, but not the next question
            raise too_many_open_files()
        async with serving.library.retriever(serving.settings) as retriever:
            # Not in a thread of the questions, which may all be taken.
            counts, embedding = await run_in_new_thread(partial(_look_into, retriever.reader))
    except StreamragError as error:
        entry_of(request.scope).fail(error)
        collection = serving.settings.collection
        error.hint = with_target_flags(
            error.hint, collection="" if collection == defaults()["collection"] else collection
        )
        return reply_to(error, for_operator=True)
    return JsonReply(
        {
            "status": "ready",
            "collection": serving.settings.collection,
            "documents": counts.documents,
            "chunks": counts.chunks,
            "embedding": embedding,
            "open_streams": len(serving.streams),
        }
    )


def _look_into(reader: Reader) -> tuple[Counts, str]:
    with reader.snapshot(TimeLimit(RETRIEVAL_LIMIT_S)):
        count_chunks(reader)
        return reader.counts(), reader.embedding


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """For Prometheus: first-token and retrieval times, open streams, errors by code."""
    serving: Serving = request.app.state.serving
    return Response(serving.metrics.render(), headers={"Content-Type": serving.metrics.content_type})


@router.get("/collections", response_class=JsonReply)
def list_collections(request: Request) -> JsonReply:
    """The collections that may be asked, and the one that is asked if a request names none."""
    serving: Serving = request.app.state.serving
    return JsonReply({"collections": serving.collections(), "default": serving.settings.collection})
