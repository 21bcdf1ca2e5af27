"""Conversations on the command line: which one a question continues, and the record of its answer in the log."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from streamrag_cli.cli.process import Process
from streamrag_cli.errors import UsageError
from streamrag_cli.events import AskEvent, Done, Error, Notice
from streamrag_cli.history.conversation_log import ConversationLog
from streamrag_cli.history.location import LogError, why_not_logged
from streamrag_cli.history.terminal import current_terminal
from streamrag_cli.model import Question
from streamrag_cli.settings import Settings


def thread_to_continue(process: Process, *, last: bool, prefix: str) -> str:
    """The id of the conversation that `-C` (`last`) or `--thread PREFIX` names.

    Raises UsageError `usage`, `no_conversation`, `unknown_thread` or `ambiguous_thread`, and LogError.
    """
    if last and prefix:
        raise UsageError(
            "-C and --thread cannot be combined", code="usage", hint=f'streamrag ask --thread {prefix} "QUESTION"'
        )
    log = ConversationLog.open(process.environment)
    thread = log.find_thread(prefix) if prefix else log.last_thread(current_terminal())
    if thread is None:
        raise UsageError(
            "there is no conversation to continue yet",
            code="no_conversation",
            hint='ask the first question without -C: streamrag ask "QUESTION"',
        )
    return thread


def with_target_of(thread: str, process: Process, flags: Mapping[str, object | None]) -> Mapping[str, object | None]:
    """The flags, with the collection and the store of the conversation unless they name others. Raises LogError.

    The log does not have the password of a store, so that the store of the settings is used if only that differs.
    """
    from streamrag_cli.settings import read_settings

    collection, store = ConversationLog.open(process.environment).target(thread)
    settings = read_settings(flags, process.environment)
    own = {"collection": collection, "store": store}
    current = {"collection": settings.collection, "store": str(settings.store)}
    return {**flags, **{name: own[name] for name in own if not flags.get(name) and own[name] != current[name]}}


def new_thread(process: Process, settings: Settings) -> str:
    """The id of a new conversation; "" if it will not be logged."""
    if why_not_logged(settings, process.environment, in_ci=process.in_ci):
        return ""
    try:
        return ConversationLog.open(process.environment).new_thread(current_terminal())
    except LogError:
        return ""


def recorded(
    events: AsyncGenerator[AskEvent, None], question: Question, settings: Settings, process: Process, *, announce: bool
) -> AsyncGenerator[AskEvent, None]:
    """The events, which are written into the log if questions are logged.

    With `announce`, the first answer in the log has a notice about the log.
    """
    if why_not_logged(settings, process.environment, in_ci=process.in_ci):
        return events
    try:
        log = ConversationLog.open(process.environment)
    except LogError as error:
        return _with_notice(events, error)
    return log.record(events, question, settings, terminal=current_terminal(), announce=announce)


async def _with_notice(events: AsyncGenerator[AskEvent, None], error: LogError) -> AsyncGenerator[AskEvent, None]:
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Done | Error):
                yield Notice(message=f"this answer was not logged: {error.message}", code="not_logged")
            yield event
