"""`search` means one thing on every route."""

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


def test_hits_are_returned_as_one_event(settings: Settings) -> None:
    (found,) = search("Who built the lighthouse?", settings)

    assert isinstance(found, Sources)
    assert (found.sources[0].n, found.sources[0].source) == (1, "docs/lighthouse.md")


def test_an_irrelevant_search_is_one_error_with_a_search_hint(settings: Settings) -> None:
    (nothing,) = search("quantum chromodynamics", replace(settings, min_score=0.99))

    assert isinstance(nothing, Error)
    assert (nothing.code, nothing.exit_code) == ("nothing_relevant", ExitCode.NOTHING_RELEVANT)
    assert "streamrag search --min-score 0 QUERY" in nothing.hint


def test_an_irrelevant_search_over_http_has_an_empty_list_and_an_error(settings: Settings) -> None:
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


def test_a_missing_store_is_one_error(settings: Settings, tmp_path: Path) -> None:
    (missing,) = search("Who?", replace(settings, store=tmp_path / "none"))

    assert isinstance(missing, Error)
    assert (missing.code, missing.exit_code) == ("store_missing", ExitCode.STORE)


def test_a_bug_is_one_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("oops")

    monkeypatch.setattr(Retriever, "retrieve", broken)

    (bug,) = search("Who?", settings)

    assert isinstance(bug, Error)
    assert (bug.code, bug.exit_code) == ("internal_error", ExitCode.BUG)


def test_a_service_with_shared_resources_keeps_them_open(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Settings] = []
    opening = Retriever.open

    def noted(settings: Settings) -> Retriever:
        opened.append(settings)
        return opening(settings)

    monkeypatch.setattr(Retriever, "open", noted)

    async def ask_twice() -> None:
        async with SharedResources() as library:
            for _ in range(2):
                events = LocalService(library).search(Question(text="lighthouse", accepted_at=0.0), settings)
                assert [type(event) async for event in events] == [Sources]

    asyncio.run(ask_twice())

    assert opened == [settings]
