"""Removes the prompt's mark from an answer. The mark separates the sources, and some models repeat it."""


class LeakedMarkFilter:
    """Filters an answer piece by piece. How it is split into pieces does not change the result.

    The end of a piece is held back if it may be the beginning of the mark. Without a mark, nothing is changed.
    """

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._pending = ""

    def feed(self, text: str) -> str:
        """Add a piece of the answer, and return the text that can be shown now."""
        if not self._mark:
            return text
        text = (self._pending + text).replace(self._mark, "")
        sizes = range(len(self._mark) - 1, -1, -1)
        end = len(text) - next(size for size in sizes if text.endswith(self._mark[:size]))
        self._pending = text[end:]
        return text[:end]

    def finish(self) -> str:
        """Return the text that is still held back. Called once, at the end of the answer."""
        rest, self._pending = self._pending, ""
        return rest

    def discard(self) -> None:
        """Discard the text that is held back."""
        self._pending = ""
