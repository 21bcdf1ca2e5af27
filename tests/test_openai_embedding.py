"""Embeddings over the OpenAI protocol, against a real server on this machine that fails on demand."""

import json
import socket
import time
import traceback

import numpy as np
import pytest
from numpy.typing import NDArray

from streamrag_cli.errors import ConfigurationError, ModelServerError, StreamragError
from streamrag_cli.model_server.endpoint import EMBEDDING, ModelEndpoint
from streamrag_cli.retrieval.embeddings import make_embedder
from streamrag_cli.retrieval.openai_embedding import OpenAIEmbedder
from tests.support.openai_replies import HTML, Cut, Reply, Stall, failure, stream, vectors, whole_body
from tests.support.openai_server import OpenAIServer, embedding_of

KEY = "sk-very-secret-0123456789"
GOOD = vectors([1.0, 2.0, 2.0])


def embedder_of(
    base_url: str, *, api_key: str | None = KEY, waits_s: list[float] | None = None, timeout_s: float = 5.0
) -> OpenAIEmbedder:
    """An embedder that records its retry delays instead of sleeping."""
    endpoint = ModelEndpoint(model="some-model", base_url=base_url, api_key=api_key, purpose=EMBEDDING)
    return OpenAIEmbedder(endpoint, timeout_s=timeout_s, sleep=(waits_s if waits_s is not None else []).append)


def failure_of(*replies: Reply, timeout_s: float = 5.0) -> tuple[StreamragError, str, int]:
    """Embed one question, and return the error, the server's `host:port`, and the number of requests."""
    with OpenAIServer(embeddings=replies) as server:
        with pytest.raises(StreamragError) as caught:
            embedder_of(server.base_url, timeout_s=timeout_s).embed_query("a question")
        assert KEY not in "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
        return caught.value, f"127.0.0.1:{server.port}", len(server.requests)


def unit_vectors(*texts: str) -> NDArray[np.float32]:
    """The unit vectors of the test server's embeddings for `texts`."""
    exact = np.array([embedding_of(text, dimension=32) for text in texts], dtype=np.float64)
    return np.asarray(exact / np.linalg.norm(exact, axis=1, keepdims=True), dtype=np.float32)


def test_documents_become_unit_vectors_in_order() -> None:
    texts = ["one", "three", "a longer one"]
    with OpenAIServer() as server:
        embedder = embedder_of(server.base_url)
        before = embedder.dimension
        embedded = embedder.embed_documents(texts)
        request = server.requests[0]

    np.testing.assert_array_equal(embedded, unit_vectors(*texts))
    assert embedded.dtype == np.float32
    assert (embedder.name, before, embedder.dimension) == ("openai:some-model", None, 32)
    assert request.json == {"input": texts, "model": "some-model", "encoding_format": "float"}
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_a_question_becomes_one_unit_vector_of_the_servers_dimension() -> None:
    with OpenAIServer(embeddings=vectors([3.0, 4.0])) as server:
        embedded = embedder_of(server.base_url).embed_query("who")

    np.testing.assert_array_equal(embedded, np.array([0.6, 0.8], dtype=np.float32))


def test_an_empty_list_sends_no_request() -> None:
    with OpenAIServer() as server:
        assert embedder_of(server.base_url).embed_documents([]).shape == (0, 0)
        assert server.requests == []


def test_a_request_contains_at_most_128_texts() -> None:
    texts = [f"text {number}" for number in range(300)]
    with OpenAIServer() as server:
        embedded = embedder_of(server.base_url).embed_documents(texts)
        sizes = [len(request.json["input"]) for request in server.requests]

    np.testing.assert_array_equal(embedded, unit_vectors(*texts))
    assert sizes == [128, 128, 44]


def test_vectors_are_ordered_by_index_not_by_arrival() -> None:
    data = [{"index": 1, "embedding": [0.0, 2.0]}, {"index": 0, "embedding": [3.0, 0.0]}]
    with OpenAIServer(embeddings=whole_body(json.dumps({"data": data}).encode())) as server:
        embedded = embedder_of(server.base_url).embed_documents(["first", "second"])

    np.testing.assert_array_equal(embedded, np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32))


def test_a_lone_surrogate_is_sent_as_a_question_mark() -> None:
    with OpenAIServer() as server:
        embedder_of(server.base_url).embed_query("why \udcff")
        assert server.requests[0].json["input"] == ["why ?"]


def test_a_local_server_needs_no_key() -> None:
    with OpenAIServer() as server:
        embedder_of(server.base_url, api_key=None).embed_query("x")
        assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize("key", [None, "", "  "])
