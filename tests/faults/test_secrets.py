"""A key appears only in a request header, regardless of what goes wrong.

Many commands fail in many ways with a marked key. Then stdout, stderr, events, tracebacks, every file in the user's
home, the engine's log and the process list are searched for it.
"""

import base64
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.command_line import Outcome, read_until
from tests.support.openai_replies import (
    Cut,
    Hold,
    Reply,
    answer,
    chunk,
    event,
    failure,
    finish,
    stream,
    token,
    vectors,
    whole_body,
)
from tests.support.openai_server import OpenAIServer
from tests.support.warm_command_line import WarmCommandLine

MARK = "Zq7MarkedKey4711xyz"
KEY = f"sk-proj-{MARK}"
SERVER_KEY = f"server-{MARK}-0123456789"
QUESTION = "What does a berth cost for the night?"
OUTPUT_FLAGS: tuple[tuple[str, ...], ...] = (("--debug",), ("--jsonl", "--debug"), ("--json",))
ECHO = f"Incorrect API key provided: {KEY}. You sent Bearer {KEY}"
CHATS: dict[str, Reply] = {
    "401": failure(401, ECHO, code="invalid_api_key"),
    "404": failure(404, ECHO),
    "429": failure(429, ECHO, headers={"Retry-After": "60"}),
    "a header": failure(400, "no", headers={"X-Echo": KEY}),
    "400 that is not JSON": whole_body(ECHO.encode(), status=400, content_type="text/plain"),
    "an error in the stream": stream(token("Half"), event({"error": {"message": ECHO}})),
    "a refusal": stream(chunk({"refusal": ECHO}), finish()),
    "broken JSON": stream(b"data: {" + ECHO.encode() + b"\n\n"),
    "a cut": stream(token("Half"), Cut(reset=True)),
    "no HTTP": Reply(before_headers=(ECHO.encode() + b"\r\n\r\n",)),
    "a redirect": failure(307, "elsewhere", headers={"Location": "http://127.0.0.1:1/" + KEY}),
}
MODELS = [failure(401, ECHO), whole_body(ECHO.encode()), whole_body(b'{"data": "' + KEY.encode() + b'"}')]
EMBEDDINGS = [failure(401, ECHO), whole_body(ECHO.encode()), vectors([0.0, 0.0]), stream(Cut(reset=True))]


@dataclass(frozen=True, slots=True)
class CommandRun:
    """A command and its outcome."""

    command: str
    outcome: Outcome

    @property
    def text(self) -> str:
        return self.outcome.stdout.decode("utf-8", "replace") + self.outcome.stderr


@pytest.fixture(scope="module")
def cli_with_key(cli_with_store: WarmCommandLine, tmp_path_factory: pytest.TempPathFactory) -> WarmCommandLine:
    """A command line with keys in the environment."""
    home = tmp_path_factory.mktemp("cli-with-key") / "home"
    shutil.copytree(cli_with_store.home, home)
    return replace(cli_with_store, home=home).having(OPENAI_API_KEY=KEY, STREAMRAG_SERVER_KEY=SERVER_KEY)


@pytest.fixture(scope="module")
def command_runs(cli_with_key: WarmCommandLine) -> list[CommandRun]:
    return [
        *failing_answers(cli_with_key),
        *failing_lists(cli_with_key),
        *failing_embeddings(cli_with_key),
        *failing_settings(cli_with_key),
    ]


def run(cli_with_key: WarmCommandLine, *arguments: str) -> CommandRun:
    return CommandRun(" ".join(arguments), cli_with_key.run(*arguments))


def failing_answers(cli_with_key: WarmCommandLine) -> Iterator[CommandRun]:
    for number, (name, reply) in enumerate(CHATS.items()):
        with OpenAIServer(chat=reply) as server:
            flags = OUTPUT_FLAGS[number % len(OUTPUT_FLAGS)]
            yield replace(
                run(cli_with_key, "ask", QUESTION, "--base-url", server.base_url, "-m", "m", *flags), command=name
            )
            assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    yield run(cli_with_key, "ask", QUESTION, "--base-url", "http://127.0.0.1:1/v1", "-m", "m", "--debug")


def failing_lists(cli_with_key: WarmCommandLine) -> Iterator[CommandRun]:
    for models in MODELS:
        with OpenAIServer(models=models) as server:
            yield run(cli_with_key, "ask", QUESTION, "--base-url", server.base_url, "--debug")


def failing_embeddings(cli_with_key: WarmCommandLine) -> Iterator[CommandRun]:
    for embeddings in EMBEDDINGS:
        with OpenAIServer(embeddings=embeddings) as server:
            flags = ("--base-url", server.base_url, "--embedding", "openai:words", "-c", "other", "--debug")
            yield run(cli_with_key, "ingest", "docs", *flags)


