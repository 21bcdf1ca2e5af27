"""Faults between the model server and the terminal, as a user sees them."""

import os
import re
import select
import subprocess
import threading
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine, Outcome, run_concurrently
from tests.support.openai_replies import DONE, Hold, answer, failure, finish, reasoning, stream, token
from tests.support.openai_server import OpenAIServer
from tests.support.pseudo_terminal import Terminal, on_terminal, shown

QUESTION = "What does a berth cost for the night?"
FIVE_MEGABYTES = "word " * 1_000_000
MAX_MB = 600
ANSWER_WITH_LINKS = (
    "See ![a picture](http://evil.example/?q=secret) and [the fee](http://evil.example/x), <http://evil.example/y>,"
    ' <img src="http://evil.example/z"> and [this][ref].\n\n[ref]: http://evil.example/ref\n'
)
MARKUP = "[/b] [bold]x[/bold] [link=http://evil.example]y[/link] \x1b[31mred \x1b]52;c;aGk=\x07"


@pytest.fixture(scope="module")
def outcomes(cold_cli_with_store: CommandLine, cli_with_store: CommandLine) -> dict[str, Outcome]:
    impatient = cli_with_store.having(STREAMRAG_TIMEOUT="0.4")
    thinking = stream(
        *[step for _ in range(4) for step in (reasoning("hm"), b": ping\n\n")], token("18."), finish(), DONE
    )
    return run_concurrently(
        {
            "reasoning": lambda: impatient.ask(thinking, QUESTION, "-m", "m", "-q"),
            "stderr full": lambda: full_stderr(cold_cli_with_store),
            "debug": lambda: cli_with_store.ask(failure(418, "a teapot"), QUESTION, "-m", "m", "-q", "--debug"),
            "no debug": lambda: cli_with_store.ask(failure(418, "a teapot"), QUESTION, "-m", "m", "-q"),
            "debug search": lambda: cli_with_store.run("search", QUESTION, "-c", "nowhere", "--debug"),
        }
    )


def full_stderr(user: CommandLine) -> Outcome:
    with OpenAIServer(chat=answer("It costs ", "18.")) as server:
        return user.shell(f"streamrag ask '{QUESTION}' --base-url {server.base_url} -m m 2>/dev/full")


@pytest.mark.fault("stderr-unwritable")
def test_the_answer_is_printed_if_stderr_is_not_writable(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["stderr full"] == Outcome(code=0, stdout=b"It costs 18.\n", stderr="")


@pytest.mark.fault("model-reasons-long")
def test_reasoning_is_not_printed(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["reasoning"] == Outcome(code=0, stdout=b"18.\n", stderr="")


@pytest.mark.fault("debug-traceback")
def test_expected_failures_have_a_traceback_only_with_debug(outcomes: dict[str, Outcome]) -> None:
    codes = [outcomes[name].code for name in ("debug", "no debug", "debug search")]
    traced = ["Traceback" in outcomes[name].stderr for name in ("debug", "no debug", "debug search")]

    assert (codes, traced) == ([4, 4, 5], [True, False, True])
    assert outcomes["debug"].stderr.splitlines()[-2:] == outcomes["no debug"].stderr.splitlines()[-2:] or re.sub(
        r":\d+", "", outcomes["debug"].stderr
    ).endswith(re.sub(r":\d+", "", outcomes["no debug"].stderr))


@pytest.mark.fault("huge-token")
def test_a_token_of_five_megabytes_is_shown_in_bounded_memory(cold_cli_with_store: CommandLine) -> None:
    with (
        OpenAIServer(chat=answer(FIVE_MEGABYTES)) as server,
        on_terminal(cold_cli_with_store, "ask", QUESTION, "--base-url", server.base_url, "-m", "m", "-q") as (
            terminal,
            process,
        ),
    ):
        shown_words, peak_mb = drained(terminal, process)

    # On a busy machine, the line that is still being written may be printed twice.
    assert (process.returncode, shown_words // 1000, peak_mb < MAX_MB) == (0, 1000, True)


def drained(terminal: Terminal, process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """The number of times the word was printed, and peak memory in MB. An emulator would take minutes."""
    words, rest, peak_mb = 0, b"", 0.0
    while True:
        ended = process.poll() is not None
        if select.select([terminal.master], [], [], 0.05)[0]:
            piece = rest + os.read(terminal.master, 65536)
            words += piece.count(b"word")
            rest = piece[-3:] if not piece.endswith(b"word") else b""
        elif ended:
            return words, peak_mb
        peak_mb = max(peak_mb, memory_mb(process.pid))


def memory_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(match[1]) / 1024 if match else 0.0


@pytest.mark.fault("links-in-answer")
def test_no_link_in_an_answer_becomes_a_terminal_link(cold_cli_with_store: CommandLine) -> None:
    with OpenAIServer(chat=answer(ANSWER_WITH_LINKS)) as server:
        terminal = shown(cold_cli_with_store, "ask", QUESTION, "--base-url", server.base_url, "-m", "m", columns=200)

    addresses = re.findall(rb"\x1b\]8;[^;]*;([^\x1b\x07]*)", terminal.raw)
    assert {address.split(b":")[0] for address in addresses if address} <= {b"file"}
    assert "the fee (http://evil.example/x)" in "\n".join(terminal.lines)  # the address is visible


@pytest.mark.fault("markup-in-text")
def test_markup_and_escapes_in_an_error_are_shown_as_text(cold_cli_with_store: CommandLine) -> None:
    with (
        OpenAIServer(chat=failure(418, MARKUP)) as server,
        on_terminal(cold_cli_with_store, "ask", QUESTION, "--base-url", server.base_url, "-m", "m", columns=200) as (
            terminal,
            process,
        ),
    ):
        code = terminal.wait_for_end(process)

    assert code == 4
    assert b"\x1b[31mred" not in terminal.raw
    assert b"\x1b]52" not in terminal.raw
    assert "[/b][bold]x[/bold][link=http://evil.example]y[/link]\ufffd[31mred" in terminal.words


@pytest.mark.fault("terminal-resized")
def test_resizing_the_window_during_an_answer_loses_no_text(
    cold_cli_with_store: CommandLine,
) -> None:
    release = threading.Event()
    with (
        OpenAIServer(chat=answer("A **bold** beginning.\n\n", "- one\n- two\n", between=(Hold(release),))) as server,
        on_terminal(cold_cli_with_store, "ask", QUESTION, "--base-url", server.base_url, "-m", "m", columns=60) as (
            terminal,
            process,
        ),
    ):
        terminal.wait_for("bold beginning")
        for columns in (1, 20, 1, 80):
            terminal.resize(columns, 24)
        release.set()
        code = terminal.wait_for_end(process)

    assert code == 0
    for part in ("Aboldbeginning.", "one", "two"):
        assert part in terminal.words
