"""Ctrl-C and SIGTERM at any time: the right exit code promptly, and earlier output stays."""

import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.collection import QUESTION
from tests.support.command_line import LIMIT_S, SOON_S, CommandLine, ended_within, read_until
from tests.support.openai_replies import Hold, Stall, answer, stream
from tests.support.openai_server import OpenAIServer
from tests.support.pseudo_terminal import on_terminal

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


def wait_until_loaded(process: subprocess.Popen[bytes], library: str) -> None:
    """Wait until the process has mapped a file with `library` in its name."""
    maps = Path(f"/proc/{process.pid}/maps")
    deadline_s = time.monotonic() + 30
    while library not in maps.read_text(encoding="utf-8"):
        assert time.monotonic() < deadline_s
        assert process.poll() is None
        time.sleep(0.001)


@pytest.mark.fault("interrupted")
@pytest.mark.parametrize("number", CODES)
def test_an_interruption_keeps_the_partial_answer_and_restores_the_terminal(
    cold_cli_with_store: CommandLine, number: signal.Signals
) -> None:
    release = threading.Event()
    with (
        OpenAIServer(chat=answer("A **bold** beginning", " and an end.", between=(Hold(release),))) as server,
        on_terminal(cold_cli_with_store, "ask", QUESTION, "--base-url", server.base_url) as (terminal, process),
    ):
        modes = terminal.modes
        terminal.wait_for("bold beginning")
        started_s = time.monotonic()
        terminal.type(b"\x03") if number is signal.SIGINT else process.send_signal(number)
        code = terminal.wait_for_end(process)
        took_s = time.monotonic() - started_s
        closed = server.wait_for_requests(2)[1].closed_by_client.wait(timeout=10.0)
        after = terminal.modes

    assert (code, took_s < SOON_S, closed) == (CODES[number], True, True)
    assert (after, terminal.cursor_is_visible) == (modes, True)
    assert "sample_docs/" in terminal.words
    assert "A bold beginning" in [line.strip() for line in terminal.lines]
    assert terminal.lines[-1] == f"streamrag: {WORDS[number]} before the answer was complete"


@pytest.mark.fault("interrupted")
@pytest.mark.parametrize("number", CODES)
def test_an_interrupted_answer_in_a_pipe_is_reported_as_incomplete_on_stderr(
    cold_cli_with_store: CommandLine, number: signal.Signals
) -> None:
    release = threading.Event()
    with (
        OpenAIServer(chat=answer("Half", " and half.", between=(Hold(release),))) as server,
        cold_cli_with_store.running("ask", QUESTION, "-q", "--base-url", server.base_url) as process,
    ):
        first = read_until(process.stdout, b"Half")
        process.send_signal(number)
        code = ended_within(process, SOON_S)
        rest, stderr = process.communicate()

    assert (code, first + rest) == (CODES[number], b"Half\n")
    assert stderr.decode() == f"streamrag: {WORDS[number]} before the answer was complete\n"


def test_an_interruption_ends_jsonl_output_with_an_error_event(cold_cli_with_store: CommandLine) -> None:
    with (
        OpenAIServer(chat=stream(Stall(ping_every_s=0.05))) as server,
        cold_cli_with_store.running("ask", QUESTION, "--jsonl", "--base-url", server.base_url) as process,
    ):
        server.wait_for_requests(2)
        process.send_signal(signal.SIGTERM)
        code = ended_within(process, SOON_S)
        stdout, _ = process.communicate()

    assert code == 143
    assert stdout.splitlines()[-1].decode() == (
        '{"type":"error","error":"terminated before the answer was complete","code":"terminated","hint":"",'
        '"retryable":true}'
    )


@pytest.mark.fault("interrupted")
@pytest.mark.parametrize(
    ("number", "library"),
    [(signal.SIGINT, "_heapq"), (signal.SIGTERM, "onnxruntime"), (signal.SIGINT, "chromadb_rust")],
)
def test_ask_exits_promptly_if_interrupted_during_startup(
    cold_cli_with_store: CommandLine, number: signal.Signals, library: str
) -> None:
    with cold_cli_with_store.running("ask", QUESTION) as process:
        wait_until_loaded(process, library)
        process.send_signal(number)
        code = ended_within(process, SOON_S)
        _, stderr = process.communicate()

    assert code == CODES[number]
    assert stderr.decode() in {"", f"streamrag: {WORDS[number]} before the answer was complete\n"}


def test_ask_exits_promptly_if_interrupted_before_the_model_request(cold_cli_with_store: CommandLine) -> None:
    with OpenAIServer() as server:
        flags = ("--jsonl", "--base-url", server.base_url, "-m", "m")
        with cold_cli_with_store.running("ask", QUESTION, *flags, stderr=subprocess.DEVNULL) as process:
            read_until(process.stdout, b'"generating"')
            process.send_signal(signal.SIGINT)

            assert ended_within(process, SOON_S) == 130
        assert server.requests == []