def failing_settings(cli_with_key: WarmCommandLine) -> Iterator[CommandRun]:
    with_password = f"http://user:{KEY}@127.0.0.1:1/v1"
    yield run(cli_with_key, "ask", QUESTION, "--base-url", with_password, "-m", "m", "--debug")
    yield run(cli_with_key, "ask", QUESTION, "--base-url", f"http://127.0.0.1:1/v1?key={KEY}", "-m", "m", "--debug")
    yield run(cli_with_key, "ask", QUESTION, "--base-url", f"http://127.0.0.1:1/{KEY}/v1", "-m", "m", "--debug")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield run(cli_with_key, "serve", "--port", str(taken.getsockname()[1]), "--debug")
    for variable, value in (("OPENAI_API_KEY", f'"{KEY}"\n{KEY} '), ("OPENAI_BASE_URL", f"http://{KEY}:x@[")):
        yield run(cli_with_key.having(**{variable: value}), "ask", QUESTION, "-m", "m", "--debug")
    config = cli_with_key.home / "config" / "streamrag" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    for line in (f'api_key = "{KEY}"', f'"{KEY}', f'server_key = "{KEY}"'):
        config.write_text(line, encoding="utf-8")
        yield run(cli_with_key, "search", QUESTION, "--debug")
    config.unlink()


def test_every_command_that_is_checked_for_keys_fails(command_runs: list[CommandRun]) -> None:
    assert [each.command for each in command_runs if each.outcome.code == 0] == []


@pytest.mark.fault("key-leak")
def test_no_command_prints_the_key(command_runs: list[CommandRun]) -> None:
    assert [(each.command, each.text) for each in command_runs if shows(each.text.encode())] == []


@pytest.mark.fault("key-leak")
def test_no_file_contains_the_key(command_runs: list[CommandRun], cli_with_key: WarmCommandLine) -> None:
    files = [path for path in cli_with_key.home.rglob("*") if path.is_file()]

    assert len(files) > 5
    assert [path for path in files if shows(path.read_bytes())] == []


@pytest.mark.parametrize("switch", ["LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"])
def test_langsmith_receives_no_question_even_if_tracing_is_switched_on(
    cli_with_key: WarmCommandLine, switch: str
) -> None:
    with OpenAIServer(chat=answer("It costs 18.")) as server, OpenAIServer() as listening:
        variables = {switch: "true", "LANGSMITH_ENDPOINT": listening.base_url, "LANGSMITH_API_KEY": "lsv2_key"}
        flags = ("--base-url", server.base_url, "-m", "m", "-q")
        outcome = cli_with_key.having(**variables).run("ask", QUESTION, *flags)

    assert (outcome.stdout, len(server.requests), listening.requests) == (b"It costs 18.\n", 1, [])


@pytest.mark.fault("key-leak")
def test_the_process_list_and_the_engine_log_do_not_contain_the_key(cli_with_key: WarmCommandLine) -> None:
    release = threading.Event()
    with tempfile.TemporaryDirectory(prefix="rt-") as runtime:
        user = cli_with_key.having(XDG_RUNTIME_DIR=runtime, STREAMRAG_ENGINE="on")
        chats = [
            failure(401, ECHO),
            stream(token("Half"), event({"error": ECHO})),
            answer("Half", ".", between=(Hold(release),)),
        ]
        with OpenAIServer(chat=chats) as server:
            failed = [user.run("ask", QUESTION, "--base-url", server.base_url, "-m", "m", "--debug") for _ in range(2)]
            with user.running("ask", QUESTION, "--base-url", server.base_url, "-m", "m") as process:
                read_until(process.stdout, b"Half")
                lines = command_lines()
                release.set()
                process.communicate()
        status = user.run("engine", "status", "--json")
        files = [path for path in Path(runtime).rglob("*") if path.is_file()]
        leaks = [path for path in files if shows(path.read_bytes())]
        user.run("engine", "stop")

    assert [each.code for each in failed] == [3, 4]
    assert [shows(each.stdout + each.stderr.encode()) for each in (*failed, status)] == [False] * 3
    assert (len(lines) > 1, [line for line in lines if shows(line)]) == (True, [])
    assert (bool(files), leaks) == (True, [])


def shows(data: bytes) -> bool:
    """Whether `data` contains the key, also reversed, quoted, in base64 or in hexadecimal."""
    forms = (MARK, quote(KEY, safe=""), MARK[::-1], base64.b64encode(KEY.encode()).decode(), KEY.encode().hex())
    return any(form.encode() in data for form in forms)


def command_lines() -> list[bytes]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes())
        except OSError:
            continue  # the process has ended
    return lines
