"""Servers that send one byte at a time forever: every request ends at its time limit."""

import time
from collections.abc import Callable
from itertools import repeat

import pytest

from streamrag_cli.answer.model_choice import choose_endpoint, find_local_servers
from streamrag_cli.errors import StreamragError
from streamrag_cli.model_server.endpoint import EMBEDDING, ModelEndpoint
from streamrag_cli.retrieval.openai_embedding import OpenAIEmbedder
from tests.support.conversations import converse
from tests.support.openai_replies import Delay, Reply, Step, whole_body
from tests.support.openai_server import OpenAIServer

DRIP: tuple[Step, ...] = tuple(step for drop in repeat(b"x", 1500) for step in (drop, Delay(0.02)))
LIMIT_S = 10.0
"""Time limit on a busy machine; a complete reply would take 30 s."""
HEADERS = Reply(before_headers=(b"HTTP/1.1 200 OK\r\nX: ", *DRIP))
BODY = Reply(steps=DRIP, content_type="application/json", framing="close")
ERROR_BODY = Reply(status=500, steps=DRIP, content_type="application/json")
REPLIES = {"headers": HEADERS, "the body": BODY, "an error's body": ERROR_BODY}


def seconds(work: Callable[[], object]) -> float:
    started_s = time.monotonic()
    work()
    return time.monotonic() - started_s


@pytest.mark.fault("model-drips")
@pytest.mark.parametrize("part", ["headers", "an error's body"])
def test_an_answer_that_arrives_too_slowly_is_stopped_at_the_time_limit(part: str) -> None:
    with OpenAIServer(chat=REPLIES[part]) as server:
        asked_at_s = time.monotonic()
        conversation = converse(server.base_url, timeout_s=0.3)
        took_s = time.monotonic() - asked_at_s
        closed = server.requests[0].closed_by_client.wait(timeout=10.0)

    assert (conversation.code, closed, took_s < LIMIT_S) == ("stalled", True, True)


@pytest.mark.fault("model-drips")
@pytest.mark.parametrize("part", REPLIES)
@pytest.mark.parametrize("reused", [False, True], ids=["a new connection", "a reused connection"])
def test_vectors_that_arrive_too_slowly_cause_an_error_at_the_time_limit(part: str, reused: bool) -> None:
    replies = [REPLIES[part]]
    with OpenAIServer(
        embeddings=[*([whole_body(b"{}", content_type="application/json")] if reused else []), *replies]
    ) as server:
        endpoint = ModelEndpoint(model="m", base_url=server.base_url, purpose=EMBEDDING)
        embedder = OpenAIEmbedder(endpoint, timeout_s=0.15, sleep=lambda _: None)
        if reused:
            with pytest.raises(StreamragError):
                embedder.embed_query("a first question")
        asked_at_s = time.monotonic()
        with pytest.raises(StreamragError) as raised:
            embedder.embed_query("a question")
        took_s = time.monotonic() - asked_at_s
        closed = server.requests[-1].closed_by_client.wait(timeout=10.0)

    assert (raised.value.code, raised.value.message) == (
        "stalled",
        f"127.0.0.1:{server.port} did not send a complete reply within 0.6 s",
    )
    assert (closed, took_s < LIMIT_S) == (True, True)


@pytest.mark.fault("model-drips")
@pytest.mark.parametrize("part", REPLIES)
def test_a_model_list_that_arrives_too_slowly_is_stopped_at_the_time_limit(part: str) -> None:
    with OpenAIServer(models=REPLIES[part]) as server:
        asked_at_s = time.monotonic()
        with pytest.raises(StreamragError) as raised:
            choose_endpoint(model=None, base_url=server.base_url, api_key=None, timeout_s=0.3)
        took_s = time.monotonic() - asked_at_s

    assert (raised.value.code, took_s < LIMIT_S) == ("stalled", True)


@pytest.mark.fault("model-drips")
@pytest.mark.parametrize("part", REPLIES)
def test_the_search_for_local_servers_does_not_wait_for_a_slow_server(part: str) -> None:
    with OpenAIServer(models=REPLIES[part]) as server:
        took_s = seconds(lambda: find_local_servers({"dripping": server.port}))

    assert took_s < LIMIT_S
