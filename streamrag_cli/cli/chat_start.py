"""Starts a chat: selects the conversation to continue and the source of the questions, and ends the process."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Final

from streamrag_cli.cli import conversation
from streamrag_cli.cli.chat_commands import run_command
from streamrag_cli.cli.chat_input import ChatInput, PipedLines, PlainLines
from streamrag_cli.cli.chat_session import ChatSession
from streamrag_cli.cli.exchanges import Exchange
from streamrag_cli.cli.keyboard import Keyboard
from streamrag_cli.cli.options import OutputFlags, SettingFlags
from streamrag_cli.cli.process import Process, settings_from
from streamrag_cli.cli.signals import Interrupted
from streamrag_cli.errors import ExitCode
from streamrag_cli.history.conversation_log import MOST_TURNS, ConversationLog
from streamrag_cli.history.location import LogError, why_not_logged
from streamrag_cli.model import Filter
from streamrag_cli.render.consoles import is_dumb, size_of
from streamrag_cli.render.renderer import NARROWEST_COLUMNS
from streamrag_cli.service.local import WarmLocalService
from streamrag_cli.settings import Settings

_GREETING: Final = "type /help to list the commands, press Ctrl-D to quit"


def run_chat(
    process: Process,
    flags: SettingFlags,
    output: OutputFlags,
    *,
    scope: Filter,
    continues_last: bool,
    thread_prefix: str | None,
    stops_on_error: bool,
) -> ExitCode:
    """Chat until the end of the input; return the exit code. On a terminal, Ctrl-C ends only the current answer."""
    thread = ""
    exchanges: list[Exchange] = []
    continued = None
    if continues_last or thread_prefix is not None:
        continued = conversation.to_continue(process, flags, last=continues_last, prefix=thread_prefix)
        thread, flags = continued.thread, SettingFlags(continued.flags)
        exchanges = [Exchange.from_log(each) for each in continued.turns]
    settings = settings_from(process, flags)
    is_interactive = process.stdin.isatty()
    # In a pipe, hints are commands for the shell, because the user cannot type chat commands.
    process.hint_command = replace(process.hint_command, command="chat" if is_interactive else "ask")
    runner, local_service = asyncio.Runner(), WarmLocalService()
    process.signals.end_on_hangup(resumes=is_interactive)
    try:
        with (
            Keyboard(process.stdin) if is_interactive else nullcontext() as keyboard,
            _input(process, keyboard, runner, settings, exchanges, plain=output["plain"]) as chat_input,
        ):
            if is_interactive and not output["quiet"]:
                _greet(process, continued, plain=output["plain"])
            code = ChatSession(
                process=process,
                input=chat_input,
                keyboard=keyboard,
                runner=runner,
                local_service=local_service,
                flags=dict(flags),
                settings=settings,
                output_flags=output,
                run_command=run_command,
                filter=scope,
                stops_on_error=stops_on_error,
                thread=thread,
                exchanges=exchanges,
            ).run()
    except Interrupted as interruption:
        process.exit_immediately(interruption.code)
    except BrokenPipeError:
        process.exit_immediately(ExitCode.BROKEN_PIPE)
    if is_interactive:
        process.exit_immediately(code)  # threads left by a stopped answer may still be importing or computing
    runner.run(local_service.aclose())
    runner.close()
    return code


@contextmanager
def _input(
    process: Process,
    keyboard: Keyboard | None,
    runner: asyncio.Runner,
    settings: Settings,
    exchanges: list[Exchange],
    *,
    plain: bool,
) -> Iterator[ChatInput]:
    """Yield the source of the questions. Line editing requires a terminal that can move its cursor."""
    if keyboard is None:
        yield PipedLines(process)
        return
    terminal = next((each for each in (process.err, process.out) if each.isatty()), None)
    terminal_type = process.environment.get("TERM", "")
    is_plain = plain or not terminal_type or is_dumb(terminal_type)
    if terminal is None or is_plain or size_of(terminal)[0] < NARROWEST_COLUMNS:
        yield PlainLines(process, terminal, keyboard)
        return
    from streamrag_cli.cli.chat_prompt import EditedLines  # imports prompt_toolkit, 0.25 s

    edited = EditedLines(process, terminal, keyboard, runner, _recalled(process, settings, exchanges))
    try:
        yield edited
    finally:
        edited.close()


def _recalled(process: Process, settings: Settings, exchanges: list[Exchange]) -> list[str]:
    """Return the questions to recall at the prompt, oldest first: from the log, if it is on, and the conversation."""
    questions = [each.question for each in exchanges]
    if why_not_logged(settings, process.environment, in_ci=process.in_ci):
        return questions
    try:
        logged = ConversationLog.open(process.environment).find(limit=MOST_TURNS)
    except LogError:
        return questions
    return [*(each.question for each in reversed(logged)), *questions]


def _greet(process: Process, continued: conversation.Continued | None, *, plain: bool) -> None:
    if continued is not None:
        conversation.print_description(continued.description, process, plain=plain)
    from streamrag_cli.render.consoles import console_for, print_line

    print_line(console_for(process.err, plain=plain), _GREETING)
    process.err.flush()
