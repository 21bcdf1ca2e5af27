"""Colour in pipes and on terminals: `--color`, and the variables that do the same."""

import re

import pytest

from tests.support.collection import QUESTION
from tests.support.command_line import CommandLine
from tests.support.openai_replies import answer
from tests.support.openai_server import OpenAIServer
from tests.support.pseudo_terminal import shown

COLOUR = re.compile(r"\x1b\[(?:\d+;)*3\dm")
CONTROL = re.compile(r"\x1b(?!\[[0-9;]*m)|\r")
TEXT = ("Use `pipefail` [1].\n\n", "- **one**\n- two\n\n```sh\nset -e\n```\n")


@pytest.mark.parametrize(
    ("flags", "variables", "is_coloured"),
    [
        ([], {}, False),
        (["--color=always"], {}, True),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"CLICOLOR_FORCE": "1"}, True),
        ([], {"CLICOLOR_FORCE": "0"}, False),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (["--color", "always"], {"NO_COLOR": "1", "TERM": "dumb"}, True),
        (["--color=never"], {"FORCE_COLOR": "1"}, False),
        (["--color=auto"], {"FORCE_COLOR": "1"}, False),
        (["--color=always", "--plain"], {}, False),
    ],
    ids=str,
)
def test_the_color_flag_overrides_variables_and_variables_override_pipe_detection(
    cli_with_store: CommandLine, flags: list[str], variables: dict[str, str], *, is_coloured: bool
) -> None:
    with OpenAIServer(chat=answer(*TEXT)) as server:
        outcome = cli_with_store.having(**variables).run("ask", QUESTION, "--base-url", server.base_url, *flags)
    text = outcome.stdout.decode()

    assert bool(COLOUR.search(text)) is is_coloured
    assert CONTROL.findall(text) == []
    assert is_coloured or text == "".join(TEXT) + "\n"
    if is_coloured:
        assert re.sub(r"\x1b\[[0-9;]*m", "", text) == "Use pipefail [1].\n\n • one\n • two\n\nset -e\n"


def test_the_color_flag_works_before_and_after_the_command(cli_with_store: CommandLine) -> None:
    assert not COLOUR.search(shown(cli_with_store, "--color=never", "search", "pipes").raw.decode())
    assert COLOUR.search(shown(cli_with_store.having(NO_COLOR="1"), "search", "pipes", "--color=auto").raw.decode())


def test_colour_does_not_change_the_columns_of_hits_in_a_pipe(cli_with_store: CommandLine) -> None:
    plain, bold = (cli_with_store.run("search", "pipes", *flags).stdout.decode() for flags in ([], ["--color=always"]))

    assert "\x1b[1m" in bold
    assert re.sub(r"\x1b\[[0-9;]*m", "", bold) == plain


def test_an_unknown_color_choice_is_an_error_that_names_the_choices(cli_with_store: CommandLine) -> None:
    outcome = cli_with_store.run("status", "--color=sometimes")

    assert (outcome.code, "always, auto or never" in outcome.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["ask", QUESTION, "-v"], {}),
        (["ask", QUESTION, "--timings"], {}),
        (["ask", QUESTION, "--plain"], {}),
        (["search", "pipes"], {}),
        (["ask", QUESTION], {"TERM": "dumb"}),
    ],
    ids=str,
)
def test_messages_in_a_pipe_are_lines_without_rules_and_padding(
    cli_with_store: CommandLine, arguments: list[str], variables: dict[str, str]
) -> None:
    stderr = cli_with_store.having(**variables).run(*arguments).stderr

    assert re.findall(r"[\u2500-\u259f\x1b\r]|\S {2,}\S", stderr) == []


@pytest.mark.parametrize(("flags", "variables"), [(["--plain"], {}), ([], {"TERM": "dumb"})])
def test_a_plain_terminal_gets_the_sources_as_a_list(
    cold_cli_with_store: CommandLine, flags: list[str], variables: dict[str, str]
) -> None:
    terminal = shown(cold_cli_with_store.having(**variables), "ask", QUESTION, *flags, columns=200)

    sources = [line for line in terminal.lines if re.match(r"\[\d+\] ", line)]
    assert all(re.fullmatch(r"\[\d\] \S+(:\d+| p\. \d+)?( \(weak, [\d.]+\))?", line) for line in sources)
    assert (sources != [], "─" in "".join(terminal.lines)) == (True, False)
