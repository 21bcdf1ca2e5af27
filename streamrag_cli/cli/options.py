"""The flags of the commands: those of settings, made from their table, and those that mean the same everywhere."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from streamrag_cli.cli.process import Process, server_settings_from, settings_from
from streamrag_cli.setting_row import Setting
from streamrag_cli.settings_table import SERVER_SETTINGS, SETTINGS, ServerSettings, Settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")]
JsonLines = Annotated[bool, typer.Option("--jsonl", help="Print one JSON event a line as it happens.")]
NoStream = Annotated[bool, typer.Option("--no-stream", help="Print the answer once it is whole.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print the answer and errors only.")]
Plain = Annotated[bool, typer.Option("--plain", help="No colour, no live redraw.")]
Timings = Annotated[bool, typer.Option("--timings", help="Say where the milliseconds went, also in --json.")]


def _with_debug(params: list[Any]) -> list[Any]:
    return [*params, TyperOption(param_decls=["--debug"], is_flag=True, expose_value=False, help="Print tracebacks.")]


class Command(TyperCommand):
    """A command with `--debug`, as all have: `Process` looks for it among all arguments, wherever it stands."""

    def __init__(self, *, params: list[Any], **rest: Any) -> None:
        super().__init__(params=_with_debug(params), **rest)


class Group(TyperGroup):
    """A group of commands with `--debug`, as `Command` has it."""

    def __init__(self, *, params: list[Any], **rest: Any) -> None:
        super().__init__(params=_with_debug(params), **rest)


class SettingFlags(dict[str, object | None]):
    """What the flags of settings say, for a command that reads its settings itself. None is not given."""


_READERS: Final[Mapping[type[Any], tuple[tuple[Setting, ...], Callable[..., Any]]]] = {
    Settings: (SETTINGS, settings_from),
    ServerSettings: (SERVER_SETTINGS, server_settings_from),
    SettingFlags: (SETTINGS, lambda _process, flags: flags),
}


def with_settings(name: str, command: Callable[..., int]) -> Callable[..., int]:
    """The command for typer, with the flags of every setting that it takes by the tables.

    A parameter of the type `Settings`, `ServerSettings` or `SettingFlags` is replaced by those flags, in its place;
    `process` is that of the context.
    """
    own = inspect.signature(command, eval_str=True).parameters.values()
    readers = {each.name: _READERS[each.annotation] for each in own if each.annotation in _READERS}
    taken = [setting for rows, _ in readers.values() for setting in rows if name in setting.commands]
    parameters = [made for each in own for made in _in_place_of(each, name)]
    parameters.append(inspect.Parameter("typer_context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context))

    @functools.wraps(command)
    def run(typer_context: typer.Context, **arguments: Any) -> int:
        flags = SettingFlags({each.name: _value(each, arguments.pop(each.name)) for each in taken})
        settings = {each: read(typer_context.obj, flags) for each, (_, read) in readers.items()}
        return command(process=typer_context.obj, **arguments, **settings)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _in_place_of(parameter: inspect.Parameter, command: str) -> Iterator[inspect.Parameter]:
    by_name = inspect.Parameter.KEYWORD_ONLY
    if parameter.annotation is Process:
        return
    if parameter.annotation not in _READERS:
        yield parameter.replace(kind=by_name)
        return
    for setting in _READERS[parameter.annotation][0]:
        if command in setting.commands:
            kind: Any = bool if setting.switch else list[str] | None if setting.repeated else str | None
            option = typer.Option(*setting.flags, metavar=setting.metavar, help=setting.flag_help)
            default = False if setting.switch else None
            yield inspect.Parameter(setting.name, by_name, default=default, annotation=Annotated[kind, option])


def _value(setting: Setting, given: Any) -> object | None:
    if setting.switch is not None:
        return setting.switch if given else None
    return given or None if setting.repeated else given
