"""Answers in a pipe: stdout receives only the model's text, as it arrives."""

import os
import re
import signal
import subprocess
import threading
import time

import pytest

from tests.support.collection import QUESTION
from tests.support.command_line import SOON_S, CommandLine, Outcome, ended_within, read_until, run_concurrently
from tests.support.openai_replies import Hold, answer, stream, token
from tests.support.openai_server import OpenAIServer

ASCII = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
EXACT = ("**Bold**, `code`", " and [/b]", " and [link=http://evil] [1].", "\n\n- Grüße, 世界 🎉\n", "\t# no heading  ")
ESCAPES = (
    "a\x1b",
    "[31mb\x1b]5",
    "2;c;aGk=\x07c",
    "\u202e",
    "d\U000e0041\u200b",
    "e\x9b2Jf",
    "\r\ng\u2028h",
    "\ud83d",
    ".",
)
FIVE_MEGABYTES = "word " * 1_000_000


@pytest.fixture(scope="module")
def outcomes(cold_cli_with_store: CommandLine, cli_with_store: CommandLine) -> dict[str, Outcome]:
    """Outcomes of questions with stdout in a pipe."""
    in_ascii = cold_cli_with_store.having(**ASCII)
    return run_concurrently(
        {
            "exact": lambda: cli_with_store.ask(answer(*EXACT), QUESTION),
            "no stream": lambda: cli_with_store.ask(answer("One ", "two."), QUESTION, "--no-stream", "-q"),
            "escapes": lambda: cli_with_store.ask(answer(*ESCAPES), QUESTION, "-q"),
            "five megabytes": lambda: cli_with_store.ask(answer(FIVE_MEGABYTES), QUESTION, "-q"),
            "ascii": lambda: in_ascii.ask(answer("Grüße, ", "世界."), QUESTION),
            "ascii --jsonl": lambda: in_ascii.run("ask", QUESTION, "--jsonl"),
            "forced colour": lambda: cli_with_store.having(FORCE_COLOR="1", TTY_COMPATIBLE="1").run("ask", QUESTION),
        }
    )


