"""Checks that the embedder loads and that its vectors fit the collection."""

import time
from collections.abc import Iterator
from typing import Final

from streamrag_cli.doctor.findings import Finding, ok
from streamrag_cli.errors import StoreError
from streamrag_cli.retrieval.retriever import embedder_for
from streamrag_cli.settings import Settings
from streamrag_cli.store.backend import CollectionStatus, status_of
from streamrag_cli.store.interface import dimension_mismatch, embedding_mismatch
from streamrag_cli.store.registry import open_store

_TEXT: Final = "How long is a trial?"


def check_embedding(settings: Settings) -> Iterator[Finding]:
    """Embed a short text, and check that the vector fits the collection.

    Raises StoreError `another_embedding`, before anything is sent to a server, and the embedder's errors.
    """
    collection = _collection(settings)
    embedder = embedder_for(settings, made_with=collection.embedding if collection else None)
    if collection and embedder.name != collection.embedding:
        raise embedding_mismatch(settings.collection, stored=collection.embedding, requested=embedder.name)
    started_s = time.perf_counter()
    vector = embedder.embed_query(_TEXT)
    elapsed_ms = (time.perf_counter() - started_s) * 1000
    dimension = len(vector)
    if collection and collection.dimension is not None and collection.dimension != dimension:
        raise dimension_mismatch(settings.collection, stored=collection.dimension, returned=dimension)
    match = f", as in the collection {settings.collection!r}" if collection else ""
    result = f"{embedder.name}, {dimension} dimensions{match}; one vector took {elapsed_ms:,.0f} ms"
    yield ok("embedding", result, figures={"dimension": dimension, "elapsed_ms": round(elapsed_ms, 1)})


def _collection(settings: Settings) -> CollectionStatus | None:
    """Return the status of the selected collection; None if it does not exist or cannot be read."""
    try:
        return status_of(open_store(settings.store), only=settings.collection)[0]
    except StoreError:
        return None  # the store check reports the reason
