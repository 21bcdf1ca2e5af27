"""Flags, variables, the settings file and the documentation come from one table."""

from dataclasses import fields
from typing import Any

import pytest
import typer.main

from streamrag_cli.cli.app import app
from streamrag_cli.cli.options import SettingFlags, with_settings
from streamrag_cli.cli.process import Process
from streamrag_cli.errors import UsageError
from streamrag_cli.setting_row import Setting
from streamrag_cli.settings import ServerSettings, Settings
from streamrag_cli.settings_table import SERVER_SETTINGS, SETTINGS
from tests.support.command_line import CommandLine
from tests.support.process import process

ALL = (*SETTINGS, *SERVER_SETTINGS)
GROUP: Any = typer.main.get_command(app)
COMMANDS = {name: command for name, command in GROUP.commands.items() if not hasattr(command, "commands")}


def options_of(command: str) -> dict[str, list[str]]:
    """A command's options, by parameter name."""
    return {each.name: each.opts for each in COMMANDS[command].params}


@pytest.mark.parametrize("setting", ALL, ids=lambda each: each.name)
def test_every_setting_has_a_flag_or_a_reason_for_having_none(setting: Setting) -> None:
    assert bool(setting.flags) == bool(setting.commands) != bool(setting.no_flag)
    assert set(setting.commands) <= set(COMMANDS)


def test_chat_has_the_flags_of_ask() -> None:
    ask, chat = ({each for flags in options_of(name).values() for each in flags} for name in ("ask", "chat"))

    assert (ask - chat, chat - ask) == ({"question", "--stdin"}, {"--stop-on-error"})


def test_table_rows_and_settings_fields_correspond() -> None:
    assert [each.name for each in SETTINGS] == [
        each.name for each in fields(Settings) if each.name != "state_directory"
    ]
    assert [each.name for each in SERVER_SETTINGS] == [each.name for each in fields(ServerSettings)]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_accepts_exactly_the_flags_in_the_table(command: str) -> None:
    by_table = {each.name: list(each.flags) for each in ALL if command in each.commands}
    names = {each.name for each in ALL}

    assert {name: flags for name, flags in options_of(command).items() if name in names} == by_table


def test_no_two_options_of_a_command_share_a_flag() -> None:
    for command in COMMANDS:
        flags = [flag for opts in options_of(command).values() for flag in opts]
        assert sorted(set(flags)) == sorted(flags)


def test_each_name_and_variable_belongs_to_only_one_setting() -> None:
    names = [each.name for each in ALL]
    variables = [variable for each in ALL for variable in each.variables]

    assert (len(set(names)), len(set(variables))) == (len(names), len(variables))


def test_a_command_receives_settings_instead_of_flags() -> None:
    received: list[object] = []

    def command(process: Process, *, settings: Settings, server: ServerSettings, loud: bool = False) -> int:
        received.extend([settings.collection, settings.top_k, server.collections, server.all_collections, loud])
        return 0

    own = typer.Typer()
    own.command()(with_settings("serve", command))
    arguments = ["-k", "7", "--loud", "-c", "laws", "-c", "notes", "--all-collections"]
    own(args=arguments, standalone_mode=False, obj=process(environment={"HOME": "/home/someone"}))

    assert received == ["laws", 7, ("laws", "notes"), True, True]


def test_omitted_flags_are_passed_as_none() -> None:
    received: list[SettingFlags] = []

    def command(process: Process, *, flags: SettingFlags) -> int:
        received.append(flags)
        return 0

    own = typer.Typer()
    own.command()(with_settings("search", command))
    for arguments in ([], ["--no-engine", "--min-score", "0"]):
        own(args=arguments, standalone_mode=False, obj=process())

    nothing = dict.fromkeys(("base_url", "top_k", "min_score", "collection", "store", "embedding", "engine", "fresh"))
    assert received == [nothing, nothing | {"engine": "off", "min_score": "0"}]


def test_an_invalid_server_collection_is_reported_with_its_flag() -> None:
    def command(process: Process, *, server: ServerSettings) -> int:
        raise AssertionError(server)

    own = typer.Typer()
    own.command()(with_settings("serve", command))
    with pytest.raises(UsageError) as caught:
        own(args=["-c", "fine", "-c", "n0 way"], standalone_mode=False, obj=process(environment={"HOME": "/h"}))

    assert caught.value.message == (
        "--collection: 'fine,n0 way' must be 1 to 63 letters, digits, dots, dashes or underscores,"
        " begin and end with a letter or digit, and not contain '..'"
    )


@pytest.mark.parametrize(
    "arguments",
    [["--debug", "engine", "status"], ["engine", "--debug", "status"], ["engine", "status", "--debug"]],
    ids=" ".join,
)
def test_the_debug_flag_is_accepted_in_any_position(cli: CommandLine, arguments: list[str]) -> None:
    outcome = cli.run(*arguments)

    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, b"no engine is running\n", "")
