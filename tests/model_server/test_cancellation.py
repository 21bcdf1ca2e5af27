"""A cancelled embedding request ends immediately instead of waiting for the server's reply."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from streamrag_cli.errors import ModelServerError
from streamrag_cli.ingest.embedding import BatchEmbedder
from streamrag_cli.model_server.endpoint import EMBEDDING, ModelEndpoint
from streamrag_cli.retrieval.openai_embedding import OpenAIEmbedder
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.settings import Settings
from streamrag_cli.store.time_limit import Cancellation
from tests.support.openai_replies import Reply, Stall
from tests.support.openai_server import OpenAIServer
from tests.support.stores import LocalStore, document, write

SILENT = {
    "before its headers": Reply(before_headers=(Stall(),)),
    "in its body": Reply(steps=(b"{", Stall()), content_type="application/json"),
}
LIMIT_S = 60.0
"""The idle timeout. A reply may take four times as long, so a test fails if the code waits for the reply."""


def embedder_of(server: OpenAIServer) -> OpenAIEmbedder:
    return OpenAIEmbedder(ModelEndpoint(model="m", base_url=server.base_url, purpose=EMBEDDING), timeout_s=LIMIT_S)


@pytest.mark.fault("embedding-cancelled")
@pytest.mark.parametrize("where", SILENT)
def test_a_cancelled_request_closes_its_connection_and_frees_its_thread(where: str) -> None:
    cancellation = Cancellation()
    with OpenAIServer(embeddings=SILENT[where]) as server, ThreadPoolExecutor(1) as pool:
        asking = pool.submit(embedder_of(server).embed_query, "a question", cancellation)
        request = server.wait_for_requests(1)[0]
        cancelled_at_s = time.monotonic()
        cancellation.cancel()
        with pytest.raises(ModelServerError) as raised:
            asking.result(timeout=10)
        took_s = time.monotonic() - cancelled_at_s
        closed = request.closed_by_client.wait(5)

    assert (raised.value.code, closed, took_s < 2) == ("interrupted", True, True)
    assert raised.value.message == f"the request to 127.0.0.1:{server.port} was cancelled"


@pytest.mark.fault("embedding-cancelled")
def test_nothing_is_sent_after_cancellation() -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with OpenAIServer() as server:
        with pytest.raises(ModelServerError) as raised:
            embedder_of(server).embed_documents(["a text"], cancellation)

        assert (raised.value.code, server.requests) == ("interrupted", [])


@pytest.mark.fault("embedding-cancelled")
def test_a_cancelled_question_leaves_no_thread_behind(tmp_path: Path) -> None:
    with LocalStore(tmp_path).writing(embedding="openai:m") as writer:
        write(writer, document("ships.md", "ships cross the sea"))
    ended = threading.Event()

    def search(cancellation: Cancellation) -> None:
        try:
            retriever.retrieve("ships", limit=1, min_score=0.0, cancellation=cancellation)
        finally:
            ended.set()

    async def leave() -> bool:
        asking = asyncio.create_task(retriever.in_thread(search))
        await asyncio.to_thread(server.wait_for_requests, 1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return await asyncio.to_thread(ended.wait, 10)

    with OpenAIServer(embeddings=SILENT["in its body"]) as server:
        settings = Settings(store=tmp_path, base_url=server.base_url, timeout_s=LIMIT_S)
        with closing(Retriever.open(settings)) as retriever:
            assert asyncio.run(leave())


@pytest.mark.fault("embedding-cancelled")
def test_closing_the_batch_embedder_closes_its_running_request() -> None:
    with OpenAIServer(embeddings=SILENT["before its headers"]) as server:
        with BatchEmbedder(embedder_of(server), remembered_texts=0) as embedding:
            batch = embedding.begin(["a text"], {})
            request = server.wait_for_requests(1)[0]

        assert isinstance(batch.exception(timeout=10), ModelServerError)
        assert request.closed_by_client.wait(5)