def test_openai_requires_a_key(key: str | None) -> None:
    embedder = make_embedder("openai:m", base_url=None, api_key=key, timeout_s=10.0)
    with pytest.raises(ConfigurationError) as caught:
        embedder.embed_query("x")

    assert (caught.value.code, caught.value.message) == ("key_missing", "no API key is set for m")


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_rate_limits_and_server_errors_are_retried_twice(status: int) -> None:
    waits_s: list[float] = []
    with OpenAIServer(embeddings=[failure(status, "no"), failure(status, "no"), GOOD]) as server:
        embedded = embedder_of(server.base_url, waits_s=waits_s).embed_query("who")
        requests = len(server.requests)

    np.testing.assert_array_equal(embedded, np.array([1 / 3, 2 / 3, 2 / 3], dtype=np.float32))
    assert (requests, waits_s) == (3, [0.5, 1.0])


def test_a_short_retry_after_is_obeyed() -> None:
    waits_s: list[float] = []
    with OpenAIServer(embeddings=[failure(429, "no", headers={"Retry-After": "2"}), GOOD]) as server:
        embedder_of(server.base_url, waits_s=waits_s).embed_query("who")

    assert waits_s == [2.0]


ECHO = failure(401, f"bad key {KEY}\n\x1b[31m" + "x" * 300)
CURL = "check that the server responds: curl http://HOST/v1/models"
OTHER_MODEL = "export STREAMRAG_EMBEDDING=openai:MODEL"


@pytest.mark.parametrize(
    ("reply", "kind", "code", "message", "hint", "requests"),
    [
        (
            ECHO,
            ConfigurationError,
            "key_refused",
            "HOST refused the API key (401): bad key [key] \N{REPLACEMENT CHARACTER}[31m" + "x" * 181 + "...",
            "export OPENAI_API_KEY=KEY",
            1,
        ),
        (
            failure(403, "wrong API key"),
            ConfigurationError,
            "key_refused",
            "HOST refused the API key (403): wrong API key",
            "export OPENAI_API_KEY=KEY",
            1,
        ),
        (
            failure(404, "no"),
            ConfigurationError,
            "no_such_model",
            "HOST does not serve some-model: no",
            OTHER_MODEL,
            1,
        ),
        (
            whole_body(HTML, status=404),
            ConfigurationError,
            "no_such_model",
            "there is no embedding model at http://HOST/v1 (404)",
            "export STREAMRAG_BASE_URL=http://HOST:PORT/v1",
            1,
        ),
        (
            failure(400, "no"),
            ModelServerError,
            "request_refused",
            "HOST refused the request with status 400: no",
            OTHER_MODEL,
            1,
        ),
        (
            failure(400, "maximum context length is 512"),
            ModelServerError,
            "context_too_long",
            "a text is too long for some-model: maximum context length is 512",
            f"choose a model that accepts longer texts: {OTHER_MODEL}",
            1,
        ),
        (
            failure(429, "no"),
            ModelServerError,
            "rate_limited",
            "HOST rejected the request because of its rate limit: no",
            "wait a minute, then: run the same command again",
            3,
        ),
        (
            failure(429, "no", headers={"Retry-After": "60"}),
            ModelServerError,
            "rate_limited",
            "HOST rejected the request because of its rate limit: no",
            "wait a minute, then: run the same command again",
            1,
        ),
        (
            failure(429, "pay first", code="insufficient_quota"),
            ModelServerError,
            "quota_exhausted",
            "the quota at HOST is used up: pay first",
            "export STREAMRAG_EMBEDDING=builtin",
            1,
        ),
        (whole_body(HTML, status=502), ModelServerError, "server_error", "HOST failed with status 502", CURL, 3),
        (
            stream(b'{"data": [', Cut(reset=False)),
            ModelServerError,
            "cut_off",
            "HOST closed the connection before the answer was complete",
            "run the same command again",
            1,
        ),
        (
            whole_body(b"no gzip", headers={"Content-Encoding": "gzip"}),
            ModelServerError,
            "malformed",
            "HOST did not reply with a list of vectors",
            CURL,
            1,
        ),
    ],
)
def test_a_failure_has_a_specific_code_message_and_hint(
    *, reply: Reply, kind: type[StreamragError], code: str, message: str, hint: str, requests: int
) -> None:
    error, place, seen = failure_of(reply)

    assert (type(error), error.code, error.message, error.hint, seen) == (
        kind,
        code,
        message.replace("HOST", place),
        hint.replace("HOST/", f"{place}/"),
        requests,
    )


def json_body(text: str) -> Reply:
    return whole_body(text.encode(), content_type="application/json")


