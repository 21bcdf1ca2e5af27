"""What a command asked, so that a hint to ask again is a command that can be pasted."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from streamrag_cli.text import sanitise_line, without_secret

_AGAIN: Final = re.compile(
    r"(?P<before>(?:^|[:,(] (?:or )?|^or )(?:[A-Z_]+=\S+ )?streamrag) (?P<command>ask|search)(?P<flags>(?: \S+)*)"
    r" (?P<quote>\"?)QUESTION(?P=quote)$"
)
_SHORT_FLAGS: Final = {"--model": "-m", "--collection": "-c"}
_MAX_CHARS: Final = 200
_KEY: Final = re.compile(r"@|\bsk-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`flags` are those of the command line that decide what is asked: of the collection, the store and the model.

    `question` is "" if it did not come from the command line, or not alone.
    """

    command: str
    question: str = ""
    flags: Mapping[str, str] = field(default_factory=dict)

    def again(self, hint: str) -> str:
        """A hint that ends in `streamrag ask FLAGS QUESTION`, with this command, its flags and its question.

        A flag in the hint counts instead of the command's own. Any other hint stays as it is.
        """
        import shlex  # nothing else at the start of a command needs it

        found = _AGAIN.search(hint)
        if not found:
            return hint
        is_search = self.command == "search" or found["command"] == "search"
        words = found["flags"].split()
        own = [
            f" {_SHORT_FLAGS.get(flag, flag)} {shlex.quote(value)}"
            for flag, value in self.flags.items()
            if value and not {flag, _SHORT_FLAGS.get(flag)} & {*words} and not (is_search and flag == "--model")
        ]
        placeholder = f"{found['quote']}{'QUERY' if self.command == 'search' else 'QUESTION'}{found['quote']}"
        question = shlex.quote(self.question) if self._can_be_pasted else placeholder
        command = "search" if is_search else "ask"
        return f"{hint[: found.end('before')]} {command}{found['flags']}{''.join(own)} {question}"

    @property
    def _can_be_pasted(self) -> bool:
        text = self.question
        return bool(text.strip()) and len(text) <= _MAX_CHARS and text[0] != "-" and sanitise_line(text) == text


def shown_base_url(url: str, api_key: str | None) -> str:
    """The address as part of a hint; "" if it contains a key or a password."""
    return "" if _KEY.search(url) or without_secret(url, api_key or "", "") != url else url
