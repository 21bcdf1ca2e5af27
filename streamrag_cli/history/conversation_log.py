"""The log of questions and answers of one user, and the conversations in it."""

import base64
import json
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from streamrag_cli.errors import UsageError
from streamrag_cli.events import AskEvent, Done, Error, Notice
from streamrag_cli.history.database import LogError, log_file, open_for_reading, translated_errors
from streamrag_cli.history.recording import Entry, Recorder
from streamrag_cli.model import Question, Turn
from streamrag_cli.settings import Settings

_LAST_WRITE_S: Final = 1.5
_INTERRUPTED_WRITE_S: Final = 0.4  # less than the grace period of a signal
_MOST_TURNS: Final = 200


class ConversationLog:
    """The log in one SQLite file, which is created by the first record. All methods raise LogError.

    Several processes can use it at once.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    @classmethod
    def open(cls, environment: Mapping[str, str]) -> Self:
        """The log of the user. Does not access the disk."""
        return cls(log_file(environment))

    def new_thread(self, terminal: str) -> str:
        """The id of a new conversation, which exists in the log as soon as it has a question."""
        while True:
            thread = base64.b32encode(secrets.token_bytes(5)).decode().lower()
            if thread[0].isalpha():  # so that it is never mistaken for the number of a turn
                return thread

    def find_thread(self, prefix: str) -> str:
        """The conversation whose id starts with `prefix`. Raises UsageError `unknown_thread` or `ambiguous_thread`."""
        start = prefix.lower()
        rows = self._rows("SELECT id FROM threads WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT 4", len(start), start)
        found = [thread for (thread,) in rows] if start else []
        if not found:
            raise UsageError(f"no conversation {prefix}", code="unknown_thread", hint="streamrag log")
        if len(found) > 1:
            raise UsageError(
                f"several conversations start with {prefix}: {', '.join(found)}",
                code="ambiguous_thread",
                hint="use more characters of the id: streamrag log",
            )
        return str(found[0])

    def last_thread(self, terminal: str) -> str | None:
        """The last conversation in this terminal, else the user's last one, else None."""
        rows = self._rows(
            "SELECT thread FROM turns JOIN threads ON threads.id = thread"
            " ORDER BY terminal = ? DESC, turns.id DESC LIMIT 1",
            terminal,
        )
        return str(rows[0][0]) if rows else None

    def turns(self, thread: str) -> tuple[Turn, ...]:
        """The answered questions of a conversation, oldest first; only the last 200."""
        rows = self._rows(
            "SELECT question, answer, cited FROM turns WHERE thread = ? AND answer <> '' ORDER BY n DESC LIMIT ?",
            *(thread, _MOST_TURNS),
        )
        return tuple(
            Turn(question=question, answer=answer, cited=tuple(json.loads(cited)))
            for question, answer, cited in reversed(rows)
        )

    async def record(
        self, events: AsyncGenerator[AskEvent, None], question: Question, settings: Settings, *, terminal: str
    ) -> AsyncGenerator[AskEvent, None]:
        """Yield the events and write them into the log, as a turn of `question.thread` or of a new conversation.

        If this fails, the answer is not affected, and a notice `not_logged` precedes its last event.
        """
        import asyncio  # the caller already runs it

        entry = Entry(
            thread=question.thread or self.new_thread(terminal),
            terminal=terminal,
            question=question.text,
            extra=question.extra,
            collection=settings.collection,
            store=str(settings.store),
            started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            model=settings.model or "",
        )
        recorder = Recorder(self.file, entry)
        try:
            async with aclosing(events):
                async for event in events:
                    recorder.add(event)
                    if isinstance(event, Done | Error):
                        recorder.finish()
                        await asyncio.wait({asyncio.wrap_future(recorder.ended)}, timeout=_LAST_WRITE_S)
                        if notice := _failure_notice(recorder):
                            yield notice
                    yield event
        finally:
            recorder.finish()
            if not recorder.ended.done():
                _wait(recorder, _INTERRUPTED_WRITE_S)

    def _rows(self, query: str, *values: object) -> list[Any]:
        with translated_errors(self.file):
            db = open_for_reading(self.file)
            if db is None:
                return []
            try:
                return db.execute(query, values).fetchall()
            finally:
                db.close()


def _wait(recorder: Recorder, seconds: float) -> None:
    import concurrent.futures

    concurrent.futures.wait([recorder.ended], timeout=seconds)


def _failure_notice(recorder: Recorder) -> Notice | None:
    error = recorder.ended.result() if recorder.ended.done() else LogError("the log does not respond", code="log_busy")
    return Notice(message=f"this answer is not in the log: {error.message}", code="not_logged") if error else None
