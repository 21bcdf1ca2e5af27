"""The OpenAI-compatible API, used through OpenAI's own client."""

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
from tests.support.http_client import QUESTION, post_json, request, wait_until
from tests.support.openai_replies import Stall, answer, stream, token
from tests.support.openai_server import OpenAIServer
from tests.support.running_server import RunningServer, running_server

MESSAGES: Any = [{"role": "user", "content": QUESTION}]


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
                model="streamrag", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
            )
        )

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    extra: dict[str, Any] = {name: value for chunk in chunks for name, value in (chunk.model_extra or {}).items()}
    assert text == "Ada Brandt built it [1]."
    assert [(source["n"], source["source"]) for source in extra["sources"]][:1] == [(1, "docs/lighthouse.md")]
    assert [citation["n"] for citation in extra["citations"]] == [1]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None


def test_the_official_client_gets_a_complete_answer(settings: Settings) -> None:
    with OpenAIServer(chat=answer("Ada Brandt.")) as model, served(settings, model) as (_, client):
        completion = client.chat.completions.create(model="streamrag/default", messages=MESSAGES)

    assert completion.choices[0].message.content == "Ada Brandt."
    assert (completion.model_extra or {})["sources"][0]["source"] == "docs/lighthouse.md"


def test_each_served_collection_is_listed_as_a_model(settings: Settings) -> None:
    with OpenAIServer() as model, served(settings, model) as (_, client):
        assert [each.id for each in client.models.list()] == ["streamrag", "streamrag/default"]


@pytest.mark.parametrize("name", ["streamrag", "streamrag/default"])
def test_a_model_can_be_retrieved_by_name(name: str, settings: Settings) -> None:
    with OpenAIServer() as model, served(settings, model) as (_, client):
        assert (client.models.retrieve(name).id, client.models.retrieve(name).owned_by) == (name, "streamrag")


def test_a_model_that_is_not_served_is_not_found(settings: Settings) -> None:
    with OpenAIServer() as model, served(settings, model) as (_, client):
        with pytest.raises(openai.NotFoundError) as refused:
            client.models.retrieve("streamrag/nothing")

    assert refused.value.code == "no_such_model"


def test_a_conversation_is_passed_to_the_model_with_its_roles(settings: Settings) -> None:
    conversation: Any = [
        {"role": "developer", "content": "Answer in verse."},
        {"role": "user", "content": "What is a berth?"},
        {"role": "assistant", "content": "A place for a ship."},
        {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
    ]
    with OpenAIServer(chat=answer("Ada.")) as model, served(settings, model) as (_, client):
        client.chat.completions.create(model="streamrag", messages=conversation)
        sent = model.requests[-1].json["messages"]

    assert [each["role"] for each in sent] == ["system", "user", "assistant", "user"]
    assert [each["content"] for each in sent[1:3]] == ["What is a berth?", "A place for a ship."]
    assert "Answer in verse." in sent[0]["content"]
    assert "verse" not in sent[-1]["content"]
    assert sent[-1]["content"].endswith(f"Question: {QUESTION}")
    assert "built in 1874 by Ada Brandt" in sent[-1]["content"]


def test_sampling_options_are_passed_on_to_the_model(settings: Settings) -> None:
    options: Any = {
        "temperature": 0.2,
        "top_p": 0.9,
        "stop": ["\n\n"],
        "seed": 11,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "max_tokens": 64,
    }
    with OpenAIServer(chat=answer("Ada.")) as model, served(settings, model) as (_, client):
        client.chat.completions.create(model="streamrag", messages=MESSAGES, user="visitor", store=False, **options)
        sent = model.requests[-1].json

    ends, mark = sent["stop"]
    assert (ends, mark in sent["messages"][-1]["content"]) == ("\n\n", True)
    assert {name: value for name, value in sent.items() if name not in {"messages", "model"}} == options | {
        "stop": [ends, mark],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("as_stream", [True, False])
def test_the_clients_token_limit_is_enforced_if_the_model_ignores_it(
    as_stream: bool, limit: str, settings: Settings
) -> None:
    options: Any = {"model": "streamrag", "messages": MESSAGES, "stream": as_stream, limit: 3}
    with OpenAIServer(chat=answer("one ", "two ", "three ", "four ", "five")) as model:
        with served(settings, model) as (_, client):
            text, reason = answered(client.chat.completions.create(**options))

    assert (text, reason) == ("one two three ", "length")


@pytest.mark.fault("openai-unsupported-option")
@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("n", 2),
        ("tools", [{"type": "function", "function": {"name": "f", "parameters": {}}}]),
        ("functions", [{"name": "f", "parameters": {}}]),
        ("tool_choice", "required"),
        ("response_format", {"type": "json_object"}),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}),
        ("logprobs", True),
        ("modalities", ["text", "audio"]),
    ],
)
@pytest.mark.parametrize("as_stream", [True, False])
def test_unsupported_options_are_refused_and_named(param: str, value: Any, as_stream: bool, settings: Settings) -> None:
    with OpenAIServer() as model, served(settings, model) as (_, client):
        with pytest.raises(openai.BadRequestError) as refused:
            client.post(
                "/chat/completions",
                body={"model": "streamrag", "messages": MESSAGES, "stream": as_stream, param: value},
                cast_to=object,
            )

    assert (refused.value.code, refused.value.param, model.requests) == ("unsupported_parameter", param, [])
    assert param in refused.value.message


