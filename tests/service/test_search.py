"""`search` behaves the same locally and over HTTP."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.answer.shared_resources import SharedResources
from streamrag_cli.errors import ExitCode
from streamrag_cli.events import AskEvent, Error, Sources
from streamrag_cli.model import Question
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.http_client import request
from tests.support.running_server import running_server


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return make_collection(tmp_path_factory.mktemp("service"))


def search(text: str, settings: Settings) -> list[AskEvent]:
    async def collect(events: AsyncGenerator[AskEvent, None]) -> list[AskEvent]:
        return [event async for event in events]

    return asyncio.run(collect(LocalService().search(Question(text=text, accepted_at=0.0), settings)))


def test_a_search_returns_its_hits_in_one_event(settings: Settings) -> None:
    (sources,) = search("Who built the lighthouse?", settings)

    assert isinstance(sources, Sources)
    assert (sources.sources[0].n, sources.sources[0].source) == (1, "docs/lighthouse.md")


def test_a_search_without_relevant_hits_yields_one_error(settings: Settings) -> None:
    (error,) = search("quantum chromodynamics", replace(settings, min_score=0.99))

    assert isinstance(error, Error)
    assert (error.code, error.exit_code) == ("nothing_relevant", ExitCode.NOTHING_RELEVANT)
    assert "--min-score 0" in error.hint


def test_a_search_over_http_without_relevant_hits_returns_an_empty_list_and_an_error(settings: Settings) -> None:
    with running_server(settings) as server:
        reply = request(f"{server.url}/search?query=quantum+chromodynamics&min_score=0.99")

    assert (reply.status, reply.json) == (
        200,
        {
            "version": 1,
            "query": "quantum chromodynamics",
            "hits": [],
            "error": {
                "message": "nothing in the documents is relevant to the question",
                "code": "nothing_relevant",
                "hint": "rephrase the question",
                "retryable": False,
            },
        },
    )


def test_a_missing_store_yields_one_error(settings: Settings, tmp_path: Path) -> None:
    (error,) = search("Who?", replace(settings, store=tmp_path / "none"))

    assert isinstance(error, Error)
    assert (error.code, error.exit_code) == ("store_missing", ExitCode.STORE)


def test_a_bug_yields_one_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("oops")

    monkeypatch.setattr(Retriever, "retrieve", broken)

    (error,) = search("Who?", settings)

    assert isinstance(error, Error)
    assert (error.code, error.exit_code) == ("internal_error", ExitCode.BUG)


def test_a_service_with_shared_resources_opens_the_store_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Settings] = []
    original_open = Retriever.open

    def record_open(settings: Settings) -> Retriever:
        opened.append(settings)
        return original_open(settings)

    monkeypatch.setattr(Retriever, "open", record_open)

    async def ask_twice() -> None:
        async with SharedResources() as resources:
            for _ in range(2):
                events = LocalService(resources).search(Question(text="lighthouse", accepted_at=0.0), settings)
                assert [type(event) async for event in events] == [Sources]

    asyncio.run(ask_twice())

    assert opened == [settings]
