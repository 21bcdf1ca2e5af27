"""Conversations on the command line: finds the conversation that a question continues, and logs the answer."""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamrag_cli.cli.process import Process
from streamrag_cli.counting import counted_noun
from streamrag_cli.errors import UsageError
from streamrag_cli.events import AskEvent, Done, Error, Notice, Sources
from streamrag_cli.history.conversation_log import MOST_TURNS, ConversationLog, utc
from streamrag_cli.history.location import LogError, why_not_logged
from streamrag_cli.history.shown_sources import remember
from streamrag_cli.history.terminal import current_terminal
from streamrag_cli.model import Question, Source, Turn
from streamrag_cli.settings import Settings
from streamrag_cli.text import sanitise_line

if TYPE_CHECKING:
    from streamrag_cli.history.reading import LoggedTurn


_DAMAGED_SHOWN: Final = 50
"""The maximum number of damaged turns in a command that deletes them, so that it can be pasted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continued:
    """A conversation to continue: its id, its last 200 turns (oldest first), and flags that select its collection."""

    thread: str
    turns: "Sequence[LoggedTurn]"
    flags: Mapping[str, object | None]

    @property
    def answered(self) -> tuple[Turn, ...]:
        """The turns with an answer, to which a new question may refer."""
        answered = (each for each in self.turns if each.answer)
        return tuple(Turn(question=each.question, answer=each.answer, cited=tuple(each.cited)) for each in answered)

    @property
    def description(self) -> str:
        """One line that identifies the conversation and ends with its last question."""
        last = self.turns[-1]
        count = counted_noun(len(self.turns), "question")
        question = " ".join(last.question.split())
        return sanitise_line(
            f'continuing conversation {self.thread} ({count}, collection {last.collection}): "{question}"'
        )


def to_continue(process: Process, flags: Mapping[str, object | None], *, last: bool, prefix: str | None) -> Continued:
    """Return the conversation that `-C` (`last`) or `--thread PREFIX` selects.

    Raises the errors that `thread_to_continue` raises, and LogError `log_damaged` if all turns of the conversation are
    damaged.
    """
    thread = thread_to_continue(process, last=last, prefix=prefix)
    log = ConversationLog.open(process.environment)
    turns = log.find(thread=thread, limit=MOST_TURNS)
    if not turns:
        raise LogError(
            sanitise_line(f"all turns of the conversation {thread} in the log are damaged"),
            code="log_damaged",
            hint=deletion_of_damaged(log) if log.damaged else "streamrag log",
        )
    note_damaged(log, process)
    return Continued(thread=thread, turns=turns[::-1], flags=with_target_of(thread, process, flags))


def note_damaged(log: ConversationLog, process: Process) -> None:
    """Print a note if damaged turns of the log were left out."""
    from streamrag_cli.render.error_output import print_notes

    if log.damaged:
        turns = counted_noun(len(log.damaged), "damaged turn")
        was, them = ("was", "it") if len(log.damaged) == 1 else ("were", "them")
        print_notes(process.err, [f"{turns} {was} left out; to delete {them}: {deletion_of_damaged(log)}"])


def deletion_of_damaged(log: ConversationLog) -> str:
    """Return the command that deletes the damaged turns of the log, but names at most 50."""
    return f"streamrag log rm {' '.join(map(str, sorted(log.damaged)[:_DAMAGED_SHOWN]))}"


def print_description(line: str, process: Process, *, plain: bool) -> None:
    """Print `line`, the description of a conversation, on stderr, cut to the terminal's width."""
    from streamrag_cli.render.consoles import console_for, print_line, size_of
    from streamrag_cli.render.source_rows import cut

    print_line(console_for(process.err, plain=plain), cut(line, size_of(process.err)[0] - 1))


def thread_to_continue(process: Process, *, last: bool, prefix: str | None) -> str:
    """Return the id of the conversation that `-C` (`last`) or `--thread PREFIX` selects.

    Raises UsageError `usage`, `no_conversation`, `unknown_thread` or `ambiguous_thread`, and LogError.
    """
    if last and prefix is not None:
        raise UsageError(
            "-C and --thread cannot be combined", code="usage", hint=f'streamrag ask --thread {prefix} "QUESTION"'
        )
    log = ConversationLog.open(process.environment)
    thread = log.find_thread(prefix) if prefix is not None else log.last_thread(current_terminal())
    if thread is None:
        raise UsageError(
            "there is no conversation to continue yet",
            code="no_conversation",
            hint='ask the first question without -C: streamrag ask "QUESTION"',
        )
    return thread


def with_target_of(thread: str, process: Process, flags: Mapping[str, object | None]) -> Mapping[str, object | None]:
    """Add the conversation's collection and store to the flags, unless the flags set them. Raises LogError."""
    return with_target(ConversationLog.open(process.environment).target(thread), process, flags)


def with_target(
    target: tuple[str, str], process: Process, flags: Mapping[str, object | None]
) -> Mapping[str, object | None]:
    """Add this collection and store, as recorded in the log, to the flags, unless the flags set them.

    The log does not contain a store's password. If only the password differs, the store in the settings is used.
    """
    from streamrag_cli.settings import read_settings

    collection, store = target
    settings = read_settings(flags, process.environment)
    own = {"collection": collection, "store": store}
    current = {"collection": settings.collection, "store": str(settings.store)}
    changed = {name: own[name] for name in own if not flags.get(name) and own[name] != current[name]}
    several = {"collection": collection.split(",")} if "collection" in changed else {}
    return {**flags, **changed, **several}


def new_thread(process: Process, settings: Settings) -> str:
    """Return the id of a new conversation; "" if it will not be logged."""
    if why_not_logged(settings, process.environment, in_ci=process.in_ci):
        return ""
    try:
        return ConversationLog.open(process.environment).new_thread(current_terminal())
    except LogError:
        return ""


def recorded(
    events: AsyncGenerator[AskEvent, None], question: Question, settings: Settings, process: Process, *, announce: bool
) -> AsyncGenerator[AskEvent, None]:
    """Yield the events, and write them into the log if questions are logged.

    With `announce`, the first answer that is ever logged gets a notice about the log.
    """
    if why_not_logged(settings, process.environment, in_ci=process.in_ci):
        return events
    try:
        log = ConversationLog.open(process.environment)
    except LogError as error:
        return _with_notice(events, error)
    return log.record(events, question, settings, terminal=current_terminal(), announce=announce)


async def remembering_sources(
    events: AsyncGenerator[AskEvent, None], settings: Settings, process: Process, *, only_closest: bool = False
) -> AsyncGenerator[AskEvent, None]:
    """Yield the events, and remember a search's sources for `show N`.

    If nothing was relevant, the closest sources in the error are remembered instead. With `only_closest`, which is for
    answers, other sources are not remembered, because the log contains them. If questions are not logged, nothing is
    remembered.
    """
    async with aclosing(events):
        async for event in events:
            yield event
            sources: Sequence[Source] = ()
            if isinstance(event, Error):
                sources = event.nearest
            elif isinstance(event, Sources) and not only_closest:
                sources = event.sources
            if sources and not why_not_logged(settings, process.environment, in_ci=process.in_ci):
                remember(
                    process.environment,
                    current_terminal(),
                    sources,
                    at=utc(time.time()),
                    collection=settings.collection,
                    store=str(settings.store),
                )


async def _with_notice(events: AsyncGenerator[AskEvent, None], error: LogError) -> AsyncGenerator[AskEvent, None]:
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Done | Error):
                yield Notice(message=f"this answer was not logged: {error.message}", code="not_logged")
            yield event
