"""How long the pieces of one answer wait for each other, so that many answers leave time for new questions.

A piece that travels alone costs as much as ten that travel together. Where few answers are written each piece is
passed on at once; where many are, those of one answer that arrive within a moment are passed on together.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_FEW_ANSWERS: Final = 16
_MOST_WAIT_S: Final = 0.05  # nobody who reads sees the difference


class Pace:
    """Counts the answers that one event loop is passing on."""

    def __init__(self) -> None:
        self._answers = 0

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count an answer as being written within the block."""
        self._answers += 1
        try:
            yield
        finally:
            self._answers -= 1

    @property
    def wait_s(self) -> float:
        """Seconds between two pieces of one answer: 0 for up to 16 answers, and all of 0.05 from 32 on."""
        surplus = (self._answers - _FEW_ANSWERS) / _FEW_ANSWERS
        return _MOST_WAIT_S * min(1.0, max(0.0, surplus))
