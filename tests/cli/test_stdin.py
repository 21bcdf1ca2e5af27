"""stdin is read only on request."""

import os
import subprocess

import pytest

from tests.support.collection import QUESTION
from tests.support.command_line import CommandLine, Outcome
from tests.support.openai_replies import answer
from tests.support.openai_server import OpenAIServer


@pytest.mark.fault("stdin-closed")
@pytest.mark.parametrize("command", ["ask", "search"])
def test_a_dash_with_empty_stdin_is_a_usage_error(cli_with_store: CommandLine, command: str) -> None:
    placeholder = "QUERY" if command == "search" else "QUESTION"
    message = f'streamrag: the {placeholder.lower()} is empty\nhint: streamrag {command} "{placeholder}"\n'
    empty = Outcome(code=2, stdout=b"", stderr=message)

    assert [cli_with_store.run(command, "-", stdin=nothing) for nothing in (b"", b" \n")] == [empty, empty]


def test_a_dash_reads_the_question_from_stdin(cli_with_store: CommandLine) -> None:
    assert cli_with_store.run("search", "-", stdin=QUESTION.encode() + b"\n") == cli_with_store.run("search", QUESTION)


def test_stdin_text_is_sent_to_the_model_with_the_question(cli_with_store: CommandLine) -> None:
    with OpenAIServer(chat=answer("Yes.")) as server:
        outcome = cli_with_store.run(
            "ask", QUESTION, "--stdin", "--base-url", server.base_url, "-m", "m", stdin=b"the log says {zebra} \xff"
        )
        messages = str(server.requests[0].json["messages"])

    assert (outcome.code, outcome.stdout) == (0, b"Yes.\n")
    assert QUESTION in messages
    assert "the log says {zebra} \ufffd" in messages


def test_a_dash_and_the_stdin_flag_together_are_a_usage_error(cli: CommandLine) -> None:
    assert cli.run("ask", "-", "--stdin", stdin=b"x") == Outcome(
        code=2,
        stdout=b"",
        stderr='streamrag: - and --stdin cannot be combined: both read stdin\nhint: streamrag ask --stdin "QUESTION"\n',
    )


def test_stdin_above_1_mb_is_refused_without_reading_all(cli: CommandLine) -> None:
    outcome = cli.shell("streamrag ask --stdin why < /dev/zero")

    assert (outcome.code, outcome.stderr) == (
        2,
        "streamrag: stdin is larger than 1 MB\nhint: streamrag ingest FILE\n",
    )


def test_an_unreadable_stdin_is_reported(cli: CommandLine) -> None:
    outcome = cli.shell("streamrag ask - 0>scrap")

    assert (outcome.code, outcome.stderr.splitlines()[0]) == (2, "streamrag: cannot read stdin: Bad file descriptor")


def test_search_waits_for_a_non_blocking_stdin(cli_with_store: CommandLine) -> None:
    theirs, ours = os.pipe()
    os.set_blocking(theirs, False)
    with os.fdopen(theirs) as stdin, cli_with_store.running("search", "-", stdin=stdin.fileno()) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1.0)
        os.write(ours, QUESTION.encode())
        os.close(ours)
        stdout, _ = process.communicate()

    assert (process.returncode, stdout) == (0, cli_with_store.run("search", QUESTION).stdout)


def test_a_question_that_is_not_utf_8_is_accepted(cold_cli_with_store: CommandLine) -> None:
    outcome = cold_cli_with_store.run("search", b"--json", QUESTION.encode() + b" \xff")

    assert outcome.code == 0
    assert f'"query":"{QUESTION} \ufffd"'.encode() in outcome.stdout
