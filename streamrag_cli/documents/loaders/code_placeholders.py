"""Protects inline code from the conversion of the markup around it."""

import re
from typing import Final

_PLACE: Final = re.compile(r"\x00(\d{1,9})\x00")


class CodePlaceholders:
    """Replaces inline code with placeholders that no markup pattern matches, and restores it in backticks."""

    def __init__(self) -> None:
        self._spans: list[str] = []

    def keep(self, code: str) -> str:
        """Store `code` and return its placeholder."""
        ticks = "`" * (max(map(len, re.findall("`+", code)), default=0) + 1)
        self._spans.append(f"{ticks}{code}{ticks}")
        return f"\x00{len(self._spans) - 1}\x00"

    def restore(self, text: str) -> str:
        return _PLACE.sub(lambda mark: self._spans[int(mark[1])] if int(mark[1]) < len(self._spans) else "", text)
