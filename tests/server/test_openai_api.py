"""OpenAI's own client talks to the documents."""

import asyncio
import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import openai
import pytest

from streamrag_cli.settings import ServerSettings, Settings
from tests.openai_replies import Stall, answer, stream, token
from tests.openai_server import OpenAIServer
from tests.server.client import QUESTION, post_json, request, wait_until
from tests.server.running import RunningServer, running_server

ASKED: Any = [{"role": "user", "content": QUESTION}]


@contextmanager
def served(
    settings: Settings, model: OpenAIServer, limits: ServerSettings | None = None
) -> Iterator[tuple[RunningServer, openai.OpenAI]]:
    with (
        running_server(replace(settings, base_url=model.base_url, model="m"), limits) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client,
    ):
        yield server, client


def test_the_official_client_streams_the_answer_and_the_sources(settings: Settings) -> None:
    with OpenAIServer(chat=answer("Ada Brandt ", "built it [1].")) as model, served(settings, model) as (_, client):
        chunks = list(
            client.chat.completions.create(
                model="streamrag", messages=ASKED, stream=True, stream_options={"include_usage": True}
            )
        )

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    extra: dict[str, Any] = {name: value for chunk in chunks for name, value in (chunk.model_extra or {}).items()}
    assert text == "Ada Brandt built it [1]."
    assert [(source["n"], source["source"]) for source in extra["sources"]][:1] == [(1, "docs/lighthouse.md")]
    assert [citation["n"] for citation in extra["citations"]] == [1]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None


def test_the_official_client_gets_the_whole_answer_at_once(settings: Settings) -> None:
    with OpenAIServer(chat=answer("Ada Brandt.")) as model, served(settings, model) as (_, client):
        completion = client.chat.completions.create(model="streamrag/default", messages=ASKED)

    assert completion.choices[0].message.content == "Ada Brandt."
    assert (completion.model_extra or {})["sources"][0]["source"] == "docs/lighthouse.md"


def test_the_models_are_the_collections(settings: Settings) -> None:
    with OpenAIServer() as model, served(settings, model) as (_, client):
        assert [each.id for each in client.models.list()] == ["streamrag", "streamrag/default"]


def test_the_last_message_is_the_question_and_the_rest_goes_to_the_model_beside_it(settings: Settings) -> None:
    conversation = [
        {"role": "system", "content": "Answer in French."},
        {"role": "user", "content": "What is a berth?"},
        {"role": "assistant", "content": "A place for a ship."},
        {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
    ]
    with OpenAIServer(chat=answer("Ada.")) as model, served(settings, model) as (server, _):
        post_json(f"{server.url}/v1/chat/completions", {"model": "streamrag", "messages": conversation})
        sent = model.requests[-1].json["messages"][-1]["content"]

    assert "Answer in French." in sent
    assert "A place for a ship." in sent
    assert QUESTION in sent


@pytest.mark.parametrize("as_stream", [True, False])
def test_a_failure_is_an_exception_of_the_official_client(as_stream: bool, settings: Settings) -> None:
    with running_server(replace(settings, base_url="http://127.0.0.1:1/v1", model="m")) as server:
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
            with pytest.raises(openai.APIError, match=r"127\.0\.0\.1:1"):
                answered = client.chat.completions.create(model="streamrag", messages=ASKED, stream=as_stream)
                list(answered)


def test_another_models_name_is_not_found(settings: Settings) -> None:
    with OpenAIServer() as model, served(settings, model) as (_, client):
        with pytest.raises(openai.NotFoundError, match="streamrag/COLLECTION"):
            client.chat.completions.create(model="gpt-4o", messages=ASKED)


@pytest.mark.parametrize("as_stream", [True, False])
def test_a_client_that_leaves_closes_the_call_to_the_model(as_stream: bool, settings: Settings) -> None:
    async def leave(url: str, model: OpenAIServer) -> None:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
            asking = asyncio.create_task(_read(client, as_stream=as_stream))
            await asyncio.to_thread(model.wait_for_requests, 1)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    with OpenAIServer(chat=stream(token("a"), Stall())) as model, served(settings, model) as (server, _):
        asyncio.run(leave(server.url, model))

        assert model.requests[0].closed_by_client.wait(timeout=1.0)


@pytest.mark.parametrize("as_stream", [True, False])
def test_more_answers_than_the_limit_are_refused_and_counted(as_stream: bool, settings: Settings) -> None:
    one = ServerSettings(max_streams=1)
    with OpenAIServer(chat=stream(token("a"), Stall())) as model, served(settings, model, one) as (server, client):
        with asking_for_all(server):
            model.wait_for_requests(1)
            with pytest.raises(openai.InternalServerError) as refused:
                client.chat.completions.create(model="streamrag", messages=ASKED, stream=as_stream)
            told = request(f"{server.url}/metrics").body.decode().splitlines()
        assert model.requests[0].closed_by_client.wait(timeout=1.0)
        free = wait_until(lambda: server.open_streams == 0)

    assert (refused.value.status_code, refused.value.code) == (503, "too_many_streams")
    assert refused.value.response.headers["retry-after"] == "2"
    assert 'streamrag_refused_total{code="too_many_streams"} 1.0' in told
    assert (len(model.requests), free) == (1, True)


def test_a_stop_ends_an_answer_of_which_nothing_was_sent_at_once(settings: Settings) -> None:
    patient = ServerSettings(grace_s=15.0)
    with OpenAIServer(chat=stream(token("a"), Stall())) as model, served(settings, model, patient) as (server, _):
        with asking_for_all(server) as asking:
            model.wait_for_requests(1)
            server.server.should_exit = True
            reply = asking.getresponse()
            error = json.loads(reply.read())["error"]

        assert (reply.status, error["code"], error["type"]) == (503, "server_shutdown", "server_error")
        assert model.requests[0].closed_by_client.wait(timeout=1.0)


@contextmanager
def asking_for_all(server: RunningServer) -> Iterator[http.client.HTTPConnection]:
    """A connection on which the answer was asked for as one object, closed at the end."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)) as asking:
        body = json.dumps({"messages": ASKED})
        asking.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        yield asking


async def _read(client: openai.AsyncOpenAI, *, as_stream: bool) -> None:
    answered: Any = await client.chat.completions.create(model="streamrag", messages=ASKED, stream=as_stream)
    if as_stream:
        async for _ in answered:
            pass
