"""The question and flags of a command, from which hints build a complete command to paste."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from streamrag_cli.errors import with_flags
from streamrag_cli.text import sanitise_line, without_secret

_ASK_COMMAND: Final = re.compile(
    r"(?P<before>(?:^|[:,(] (?:or )?|^or )(?:[A-Z_]+=\S+ )?streamrag) (?P<command>ask|search)(?P<flags>(?: \S+)*)"
    r" (?P<quote>\"?)QUESTION(?P=quote)$"
)
_MAX_CHARS: Final = 200
_KEY: Final = re.compile(r"@|\bsk-")


@dataclass(frozen=True, slots=True, kw_only=True)
class HintCommand:
    """The arguments of the command to repeat.

    `flags` are those flags of the command line that select the collection, the store and the model. `question` is ""
    unless the command line contained the whole question.
    """

    command: str
    question: str = ""
    flags: Mapping[str, str] = field(default_factory=dict)

    def complete(self, hint: str) -> str:
        """Fill in this command's flags and question if `hint` ends in `streamrag ask FLAGS QUESTION`.

        A flag in the hint replaces the command's own flag. Any other hint is returned unchanged.
        """
        import shlex  # nothing else at the start of a command needs it

        match = _ASK_COMMAND.search(hint)
        if not match:
            return hint
        is_search = self.command == "search" or match["command"] == "search"
        flags = {flag: value for flag, value in self.flags.items() if not (is_search and flag == "-m")}
        placeholder = f"{match['quote']}{'QUERY' if self.command == 'search' else 'QUESTION'}{match['quote']}"
        question = shlex.quote(self.question) if self._is_pasteable else placeholder
        command = "search" if is_search else "ask"
        start = f"{hint[: match.end('before')]} {command}{match['flags']}"
        return f"{with_flags(start, match['flags'], flags)} {question}"

    @property
    def _is_pasteable(self) -> bool:
        text = self.question
        return bool(text.strip()) and len(text) <= _MAX_CHARS and text[0] != "-" and sanitise_line(text) == text


def shown_base_url(url: str, api_key: str | None) -> str:
    """The URL to show in a hint; "" if it contains a key or a password."""
    return "" if _KEY.search(url) or without_secret(url, api_key or "", "") != url else url