@pytest.mark.fault("markup-in-text")
def test_a_pipe_receives_the_exact_text_and_one_newline(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["exact"]

    assert outcome.stdout == "".join(EXACT).encode() + b"\n"
    assert (outcome.code, "\x1b" in outcome.stderr) == (0, False)


def test_forced_colour_adds_only_colour_codes_to_a_pipe(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["forced colour"]

    text = outcome.stdout.decode() + outcome.stderr
    assert (outcome.code, re.findall(r"\x1b(?!\[[0-9;]*m)", text)) == (0, [])


def test_the_first_token_is_printed_before_the_answer_is_complete(
    cold_cli_with_store: CommandLine,
) -> None:
    release = threading.Event()
    with (
        OpenAIServer(chat=answer("Half", " and half.", between=(Hold(release),))) as server,
        cold_cli_with_store.running("ask", QUESTION, "--base-url", server.base_url, "-m", "m", "-q") as process,
    ):
        first = read_until(process.stdout, b"Half")
        release.set()
        rest, _ = process.communicate()
        paths = [request.path for request in server.requests]

    assert (first, rest, process.returncode) == (b"Half", b" and half.\n", 0)
    assert paths == ["/v1/chat/completions"]


def test_the_no_stream_flag_does_not_change_the_text(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["no stream"] == Outcome(code=0, stdout=b"One two.\n", stderr="")


@pytest.mark.fault("unsafe-characters")
def test_unsafe_characters_in_tokens_are_replaced_or_removed(outcomes: dict[str, Outcome]) -> None:
    text = outcomes["escapes"].stdout.decode()

    assert text == "a\ufffd[31mb\ufffd]52;c;aGk=\ufffdcde\ufffd2Jf\ng\nh\ufffd.\n"


@pytest.mark.fault("huge-token")
def test_a_token_of_5_mb_is_printed_completely(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["five megabytes"]

    assert (outcome.code, outcome.stdout == FIVE_MEGABYTES.encode() + b"\n", outcome.stderr) == (0, True, "")


@pytest.mark.fault("ascii-locale")
def test_jsonl_is_utf_8_even_in_an_ascii_locale(outcomes: dict[str, Outcome]) -> None:
    assert "“" in outcomes["ascii --jsonl"].stdout.decode("utf-8")


@pytest.mark.fault("ascii-locale")
def test_unencodable_characters_become_question_marks(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["ascii"]

    assert (outcome.code, outcome.stdout) == (0, b"Gr??e, ??.\n")
    assert outcome.stderr.isascii()
    assert "sample_docs/" in outcome.stderr


@pytest.mark.fault("pipe-closed")
def test_ask_exits_with_141_if_the_pipe_closes_while_the_model_is_silent(
    cold_cli_with_store: CommandLine,
) -> None:
    release = threading.Event()
    with OpenAIServer(chat=answer("One\n", "two", between=(Hold(release),))) as server:
        line = f"streamrag ask -q --base-url {server.base_url} -m m '{QUESTION}' | head -1; echo ${{PIPESTATUS[0]}}"
        outcome = cold_cli_with_store.shell(line)
        closed = server.requests[0].closed_by_client.wait(timeout=10.0)

    assert (outcome, closed) == (Outcome(code=0, stdout=b"One\n141\n", stderr=""), True)


@pytest.mark.fault("pipe-closed")
@pytest.mark.parametrize(
    "arguments", ["search tokens", "search --jsonl tokens", "ask -q --jsonl tokens", "ask -q --json tokens", "status"]
)
def test_commands_exit_with_141_if_the_pipe_is_closed_before_the_first_byte(
    cold_cli_with_store: CommandLine, arguments: str
) -> None:
    reader, stdout = os.pipe()
    os.close(reader)
    with os.fdopen(stdout, "wb"), cold_cli_with_store.running(*arguments.split(), stdout=stdout) as process:
        _, stderr = process.communicate()

    assert (process.returncode, stderr) == (141, b"")


@pytest.mark.fault("stdout-unwritable")
@pytest.mark.parametrize("command", ["ask", "search"])
def test_a_full_disk_is_reported_as_a_failure(cold_cli_with_store: CommandLine, command: str) -> None:
    outcome = cold_cli_with_store.shell(f"streamrag {command} '{QUESTION}' >/dev/full")

    assert (outcome.code, outcome.stderr.splitlines()[-2:]) == (
        1,
        [
            "streamrag: cannot write the output: No space left on device",
            "hint: redirect the output to another file or disk",
        ],
    )


@pytest.mark.fault("stdout-unwritable")
def test_a_closed_stdout_is_reported_as_a_failure(cold_cli_with_store: CommandLine) -> None:
    outcome = cold_cli_with_store.shell(f"streamrag ask -q '{QUESTION}' >&-")

    assert (outcome.code, outcome.stderr) == (
        1,
        "streamrag: cannot write the output: Bad file descriptor\nhint: redirect the output to another file or disk\n",
    )


@pytest.mark.fault("stdin-closed", "stderr-unwritable")
def test_closed_stdin_and_stderr_do_not_affect_a_search(cli_with_store: CommandLine) -> None:
    usual = cli_with_store.run("search", QUESTION)

    assert cli_with_store.shell(f"streamrag search '{QUESTION}' <&- 2>&-") == usual


def test_the_exit_code_is_correct_with_all_standard_streams_closed(cli: CommandLine) -> None:
    outcomes = [cli.shell(f"streamrag {line} <&- >&- 2>&-") for line in ("search x", "status", "search")]

    assert outcomes == [Outcome(code=code, stdout=b"", stderr="") for code in (5, 5, 2)]


@pytest.mark.fault("stdin-closed")
def test_a_silent_pipe_on_stdin_does_not_block_a_search(cold_cli_with_store: CommandLine) -> None:
    ours, theirs = os.pipe()
    try:
        assert cold_cli_with_store.run("search", QUESTION, stdin=ours).code == 0
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.fault("interrupted")
def test_sigterm_ends_a_process_blocked_on_a_full_pipe(cold_cli_with_store: CommandLine) -> None:
    release = threading.Event()
    chat = stream(token("x" * 1_000_000), Hold(release))
    with (
        OpenAIServer(chat=chat) as server,
        cold_cli_with_store.running(
            "ask", QUESTION, "--base-url", server.base_url, stderr=subprocess.DEVNULL
        ) as process,
    ):
        read_until(process.stdout, b"x")
        process.send_signal(signal.SIGTERM)
        started_s = time.monotonic()
        code = ended_within(process, SOON_S)

    assert (code, time.monotonic() - started_s < 1.2) == (143, True)
