"""One user's log: records answers, and finds conversations."""

import os
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from streamrag_cli.errors import UsageError
from streamrag_cli.events import AskEvent, Done, Error, Notice, Status, Token
from streamrag_cli.history.entry import Entry
from streamrag_cli.history.location import LogError, log_file
from streamrag_cli.history.recording import LogWriter, Recording
from streamrag_cli.model import Question
from streamrag_cli.settings import Settings

if TYPE_CHECKING:
    from streamrag_cli.history.reading import LoggedTurn

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_BASE32: Final = _LETTERS + "234567"
_THREAD_CHARS: Final = 8
_START_AFTER_S: Final = 0.3
"""If a search takes longer, its question is logged before the search ends. Logging earlier would delay fast answers."""
_LAST_WRITE_S: Final = 2.5
_INTERRUPTED_WRITE_S: Final = 0.4  # less than the time that a process has to exit after a signal
_NOT_ASKED: Final = frozenset({"empty_question", "question_too_long"})
"""The errors for questions that were refused before the search. They are not logged: the text may be a whole file."""
MOST_TURNS: Final = 200
"""The maximum number of a conversation's turns that are read from the log."""
_writers: Final[dict[Path, LogWriter]] = {}
"""The writer for each log in this process. It is kept, because its thread and connection stay open."""

LOGGED: Final = Notice(
    message="questions and answers are kept in a log on this machine for `ask -C` and `streamrag log`;"
    " to switch it off: streamrag log off",
    code="logged",
)
"""The notice that is shown once, with the first complete answer that is logged."""