def test_an_interrupted_search_exits_promptly_and_silently(cold_cli_with_store: CommandLine) -> None:
    with cold_cli_with_store.running("search", QUESTION) as process:
        wait_until_loaded(process, "onnxruntime")
        process.send_signal(signal.SIGTERM)
        code = ended_within(process, SOON_S)

        assert (code, *process.communicate()) == (143, b"", b"")


@pytest.mark.fault("ingest-interrupted")
@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGHUP, 129, "hung up")]
)
def test_an_interrupted_ingest_keeps_its_progress_and_can_be_continued(
    cli: CommandLine, number: signal.Signals, code: int, word: str
) -> None:
    for each in range(40):
        text = "\n\n".join(f"## Part {part}\n\nThe number {each} has a part {part}. " * 8 for part in range(8))
        (cli.directory / f"{each:02}.md").write_text(text, encoding="utf-8")
    with cli.running("ingest", ".", "--jsonl") as process:
        read_until(process.stdout, b'"document"')
        process.send_signal(number)
        ended_with = ended_within(process, LIMIT_S)
        stdout, stderr = process.communicate()

    message, hint = stderr.decode().splitlines()
    assert re.fullmatch(rf"streamrag: {word} before the ingest was complete; \d+ passages are kept", message)
    assert (ended_with, hint) == (code, "hint: run the same command again to continue: streamrag ingest . --jsonl")
    assert b'"code":"' + word.replace(" ", "_").encode() + b'"' in stdout.splitlines()[-1]
    assert cli.run("ingest", ".").code == 0
    assert re.search(r"^default +40 ", cli.run("status").stdout.decode(), re.MULTILINE)


@pytest.mark.fault("ingest-interrupted")
def test_an_interrupted_ingest_restores_the_terminal_and_reports_kept_passages(cold_cli: CommandLine) -> None:
    folder = cold_cli.directory / "memos"
    folder.mkdir()
    for number in range(300):
        (folder / f"{number}.md").write_text(f"Memo {number} is about office {number % 7}. " * 8, encoding="utf-8")
    with on_terminal(cold_cli, "ingest", "memos", columns=120) as (terminal, process):
        modes = terminal.modes
        terminal.wait_until(lambda lines: "passages" in "".join(lines[-1:]) and "ingesting" in lines[-1])
        terminal.type(b"\x03")
        terminal.wait_for("hint:")
        was_visible = terminal.cursor_is_visible
        code = terminal.wait_for_end(process)
        after = terminal.modes
    caches = list((cold_cli.home / ".local" / "state" / "streamrag").glob("unfinished-*.npz"))
    reported = re.fullmatch(
        r"streamrag: interrupted before the ingest was complete; (\d+) passages are kept", terminal.lines[-2]
    )

    assert (code, was_visible, terminal.cursor_is_visible, after) == (130, True, True, modes)
    assert terminal.lines[-1] == "hint: run the same command again to continue: streamrag ingest memos"
    assert reported, terminal.lines
    assert int(reported[1]) > 0
    assert len(caches) == 1


SAVING = """
import sys, time
from streamrag_cli.cli.signals import Interrupted, Signals
signals = Signals()
signals.raise_on_signal()
signals.report = lambda: print("reported", flush=True)
try:
    with signals.saving():
        print("saving", flush=True)
        until_s = time.monotonic() + float(sys.argv[1])
        while not signals.received or time.monotonic() < until_s:
            time.sleep(0.05)
        print("saved", flush=True)
except Interrupted as interruption:
    sys.exit(int(interruption.code))
"""


@pytest.mark.fault("ingest-interrupted")
@pytest.mark.parametrize(("times", "takes_s", "printed"), [(1, 2.0, b"saved\n"), (2, 60.0, b"reported\n")])
def test_saving_may_outlast_the_grace_period_but_a_second_signal_stops_it(
    cold_cli: CommandLine, times: int, takes_s: float, printed: bytes
) -> None:
    program = replace(cold_cli, program=(sys.executable, "-c", SAVING, str(takes_s)))
    with program.running() as process:
        read_until(process.stdout, b"saving\n")
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)  # equal signals that are pending at the same time are delivered once
        code = ended_within(process, LIMIT_S)
        rest, stderr = process.communicate()

    assert (code, rest, stderr) == (130, printed, b"")


def test_ctrl_c_does_not_end_background_jobs_of_a_script(cold_cli_with_store: CommandLine) -> None:
    outcome = cold_cli_with_store.shell(
        f"(trap '' INT; exec {' '.join(cold_cli_with_store.program)} search -k 1 '{QUESTION}') & "
        "job=$!; while [ ! -e /proc/$job/fd/2 ]; do :; done; until grep -q onnxruntime /proc/$job/maps; do :; done; "
        "kill -INT $job; wait $job"
    )

    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith(b"sample_docs/")
