"""The request log on stderr: one line for each question and refusal, without their text."""

import re
import signal
import socket
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from streamrag_cli.cli.server_log import start_log
from streamrag_cli.errors import ExitCode, StreamragError
from streamrag_cli.events import Error
from streamrag_cli.model import Question
from streamrag_cli.server import request_log
from streamrag_cli.server.request_log import LogEntry
from streamrag_cli.settings import Settings
from tests.support.http_client import ask_url, post_json, request, streaming, wait_until
from tests.support.openai_replies import Stall, answer, failure, stream, token
from tests.support.openai_server import OpenAIServer
from tests.support.process import process
from tests.support.running_server import ServedProcess, running_server, served
from tests.support.stores import LocalStore, document, write

WORDS = "Does the zinfandel quay have a crane?"
KEY = "Lamp-4711-Oil-1874-Brandt"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"


def lines_of(server: ServedProcess) -> list[str]:
    """The log lines without times and durations, after the server has ended."""
    lines = server.stderr.splitlines()
    assert all(re.match(f"{TIME} (INFO|WARNING|ERROR) ", line) for line in lines), lines
    return [re.sub(r"ms=\d+", "ms=N", re.sub(f"^{TIME} ", "", line)) for line in lines]


def end(server: ServedProcess) -> None:
    server.process.terminate()
    server.process.wait(timeout=30)


@pytest.mark.fault("failure-logged")
def test_questions_and_refusals_are_logged_without_their_text(settings: Settings) -> None:
    auth = {"Authorization": f"Bearer {KEY}"}
    with OpenAIServer(chat=answer("The swallows nest there.")) as model:
        variables = {"STREAMRAG_SERVER_KEY": f"harbour:{KEY}", "STREAMRAG_RATE_LIMIT": "4/hour"}
        flags = ("--base-url", model.base_url, "-m", "m", "--min-score", "0")
        with served(settings, *flags, **variables) as server:
            request(ask_url(server.url, WORDS), headers=auth)
            request(ask_url(server.url, WORDS, "/search"), headers=auth)
            post_json(
                f"{server.url}/v1/chat/completions", {"messages": [{"role": "user", "content": WORDS}]}, headers=auth
            )
            request(f"{server.url}/collections", headers=auth)
            request(f"{server.url}/healthz")
            request(ask_url(server.url, WORDS))
            request(ask_url(server.url, WORDS), headers={"Authorization": "Bearer guessed-key"})
            request(ask_url(server.url, WORDS) + "&collection=elsewhere", headers=auth)
            request(ask_url(server.url, WORDS), headers=auth)
            request(f"{server.url}/no/such\x1b%5B31mroute%0Aforged".replace("\x1b", "%1b"), headers=auth)
            end(server)

    client = "client=127.0.0.1"
    named = f"{client} key=harbour"
    assert lines_of(server) == [
        f"INFO question {named} route='GET /rag/stream-with-sources' collection=default status=200 outcome=stop ms=N"
        " tokens=7+1",
        f"INFO question {named} route='GET /search' collection=default status=200 outcome=ok ms=N",
        f"INFO question {named} route='POST /v1/chat/completions' collection=default status=200 outcome=stop ms=N"
        " tokens=7+1",
        f"WARNING refused {client} route='GET /rag/stream-with-sources' status=401 outcome=key_missing ms=N",
        f"WARNING refused {client} route='GET /rag/stream-with-sources' status=401 outcome=key_refused ms=N",
        f"WARNING refused {named} route='GET /rag/stream-with-sources' status=404 outcome=no_such_collection ms=N",
        f"WARNING refused {named} route='GET /rag/stream-with-sources' status=429 outcome=rate_limited ms=N",
        f"WARNING refused {named} route='GET (unknown)' status=404 outcome=not_found ms=N",
    ]
    assert not re.search("zinfandel|swallows|Lamp-4711|guessed-key", server.stderr)


@pytest.mark.fault("failure-logged")
@pytest.mark.parametrize("question", [WORDS, "zinfandel", "Zinfandel?  " + "And the rest of a long question. " * 30])
def test_a_failure_is_logged_without_text_from_the_model_server(question: str, settings: Settings) -> None:
    echoing = [
        failure(400, f"cannot process: {question.upper()}"),
        failure(400, f"cannot read {question.encode().hex()}"),
    ]
    with OpenAIServer(chat=echoing) as model:
        with served(settings, "--base-url", model.base_url, "-m", "m", "--min-score", "0") as server:
            request(ask_url(server.url, question))
            request(ask_url(server.url, "Who lit the lamp?"))
            end(server)

    first, second = lines_of(server)
    assert "zinfandel" not in first.casefold()
    assert first.startswith("ERROR failed client=127.0.0.1 route='GET /rag/stream-with-sources' collection=default")
    assert [line.endswith("refused the request with status 400'") for line in (first, second)] == [True, True]


@pytest.mark.fault("failure-logged")
def test_a_source_repeated_by_the_model_server_is_not_logged(settings: Settings) -> None:
    repeated = "Its lamp burned colza oil until 1921, when it was changed"
    with OpenAIServer(chat=failure(400, f"too long: ... {repeated} ...")) as model:
        with served(settings, "--base-url", model.base_url, "-m", "m") as server:
            request(ask_url(server.url, "Who built the lighthouse?"))
            end(server)

    [line] = lines_of(server)
    assert "colza" not in line
    assert line.endswith("refused the request with status 400'")