NO_VECTORS = "did not reply with a list of vectors"
NO_DIRECTION = "sent a vector that is zero or not finite"


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (whole_body(HTML), NO_VECTORS),
        (whole_body(b""), NO_VECTORS),
        (json_body('{"data": ['), NO_VECTORS),
        (json_body("[" * 100_000), NO_VECTORS),
        (json_body("{}"), NO_VECTORS),
        (json_body("null"), NO_VECTORS),
        (json_body('{"error": {"message": "no"}}'), NO_VECTORS),
        (json_body('{"data": [null]}'), NO_VECTORS),
        (json_body('{"data": [{"index": 0}]}'), NO_VECTORS),
        (json_body('{"data": [{"index": 7, "embedding": [1.0]}]}'), NO_VECTORS),
        (json_body(f'{{"data": [{{"embedding": [{"9" * 400}]}}]}}'), NO_VECTORS),
        (vectors("AACAPwAAAAA="), NO_VECTORS),
        (vectors(1.0), NO_VECTORS),
        (vectors([]), NO_DIRECTION),
        (vectors([0.0, 0.0]), NO_DIRECTION),
        (vectors([float("nan"), 1.0]), NO_DIRECTION),
        (vectors([None, 1.0]), NO_DIRECTION),
        (vectors([1e300, 1e300]), NO_DIRECTION),
        (vectors(), "sent 0 vectors for 1 texts"),
        (vectors([1.0], [2.0]), "sent 2 vectors for 1 texts"),
    ],
)
def test_a_malformed_reply_is_reported_and_not_retried(reply: Reply, problem: str) -> None:
    error, place, seen = failure_of(reply)

    assert (type(error), error.code, error.message, error.hint, seen) == (
        ModelServerError,
        "malformed",
        f"{place} {problem}",
        f"check that the server responds: curl http://{place}/v1/models",
        1,
    )


def test_a_changed_vector_dimension_is_reported_as_malformed() -> None:
    with OpenAIServer(embeddings=[GOOD, vectors([1.0, 2.0])]) as server:
        embedder = embedder_of(server.base_url)
        embedder.embed_query("one")
        with pytest.raises(ModelServerError, match="sent vectors with 2 dimensions after vectors with 3"):
            embedder.embed_query("two")


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(before_headers=(Stall(),)), "HOST sent nothing for 0.2 s"),
        (stream(b'{"data": [', Stall()), "HOST sent nothing for 0.2 s"),
        (stream(Stall(ping_every_s=0.02)), "HOST did not send a complete reply within 0.8 s"),
        (Reply(status=500, steps=(Stall(ping_every_s=0.02),)), "HOST did not send a complete reply within 0.8 s"),
    ],
    ids=["before the reply", "during the reply", "dripping", "dripping an error"],
)
def test_a_silent_or_endless_reply_is_abandoned(reply: Reply, message: str) -> None:
    failure_of(whole_body(b""))  # so that the measured time does not include the import
    asked_at_s = time.monotonic()
    error, place, seen = failure_of(reply, timeout_s=0.2)
    elapsed_s = time.monotonic() - asked_at_s

    assert (type(error), error.code, error.message, error.hint, seen) == (
        ModelServerError,
        "stalled",
        message.replace("HOST", place),
        "export STREAMRAG_TIMEOUT=300",
        1,
    )
    assert elapsed_s < 10


def test_the_error_for_a_refused_connection_names_host_and_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ModelServerError) as caught:
        embedder_of(f"http://127.0.0.1:{port}/v1").embed_query("x")

    assert caught.value.code == "unreachable"
    assert caught.value.message == f"cannot reach the model server at 127.0.0.1:{port}: connection refused"


def test_a_base_url_without_a_path_gets_v1() -> None:
    with OpenAIServer(embeddings=GOOD) as server:
        base_url = f"http://127.0.0.1:{server.port}/"
        make_embedder("openai:m", base_url=base_url, api_key=None, timeout_s=20.0).embed_query("x")
        assert [request.path for request in server.requests] == ["/v1/embeddings"]


@pytest.mark.parametrize("base_url", ["localhost:11434", "http://user:secret@host/v1", "http://h:99999/v1"])
def test_an_invalid_base_url_is_refused_before_any_request(base_url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_embedder("openai:m", base_url=base_url, api_key=KEY, timeout_s=10.0)

    assert caught.value.code == "bad_base_url"


@pytest.mark.parametrize("key", ["sk-broken\nkey", "sk-ключ", "two words"])
def test_an_invalid_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_embedder("openai:m", base_url="http://127.0.0.1:9/v1", api_key=key, timeout_s=10.0)

    assert caught.value.code == "key_refused"
    assert key not in "".join(traceback.format_exception(caught.value))


def test_the_connection_is_reused_until_the_embedder_is_closed() -> None:
    with OpenAIServer() as server:
        embedder = embedder_of(server.base_url)
        embedder.embed_query("one")
        embedder.embed_query("two")
        first, second = server.requests
        was_reused = not first.closed_by_client.is_set()
        del embedder
        closed = second.closed_by_client.wait(timeout=10.0)

    assert (was_reused, closed) == (True, True)


def test_openai_variables_are_not_sent_to_other_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "not-for-you")
    names = ("X-Secret", "Authorization", "User-Agent", "accept")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "\n".join(f"{name}: not-for-you" for name in names))
    with OpenAIServer() as server:
        embedder_of(server.base_url, api_key=None).embed_query("x")
        headers = server.requests[0].headers

    assert [name for name, value in headers.items() if "not-for-you" in value] == []
    assert "authorization" not in headers