class ConversationLog:
    """One user's log, in a SQLite file. The first record creates it; several processes can use it concurrently.

    All methods that read the log raise LogError.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.damaged: set[int] = set()

    @classmethod
    def open(cls, environment: Mapping[str, str]) -> Self:
        """The user's log. Does not access the disk. Raises LogError if there is no directory for it."""
        return cls(log_file(environment))

    def new_thread(self, terminal: str) -> str:  # noqa: ARG002 - the id does not depend on the terminal
        """The id of a new conversation. The log contains the conversation as soon as it has a question.

        The id begins with a letter, so that it is never mistaken for the number of a turn.
        """
        first, *others = os.urandom(_THREAD_CHARS)
        return _LETTERS[first % len(_LETTERS)] + "".join(_BASE32[each % len(_BASE32)] for each in others)

    def find_thread(self, prefix: str) -> str:
        """The conversation whose id begins with `prefix`. Raises UsageError `unknown_thread` or `ambiguous_thread`."""
        start = prefix.strip().lower()
        if not start:
            raise UsageError("the id of the conversation is empty", code="usage", hint="streamrag log")
        rows = self._rows("SELECT DISTINCT thread FROM turns WHERE substr(thread, 1, ?) = ?", len(start), start)
        threads = sorted(str(thread) for (thread,) in rows)
        if not threads:
            raise UsageError(
                f"the log contains no conversation {prefix!r}", code="unknown_thread", hint="streamrag log"
            )
        if len(threads) > 1:
            some = ", ".join(threads[:3]) + (f" and {len(threads) - 3} more" if len(threads) > 3 else "")
            raise UsageError(
                f"the ids of {len(threads)} conversations begin with {prefix!r}: {some}",
                code="ambiguous_thread",
                hint="use more characters of the id; to list the conversations: streamrag log",
            )
        return threads[0]

    def last_thread(self, terminal: str) -> str | None:
        """The conversation of the last question in this terminal, or else of the user's last question.

        Returns None if the log is empty.
        """
        here = self._rows("SELECT thread FROM turns WHERE terminal = ? ORDER BY id DESC", terminal, limit=1)
        rows = here or self._rows("SELECT thread FROM turns ORDER BY id DESC", limit=1)
        return str(rows[0][0]) if rows else None

    def last_time(self, terminal: str) -> str:
        """The time of the last question in this terminal (ISO 8601, UTC), or "" if there is none."""
        query = "SELECT started_at FROM turns WHERE terminal = ? ORDER BY started_at DESC"
        rows = self._rows(query, terminal, limit=1)
        return str(rows[0][0]) if rows else ""

    def target(self, thread: str) -> tuple[str, str]:
        """The collection and the store (as shown, without a password) of the last question in a conversation."""
        rows = self._rows("SELECT collection, store FROM turns WHERE thread = ? ORDER BY n DESC", thread, limit=1)
        return (str(rows[0][0]), str(rows[0][1])) if rows else ("", "")

    def find(self, *, words: str = "", limit: int | None = None, **conditions: object) -> "list[LoggedTurn]":
        """The newest turns that contain all `words` and satisfy the conditions for `reading.find`, newest first.

        The ids of damaged turns, which are left out, are added to `damaged`.
        """
        from streamrag_cli.history.database import open_to_write, reading
        from streamrag_cli.history.reading import find
        from streamrag_cli.history.rows import has_unindexed, index_unfinished

        with reading(self.file) as db:
            if db is None:
                return []
            if words.strip() and has_unindexed(db):
                with closing(open_to_write(self.file)) as writing:
                    index_unfinished(writing)
            turns, damaged = find(db, words=words, limit=limit, **conditions)
            self.damaged.update(damaged)
            return turns

    def find_ids(self, **conditions: object) -> list[int]:
        """The ids of all turns that satisfy the conditions, including damaged turns."""
        from streamrag_cli.history.database import reading
        from streamrag_cli.history.reading import find_ids

        with reading(self.file) as db:
            return [] if db is None else find_ids(db, **conditions)

    def counts(self) -> dict[str, Any]:
        """The number of `turns` and `conversations`, the start of the oldest turn (`since`), and `bytes` on disk."""
        rows = self._rows("SELECT count(*), count(DISTINCT thread) FROM turns")
        turns, conversations = rows[0] if rows else (0, 0)
        starts = self._rows("SELECT started_at FROM turns ORDER BY started_at", limit=1)
        since = starts[0][0] if starts else None
        files = self.file.parent.glob(f"{self.file.name}*")
        size = sum(each.stat().st_size for each in files)
        return {"turns": turns, "conversations": conversations, "since": since, "bytes": size}

    async def record(
        self,
        events: AsyncGenerator[AskEvent, None],
        question: Question,
        settings: Settings,
        *,
        terminal: str,
        announce: bool = False,
    ) -> AsyncGenerator[AskEvent, None]:
        """Yield the events and write them into the log, as a turn of `question.thread` or of a new conversation.

        A question that is empty or too long is not written. If writing fails, a notice `not_logged` precedes the last
        event, and the answer is not affected. With `announce`, the notice `LOGGED` precedes the last event in the first
        complete answer in the log.
        """
        import asyncio  # the caller already runs it

        thread = question.thread or self.new_thread(terminal)
        entry = Entry(question, settings, thread=thread, terminal=terminal, started_at=utc(time.time()))
        recording = Recording(entry, announce=announce)
        started = refused = False
        timer: asyncio.TimerHandle | None = None

        def start() -> None:
            nonlocal started
            started = started or self._start(recording)

        try:
            async with aclosing(events):
                async for event in events:
                    recording.add(event)
                    refused = refused or (isinstance(event, Error) and event.code in _NOT_ASKED)
                    ends = not refused and isinstance(event, Done | Error)
                    if ends:
                        recording.finish()
                    if ends or isinstance(event, Token):
                        start()
                    if ends:
                        await asyncio.wait({asyncio.wrap_future(recording.ended)}, timeout=_LAST_WRITE_S)
                        for notice in _notices(recording):
                            yield notice
                    if timer is None and isinstance(
                        event, Status
                    ):  # the search has begun, so the question was not refused
                        timer = asyncio.get_running_loop().call_later(_START_AFTER_S, start)
                    yield event
                    if isinstance(event, Status) and event.status == "generating":
                        start()  # the model needs time for its first token
        finally:
            if timer is not None:
                timer.cancel()
            recording.finish()
            if not refused:
                start()
            if started and not recording.ended.done():
                _wait(recording)

    def _start(self, recording: Recording) -> bool:
        _writers.setdefault(self.file, LogWriter(self.file)).start(recording)
        return True

    def _rows(self, query: str, *values: object, limit: int | None = None) -> list[Any]:
        """The first rows of the result. Rows with bytes, which the log never contains unless damaged, are left out."""
        from streamrag_cli.history.database import reading

        with reading(self.file) as db:
            if db is None:
                return []
            with closing(db.execute(query, values)) as rows:
                intact = (row for row in rows if not any(isinstance(each, bytes) for each in row))
                return list(islice(intact, limit))


def utc(now_s: float) -> str:
    """A Unix time in seconds, formatted in ISO 8601 (UTC)."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_s))
    return f"{seconds}.{int(now_s * 1000) % 1000:03}+00:00"


def _wait(recording: Recording) -> None:
    import concurrent.futures  # asyncio has imported it

    concurrent.futures.wait([recording.ended], timeout=_INTERRUPTED_WRITE_S)


def _notices(recording: Recording) -> list[Notice]:
    if not recording.ended.done():
        error: LogError | None = LogError("writing to the log took too long", code="log_busy")
    else:
        error = recording.ended.result()
    if error is not None:
        return [Notice(message=f"this answer was not logged: {error.message}", code="not_logged")]
    return [LOGGED] if recording.is_first else []
