"""Embeddings over the OpenAI protocol, against a real server on this machine that fails on demand."""

import errno
import json
import socket
import traceback

import numpy as np
import pytest
from numpy.typing import NDArray

from streamrag_cli.errors import ConfigurationError, ModelServerError, StreamragError
from streamrag_cli.retrieval.openai_embedding import OpenAIEmbedder
from tests.embedding_server import GOOD, EmbeddingServer, Fault, reply_with, vector_of

KEY = "sk-very-secret-0123456789"


def embedder_of(base_url: str, *, waits_s: list[float] | None = None, timeout_s: float = 5.0) -> OpenAIEmbedder:
    """An embedder whose waits are noted instead of waited."""
    sleep = (waits_s if waits_s is not None else []).append
    return OpenAIEmbedder("some-model", base_url=base_url, api_key=KEY, timeout_s=timeout_s, sleep=sleep)


def failure_of(*replies: Fault | None, timeout_s: float = 5.0) -> tuple[StreamragError, str, int]:
    """What one question meets, the server's `host:port`, and how many requests it took."""
    with EmbeddingServer(replies) as server:
        with pytest.raises(StreamragError) as caught:
            embedder_of(server.base_url, timeout_s=timeout_s).embed_query("a question")
        assert KEY not in "".join(traceback.format_exception(caught.value))
        return caught.value, f"127.0.0.1:{server.port}", len(server.requests)


def unit(vector: list[float]) -> NDArray[np.float32]:
    exact = np.array(vector, dtype=np.float64)
    return np.asarray(exact / np.linalg.norm(exact), dtype=np.float32)


def test_documents_become_unit_vectors_in_their_order() -> None:
    texts = ["one", "three", "a longer one"]
    with EmbeddingServer() as server:
        embedder = embedder_of(server.base_url)
        before = embedder.dimension
        vectors = embedder.embed_documents(texts)

    np.testing.assert_array_equal(vectors, np.stack([unit(vector_of(text)) for text in texts]))
    assert vectors.dtype == np.float32
    assert (embedder.name, before, embedder.dimension) == ("openai:some-model", None, 3)
    assert server.requests == [{"input": texts, "model": "some-model", "encoding_format": "float"}]
    assert server.authorizations == [f"Bearer {KEY}"]


def test_a_question_becomes_one_unit_vector() -> None:
    with EmbeddingServer() as server:
        np.testing.assert_array_equal(embedder_of(server.base_url).embed_query("who"), unit(vector_of("who")))


def test_no_texts_send_no_request() -> None:
    with EmbeddingServer() as server:
        assert embedder_of(server.base_url).embed_documents([]).shape == (0, 0)
    assert server.requests == []


def test_a_request_carries_at_most_128_texts() -> None:
    texts = [f"text {number}" for number in range(300)]
    with EmbeddingServer() as server:
        vectors = embedder_of(server.base_url).embed_documents(texts)

    np.testing.assert_array_equal(vectors, np.stack([unit(vector_of(text)) for text in texts]))
    assert [len(request["input"]) for request in server.requests] == [128, 128, 44]


def test_vectors_are_taken_by_index_not_by_arrival() -> None:
    data = [{"index": 1, "embedding": [0.0, 2.0]}, {"index": 0, "embedding": [3.0, 0.0]}]
    with EmbeddingServer([Fault(body=json.dumps({"data": data}))]) as server:
        vectors = embedder_of(server.base_url).embed_documents(["first", "second"])

    np.testing.assert_array_equal(vectors, np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32))


def test_a_lone_surrogate_is_sent_as_a_question_mark() -> None:
    with EmbeddingServer() as server:
        embedder_of(server.base_url).embed_query("why \udcff")
    assert [request["input"] for request in server.requests] == [["why ?"]]


def test_a_server_of_ones_own_needs_no_key() -> None:
    with EmbeddingServer() as server:
        OpenAIEmbedder("m", base_url=server.base_url, api_key=None, timeout_s=5.0).embed_query("x")
    assert server.authorizations == ["Bearer none"]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_limit_or_a_failing_server_is_asked_up_to_three_times(status: int) -> None:
    waits_s: list[float] = []
    with EmbeddingServer([Fault(status=status), Fault(status=status), GOOD]) as server:
        vector = embedder_of(server.base_url, waits_s=waits_s).embed_query("who")

    np.testing.assert_array_equal(vector, unit(vector_of("who")))
    assert (len(server.requests), waits_s) == (3, [0.5, 1.0])


def test_a_short_retry_after_is_obeyed() -> None:
    waits_s: list[float] = []
    with EmbeddingServer([Fault(status=429, headers={"Retry-After": "2"})]) as server:
        embedder_of(server.base_url, waits_s=waits_s).embed_query("who")
    assert waits_s == [2.0]


HTML = Fault(status=502, body="<html><b>Bad Gateway</b></html>", headers={"Content-Type": "text/html"})
ECHO = Fault(status=401, body=json.dumps({"error": {"message": f"bad key {KEY}\n\x1b[31m" + "x" * 300}}))
QUOTA = Fault(status=429, body='{"error": {"message": "pay first", "code": "insufficient_quota"}}')


