"""Removes the mark that fences the sources in the prompt from an answer, in case a model repeats it."""

import re
from typing import Final

_OPENING: Final = "<<"
_LONGEST_REST: Final = 16  # " source [999]>>"


class LeakedMarkFilter:
    """Filters an answer piece by piece. How it is split into pieces does not change the result.

    The end of a piece is held back if it may be the beginning of the mark. Without a mark, nothing is changed.
    """

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._pending = ""
        rest = r"(?: (?:source \[\d{1,3}\]|text\b))?(?:>>)?"
        self._leak = re.compile(rf"(?:<<)?{re.escape(mark)}{rest}") if mark else None
        self._unfinished = re.compile(rf"(?:<<)?{re.escape(mark)}[^\n>]{{0,{_LONGEST_REST}}}>?\Z")

    def feed(self, text: str) -> str:
        """The text that can be shown after this piece arrived."""
        if self._leak is None:
            return text
        self._pending += text
        end = self._complete_until()
        shown, self._pending = self._pending[:end], self._pending[end:]
        return self._leak.sub("", shown)

    def finish(self) -> str:
        """The rest of the answer. An opening fence at the end is dropped: the server stopped at the mark after it."""
        rest, self._pending = self._pending, ""
        if self._leak is None:
            return rest
        rest = self._leak.sub("", rest)
        return "" if rest == _OPENING else rest

    def discard(self) -> None:
        """Forget the text held back."""
        self._pending = ""

    def _complete_until(self) -> int:
        """The offset from which the text may belong to a mark that is not complete yet."""
        text, mark = self._pending, self._mark
        tail = max(0, len(text) - len(mark) - len(_OPENING) - _LONGEST_REST - 1)
        if match := self._unfinished.search(text, tail):
            return match.start()
        for start in range(max(0, len(text) - len(mark) - len(_OPENING)), len(text)):
            part = text[start:]
            if f"{_OPENING}{mark}".startswith(part) or mark.startswith(part):
                return start
        return len(text)
