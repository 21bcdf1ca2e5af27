"""Separates a model's thinking from its answer if a server sends both as content.

Servers with a reasoning parser send the thinking in a separate field. Others leave the marks from the model's template
in the text: `<think>...</think>`, only `</think>` (the template contained the opening mark), or channels
(`<|channel|>analysis<|message|>...`). An opening mark counts only at the beginning of a reply. After text that looks
like an answer, a closing mark counts only at the beginning or end of a line: an answer may be about such marks.
"""

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

_TAGS: Final = ("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "seed:think")
_CLOSING_OF: Final[Mapping[str, str]] = {
    **{f"<{tag}>": f"</{tag}>" for tag in _TAGS},
    "[THINK]": "[/THINK]",
    "<|channel>": "<channel|>",
    "<unused94>": "<unused95>",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "\N{WHITE LEFT-POINTING TRIANGLE}think\N{WHITE RIGHT-POINTING TRIANGLE}": (
        "\N{WHITE LEFT-POINTING TRIANGLE}/think\N{WHITE RIGHT-POINTING TRIANGLE}"
    ),
}
_CLOSINGS: Final = tuple(_CLOSING_OF.values())
_CHANNEL_OPENINGS: Final = ("<|channel|>", "<|start|>")
_FINAL_CHANNEL: Final = re.compile(r"<\|channel\|>\s*final\b[^<]*<\|message\|>")
_BARE_CHANNEL: Final = "analysis"  # the same channels from a server that removes the marks
_BARE_FINAL: Final = "assistantfinal"
_CHANNEL_MARKS: Final = ("<|return|>", "<|end|>", "<|start|>", "<|channel|>", "<|message|>", "<|constrain|>")
_LEFT_OVER_MARK: Final = re.compile("|".join(map(re.escape, _CHANNEL_MARKS)))
_CLOSING: Final = re.compile("|".join(map(re.escape, _CLOSINGS)))
_LONGEST_CLOSING: Final = max(map(len, _CLOSINGS))
_MARKS: Final = (*_CLOSINGS, *_CHANNEL_MARKS)
_PARTIAL_MARK: Final = re.compile(
    r"[<\[\N{WHITE LEFT-POINTING TRIANGLE}][^<\[\N{WHITE LEFT-POINTING TRIANGLE}]{0,20}\Z"
)
# Phrases with which models begin to think aloud, but with which answers from documents do not begin. Text that is only
# a prefix of a phrase in the first group is held back. The phrases in the second group begin like many answers, so
# their prefixes are not held back.
_HELD_PREFIXES: Final = (
    "okay, the user",
    "okay, so",
    "okay, let",
    "ok, the user",
    "ok, so",
    "ok, let",
    "alright, ",
    "hmm",
)
_UNMARKED_OPENINGS: Final = (
    *_HELD_PREFIXES,
    *("the user ", "user asks", "so the user", "we need to ", "we are asked", "we are given", "i need to "),
    *("let me think", "let me look", "let me check", "let's see", "let's think", "first, i need", "thinking process"),
)
_ALWAYS_THINKS: Final = re.compile(r"(?<![a-z])(?:r1|qwq|\w*think\w*|\w*reason\w*)(?![a-z])", re.IGNORECASE)


class _State(Enum):
    BEGINNING = auto()
    THINKING = auto()  # text is dropped up to `_closing`
    CHANNELS = auto()  # text is dropped up to the final channel
    PENDING = auto()  # looks like unmarked thinking: not returned until a closing mark or the end
    ANSWER = auto()


def always_thinks(model: str) -> bool:
    """Whether the model's name suggests that it thinks before every answer.

    >>> always_thinks("deepseek-r1:8b"), always_thinks("Qwen3-4B-Thinking-2507"), always_thinks("llama3.2")
    (True, True, False)
    """
    return _ALWAYS_THINKS.search(model) is not None


class ThinkingFilter:
    """Filters the thinking out of a reply's content, piece by piece.

    How the text is split into pieces does not change the answer, with one exception: if a closing mark without an
    opening one follows text that did not look like thinking, that text has already been returned. `answer_began_late`
    then reports that it was not part of the answer. With `expected`, all text is held back until a closing mark or the
    end of the reply.
    """

    def __init__(self, *, expected: bool = False) -> None:
        self._expected = expected
        self._state = _State.BEGINNING
        self._closing = ""
        self._pending = ""
        self._dropped = False
        self._has_output = False
        self._last_output = "\n"
        self._searched = 0
        self.answer_began_late = False

    @property
    def dropped_thinking(self) -> bool:
        """Whether some of the reply was thinking."""
        return self._dropped or self._state in {_State.THINKING, _State.CHANNELS, _State.PENDING}

    def expect_no_thinking(self) -> None:
        """Treat all content as the answer: the server sends the thinking in a separate field."""
        self._expected = False

    def feed(self, text: str) -> str:
        """Add a piece of the reply, and return the text that is now known to be part of the answer."""
        self._pending += text
        answer = ""
        while True:
            before = self._state, len(self._pending)
            answer += self._step()
            if (self._state, len(self._pending)) == before or not self._pending:
                self._has_output = self._has_output or bool(answer)
                return answer

    def finish(self) -> str:
        """Return the rest of the answer. Called once, when the model's reply has ended."""
        rest, self._pending = self._pending, ""
        match self._state:
            case _State.THINKING | _State.CHANNELS:
                return ""
            case _State.ANSWER if rest.rstrip() in _CLOSINGS:
                return self._begin_answer_late("")
            case _:
                return self._clean(rest)

    def _step(self) -> str:
        match self._state:
            case _State.BEGINNING:
                return self._classify_beginning()
            case _State.THINKING:
                self._drop_up_to(self._closing)
            case _State.CHANNELS:
                self._drop_up_to_final_channel()
            case _State.PENDING:
                return self._drop_held_thinking()
            case _State.ANSWER:
                return self._emit_answer()
        return ""

    def _classify_beginning(self) -> str:
        beginning = self._pending.lstrip()
        if not beginning:
            return ""
        for opening, closing in _CLOSING_OF.items():
            if beginning.startswith(opening):
                return self._begin_thinking(_State.THINKING, beginning.removeprefix(opening), closing)
            if beginning.startswith(closing):
                return self._begin_thinking(_State.BEGINNING, beginning.removeprefix(closing))
        if beginning.startswith(_CHANNEL_OPENINGS):
            return self._begin_thinking(_State.CHANNELS, beginning)
        if beginning.startswith(_BARE_CHANNEL) and beginning[len(_BARE_CHANNEL) :][:1].isupper():
            return self._begin_thinking(_State.CHANNELS, beginning)
        if beginning == _BARE_CHANNEL or any(mark.startswith(beginning) for mark in (*_MARKS, *_CLOSING_OF)):
            return ""
        if self._dropped:
            self._state = _State.ANSWER
        elif self._expected or beginning.lower().startswith(_UNMARKED_OPENINGS):
            self._state = _State.PENDING
        elif len(beginning) < 2 or not any(opening.startswith(beginning.lower()) for opening in _HELD_PREFIXES):
            self._state = _State.ANSWER
        return ""

    def _begin_thinking(self, state: _State, rest: str, closing: str = "") -> str:
        self._state, self._pending, self._closing, self._dropped = state, rest, closing, True
        return ""

    def _drop_up_to(self, closing: str) -> None:
        _, separator, rest = self._pending.partition(closing)
        if separator:
            self._state, self._pending = _State.BEGINNING, rest
        else:
            self._pending = self._pending[-len(closing) + 1 :]

    def _drop_up_to_final_channel(self) -> None:
        if match := _FINAL_CHANNEL.search(self._pending):
            self._state, self._pending = _State.ANSWER, self._pending[match.end() :].lstrip()
        elif _BARE_FINAL in self._pending:
            self._state, self._pending = _State.ANSWER, self._pending.partition(_BARE_FINAL)[2].lstrip()
        else:
            self._pending = self._pending[-80:]  # longer than any channel header

    def _drop_held_thinking(self) -> str:
        if match := _CLOSING.search(self._pending, max(0, self._searched - _LONGEST_CLOSING)):
            self._dropped = True
            self._state, self._pending = _State.BEGINNING, self._pending[match.end() :]
        self._searched = len(self._pending)
        return ""

    def _emit_answer(self) -> str:
        if self._dropped and not self._has_output:
            self._pending = self._pending.lstrip()
        if not self._dropped and (match := _CLOSING.search(self._pending)):
            if match.end() == len(self._pending):
                return self._output_up_to(match.start())  # wait for more text, which shows whether the line ends here
            if self._is_at_line_edge(match):
                return self._begin_answer_late(self._pending[match.end() :].lstrip())
        partial = _PARTIAL_MARK.search(self._pending)
        is_mark = partial is not None and any(mark.startswith(partial.group()) for mark in _MARKS)
        return self._output_up_to(partial.start() if partial and is_mark else len(self._pending))

    def _is_at_line_edge(self, mark: re.Match[str]) -> bool:
        """Whether the mark begins or ends its line, as in a template. In running text it is part of a sentence."""
        before = self._pending[: mark.start()] or self._last_output
        return before.endswith("\n") or self._pending[mark.end() :].startswith("\n")

    def _begin_answer_late(self, rest: str) -> str:
        self.answer_began_late = self._dropped = True
        self._pending, self._has_output = rest, False
        return ""

    def _output_up_to(self, end: int) -> str:
        output, self._pending = self._pending[:end], self._pending[end:]
        self._last_output = output[-1:] or self._last_output
        return self._clean(output)

    def _clean(self, text: str) -> str:
        return _LEFT_OVER_MARK.sub("", text) if self._dropped else text
