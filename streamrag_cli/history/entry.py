"""The record of one question while its answer streams."""

import json
from collections.abc import Mapping
from typing import Final

from streamrag_cli.events import THINKING_SHOWN, AskEvent, Citations, Done, Error, Sources, Token
from streamrag_cli.model import Question, Source
from streamrag_cli.settings import Settings
from streamrag_cli.text import without_secret

INTERRUPTED: Final = "interrupted"
COMPLETE: Final = "complete"
SOURCE_KEYS: Final = ("n", "source", "path", "page", "line_start", "line_end", "title", "score", "chunk_id")
UNSUPPORTED: Final = "unsupported"
"""The key that marks a source whose passage may not support the answer."""
_FAILURES: Final = {
    "nothing_relevant": "nothing relevant was found in the documents",
    "no_document_matches": "no document matches the filter",
}
_TIMINGS: Final = ("retrieval_ms", "first_token_ms", "total_ms")


def failure_of(state: str) -> str:
    """Describe the failure of a question with this state; "" if it was answered or interrupted.

    >>> failure_of("nothing_relevant"), failure_of("server_error"), failure_of("complete")
    ('nothing relevant was found in the documents', 'no answer: server error', '')
    """
    if state in {COMPLETE, INTERRUPTED}:
        return ""
    return _FAILURES.get(state) or f"no answer: {state.replace('_', ' ')}"


class Entry:
    """The record of one question and its answer. The API key `secret` is masked in all text.

    Not a dataclass: defining one of this size takes a millisecond, which would delay every answer.
    """

    def __init__(self, question: Question, settings: Settings, *, thread: str, terminal: str, started_at: str) -> None:
        """`started_at` is in ISO 8601 (UTC)."""
        self.secret = settings.api_key or ""
        self.thread = thread
        self.terminal = terminal
        self.started_at = started_at
        self.keep_days = settings.log_keep_days
        self.question = self.masked(question.text)
        self.extra = question.extra
        self.collection = settings.collection
        self.store = str(settings.store)
        self.model = settings.model or ""
        self.state = INTERRUPTED
        self.pieces: list[str] = []
        self.sources: tuple[Source, ...] = ()
        self.cited: tuple[str, ...] = ()
        self.unsupported: tuple[int, ...] = ()
        self.finish_reason = ""
        self.timings: Mapping[str, float] = {}

    def add(self, event: AskEvent) -> None:
        """Update the record with an event from the answer."""
        match event:
            case Token(text=text):
                self.pieces.append(text)
            case Sources(sources=sources):
                self.sources = sources
            case Citations(citations=citations, unsupported=unsupported):
                self.cited = tuple(dict.fromkeys(each.chunk_id for each in citations))
                self.unsupported = tuple(unsupported)
            case Done():
                self.state, self.finish_reason, self.model = COMPLETE, event.finish_reason, event.model
                known = {name: getattr(event.timings, name) for name in _TIMINGS}
                self.timings = {name: round(value, 1) for name, value in known.items() if value is not None}
            case Error(code=code):
                self.state = code
            case _ if event == THINKING_SHOWN:
                self.pieces = []

    @property
    def answer(self) -> str:
        return self.masked("".join(self.pieces))

    def masked(self, text: str) -> str:
        return without_secret(text, self.secret, "[key]")

    @property
    def sources_json(self) -> str:
        """The sources as JSON, without their passages' text. The unsupported ones are marked."""
        sources = [
            {key: getattr(each, key) for key in SOURCE_KEYS}
            | ({"collection": each.collection} if each.collection else {})
            | ({UNSUPPORTED: True} if each.n in self.unsupported else {})
            for each in self.sources
        ]
        return json.dumps([{**each, "score": round(each["score"], 4)} for each in sources], ensure_ascii=False)
