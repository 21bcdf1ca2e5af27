"""Filters in requests restrict the documents on every route."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest

from streamrag_cli.settings import Settings
from tests.support.http_client import QUESTION, post_json, request, streaming
from tests.support.openai_replies import answer
from tests.support.openai_server import OpenAIServer
from tests.support.running_server import RunningServer, running_server

EVERYWHERE = {"docs/harbour.md", "docs/lighthouse.md", "docs/recipes.md", "docs/tides.txt"}


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[RunningServer]:
    with running_server(replace(settings, min_score=0.0, top_k=10)) as server:
        yield server


def sources(hits: list[dict[str, Any]]) -> set[str]:
    return {hit["source"] for hit in hits}


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({}, EVERYWHERE),
        ({"in": "docs/tides.txt"}, {"docs/tides.txt"}),
        ({"in": ["docs/t*", "./docs/recipes.md"]}, {"docs/tides.txt", "docs/recipes.md"}),
        ({"in": "docs", "format": "text"}, {"docs/tides.txt"}),
        ({"in": "*.md"}, EVERYWHERE - {"docs/tides.txt"}),
        ({"format": ["md", "pdf"], "since": "1d"}, EVERYWHERE - {"docs/tides.txt"}),
    ],
)
def test_search_accepts_filter_fields_in_the_body_and_in_the_url(
    scope: dict[str, Any], expected: set[str], server: RunningServer
) -> None:
    posted = post_json(f"{server.url}/search", {"query": QUESTION, **scope})
    pairs = [(name, each) for name, value in scope.items() for each in ([value] if isinstance(value, str) else value)]
    url = "&".join([f"{server.url}/search?query=lighthouse", *(f"{name}={each}" for name, each in pairs)])

    assert sources(posted.json["hits"]) == expected
    assert sources(request(url).json["hits"]) == expected


@contextmanager
def serving_with_model(settings: Settings) -> Iterator[tuple[RunningServer, OpenAIServer]]:
    with (
        OpenAIServer(chat=answer("Ada.")) as model,
        running_server(replace(settings, base_url=model.base_url, model="m")) as server,
    ):
        yield server, model


def test_the_answer_routes_use_only_allowed_documents(settings: Settings) -> None:
    body = json.dumps({"query": "high waters at springs", "in": ["docs/tides.txt"]}).encode()
    headers = {"Content-Type": "application/json"}
    with serving_with_model(settings) as (server, model):
        for path in ("/rag/stream-with-sources", "/rag/stream"):
            with streaming(f"{server.url}{path}", "POST", body=body, headers=headers) as answered:
                events = {event["type"]: event for event in answered.events()}
            prompt = json.dumps(model.requests[-1].json)
            assert ("semidiurnal" in prompt, "colza" in prompt, "clams" in prompt) == (True, False, False)
            assert sources(events.get("sources", {}).get("sources", [])) <= {"docs/tides.txt"}


def test_openai_clients_can_send_filters_as_extra_fields(settings: Settings) -> None:
    with serving_with_model(settings) as (server, _):
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
            completion = client.chat.completions.create(
                model="streamrag",
                messages=[{"role": "user", "content": "high waters at springs"}],
                extra_body={"in": "docs/tides.txt", "format": ["txt"]},
            )
            with pytest.raises(openai.BadRequestError) as refused:
                client.chat.completions.create(
                    model="streamrag", messages=[{"role": "user", "content": "high"}], extra_body={"since": "soon"}
                )
            with pytest.raises(openai.NotFoundError) as nothing:
                client.chat.completions.create(
                    model="streamrag", messages=[{"role": "user", "content": "high"}], extra_body={"in": "letters"}
                )

    assert sources((completion.model_extra or {})["sources"]) == {"docs/tides.txt"}
    assert (refused.value.code, nothing.value.code) == ("bad_filter", "no_document_matches")


@pytest.mark.parametrize(
    ("scope", "status", "code", "message"),
    [
        ({"in": "letters"}, 404, "no_document_matches", "no document matches the filter"),
        ({"tag": "fire"}, 404, "no_document_matches", "no document matches the filter"),
        ({"since": "soon"}, 422, "bad_filter", "since: 'soon' is neither a date nor an age"),
        ({"format": "worddoc"}, 422, "bad_filter", "unknown format 'worddoc'"),
        ({"in": ""}, 422, "bad_filter", "in must not be empty"),
        ({"in": "a\0b"}, 422, "bad_request", "the filter contains NUL or surrogate characters"),
        ({"in": ["a"] * 21}, 422, "bad_request", "in: must have at most 20 entries"),
        ({"in": 5}, 422, "bad_request", "in: must be a list"),
        ({"tag": ["a" * 501]}, 422, "bad_request", "tag.0: must have at most 500 characters"),
        ({"in_": "docs"}, 422, "bad_request", "unknown field 'in_'"),
    ],
)
def test_an_invalid_filter_is_refused_with_a_message(
    scope: dict[str, Any], status: int, code: str, message: str, server: RunningServer
) -> None:
    reply = post_json(f"{server.url}/search", {"query": QUESTION, **scope})

    assert (reply.status, reply.code, reply.json["error"]) == (status, code, message)


def test_a_pattern_from_a_client_does_not_reveal_paths(settings: Settings, server: RunningServer) -> None:
    folder = Path(str(settings.store)).parent
    absolute = [f"{folder}/docs/tides.txt", f"{folder}/**", "/**", "~", "../*"]

    replies = [post_json(f"{server.url}/search", {"query": QUESTION, "in": each}) for each in absolute]

    assert [(reply.status, reply.code) for reply in replies] == [(404, "no_document_matches")] * len(absolute)
    assert not any(str(folder) in reply.body.decode() for reply in replies)
