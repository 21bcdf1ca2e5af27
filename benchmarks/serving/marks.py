"""Marks in questions that determine the answer, so that model and client agree on every token."""

import re
from dataclasses import dataclass
from typing import Self

_MARK = re.compile(rb"mark-(\d+)-(\d+)-(\d+)-end")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Describes an answer: its number, and its `tokens`, one per `pace_ms`, or as fast as they are read if `pace_ms` is
    0.
    """

    number: int
    tokens: int
    pace_ms: int = 0

    @property
    def question(self) -> str:
        return f"Why does the browser ask twice? mark-{self.number}-{self.tokens}-{self.pace_ms}-end"

    def token(self, index: int) -> str:
        return f" {self.number}:{index}"

    @property
    def answer(self) -> str:
        return "".join(self.token(index) for index in range(self.tokens))

    @classmethod
    def found_in(cls, request: bytes) -> Self:
        """The last mark in a request, which is that of the current question."""
        number, tokens, pace_ms = map(int, _MARK.findall(request)[-1])
        return cls(number=number, tokens=tokens, pace_ms=pace_ms)