@pytest.mark.parametrize(
    ("reply", "kind", "code", "message", "requests"),
    [
        (ECHO, ConfigurationError, "key_refused", "HOST refused the key: bad key *** �[31m" + "x" * 183 + "...", 1),
        (Fault(status=403), ConfigurationError, "key_refused", "HOST refused the key: no", 1),
        (Fault(status=404), ConfigurationError, "unknown_model", "HOST has no embedding model 'some-model': no", 1),
        (Fault(status=400), ModelServerError, "request_refused", "HOST refused the request with status 400: no", 1),
        (Fault(status=429), ModelServerError, "rate_limited", "HOST: too many requests: no", 3),
        (
            Fault(status=429, headers={"Retry-After": "60"}),
            ModelServerError,
            "rate_limited",
            "HOST: too many requests: no",
            1,
        ),
        (QUOTA, ModelServerError, "quota_exhausted", "HOST: the quota is exhausted: pay first", 1),
        (HTML, ModelServerError, "server_failed", "HOST failed with status 502", 3),
    ],
)
def test_a_refusal_is_named(reply: Fault, kind: type[StreamragError], code: str, message: str, requests: int) -> None:
    error, place, seen = failure_of(reply, reply, reply, reply)

    assert (type(error), error.code, error.message.replace(place, "HOST"), seen) == (kind, code, message, requests)
    assert error.hint.startswith(("export ", "streamrag "))


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (Fault(body="<html>", headers={"Content-Type": "text/html"}), "not a list of vectors"),
        (Fault(body='{"data": ['), "not a list of vectors"),
        (Fault(body="[" * 100_000), "not a list of vectors"),
        (Fault(body="{}"), "not a list of vectors"),
        (Fault(body="null"), "not a list of vectors"),
        (Fault(body='{"error": {"message": "no"}}'), "not a list of vectors"),
        (Fault(body='{"data": [null]}'), "not a list of vectors"),
        (Fault(body='{"data": [{"index": 0}]}'), "not a list of vectors"),
        (Fault(body='{"data": [{"index": 7, "embedding": [1.0]}]}'), "not a list of vectors"),
        (Fault(body=f'{{"data": [{{"embedding": [{"9" * 400}]}}]}}'), "not a list of vectors"),
        (reply_with("AACAPwAAAAA="), "not a list of vectors"),
        (reply_with(1.0), "not a list of vectors"),
        (reply_with([]), "a vector without a direction (zero, NaN or infinite)"),
        (reply_with([0.0, 0.0]), "a vector without a direction (zero, NaN or infinite)"),
        (reply_with([float("nan"), 1.0]), "a vector without a direction (zero, NaN or infinite)"),
        (reply_with([None, 1.0]), "a vector without a direction (zero, NaN or infinite)"),
        (reply_with([1e300, 1e300]), "a vector without a direction (zero, NaN or infinite)"),
        (reply_with(), "0 vectors for 1 texts"),
        (reply_with([1.0], [2.0]), "2 vectors for 1 texts"),
    ],
)
def test_a_malformed_answer_is_named_and_not_asked_for_again(reply: Fault, what: str) -> None:
    error, place, seen = failure_of(reply)

    assert (type(error), error.code, error.message, error.hint, seen) == (
        ModelServerError,
        "malformed_answer",
        f"{place} sent a malformed answer: {what}",
        "streamrag doctor",
        1,
    )


def test_vectors_of_another_length_than_before_are_malformed() -> None:
    with EmbeddingServer([GOOD, reply_with([1.0, 2.0])]) as server:
        embedder = embedder_of(server.base_url)
        embedder.embed_query("one")
        with pytest.raises(ModelServerError, match="vectors of 2 numbers, before of 3"):
            embedder.embed_query("two")


def test_a_silent_server_is_named_after_the_time_limit() -> None:
    error, place, seen = failure_of(Fault(stall=True), timeout_s=0.2)

    assert (type(error), error.code, error.message, seen) == (
        ModelServerError,
        "server_stalled",
        f"{place} was silent for 0.2 s",
        1,
    )


def test_an_answer_that_is_cut_off_is_a_failure_of_the_server() -> None:
    error, place, seen = failure_of(Fault(body="x" * 100, cut=True))

    assert (type(error), error.code, seen) == (ModelServerError, "server_unreachable", 1)
    assert error.message.startswith(f"cannot reach {place}: peer closed connection")


def test_a_refused_connection_names_host_and_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ModelServerError) as caught:
        embedder_of(f"http://127.0.0.1:{port}/v1").embed_query("x")

    assert caught.value.code == "server_unreachable"
    assert caught.value.message == f"cannot reach 127.0.0.1:{port}: [Errno {errno.ECONNREFUSED}] Connection refused"


@pytest.mark.parametrize(
    "base_url", ["localhost:11434", "ftp://host/v1", "http://", "http://[::1", "http://h:99999/v1"]
)
def test_a_base_url_that_is_none_is_refused(base_url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        embedder_of(base_url).embed_query("x")
    assert caught.value.code == "bad_base_url"


@pytest.mark.parametrize("key", ["sk-broken\nkey", "sk-ключ", "two words"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OpenAIEmbedder("m", base_url="http://127.0.0.1:9/v1", api_key=key, timeout_s=1.0).embed_query("x")
    assert caught.value.code == "key_refused"
    assert key not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("key", [None, ""])
def test_openai_itself_needs_a_key(key: str | None) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OpenAIEmbedder("m", base_url=None, api_key=key, timeout_s=1.0).embed_query("x")
    assert (caught.value.code, caught.value.message) == ("key_missing", "openai:m needs a key, and none is set")
