"""Help is complete and short: every command has a group, a summary that fits, and examples."""

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from streamrag_cli.cli.app import app
from streamrag_cli.cli.help import EXAMPLES, GROUPS
from tests.support.command_line import CommandLine

SUMMARY_CHARS = 60
NAMES_OF_OTHERS = {"ls", "show", "collections", "mcp"}


def walk(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All of the program's commands, with their names."""
    command = command or typer.main.get_command(app)
    yield path, command
    for name, subcommand in getattr(command, "commands", {}).items():
        yield from walk(subcommand, (*path, name))


COMMANDS = {" ".join(path): command for path, command in walk()}


def help_of(name: str, *, columns: int = 80) -> list[str]:
    context, parent = None, None
    path = name.split()
    for depth in range(len(path) + 1):
        word = path[depth - 1] if depth else "streamrag"
        parent = COMMANDS[" ".join(path[:depth])].make_context(
            word, [], parent=parent, resilient_parsing=True, terminal_width=columns
        )
        context = parent
    assert context is not None
    return str(context.command.get_help(context)).splitlines()


@pytest.mark.parametrize("name", [name for name in COMMANDS if name])
def test_every_command_has_a_short_summary_and_an_example(name: str) -> None:
    summary = COMMANDS[name].get_short_help_str(limit=1000)
    lines = help_of(name)

    assert 0 < len(summary) <= SUMMARY_CHARS, summary
    assert "..." not in summary
    assert EXAMPLES[name]
    assert all(f"  {example}" in lines for example in EXAMPLES[name])
    assert not {"Usage:", "Options:"} - {line.split()[0] for line in lines if line[:1].isupper()}


def test_every_command_is_in_one_group_of_the_help() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    lines = help_of("")

    assert len(grouped) == len(set(grouped))
    assert {name for name in COMMANDS if name and " " not in name} <= set(grouped)
    assert [line for line in lines if line.rstrip(":") in GROUPS] == [f"{title}:" for title in GROUPS]
    assert "Commands:" not in lines


def test_examples_are_commands_that_the_program_accepts() -> None:
    for name, examples in EXAMPLES.items():
        for example in examples:
            program, *words = shlex.split(example)
            path = [word for word in words[:2] if " ".join(words[: words.index(word) + 1]) in COMMANDS]
            if path or words[0] not in NAMES_OF_OTHERS:
                arguments = words[len(path) :]
                COMMANDS[" ".join(path)].make_context(path[-1], list(arguments), resilient_parsing=False).close()
            assert program == "streamrag", name


@pytest.mark.parametrize("name", ["", "ingest", "ask", "status"])
def test_help_names_the_settings_file_and_variables(name: str) -> None:
    text = " ".join(" ".join(help_of(name)).split())

    assert "$XDG_CONFIG_HOME/streamrag/config.toml" in text
    assert "STREAMRAG_" in text


@pytest.mark.parametrize("columns", [40, 80, 100, 200])
def test_no_line_of_help_is_cut_off_or_wider_than_the_terminal(cli: CommandLine, columns: int) -> None:
    outcome = cli.having(COLUMNS=str(columns)).run("--help")
    lines = outcome.stdout.decode().splitlines()

    assert outcome.code == 0
    assert not any(line.endswith("...") and "ARGS" not in line for line in lines)
    wide = [line for line in lines if len(line) >= columns and not line.startswith("  streamrag ")]
    assert all(line.split() == [line.strip()] for line in wide), wide  # the terminal wraps a word that is too long


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_wrapped_only_between_words(name: str) -> None:
    narrow, wide = (" ".join(help_of(name, columns=columns)).split() for columns in (38, 100))

    assert narrow == wide


def test_a_default_and_an_assignment_stay_in_one_line() -> None:
    for columns in range(34, 100, 3):
        text = "\n".join([*help_of("", columns=columns), *help_of("ask", columns=columns)])

        assert "(top_k = 8)" in text
        assert "[default: 0.3]" in text
        assert "6 some" in text


@pytest.mark.parametrize("arguments", [(), ("engine",), ("--help",), ("-h",)])
def test_a_command_group_without_a_subcommand_shows_help(cli: CommandLine, arguments: tuple[str, ...]) -> None:
    outcome = cli.run(*arguments)

    assert (outcome.code, outcome.stderr, outcome.stdout[:6]) == (0, "", b"Usage:")
