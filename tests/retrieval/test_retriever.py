"""An open retriever follows changes that other processes make to its collection."""

import asyncio
import threading
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from streamrag_cli.errors import ConfigurationError, StoreError
from streamrag_cli.retrieval import retriever as module
from streamrag_cli.retrieval.embedder import BUILTIN
from streamrag_cli.retrieval.embeddings import make_embedder
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.settings import Settings
from streamrag_cli.store.interface import EmbeddedPassages
from streamrag_cli.store.time_limit import Cancellation, TimeLimit
from tests.store.test_concurrency import read_forever
from tests.support.fake_embedder import FakeEmbedder
from tests.support.stores import LocalStore, document

SHIPS = document("ships.md", "ships cross the sea")


class Recording(FakeEmbedder):
    """Records the questions. An embedder named "failing" fails like one without a key."""

    questions: ClassVar[list[tuple[str, str]]] = []

    def embed_query(self, text: str, cancellation: Cancellation | None = None) -> NDArray[np.float32]:
        if self.name == "failing":
            raise ConfigurationError("the key is missing", code="key_missing")
        self.questions.append((self.name, text))
        return super().embed_query(text, cancellation)


@pytest.fixture(autouse=True)
def _embedders_of_several_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    def embedder_for(settings: Settings, *, made_with: str | None) -> Recording:
        name = settings.embedding or made_with or "fake"
        return Recording(name, dimension=16 if name == "fake" else 8)

    monkeypatch.setattr(module, "embedder_for", embedder_for)
    monkeypatch.setattr(Recording, "questions", [])


def rebuilt(store: LocalStore, embedding: str = "other") -> None:
    with store.writing(embedding=embedding, rebuild=True) as writer:
        writer.write([SHIPS], EmbeddedPassages(FakeEmbedder(dimension=8).embed_documents([SHIPS[1][0].text_to_embed])))


def test_a_collection_rebuilt_with_another_embedder_is_queried_with_it(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put(SHIPS)
    with closing(Retriever.open(Settings(store=tmp_path))) as retriever:
        before = retriever.retrieve("ships", limit=1, min_score=0.0)
        rebuilt(store)
        after = retriever.retrieve("ships", limit=1, min_score=0.0)

    assert [each.question_vector.shape for each in (before, after)] == [(16,), (8,)]
    assert [each.hits[0].chunk.text for each in (before, after)] == ["ships cross the sea"] * 2


def test_requesting_the_old_embedder_reports_both_names(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put(SHIPS)
    with closing(Retriever.open(Settings(store=tmp_path, embedding="fake"))) as retriever:
        retriever.retrieve("ships", limit=1, min_score=0.0)
        rebuilt(store)
        with pytest.raises(StoreError, match="uses the embedder other, but fake was requested") as caught:
            retriever.retrieve("ships", limit=1, min_score=0.0)

    assert caught.value.code == "another_embedding"


@pytest.mark.fault("embedder-changed-back")
def test_undoing_a_rebuild_with_a_failing_embedder_makes_a_collection_usable_again(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put(SHIPS)
    with closing(Retriever.open(Settings(store=tmp_path))) as retriever:
        rebuilt(store, "failing")
        with pytest.raises(ConfigurationError, match="the key is missing"):
            retriever.retrieve("ships", limit=1, min_score=0.0)
        store.put(SHIPS, rebuild=True)
        again = retriever.retrieve("ships", limit=1, min_score=0.0)

    assert [hit.chunk.text for hit in again.hits] == ["ships cross the sea"]


@pytest.mark.fault("embedder-changed-back")
def test_a_question_after_a_rebuild_is_sent_only_to_the_new_embedder(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put(SHIPS)
    with closing(Retriever.open(Settings(store=tmp_path))) as retriever:
        retriever.retrieve("ships before", limit=1, min_score=0.0)
        rebuilt(store)
        retriever.retrieve("ships after", limit=1, min_score=0.0)

    assert Recording.questions == [("fake", "ships before"), ("other", "ships after")]


@pytest.mark.fault("search-timeout")
def test_a_cancelled_search_releases_its_thread(tmp_path: Path) -> None:
    LocalStore(tmp_path).put(SHIPS)
    begun, ended = threading.Event(), threading.Event()

    def search(cancellation: Cancellation) -> None:
        try:
            with retriever.reader.snapshot(TimeLimit(600, cancellation)):
                begun.set()
                read_forever(retriever.reader)
        finally:
            ended.set()

    async def leave() -> None:
        asking = asyncio.create_task(retriever.in_thread(search))
        assert await retriever.in_thread(lambda _: begun.wait(timeout=30))
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await retriever.in_thread(lambda _: ended.wait(timeout=30))

    with closing(Retriever.open(Settings(store=tmp_path))) as retriever:
        asyncio.run(leave())


def test_collections_with_the_built_in_embedding_share_one_model() -> None:
    first, second = (make_embedder(name, base_url=None, api_key=None, timeout_s=1) for name in ("builtin", BUILTIN))

    assert first is second


@pytest.mark.fault("other-embedding")
def test_an_embedder_that_changes_its_dimension_causes_an_error(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    record, chunks = SHIPS
    with store.writing() as writer:
        texts = [each.text_to_embed for each in chunks]
        writer.write([(record, chunks)], EmbeddedPassages(FakeEmbedder(dimension=8).embed_documents(texts)))

    with closing(Retriever.open(Settings(store=store.place))) as retriever, pytest.raises(StoreError) as caught:
        retriever.retrieve("ships", limit=1, min_score=0.0)

    assert (caught.value.code, caught.value.message) == (
        "another_embedding",
        "the collection 'default' has vectors with 8 dimensions, but the embedder returned 16",
    )
