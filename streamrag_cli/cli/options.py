"""Command flags: generated from the settings tables, or shared by several commands."""

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from streamrag_cli.cli import completion
from streamrag_cli.cli.help import use_whole_words, write_commands, write_examples
from streamrag_cli.cli.process import Process, server_settings_from, settings_from
from streamrag_cli.setting_row import Setting
from streamrag_cli.settings_table import SERVER_SETTINGS, SETTINGS, ServerSettings, Settings

ContinueLast = Annotated[
    bool,
    typer.Option(
        "-C",
        "--continue",
        help="Continue the last conversation in this terminal, or the most recent one if there is none.",
    ),
]
Thread = Annotated[
    str | None,
    typer.Option("--thread", metavar="ID", help="Continue this conversation; the start of its id is enough."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
JsonLines = Annotated[bool, typer.Option("--jsonl", help="Print each event as a line of JSON as it happens.")]
NoStream = Annotated[bool, typer.Option("--no-stream", help="Print the answer only when it is complete.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print only the answer and errors.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Show each source's excerpt and score.")]
Footnotes = Annotated[
    bool, typer.Option("--footnotes", help="List the cited sources below the answer, even in a pipe.")
]
Plain = Annotated[bool, typer.Option("--plain", help="Print plain text: no colour, no live updates.")]
Timings = Annotated[
    bool, typer.Option("--timings", help="Print the time spent in each stage, and include it in --json.")
]


def _with_global_flags(params: list[Any]) -> list[Any]:
    """Add the flags that every command has: `--debug`, which `Process` reads before parsing, and `--color`."""
    debug = TyperOption(
        param_decls=["--debug"], is_flag=True, expose_value=False, help="Print tracebacks and log messages."
    )
    color = TyperOption(
        param_decls=["--color"],
        metavar="WHEN",
        expose_value=False,
        callback=_choose_color,
        help="Use colour: always (also in a pipe), auto (on a terminal) or never.",
    )
    return [*params, color, debug]


def _choose_color(_context: Any, _option: Any, choice: str | None) -> None:
    if choice is None:
        return
    from streamrag_cli.render.consoles import choose_color

    if choice not in {"always", "auto", "never"}:
        raise typer.BadParameter(f"{choice!r} must be always, auto or never", param_hint="--color")
    choose_color(choice, os.environ)  # type: ignore[arg-type]


class Command(TyperCommand):
    """A command that accepts the flags that every command has."""

    def __init__(self, *, params: list[Any], **rest: Any) -> None:
        super().__init__(params=_with_global_flags(params), **rest)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the arguments as in a man page: `QUESTION` instead of typer's `{QUESTION}`."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        use_whole_words(formatter)
        super().format_help(ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        write_examples(ctx, formatter)
        super().format_epilog(ctx, formatter)


class Group(TyperGroup):
    """A group of commands that accepts the flags that every command has."""

    def __init__(self, *, params: list[Any], **rest: Any) -> None:
        super().__init__(params=_with_global_flags(params), **rest)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        use_whole_words(formatter)
        super().format_help(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, then the options."""
        write_commands(self, ctx, formatter)
        super().format_options(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Do nothing, because `format_options` has already written the commands."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        write_examples(ctx, formatter)
        super().format_epilog(ctx, formatter)


class SettingFlags(dict[str, object | None]):
    """The values of the setting flags, by setting name, for commands that read the settings themselves.

    The value of a flag that was not given is None.
    """


_COMPLETED: Final[Mapping[str, Any]] = {
    "collection": completion.collections,
    "collections": completion.collections,
    "model": completion.models,
}
"""The completion functions for values of setting flags. Other values are completed with file names."""


class OutputFlags(dict[str, bool]):
    """The values of the output flags for `ask` and `chat`, by parameter name."""


_OUTPUT_FLAGS: Final[Mapping[str, Any]] = {
    "json": Json,
    "jsonl": JsonLines,
    "no_stream": NoStream,
    "quiet": Quiet,
    "plain": Plain,
    "verbose": Verbose,
    "footnotes": Footnotes,
    "timings": Timings,
}
_CHAT_JSON: Final = Annotated[bool, typer.Option("--json", help="Print each answer as a JSON object on its own line.")]
_READERS: Final[Mapping[type[Any], tuple[tuple[Setting, ...], Callable[..., Any]]]] = {
    Settings: (SETTINGS, settings_from),
    ServerSettings: (SERVER_SETTINGS, server_settings_from),
    SettingFlags: (SETTINGS, lambda _process, flags: flags),
}


def with_settings(name: str, command: Callable[..., int]) -> Callable[..., int]:
    """Wrap `command` for typer, adding the flags for every setting that the tables assign to it.

    A parameter of type `Settings`, `ServerSettings` or `SettingFlags` is replaced by the flags of its table, and a
    parameter of type `OutputFlags` by the output flags. The argument `process` is taken from the typer context.
    """
    own = inspect.signature(command, eval_str=True).parameters.values()
    readers = {each.name: _READERS[each.annotation] for each in own if each.annotation in _READERS}
    outputs = [each.name for each in own if each.annotation is OutputFlags]
    accepted = [setting for rows, _ in readers.values() for setting in rows if name in setting.commands]
    parameters = [replacement for each in own for replacement in _replacements(each, name)]
    parameters.append(inspect.Parameter("typer_context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context))

    @functools.wraps(command)
    def run(typer_context: typer.Context, **arguments: Any) -> int:
        flags = SettingFlags({each.name: _value(each, arguments.pop(each.name)) for each in accepted})
        for each in outputs:
            arguments[each] = OutputFlags({flag: arguments.pop(flag) for flag in _OUTPUT_FLAGS})
        settings = {each: read(typer_context.obj, flags) for each, (_, read) in readers.items()}
        return command(process=typer_context.obj, **arguments, **settings)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _replacements(parameter: inspect.Parameter, command: str) -> Iterator[inspect.Parameter]:
    keyword_only = inspect.Parameter.KEYWORD_ONLY
    if parameter.annotation is Process:
        return
    if parameter.annotation is OutputFlags:
        for flag, annotation in _OUTPUT_FLAGS.items():
            shown = _CHAT_JSON if (command, flag) == ("chat", "json") else annotation
            yield inspect.Parameter(flag, keyword_only, default=False, annotation=shown)
        return
    if parameter.annotation not in _READERS:
        yield parameter.replace(kind=keyword_only)
        return
    for setting in _READERS[parameter.annotation][0]:
        if command in setting.commands:
            is_list = setting.repeated or command in setting.several_in
            kind: Any = bool if setting.switch else list[str] | None if is_list else str | None
            completed = _COMPLETED.get(setting.name)
            option = typer.Option(
                *setting.flags, metavar=setting.metavar, help=setting.flag_help(command), autocompletion=completed
            )
            default = False if setting.switch else None
            yield inspect.Parameter(setting.name, keyword_only, default=default, annotation=Annotated[kind, option])


def _value(setting: Setting, argument: Any) -> object | None:
    if setting.switch is not None:
        return setting.switch if argument else None
    return argument or None if isinstance(argument, list | tuple) else argument
