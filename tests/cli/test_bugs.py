"""A bug in streamrag: exit code 1, two lines, a traceback only when asked for, and never a key."""

import sys
from dataclasses import replace

import pytest

from tests.support.command_line import CommandLine

KEY = "a-secret-0123456789abcdefghij"
WITHOUT_STREAM = "import streamrag_cli.cli.search as room; room.service_of = fail"
IN_THE_STREAM = "import streamrag_cli.retrieval.retriever as room; room.Retriever.open = fail"
DRIVER = """
import logging, os, warnings
def fail(*_):
    warnings.warn("a library warns " + os.environ["OPENAI_API_KEY"])
    logging.getLogger("library").warning("a library logs %s \\x1b[31m", os.environ["OPENAI_API_KEY"])
    raise RuntimeError("oops " + os.environ["OPENAI_API_KEY"] + "\\x1b[31m\\nsecond line")
{plant}
from streamrag_cli.cli.main import main
main()
"""


def with_a_bug(user: CommandLine, plant: str) -> CommandLine:
    program = (sys.executable, "-c", DRIVER.format(plant=plant))
    return replace(user, program=program).having(OPENAI_API_KEY=KEY)


def test_outside_an_answer_it_is_two_lines(cold_cli: CommandLine) -> None:
    outcome = with_a_bug(cold_cli, WITHOUT_STREAM).run("search", "x")

    assert (outcome.code, outcome.stdout, outcome.stderr) == (
        1,
        b"",
        "streamrag: internal error: RuntimeError: oops [key]\ufffd[31m second line\n"
        "hint: run it again with --debug and report what it prints\n",
    )


@pytest.mark.parametrize("face", ["--jsonl", "--json", "--plain"])
def test_amid_an_answer_it_is_an_error_like_any_other(cold_cli: CommandLine, face: str) -> None:
    outcome = with_a_bug(cold_cli, IN_THE_STREAM).run("ask", face, "x")

    assert (outcome.code, outcome.stderr) == (
        1,
        "streamrag: internal error: this is a bug in streamrag\n"
        "hint: run the same command with --debug and report its output\n",
    )
    assert (b'"internal_error"' in outcome.stdout) == (face != "--plain")


@pytest.mark.fault("debug-traceback")
@pytest.mark.parametrize(("plant", "command"), [(WITHOUT_STREAM, "search"), (IN_THE_STREAM, "ask")])
def test_with_debug_the_traceback_comes_without_the_key_and_without_escapes(
    cold_cli: CommandLine, plant: str, command: str
) -> None:
    outcome = with_a_bug(cold_cli, plant).run(command, "--debug", "x")

    assert outcome.code == 1
    assert "Traceback (most recent call last):" in outcome.stderr
    assert "RuntimeError: oops [key]\ufffd[31m" in outcome.stderr
    assert "library: a library logs [key] \ufffd[31m" in outcome.stderr
    assert "a library warns [key]" in outcome.stderr
    assert KEY not in outcome.stderr + outcome.stdout.decode()


def test_a_question_that_looks_like_the_debug_flag_is_a_question(cold_cli: CommandLine) -> None:
    outcome = with_a_bug(cold_cli, WITHOUT_STREAM).run("search", "--", "--debug")

    assert "Traceback" not in outcome.stderr


def test_debug_before_the_command_shows_the_traceback_as_well(cli: CommandLine) -> None:
    outcome = with_a_bug(cli, WITHOUT_STREAM).run("--debug", "search", "x")

    assert (outcome.code, "Traceback (most recent call last):" in outcome.stderr) == (1, True)