def test_options_with_default_values_are_accepted(settings: Settings) -> None:
    harmless: Any = {
        "n": 1,
        "tools": [],
        "tool_choice": "auto",
        "response_format": {"type": "text"},
        "logprobs": False,
        "metadata": {"a": "b"},
        "reasoning_effort": "low",
        "temperature": None,
    }
    body = {"model": "streamrag", "messages": MESSAGES, **harmless}
    with OpenAIServer(chat=answer("Ada.")) as model, served(settings, model) as (server, _):
        reply = post_json(f"{server.url}/v1/chat/completions", body)

    assert reply.json["choices"][0]["message"]["content"] == "Ada."


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}


@pytest.mark.fault("openai-unsupported-option")
@pytest.mark.parametrize(
    ("messages", "code", "param"),
    [
        ([{"role": "user", "content": [IMAGE]}], "empty_question", "messages.0.content"),
        ([{"role": "user", "content": "  "}], "empty_question", "messages.0.content"),
        ([{"role": "user", "content": "w" * 20_001}], "question_too_long", "messages.0.content"),
        ([{"role": "user", "content": [{"type": "text", "text": "And?"}, AUDIO]}], "unsupported_parameter", None),
        ([{"role": "system", "content": "Hello."}], "bad_request", "messages"),
        (
            [*MESSAGES, {"role": "tool", "tool_call_id": "1", "content": "42"}],
            "unsupported_parameter",
            "messages.1.role",
        ),
    ],
    ids=["image only", "blank", "too long", "audio", "no user", "tool"],
)
def test_a_message_that_cannot_be_answered_is_a_bad_request(
    messages: list[Any], code: str, param: str | None, settings: Settings
) -> None:
    with OpenAIServer() as model, served(settings, model) as (_, client):
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(model="streamrag", messages=messages, stream=True)

    assert refused.value.code == code
    assert refused.value.param == (param or "messages.0.content")
    assert "streamrag" not in refused.value.message


def test_an_image_next_to_text_is_ignored(settings: Settings) -> None:
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": QUESTION}, IMAGE]}]
    with OpenAIServer(chat=answer("Ada.")) as model, served(settings, model) as (_, client):
        text, _ = answered(client.chat.completions.create(model="streamrag", messages=messages))

    assert text == "Ada."


TITLE = "### Task: write a title with an emoji for this chat as JSON. USER: good morning ASSISTANT: good morning"


@pytest.mark.fault("chat-small-talk")
@pytest.mark.parametrize("question", ["Hello!", TITLE, "Which programming language has macros?"])
@pytest.mark.parametrize("as_stream", [True, False])
def test_an_irrelevant_question_gets_an_ordinary_reply(question: str, as_stream: bool, settings: Settings) -> None:
    with OpenAIServer(chat=answer("never")) as model, served(settings, model) as (_, client):
        completion = client.chat.completions.create(
            model="streamrag", messages=[{"role": "user", "content": question}], stream=as_stream
        )
        text, reason = answered(completion)

    assert (text, reason) == ("The documents do not contain anything about this.", "stop")
    assert model.requests == []


