"""Routes for operators: liveness, readiness, metrics, collections."""

from functools import partial

from fastapi import APIRouter, Request, Response

from streamrag_cli.errors import StreamragError, with_target_flags
from streamrag_cli.retrieval.cancellable import run_cancellable
from streamrag_cli.retrieval.search import count_chunks
from streamrag_cli.server.replies import JsonReply, reply_to
from streamrag_cli.server.request_log import entry_of
from streamrag_cli.server.serving import Serving
from streamrag_cli.server.streaming import client_left, while_connected
from streamrag_cli.settings import defaults
from streamrag_cli.store.interface import Counts, Reader
from streamrag_cli.store.time_limit import RETRIEVAL_LIMIT_S, Cancellation, TimeLimit
from streamrag_cli.system_errors import has_spare_descriptors, too_many_open_files

router = APIRouter(tags=["operations"])


@router.get("/healthz", response_class=JsonReply)
async def alive() -> JsonReply:
    """Liveness: report that the process is running. Never requires a key."""
    return JsonReply({"status": "ok"})


@router.get("/readyz", response_class=JsonReply)
async def ready(request: Request) -> Response:
    """Readiness: report whether a question can be answered. Otherwise the status is 503, with the reason."""
    reply = await while_connected(request.receive, _ready(request))
    return client_left() if reply is None else reply


async def _ready(request: Request) -> JsonReply:
    serving: Serving = request.app.state.serving
    try:
        if not has_spare_descriptors():  # answers in progress would continue, but the next question would fail
            raise too_many_open_files()
        async with serving.resources.retriever(serving.settings) as retriever:
            # This needs a new thread, because all threads for questions may be busy.
            counts, embedding = await run_cancellable(partial(_counts, retriever.reader))
    except StreamragError as error:
        entry_of(request.scope).record_error(error)
        collection = serving.settings.collection
        error.hint = with_target_flags(
            error.hint, collection="" if collection == defaults()["collection"] else collection
        )
        return reply_to(error, status=503, for_operator=True)
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


def _counts(reader: Reader, cancellation: Cancellation) -> tuple[Counts, str]:
    with reader.snapshot(TimeLimit(RETRIEVAL_LIMIT_S, cancellation)):
        count_chunks(reader)
        return reader.counts(), reader.embedding


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Return the metrics for Prometheus: first-token and retrieval times, open streams, errors by code."""
    serving: Serving = request.app.state.serving
    return Response(serving.metrics.render(), headers={"Content-Type": serving.metrics.content_type})


@router.get("/collections", response_class=JsonReply)
async def list_collections(request: Request) -> Response:
    """List the collections that clients may use, and the default collection."""
    serving: Serving = request.app.state.serving
    names = await while_connected(request.receive, serving.collections())
    if names is None:
        return client_left()
    return JsonReply({"collections": names, "default": serving.settings.collection})