def test_an_answer_after_a_disconnect_is_logged_as_abandoned(settings: Settings) -> None:
    with OpenAIServer(chat=stream(token("a"), Stall())) as model:
        with served(settings, "--base-url", model.base_url, "-m", "m") as server:
            with streaming(ask_url(server.url)) as answered:
                answered.next_of("token")
            assert model.requests[0].closed_by_client.wait(timeout=10.0)
            end(server)

    [line] = lines_of(server)
    assert line.startswith("INFO question")
    assert "outcome=abandoned" in line


@pytest.mark.parametrize("path", ["/search", "/v1/chat/completions"])
def test_a_disconnect_before_the_reply_is_logged_as_abandoned(path: str, tmp_path: Path) -> None:
    with LocalStore(tmp_path).writing(embedding="openai:m") as writer:
        write(writer, document("ships.md", "ships cross the sea"))
    if path == "/search":
        head, body = f"GET {ask_url('', path=path)}", ""
    else:
        head, body = f"POST {path}", '{"messages": [{"role": "user", "content": "ships?"}]}'
    with OpenAIServer(embeddings=stream(Stall())) as silent:
        with served(Settings(store=tmp_path), STREAMRAG_BASE_URL=silent.base_url) as server:
            place = urlsplit(server.url)
            with socket.create_connection((str(place.hostname), int(place.port or 0))) as client:
                client.sendall(
                    f"{head} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
                )
                requests = silent.wait_for_requests(2)  # one of them warms up the server
            assert wait_until(lambda: any(each.closed_by_client.is_set() for each in requests), within_s=10)
            end(server)

    route = head.partition("?")[0]
    assert lines_of(server) == [
        f"INFO question client=127.0.0.1 route='{route}' collection=default outcome=abandoned ms=N"
    ]


@pytest.mark.parametrize(
    ("level", "kinds"),
    [
        ("all", ["INFO question", "WARNING refused", "ERROR failed"]),
        ("errors", ["ERROR failed"]),
        ("off", []),
    ],
)
def test_the_log_level_can_be_chosen(level: str, kinds: list[str], settings: Settings, tmp_path: Path) -> None:
    def ask_three_times() -> None:
        with OpenAIServer(chat=[answer("x"), failure(400, "no")]) as model:
            with running_server(replace(settings, base_url=model.base_url, model="m")) as server:
                request(ask_url(server.url))
                request(ask_url(server.url) + "&collection=elsewhere")
                request(ask_url(server.url))

    log = logged_while(ask_three_times, tmp_path, level=level)

    assert [" ".join(line.split()[1:3]) for line in log.splitlines()] == kinds


@pytest.mark.fault("failure-logged")
def test_an_internal_error_is_logged_with_a_traceback_but_without_its_message(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def broken(question: Question, *_: Any) -> AsyncGenerator[Any, None]:
        for _character in question.text:
            raise RuntimeError(WORDS)
        yield

    monkeypatch.setattr("streamrag_cli.answer.pipeline._answer", broken)
    log = logged_while(lambda: ask_broken(settings), tmp_path)

    assert "in broken" in log
    assert "RuntimeError" in log
    assert "outcome=internal_error" in log
    assert "zinfandel" not in log


def ask_broken(settings: Settings) -> None:
    with running_server(settings) as server:
        assert b"internal_error" in request(ask_url(server.url, WORDS)).body


def logged_while(act: Any, tmp_path: Path, level: str = "all") -> str:
    """The log lines that `act` writes to stderr in this process."""
    import logging

    loggers = [request_log.log, *map(logging.getLogger, ("streamrag_cli", "uvicorn.error", "asyncio"))]
    before = [(each, list(each.handlers), each.propagate, each.level) for each in loggers]
    with (tmp_path / "stderr").open("w+") as stderr:
        handler = start_log(level, process(err=stderr))
        act()
        handler.flush()
        for each, handlers, propagate, old_level in before:
            each.handlers, each.propagate = handlers, propagate
            each.setLevel(old_level)
        return (tmp_path / "stderr").read_text(encoding="utf-8")


def test_workers_do_not_mix_their_log_lines(settings: Settings) -> None:
    with served(settings, "--workers", "2") as server:
        for _ in range(8):
            request(ask_url(server.url))
        end(server)

    assert len(lines_of(server)) == 8
    assert {line.split(" ms=")[0] for line in lines_of(server)} == {
        "INFO question client=127.0.0.1 route='GET /rag/stream-with-sources' collection=default status=200 outcome=stop"
    }


@pytest.mark.fault("stderr-not-read")
def test_a_blocked_stderr_does_not_delay_questions(settings: Settings) -> None:
    with served(settings) as server:
        for _ in range(350):  # more than 200 bytes each, and a pipe holds 65,536
            assert request(f"{server.url}/{'nowhere' * 20}").status == 404
        assert request(ask_url(server.url)).status == 200
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=30)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (StreamragError("line one\nline \x1b[2Jtwo", code="c"), "line one line \N{REPLACEMENT CHARACTER}[2Jtwo"),
        (Error(message="x", code="empty_question", hint="", retryable=False, exit_code=ExitCode.USAGE), ""),
        (Error(message="z" * 900, code="c", hint="", retryable=True, exit_code=ExitCode.STORE), "z" * 500),
    ],
)
def test_the_logged_cause_is_one_safe_line_and_is_omitted_for_client_errors(
    error: Error | StreamragError, cause: str
) -> None:
    entry = LogEntry()
    entry.record_error(error)

    assert entry.cause == cause
