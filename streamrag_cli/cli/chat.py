"""The command `streamrag chat`."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.chat_input import ChatInput, PipedLines, PlainLines
from streamrag_cli.cli.keyboard import Keyboard
from streamrag_cli.cli.process import Process, settings_from
from streamrag_cli.cli.signals import Interrupted
from streamrag_cli.errors import ExitCode
from streamrag_cli.render.consoles import size_of
from streamrag_cli.render.renderer import NARROWEST_COLUMNS, OutputOptions

if TYPE_CHECKING:
    from streamrag_cli.cli.exchanges import Exchange

_GREETING: Final = "/help lists the commands, Ctrl-D leaves"


def command(
    process: Process,
    *,
    flags: options.SettingFlags,
    json: Annotated[bool, typer.Option("--json", help="Print each answer as one line of JSON.")] = False,
    jsonl: options.JsonLines = False,
    no_stream: options.NoStream = False,
    quiet: options.Quiet = False,
    plain: options.Plain = False,
    timings: options.Timings = False,
    stop_on_error: Annotated[bool, typer.Option("--stop-on-error", help="Exit after the first failure.")] = False,
) -> int:
    """Ask questions one after the other; each one may refer to those before it.

    Every answer is shown as by `ask`. If stdin is not a terminal, each line of it is a question, and the exit code is
    that of the last failure.
    """
    from streamrag_cli.cli.chat_session import ChatSession  # imports what only a chat needs

    settings = settings_from(process, flags)
    output = OutputOptions(json=json, jsonl=jsonl, stream=not no_stream, quiet=quiet, plain=plain)
    is_interactive = process.stdin.isatty()
    exchanges: list[Exchange] = []
    process.signals.handle_conversation(resumes=is_interactive)
    runner = asyncio.Runner()
    try:
        with (
            Keyboard(process.stdin) if is_interactive else nullcontext() as keyboard,
            _input(process, keyboard, runner, output, exchanges) as chat_input,
        ):
            if is_interactive and not quiet:
                process.err.write(f"{_GREETING}\n")
            session = ChatSession(
                process=process,
                input=chat_input,
                keyboard=keyboard,
                runner=runner,
                flags=dict(flags),
                settings=settings,
                output=output,
                timings=timings,
                stops_on_error=stop_on_error,
                new_thread=lambda: "",
                recorded=lambda events, question, settings: events,
                thread="",
                exchanges=exchanges,
            )
            code = session.run()
    except Interrupted as interruption:
        process.exit_immediately(interruption.code)
    except BrokenPipeError:
        process.exit_immediately(ExitCode.BROKEN_PIPE)
    if is_interactive:
        process.exit_immediately(code)
    runner.close()
    return code


@contextmanager
def _input(
    process: Process,
    keyboard: Keyboard | None,
    runner: asyncio.Runner,
    output: OutputOptions,
    exchanges: "list[Exchange]",
) -> Iterator[ChatInput]:
    """Where the questions come from. Line editing needs a terminal that can move its cursor."""
    if keyboard is None:
        yield PipedLines(process)
        return
    terminal = next((each for each in (process.err, process.out) if each.isatty()), None)
    is_plain = output.plain or process.environment.get("TERM", "") in {"", "dumb"}
    if terminal is None or is_plain or size_of(terminal)[0] < NARROWEST_COLUMNS:
        yield PlainLines(process, terminal, keyboard)
        return
    from streamrag_cli.cli.chat_prompt import EditedLines  # imports prompt_toolkit, 0.25 s

    edited = EditedLines(process, terminal, keyboard, runner, [each.question for each in exchanges])
    try:
        yield edited
    finally:
        edited.close()
