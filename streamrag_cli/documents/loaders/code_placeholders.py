"""Code within a line, set aside while the markup around it is read."""

import re
from typing import Final

_PLACE: Final = re.compile(r"\x00(\d{1,9})\x00")


class CodePlaceholders:
    """Each piece of code is kept behind a mark that no markup's pattern fits, until it is put back in backticks."""

    def __init__(self) -> None:
        self._spans: list[str] = []

    def keep(self, code: str) -> str:
        """The mark that stands for `code` until `restore`."""
        ticks = "`" * (max(map(len, re.findall("`+", code)), default=0) + 1)
        self._spans.append(f"{ticks}{code}{ticks}")
        return f"\x00{len(self._spans) - 1}\x00"

    def restore(self, text: str) -> str:
        return _PLACE.sub(lambda mark: self._spans[int(mark[1])] if int(mark[1]) < len(self._spans) else "", text)
