"""OpenAI's clients do not retry an answer that has failed, so it is not paid for twice."""

from dataclasses import replace
from typing import Any

import openai
import pytest

from streamrag_cli.settings import Settings
from tests.support.http_client import QUESTION, post_json, request
from tests.support.http_client import Reply as HttpReply
from tests.support.openai_replies import Cut, Reply, answer, failure, finish, stream, token
from tests.support.openai_server import OpenAIServer, Script
from tests.support.running_server import running_server

MESSAGES: Any = [{"role": "user", "content": QUESTION}]
BUSY = failure(429, "slow down", headers={"Retry-After": "20"})


def whole_reply(script: Script, settings: Settings) -> HttpReply:
    with OpenAIServer(chat=script) as model:
        with running_server(replace(settings, base_url=model.base_url, model="m")) as server:
            return post_json(f"{server.url}/v1/chat/completions", {"messages": MESSAGES})


@pytest.mark.fault("openai-client-retries")
@pytest.mark.parametrize(
    ("reply", "calls", "error"),
    [
        (failure(500, "boom"), 3, openai.InternalServerError),
        (failure(429, "slow down", headers={"Retry-After": "0"}), 3, openai.RateLimitError),
        (failure(429, "slow down", headers={"Retry-After": "3600"}), 1, openai.RateLimitError),
        (failure(401, "bad key"), 1, openai.InternalServerError),
        (failure(403, "this api key is disabled"), 1, openai.InternalServerError),
        (failure(403, "not in your country"), 1, openai.BadRequestError),
        (failure(404, "no model m"), 1, openai.InternalServerError),
        (failure(429, "no money", code="insufficient_quota"), 1, openai.InternalServerError),
        (failure(400, "no such option"), 1, openai.BadRequestError),
        (failure(400, "maximum context length exceeded"), 1, openai.BadRequestError),
        (stream(token("Half"), Cut(reset=True)), 1, openai.InternalServerError),
        (stream(token("Half"), Cut(reset=False)), 1, openai.InternalServerError),
        (stream(finish()), 1, openai.InternalServerError),
    ],
    ids=[
        "500",
        "429",
        "long 429",
        "401",
        "403",
        "403 otherwise",
        "404",
        "quota",
        "400",
        "too long",
        "reset",
        "cut",
        "empty",
    ],
)
def test_the_official_client_does_not_retry_what_the_server_has_already_retried(
    reply: Reply, calls: int, error: type[Exception], settings: Settings
) -> None:
    with OpenAIServer(chat=reply) as model:
        with running_server(replace(settings, base_url=model.base_url, model="m")) as server:
            with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any") as client, pytest.raises(error):
                client.chat.completions.create(model="streamrag", messages=MESSAGES)

        assert len(model.requests) == calls


@pytest.mark.fault("openai-client-retries")
def test_the_model_servers_rate_limit_and_delay_are_passed_on(settings: Settings) -> None:
    reply = whole_reply(BUSY, settings)

    assert (reply.status, reply.headers["retry-after"]) == (429, "20")
    assert "x-should-retry" not in reply.headers  # streamrag did not retry, so the client may retry after that time
    assert reply.json["error"] == {
        "message": "the rate limit of the model server was reached; try again later",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limited",
    }


def test_the_error_event_of_a_stream_has_the_time_to_wait(settings: Settings) -> None:
    with OpenAIServer(chat=BUSY) as model:
        with running_server(replace(settings, base_url=model.base_url, model="m")) as server:
            last = request(f"{server.url}/rag/stream?query={QUESTION.replace(' ', '+')}").body.decode().splitlines()

    assert '"code":"rate_limited"' in last[-2]
    assert last[-2].endswith('"retry_after_s":20}')


def test_clients_may_retry_an_unreachable_model(settings: Settings) -> None:
    with running_server(replace(settings, base_url="http://127.0.0.1:1/v1", model="m")) as server:
        reply = post_json(f"{server.url}/v1/chat/completions", {"messages": MESSAGES})

    assert (reply.status, reply.headers.get("x-should-retry")) == (502, None)


def test_a_permanent_search_failure_forbids_retries(settings: Settings) -> None:
    with running_server(replace(settings, collection="nothing")) as server:
        reply = request(f"{server.url}/search?query=fees")

    assert (reply.status, reply.code, reply.headers["x-should-retry"]) == (503, "store_missing", "false")


def test_the_error_for_a_refused_request_names_the_requested_options(settings: Settings) -> None:
    with OpenAIServer(chat=failure(400, "at /srv/vllm: seed is not supported")) as model:
        with running_server(replace(settings, base_url=model.base_url, model="m")) as server:
            reply = post_json(f"{server.url}/v1/chat/completions", {"messages": MESSAGES, "seed": 1, "top_p": 1})

    assert reply.json["error"]["message"] == (
        "the model server refused the request; leave out options that the model may not support: seed, top_p"
    )


def test_a_successful_answer_has_no_retry_header(settings: Settings) -> None:
    reply = whole_reply(answer("Ada."), settings)

    assert (reply.status, "x-should-retry" in reply.headers) == (200, False)
