"""Chooses the earlier turns in a conversation to send to the model.

The newest turns are sent, up to a limit on characters. A longer conversation is cut to two thirds of the limit, and
then grows again. The prompts of most turns therefore begin with the same text, which a server can cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamrag_cli.answer.citations import without_markers
from streamrag_cli.model import Turn

_OMISSION = "\n…\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierTurns:
    """The turns to send, oldest first.

    `left_out` is the number of turns that are not sent, and `shortened` the number of turns that are cut.
    """

    turns: tuple[Turn, ...] = ()
    left_out: int = 0
    shortened: int = 0


def earlier_turns(history: Sequence[Turn], *, chars: int) -> EarlierTurns:
    """The newest turns in `history` (oldest first), at most `chars` characters in total.

    An answer is shortened to half of `chars`, a question to a sixth, so that the newest turn always fits. Citations are
    removed from the answers, because the same numbers refer to other sources in the next answer.
    """
    if not chars:
        return EarlierTurns()
    max_question, max_answer = chars // 6, chars // 2
    turns = [turn for turn in history if turn.question.strip() or turn.answer.strip()]
    start = _start([min(len(each.question), max_question) + min(len(each.answer), max_answer) for each in turns], chars)
    # Citations are removed only from these turns, because a conversation may have megabytes. They are removed before
    # the turns are cut, because a cut may split a block of code.
    newest = [replace(turn, answer=without_markers(turn.answer)) for turn in turns[start:]]
    sent = [
        replace(turn, question=_shortened(turn.question, max_question), answer=_shortened(turn.answer, max_answer))
        for turn in newest
    ]
    shortened = sum(before != after for before, after in zip(newest, sent, strict=True))
    return EarlierTurns(turns=tuple(sent), left_out=start, shortened=shortened)


def _start(lengths: Sequence[int], limit: int) -> int:
    """The index of the first turn to send.

    The index depends only on the turns so far, and changes only when their length exceeds the limit.
    """
    start = total = 0
    for length in lengths:
        total += length
        if total > limit:
            while total > limit * 2 // 3:
                total -= lengths[start]
                start += 1
    return start


def _shortened(text: str, limit: int) -> str:
    """Shorten `text` to at most `limit` characters: keep its beginning and end, with a mark between them."""
    if len(text) <= limit:
        return text
    available = max(0, limit - len(_OMISSION))
    tail = available // 3
    return text[: available - tail] + _OMISSION + text[len(text) - tail :] if available else ""
