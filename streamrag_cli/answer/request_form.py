"""The optional parts of the protocol that a request uses. A part that the server refuses is dropped."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

_VERBS: Final = "support|allow|accept|availab|implement|enabl|permit|abled"
_REFUSED: Final = rf"(?:(?:not|n't|un|never|dis)[ -]?(?:be )?(?:yet )?(?:{_VERBS})\w*)"
_REFUSAL_STATUSES: Final = frozenset({400, 404, 415, 422, 500, 501})
_STREAM_REFUSED: Final = re.compile(
    rf"\bstream(?:ing|ed)?\b.{{0,60}}(?:{_REFUSED}|must be false|does not)"
    rf"|(?:{_REFUSED}|invalid|unknown|unrecognized).{{0,60}}\bstream(?:ing)?\b"
)
_SYSTEM_REFUSED: Final = re.compile(
    rf"\b(?:system|developer)\b.{{0,60}}{_REFUSED}"
    rf"|(?:{_REFUSED}|invalid|unknown|unexpected).{{0,60}}\b(?:system|developer)\b"
    r"|only .{0,40}\buser\b.{0,40}\bassistant\b|roles? must alternate"
)


_STOP_REFUSED: Final = re.compile(
    rf"['\"`]stop['\"`]|\bstop\b.{{0,60}}{_REFUSED}|(?:{_REFUSED}|invalid|unknown|unrecognized).{{0,60}}\bstop\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestForm:
    """The optional parts of the protocol to use: token counts at the end of the stream, streaming, a system message.

    `limit_names` are the parameter names that can still be tried for the token limit: a server supports one of them, or
    none. `defaults` are the names of parameters that are sent without being requested: `temperature` and `stop`.
    """

    with_usage: bool = True
    streamed: bool = True
    system_role: bool = True
    limit_names: tuple[str, ...] = ()
    defaults: frozenset[str] = frozenset()

    def without_refused_parameters(self, status: int | None, server_text: str) -> Self | None:
        """The form to retry with after this error reply; None if the reply did not refuse a part."""
        if status not in _REFUSAL_STATUSES:
            return None
        words = server_text.lower()
        if self.with_usage and "stream_options" in words:
            return replace(self, with_usage=False)
        if self.limit_names and self.limit_names[0] in words:
            return replace(self, limit_names=self.limit_names[1:])
        if "temperature" in self.defaults and "temperature" in words:
            return replace(self, defaults=self.defaults - {"temperature"})
        if "stop" in self.defaults and _STOP_REFUSED.search(words):
            return replace(self, defaults=self.defaults - {"stop"})
        if self.system_role and _SYSTEM_REFUSED.search(words):
            return replace(self, system_role=False)
        if self.streamed and _STREAM_REFUSED.search(words):
            return replace(self, streamed=False)
        return None

    def arrange(self, messages: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The messages to send. If the server has no system role, the next message begins with the instructions."""
        if self.system_role:
            return list(messages)
        instructions = [text for role, text in messages if role == "system"]
        rest = [(role, text) for role, text in messages if role != "system"]
        if not instructions or not rest:
            return [("user", "\n\n".join(text for _, text in messages))]
        role, first = rest[0]
        return [(role, "\n\n".join((*instructions, first))), *rest[1:]]
