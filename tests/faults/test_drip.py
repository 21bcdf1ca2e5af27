"""Servers that send a byte now and then, for ever: whoever asks gives up at a limit, whatever it is that drips."""

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
"""What giving up may take on a busy machine; a whole reply drips for 30 s."""
HEADERS = Reply(before_headers=(b"HTTP/1.1 200 OK\r\nX: ", *DRIP))
BODY = Reply(steps=DRIP, content_type="application/json", framing="close")
ERROR_BODY = Reply(status=500, steps=DRIP, content_type="application/json")
REPLIES = {"headers": HEADERS, "the body": BODY, "an error's body": ERROR_BODY}


def seconds(act: Callable[[], object]) -> float:
    started_s = time.monotonic()
    act()
    return time.monotonic() - started_s


@pytest.mark.fault("model-drips")
@pytest.mark.parametrize("what", ["headers", "an error's body"])
def test_an_answer_is_given_up(what: str) -> None:
    with OpenAIServer(chat=REPLIES[what]) as server:
        asked_at_s = time.monotonic()
        conversation = converse(server.base_url, timeout_s=0.3)
        took_s = time.monotonic() - asked_at_s
        closed = server.requests[0].closed_by_client.wait(timeout=10.0)

    assert (conversation.code, closed, took_s < LIMIT_S) == ("stalled", True, True)


@pytest.mark.fault("model-drips")
@pytest.mark.parametrize("what", REPLIES)
@pytest.mark.parametrize("kept", [False, True], ids=["a new connection", "a kept connection"])
def test_vectors_are_given_up(what: str, kept: bool) -> None:
    replies = [REPLIES[what]]
    with OpenAIServer(
        embeddings=[*([whole_body(b"{}", content_type="application/json")] if kept else []), *replies]
    ) as server:
        endpoint = ModelEndpoint(model="m", base_url=server.base_url, purpose=EMBEDDING)
        embedder = OpenAIEmbedder(endpoint, timeout_s=0.15, sleep=lambda _: None)
        if kept:
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
@pytest.mark.parametrize("what", REPLIES)
def test_a_list_of_models_is_given_up(what: str) -> None:
    with OpenAIServer(models=REPLIES[what]) as server:
        asked_at_s = time.monotonic()
        with pytest.raises(StreamragError) as raised:
            choose_endpoint(model=None, base_url=server.base_url, api_key=None, timeout_s=0.3)
        took_s = time.monotonic() - asked_at_s

    assert (raised.value.code, took_s < LIMIT_S) == ("stalled", True)


@pytest.mark.fault("model-drips")
@pytest.mark.parametrize("what", REPLIES)
def test_who_looks_for_local_servers_does_not_wait(what: str) -> None:
    with OpenAIServer(models=REPLIES[what]) as server:
        took_s = seconds(lambda: find_local_servers({"dripping": server.port}))

    assert took_s < LIMIT_S
