"""A command's question and flags, from which hints build a complete command to paste."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from streamrag_cli.errors import with_flags
from streamrag_cli.text import sanitise_line, without_secret

_ASK_COMMAND: Final = re.compile(
    r"(?P<before>(?:^|[:,(] (?:or )?|^or )(?P<start>(?:(?P<variable>[A-Z_]+=\S+) )?)streamrag)"
    r" (?P<command>ask|search)(?P<flags>(?: \S+)*) (?P<quote>\"?)QUESTION(?P=quote)$"
)
_MAX_CHARS: Final = 200
_EXPORT: Final = "export OPENAI_API_KEY=KEY, or "
"""The part of a hint that does not work in a running chat."""
_KEY: Final = re.compile(r"@|\bsk-")


@dataclass(frozen=True, slots=True, kw_only=True)
class HintCommand:
    """The arguments on the current command line that hints repeat.

    `flags` select the collection, the store and the model, `filter` contains the flags that restrict the documents, and
    `conversation` is `-C` or `--thread ID`. `question` is "" unless the command line contained it. `reads_stdin` is set
    if text on stdin was added to the question. In a chat on a terminal, `command` is `chat`, and hints suggest chat
    commands.
    """

    command: str
    question: str = ""
    flags: Mapping[str, str] = field(default_factory=dict)
    conversation: str = ""
    reads_stdin: bool = False
    filter: Sequence[str] = ()

    def complete(self, hint: str) -> str:
        """Fill in this command's flags and question if `hint` ends in `streamrag ask FLAGS QUESTION`.

        A flag in the hint replaces the command's own flag. In a chat, a hint for `ask` becomes the chat commands that
        do the same. Any other hint is returned unchanged.
        """
        import shlex  # not needed at startup

        match = _ASK_COMMAND.search(hint)
        if not match:
            return hint
        if self.command == "chat" and match["command"] == "ask":
            before = re.sub(r"\(-c (\S+?)(?=[,) ])", r"(/set collection \1", hint[: match.start("start")])
            before = before.replace(_EXPORT, "")
            return before + _chat_commands(match["variable"] or "", shlex.split(match["flags"]))
        is_search = self.command == "search" or match["command"] == "search"
        flags = {flag: value for flag, value in self.flags.items() if not (is_search and flag == "-m")}
        placeholder = f"{match['quote']}{'QUERY' if self.command == 'search' else 'QUESTION'}{match['quote']}"
        question = shlex.quote(self.question) if self._is_pasteable else placeholder
        command = "search" if is_search else "ask"
        start = f"{hint[: match.end('before')]} {command}{match['flags']}"
        start = with_flags(start, match["flags"], flags)
        start += f" {shlex.join(self.filter)}" if self.filter else ""
        if is_search:
            return f"{start} {question}"
        conversation = f" {self.conversation}" if self.conversation else ""
        stdin = (" --stdin", " < FILE") if self.reads_stdin else ("", "")
        return f"{start}{conversation}{stdin[0]} {question}{stdin[1]}"

    @property
    def _is_pasteable(self) -> bool:
        text = self.question
        return bool(text.strip()) and len(text) <= _MAX_CHARS and text[0] != "-" and sanitise_line(text) == text


def _chat_commands(variable: str, words: Sequence[str]) -> str:
    """Convert a variable assignment and flags for `ask` to chat commands: a `/set` for each, then `/again`."""
    from streamrag_cli.settings_table import SETTINGS

    name, _, value = variable.partition("=")
    commands = [f"/set {each.name} {value}" for each in SETTINGS if name in each.variables]
    rest = iter(words)
    for flag in rest:
        setting = next((each for each in SETTINGS if flag in each.flags), None)
        if setting is not None:
            commands.append(f"/set {setting.name} {setting.switch or next(rest, '')}")
    return ", then ".join([*commands, "/again"])


def shown_base_url(url: str, api_key: str | None) -> str:
    """Return the URL to show in a hint; "" if the URL contains a key or a password."""
    return "" if _KEY.search(url) or without_secret(url, api_key or "", "") != url else url
