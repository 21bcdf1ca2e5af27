"""Combines pieces of an answer under load, so that CPU time remains for new questions.

Passing on one piece takes as much time as passing on ten together. If few answers are in progress, each piece is
passed on immediately. If there are many, the pieces of an answer that arrive within 50 ms are passed on together.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_FEW_ANSWERS: Final = 16
_MAX_DELAY_S: Final = 0.05  # users do not notice a shorter delay


class Pace:
    """Counts the answers in progress on one event loop and derives the delay between their pieces."""

    def __init__(self) -> None:
        self._answers = 0

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count one more answer while the `with` block runs."""
        self._answers += 1
        try:
            yield
        finally:
            self._answers -= 1

    @property
    def coalescing_delay_s(self) -> float:
        """The minimum time between two pieces of an answer: 0 s for up to 16 answers, 0.05 s for 32 or more."""
        surplus = (self._answers - _FEW_ANSWERS) / _FEW_ANSWERS
        return _MAX_DELAY_S * min(1.0, max(0.0, surplus))
