"""Removes the prompt's mark from an answer. The mark fences the sources, and some models repeat it."""

import re
from typing import Final

_OPENING: Final = "<<"
_LONGEST_REST: Final = 16  # one more than the length of " source [999]>>"


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
        """Add a piece of the answer, and return the text that can be shown now."""
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
        """Discard the text that is held back."""
        self._pending = ""

    def _complete_until(self) -> int:
        """The offset at which an incomplete mark may begin."""
        text, mark = self._pending, self._mark
        tail = max(0, len(text) - len(mark) - len(_OPENING) - _LONGEST_REST - 1)
        if match := self._unfinished.search(text, tail):
            return match.start()
        for start in range(max(0, len(text) - len(mark) - len(_OPENING)), len(text)):
            part = text[start:]
            if f"{_OPENING}{mark}".startswith(part) or mark.startswith(part):
                return start
        return len(text)