def test_the_answer_to_an_irrelevant_question_has_no_sources_or_usage(settings: Settings) -> None:
    body = {"messages": [{"role": "user", "content": "Hello!"}], "stream_options": {"include_usage": True}}
    with OpenAIServer() as model, served(settings, model) as (server, _):
        whole = post_json(f"{server.url}/v1/chat/completions", body).json
        streamed = post_json(f"{server.url}/v1/chat/completions", body | {"stream": True}).body.decode()

    chunks = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
    none = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert (whole["sources"], whole["citations"], whole["usage"]) == ([], [], none)
    assert (chunks[0]["sources"], chunks[-2]["citations"], chunks[-1]["usage"]) == ([], [], none)
    assert streamed.endswith("data: [DONE]\n\n")


@pytest.mark.fault("chat-small-talk")
@pytest.mark.parametrize("as_stream", [True, False])
def test_a_vague_follow_up_is_searched_with_the_previous_question(as_stream: bool, settings: Settings) -> None:
    conversation: Any = [
        *MESSAGES,
        {"role": "assistant", "content": "Ada Brandt [1]."},
        {"role": "user", "content": "Say that again, please."},
    ]
    with OpenAIServer(chat=answer("Ada Brandt [1].")) as model, served(settings, model) as (_, client):
        text, reason = answered(
            client.chat.completions.create(model="streamrag", messages=conversation, stream=as_stream)
        )
        sent = model.requests[-1].json["messages"][-1]["content"]

    assert (text, reason) == ("Ada Brandt [1].", "stop")
    assert " [1] docs/lighthouse.md" in sent


def test_quotes_respect_max_tokens_and_stop_and_report_no_usage(settings: Settings) -> None:
    with running_server(settings) as server, openai.OpenAI(base_url=f"{server.url}/v1", api_key="any") as client:
        cut = client.chat.completions.create(model="streamrag", messages=MESSAGES, max_tokens=3)
        stopped = client.chat.completions.create(model="streamrag", messages=MESSAGES, stop="1874")

    assert (len((cut.choices[0].message.content or "").split()), cut.choices[0].finish_reason) == (3, "length")
    assert (stopped.choices[0].message.content or "").endswith("was built in ")
    assert stopped.choices[0].finish_reason == "stop"
    assert stopped.usage is not None
    assert stopped.usage.total_tokens == 0


@pytest.mark.parametrize("as_stream", [True, False])
def test_a_failure_raises_an_exception_in_the_official_client(as_stream: bool, settings: Settings) -> None:
    with running_server(replace(settings, base_url="http://127.0.0.1:1/v1", model="m")) as server:
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
            with pytest.raises(openai.APIError, match="the model server cannot be reached"):
                completion: Any = client.chat.completions.create(model="streamrag", messages=MESSAGES, stream=as_stream)
                list(completion)


CHAT = "/v1/chat/completions"


@pytest.mark.fault("openai-unsupported-option")
@pytest.mark.parametrize(
    ("sent", "status", "code", "param"),
    [
        (("POST", "/v1/embeddings", b"{}"), 404, "not_found", None),
        (("GET", CHAT, None), 405, "method_not_allowed", None),
        (("POST", CHAT, b'{"messages": []}'), 400, "bad_request", "messages"),
        (("POST", CHAT, b'{"messages": [{"role": 1}]}'), 400, "bad_request", "messages.0.role"),
        (("POST", CHAT, b'{"messages": [{"role": "user", "content": "a\\u0000"}]}'), 400, "bad_request", None),
        (("POST", CHAT, b'{"messages": [{"role": "user", "content": "a"}], "since": "soon"}'), 400, "bad_filter", None),
        (("POST", CHAT, b"{" + b" " * 1_100_000), 413, "too_large", None),
        (("GET", "/v1/models?key=none", None), 401, "key_missing", None),
    ],
    ids=["no such path", "method", "no messages", "role", "NUL", "filter", "too large", "no key"],
)
def test_under_v1_every_failure_has_openais_format(
    sent: tuple[str, str, bytes | None], status: int, code: str, param: str | None, settings: Settings
) -> None:
    method, path, body = sent
    key = "0123456789abcdef"
    headers = {"Content-Type": "application/json"}
    if "key=none" not in path:
        headers["Authorization"] = f"Bearer {key}"
    with running_server(settings, ServerSettings(server_key=key)) as server:
        reply = request(f"{server.url}{path}", method, body=body, headers=headers)

    assert reply.status == status
    assert list(reply.json) == ["error"]
    error = reply.json["error"]
    assert error["message"]
    assert error | {"message": ""} == {"message": "", "type": "invalid_request_error", "param": param, "code": code}


