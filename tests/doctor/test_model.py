"""The model check: connection, model name, streaming and latency; the key is never shown."""

import socket
from pathlib import Path

import pytest

from streamrag_cli.doctor.findings import Finding
from streamrag_cli.doctor.model_check import check_model
from streamrag_cli.errors import StreamragError
from streamrag_cli.settings import Settings
from tests.support.openai_replies import Delay, Reply, Stall, answer, failure, finish, stream, token
from tests.support.openai_server import OpenAIServer

KEY = "sk-secret-0123456789abcdefghij"


def settings(server: OpenAIServer, **fields: object) -> Settings:
    return Settings(store=Path("store"), base_url=server.base_url, api_key=KEY, **fields)  # type: ignore[arg-type]


def finding(reply: Reply | list[Reply], **fields: object) -> Finding:
    with OpenAIServer(chat=reply) as server:
        (result,) = check_model(settings(server, **fields))
    return result


def test_a_streaming_server_passes_and_its_first_token_latency_is_reported() -> None:
    result = finding(answer("One", " two", between=(Delay(0.05),)))

    assert (result.state, result.hint, list(result.figures)) == ("ok", "", ["first_token_ms", "retries"])
    assert "test-model at 127.0.0.1:" in result.found
    assert f"streams; first token after {result.figures['first_token_ms']:,.0f} ms" in result.found


def test_doctor_cancels_the_test_answer_after_two_pieces() -> None:
    with OpenAIServer(chat=stream(token("1"), Delay(0.05), token(" 2"), Stall())) as server:
        (result,) = check_model(settings(server))
        request = next(each for each in server.requests if each.path.endswith("/chat/completions"))
        assert request.closed_by_client.wait(timeout=10.0)

    assert result.state == "ok"


def test_a_late_answer_in_one_piece_is_a_warning() -> None:
    result = finding(stream(Delay(1.2), token("1 2 3 4"), finish()))

    assert (result.state, result.code) == ("warning", "not_streamed")
    assert "sent its answer in one piece" in result.found


def test_an_answer_after_a_retry_is_a_warning() -> None:
    result = finding([failure(503, "try again later"), answer("One", " two")])

    assert (result.state, result.code, result.figures["retries"]) == ("warning", "retrying", 1)


@pytest.mark.parametrize(
    ("reply", "code", "exit_code"),
    [
        (failure(404, "The model `m` does not exist", code="model_not_found"), "no_such_model", 3),
        (failure(401, f"Incorrect API key provided: {KEY}"), "key_refused", 3),
        (answer(), "empty_answer", 4),
        (stream(token("1"), Stall()), "stalled", 4),
    ],
)
def test_each_kind_of_server_failure_has_its_own_code(reply: Reply, code: str, exit_code: int) -> None:
    with OpenAIServer(chat=reply) as server:
        with pytest.raises(StreamragError) as raised:
            list(check_model(settings(server, timeout_s=0.4, model="m")))

    error = raised.value
    assert (error.code, error.exit_code) == (code, exit_code)
    assert error.hint
    assert KEY not in error.message + error.hint


def test_a_stopped_server_is_reported_as_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    unreachable = Settings(store=Path("store"), base_url=f"http://127.0.0.1:{port}/v1", model="m")
    with pytest.raises(StreamragError) as raised:
        list(check_model(unreachable))

    assert raised.value.code == "unreachable"
