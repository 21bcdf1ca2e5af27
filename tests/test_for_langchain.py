"""The LangChain integration returns the same passages and answers as the command line."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from langchain_core.documents import Document
from langchain_core.runnables import Runnable, RunnableLambda

from streamrag_cli.errors import StreamragError
from streamrag_cli.for_langchain import CollectionRetriever, answers
from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.openai_replies import DONE, Hold, failure, finish, stream, token
from tests.support.openai_server import OpenAIServer

QUESTION = "What does a berth cost for the night?"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return replace(make_collection(tmp_path_factory.mktemp("langchain")), top_k=2)


@pytest.fixture
def retriever(settings: Settings) -> Iterator[CollectionRetriever]:
    it = CollectionRetriever(settings=settings)
    yield it
    it.close()


def test_a_retriever_returns_whole_passages_with_metadata(retriever: CollectionRetriever) -> None:
    best = retriever.invoke(QUESTION)[0]

    assert "The fee is 18 euros a night" in best.page_content
    place = {name: best.metadata[name] for name in ("source", "title", "page", "line_start")}
    assert place == {"source": "docs/harbour.md", "title": "Harbour rules", "page": None, "line_start": 1}
    assert Path(best.metadata["path"]).name == "harbour.md"
    assert 0.5 < best.metadata["score"] <= 1


def test_a_retriever_returns_nothing_if_nothing_is_relevant(retriever: CollectionRetriever) -> None:
    assert retriever.invoke("Wie heißt der Präsident von Frankreich?") == []


def test_a_retriever_works_in_a_chain(retriever: CollectionRetriever) -> None:
    def names(documents: list[Document]) -> list[str]:
        return [each.metadata["source"] for each in documents]

    chain: Runnable[str, list[str]] = retriever | RunnableLambda(names)

    assert chain.invoke(QUESTION)[0] == "docs/harbour.md"
    assert asyncio.run(chain.ainvoke(QUESTION))[0] == "docs/harbour.md"


def test_an_answer_is_streamed_in_the_pieces_of_the_model(settings: Settings) -> None:
    seen = threading.Event()
    reply = stream(token("It is "), Hold(seen), token("18 euros [1]."), finish(), DONE)

    def first_then_rest(chain: Runnable[str, str]) -> list[str]:
        pieces = chain.stream(QUESTION)
        first = next(pieces)
        seen.set()
        return [first, *pieces]

    with OpenAIServer(chat=reply) as model:
        chain = answers(replace(settings, base_url=model.base_url, model="m"))
        assert first_then_rest(chain) == ["It is ", "18 euros [1]."]
        assert chain.invoke(QUESTION) == "It is 18 euros [1]."
        assert asyncio.run(chain.ainvoke(QUESTION)) == "It is 18 euros [1]."


def test_a_failure_is_raised_with_its_code_and_hint(settings: Settings) -> None:
    with OpenAIServer(chat=failure(401, "no such key")) as model:
        with pytest.raises(StreamragError) as raised:
            answers(replace(settings, base_url=model.base_url, model="m", api_key="none-such")).invoke(QUESTION)

    assert raised.value.code == "key_refused"
    assert "OPENAI_API_KEY" in raised.value.hint
