"""Internal errors: exit code 1, two lines on stderr, a traceback only with --debug, and never a key."""

import sys
from dataclasses import replace

import pytest

from tests.support.command_line import CommandLine

KEY = "a-secret-0123456789abcdefghij"
WITHOUT_STREAM = "import streamrag_cli.cli.search as module; module.service_for = fail"
IN_THE_STREAM = "import streamrag_cli.retrieval.retriever as module; module.Retriever.open = fail"
DRIVER = """
import logging, os, warnings
def fail(*_):
    warnings.warn("a library warns " + os.environ["OPENAI_API_KEY"])
    logging.getLogger("library").warning("a library logs %s \\x1b[31m", os.environ["OPENAI_API_KEY"])
    raise RuntimeError("oops " + os.environ["OPENAI_API_KEY"] + "\\x1b[31m\\nsecond line")
{patch}
from streamrag_cli.cli.main import main
main()
"""


def with_a_bug(user: CommandLine, patch: str) -> CommandLine:
    program = (sys.executable, "-c", DRIVER.format(patch=patch))
    return replace(user, program=program).having(OPENAI_API_KEY=KEY)


def test_a_bug_outside_an_answer_prints_two_lines(cold_cli: CommandLine) -> None:
    outcome = with_a_bug(cold_cli, WITHOUT_STREAM).run("search", "x")

    assert (outcome.code, outcome.stdout, outcome.stderr) == (
        1,
        b"",
        "streamrag: internal error: RuntimeError: oops [key]\ufffd[31m second line\n"
        "hint: run the command again with --debug and report its output\n",
    )


@pytest.mark.parametrize("output", ["--jsonl", "--json", "--plain"])
def test_a_bug_during_an_answer_is_reported_as_an_internal_error(cold_cli: CommandLine, output: str) -> None:
    outcome = with_a_bug(cold_cli, IN_THE_STREAM).run("ask", output, "x")

    assert (outcome.code, outcome.stderr) == (
        1,
        "streamrag: internal error: this is a bug in streamrag\n"
        "hint: run the same command with --debug and report its output\n",
    )
    assert (b'"internal_error"' in outcome.stdout) == (output != "--plain")


@pytest.mark.fault("debug-traceback")
@pytest.mark.parametrize(("patch", "command"), [(WITHOUT_STREAM, "search"), (IN_THE_STREAM, "ask")])
def test_debug_tracebacks_contain_no_keys_and_no_escape_codes(cold_cli: CommandLine, patch: str, command: str) -> None:
    outcome = with_a_bug(cold_cli, patch).run(command, "--debug", "x")

    assert outcome.code == 1
    assert "Traceback (most recent call last):" in outcome.stderr
    assert "RuntimeError: oops [key]\ufffd[31m" in outcome.stderr
    assert "library: a library logs [key] \ufffd[31m" in outcome.stderr
    assert "a library warns [key]" in outcome.stderr
    assert KEY not in outcome.stderr + outcome.stdout.decode()


def test_debug_after_a_double_dash_is_a_query_and_not_a_flag(cold_cli: CommandLine) -> None:
    outcome = with_a_bug(cold_cli, WITHOUT_STREAM).run("search", "--", "--debug")

    assert "Traceback" not in outcome.stderr


def test_the_debug_flag_before_the_command_shows_tracebacks(cli: CommandLine) -> None:
    outcome = with_a_bug(cli, WITHOUT_STREAM).run("--debug", "search", "x")

    assert (outcome.code, "Traceback (most recent call last):" in outcome.stderr) == (1, True)
