"""A conversation's earlier turns in requests to `/rag/*` and `/search`."""

import json
from dataclasses import replace
from typing import Any

import pytest

from streamrag_cli.settings import Settings
from tests.support.http_client import Reply, post_json, request, streaming
from tests.support.openai_replies import answer
from tests.support.openai_server import OpenAIServer
from tests.support.running_server import running_server

VAGUE = "Could you put that differently?"
TIDES = [{"question": "What is the range of the tides?", "answer": "4.1 metres at springs [1]."}]
EXAMPLE = 'send Content-Type: application/json and a body such as {"query": "How long is the warranty?", "k": 3}'


def events_of(url: str, body: dict[str, Any], path: str = "/rag/stream-with-sources") -> list[dict[str, Any]]:
    headers = {"Content-Type": "application/json"}
    with streaming(f"{url}{path}", "POST", body=json.dumps(body).encode(), headers=headers) as stream:
        return list(stream.events())


def test_a_follow_up_is_answered_from_the_sources_of_its_conversation(settings: Settings) -> None:
    with (
        OpenAIServer(chat=answer("At springs 4.1 m [1].")) as model,
        running_server(replace(settings, base_url=model.base_url, model="m")) as server,
    ):
        events = events_of(server.url, {"query": VAGUE, "history": TIDES})
        roles = [each["role"] for each in model.requests[-1].json["messages"]]

    kinds = [event["type"] for event in events]
    assert kinds[:4] == ["question", "status", "sources", "status"]
    assert events[0] == {
        "type": "question",
        "n": 2,
        "thread": "",
        "text": VAGUE,
        "searched_for": [VAGUE, TIDES[0]["question"]],
    }
    assert events[2]["sources"][0]["source"] == "docs/tides.txt"
    assert roles == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize("body", [{"query": "What is the fee?"}, {"query": "What is the fee?", "history": []}])
def test_a_single_question_has_no_question_event(body: dict[str, Any], settings: Settings) -> None:
    with running_server(settings) as server:
        kinds = [event["type"] for event in events_of(server.url, body)]

    assert "sources" in kinds
    assert "question" not in kinds


def test_the_stream_without_sources_reports_the_question(settings: Settings) -> None:
    with running_server(settings) as server:
        events = events_of(server.url, {"query": VAGUE, "history": TIDES}, path="/rag/stream")

    assert [event["type"] for event in events][:3] == ["question", "status", "status"]


def test_a_search_by_post_uses_the_conversation(settings: Settings) -> None:
    with running_server(settings) as server:
        single = post_json(f"{server.url}/search", {"query": VAGUE}).json
        follow_up = post_json(f"{server.url}/search", {"query": VAGUE, "history": TIDES, "k": 1}).json

    assert (single["hits"], single["error"]["code"]) == ([], "nothing_relevant")
    assert (follow_up["version"], follow_up["query"], follow_up["error"]) == (1, VAGUE, None)
    assert [hit["source"] for hit in follow_up["hits"]] == ["docs/tides.txt"]


def test_the_body_takes_precedence_over_the_url_and_adds_the_history(settings: Settings) -> None:
    with running_server(settings) as server:
        reply = post_json(f"{server.url}/search?query=fuel&k=1", {"query": VAGUE, "history": TIDES})

    assert (reply.json["query"], [hit["source"] for hit in reply.json["hits"]]) == (VAGUE, ["docs/tides.txt"])


def test_twenty_turns_are_accepted_even_if_answers_are_missing(settings: Settings) -> None:
    with running_server(settings) as server:
        events = events_of(server.url, {"query": VAGUE, "history": [{"question": TIDES[0]["question"]}] * 20})

    assert (events[0]["n"], events[-1]["type"]) == (21, "done")


@pytest.mark.fault("invalid-requests")
@pytest.mark.parametrize(
    ("history", "message", "hint"),
    [
        ("earlier", "history: must be a list", EXAMPLE),
        (["earlier"], "history.0: must be an object", EXAMPLE),
        ([{"answer": "Yes."}], "history.0.question is required", EXAMPLE),
        ([{"question": None}], "history.0.question: must be a string", EXAMPLE),
        ([{"question": "Is it?", "answer": 5}], "history.0.answer: must be a string", EXAMPLE),
        (
            [{"question": "Is it?", "role": "user"}],
            "unknown field 'history.0.role'",
            "use only the fields question and answer",
        ),
        (
            [{"question": "Is it?", "anwser": "Yes."}],
            "unknown field 'history.0.anwser'",
            "did you mean answer? The fields are question and answer",
        ),
        ([{"question": "Is it?"}] * 21, "history: must have at most 20 entries", EXAMPLE),
        ([{"question": "b" * 20_001}], "history.0.question: must have at most 20000 characters", EXAMPLE),
        (
            [{"question": "Is it?", "answer": "b" * 100_001}],
            "history.0.answer: must have at most 100000 characters",
            EXAMPLE,
        ),
        (
            [{"question": "Is\0it?"}],
            "an earlier question contains NUL or surrogate characters",
            "send plain text",
        ),
        (
            [{"question": "Is it?", "answer": "\0"}],
            "an earlier answer contains NUL or surrogate characters",
            "send plain text",
        ),
    ],
)
@pytest.mark.parametrize("path", ["/rag/stream", "/search"])
def test_an_invalid_history_is_refused_with_a_reason_and_a_hint(
    path: str, history: Any, message: str, hint: str, settings: Settings
) -> None:
    with running_server(settings) as server:
        reply = post_json(f"{server.url}{path}", {"query": "quay", "history": history})

    assert refusal(reply) == (422, "bad_request", message, hint)


@pytest.mark.fault("invalid-requests")
def test_a_history_in_a_url_is_refused_with_a_hint(settings: Settings) -> None:
    with running_server(settings) as server:
        reply = request(f"{server.url}/rag/stream?query=quay&history=earlier")

    assert refusal(reply) == (
        422,
        "bad_request",
        "unknown field 'history'",
        "send history in the body of a POST request",
    )


def refusal(reply: Reply) -> tuple[int, str, str, str]:
    return reply.status, reply.code, reply.json["error"], reply.json["hint"]