def test_a_model_of_another_provider_is_reported_as_not_found(settings: Settings) -> None:
    with OpenAIServer() as model, served(settings, model) as (_, client):
        with pytest.raises(openai.NotFoundError, match="streamrag/COLLECTION"):
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES)


@pytest.mark.parametrize("as_stream", [True, False])
def test_a_disconnect_of_an_openai_client_closes_the_model_call(as_stream: bool, settings: Settings) -> None:
    async def leave(url: str, model: OpenAIServer) -> None:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
            asking = asyncio.create_task(_read(client, as_stream=as_stream))
            await asyncio.to_thread(model.wait_for_requests, 1)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    with OpenAIServer(chat=stream(token("a"), Stall())) as model, served(settings, model) as (server, _):
        asyncio.run(leave(server.url, model))

        assert model.requests[0].closed_by_client.wait(timeout=10.0)


@pytest.mark.fault("too-many-streams")
@pytest.mark.parametrize("as_stream", [True, False])
def test_answers_beyond_the_limit_are_refused_and_counted(as_stream: bool, settings: Settings) -> None:
    one = ServerSettings(max_streams=1)
    with OpenAIServer(chat=stream(token("a"), Stall())) as model, served(settings, model, one) as (server, client):
        with asking_for_all(server):
            model.wait_for_requests(1)
            with pytest.raises(openai.InternalServerError) as refused:
                client.chat.completions.create(model="streamrag", messages=MESSAGES, stream=as_stream)
            metrics = request(f"{server.url}/metrics").body.decode().splitlines()
        assert model.requests[0].closed_by_client.wait(timeout=10.0)
        free = wait_until(lambda: server.open_streams == 0)

    assert (refused.value.status_code, refused.value.code) == (503, "too_many_streams")
    assert refused.value.response.headers["retry-after"] == "2"
    assert 'streamrag_refused_total{code="too_many_streams"} 1.0' in metrics
    assert (len(model.requests), free) == (1, True)


@pytest.mark.fault("signal-to-streams")
def test_shutdown_ends_a_non_streaming_answer_immediately(settings: Settings) -> None:
    patient = ServerSettings(grace_s=60.0)
    with OpenAIServer(chat=stream(token("a"), Stall())) as model, served(settings, model, patient) as (server, _):
        with asking_for_all(server) as asking:
            model.wait_for_requests(1)
            server.server.should_exit = True
            reply = asking.getresponse()
            error = json.loads(reply.read())["error"]

        assert (reply.status, error["code"], error["type"]) == (503, "server_shutdown", "server_error")
        assert model.requests[0].closed_by_client.wait(timeout=10.0)


@contextmanager
def asking_for_all(server: RunningServer) -> Iterator[http.client.HTTPConnection]:
    """A connection on which a non-streaming answer was requested. It is closed at the end of the block."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as asking:
        body = json.dumps({"messages": MESSAGES})
        asking.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        yield asking


async def _read(client: openai.AsyncOpenAI, *, as_stream: bool) -> None:
    answered: Any = await client.chat.completions.create(model="streamrag", messages=MESSAGES, stream=as_stream)
    if as_stream:
        async for _ in answered:
            pass


def answered(completion: Any) -> tuple[str, str]:
    """The text and finish reason of a completion, streaming or not."""
    if isinstance(completion, openai.Stream):
        choices = [chunk.choices[0] for chunk in completion if chunk.choices]
        return "".join(choice.delta.content or "" for choice in choices), choices[-1].finish_reason
    return completion.choices[0].message.content, completion.choices[0].finish_reason
