"""Retrieval for follow-up questions, which may be incomprehensible without the conversation ("and in winter?").

The question and the two questions before it are searched as one weighted query: their words, vectors and tokens are
combined, and the new question counts four times as much as each of the others. If it has specific words, an earlier
topic hardly affects the results. If it has one such word or none, the previous question counts two or four times as
much as the question before it, because the topic may have changed in between.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from streamrag_cli.model import Turn
from streamrag_cli.retrieval.lexical import has_content_words, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QUESTION_WEIGHT: Final = 4
"""The weight of the new question. An earlier question has the weight 1. docs/retrieval.md has the measurements."""
_LATEST_WEIGHTS: Final = (4, 2)
"""The weight of the previous question if the new question has no content word, and if it has one."""
MAX_EARLIER: Final = 2
MAX_EARLIER_CHARS: Final = 400
MAX_EARLIER_WORDS: Final = 12

_FEW_WORDS: Final = 12.0
"""A question with a lower total term weight has only one or two words, and is incomplete without the conversation."""
_FEW_WORDS_WITH_REFERENCE: Final = 20.0
_PRONOUNS: Final = frozenset(
    "it its this that these those they them their theirs he him his she her hers"
    " es er sie ihn ihm ihr ihre ihnen dies diese dieser dieses dessen deren dafür damit daran darauf davon dazu"
    " il elle ils elles lui leur leurs cela ça ceci celui celle ceux celles"
    " eso esto ello este esta ese esa aquello él ella ellos ellas su sus"
    " esso essa ciò questo questa quello quella loro suo sua"
    " isso isto aquilo ele ela eles elas dele dela esse"
    " dit dat deze hij zij ze hun ervan ermee daarvan daarmee"
    " den det dem denna detta dessa denne dette disse hans hennes dess deres deras"
    " он она оно они это этот эта эти его её ее их ему ей им"
    " 它 他 她 这 那 其 これ それ あれ この その あの 이것 그것 그건 이건".split()
)
_CONJUNCTIONS: Final = frozenset(
    "and or but so then und oder aber et ou mais y e o pero ma mas en maar och og men и а но".split()
)
"""Conjunctions. A question that begins with one of them refers to the question before it."""


def earlier_questions(question: str, history: Sequence[Turn]) -> tuple[str, ...]:
    """The last questions of `history` that differ from `question`, newest first, each truncated if it is long.

    Questions that consist only of stop words ("Why is that?") are left out.
    """
    earlier: list[str] = []
    for turn in reversed(history):
        text = turn.question[:MAX_EARLIER_CHARS].strip()
        if text != question.strip() and text not in earlier and has_content_words(text):
            earlier.append(text)
        if len(earlier) == MAX_EARLIER:
            break
    return tuple(earlier)


def needs_conversation(question: str, term_weight: float) -> bool:
    """Whether a question is incomplete without its conversation. `term_weight` is the total weight of its terms.

    A pronoun, or a conjunction at the beginning, indicates that it refers to the conversation. Both are recognised in
    the languages that have stop words, and in Chinese, Japanese and Korean. In other languages only the terms count.

    >>> needs_conversation("And for teams?", 7.5), needs_conversation("Can you explain it?", 15.0)
    (True, True)
    >>> needs_conversation("How do volcanoes erupt?", 15.0)
    False
    """
    in_order = words(question)
    refers = bool(in_order) and (in_order[0] in _CONJUNCTIONS or not _PRONOUNS.isdisjoint(in_order))
    return term_weight < (_FEW_WORDS_WITH_REFERENCE if refers else _FEW_WORDS)


def weighted_words(question: Sequence[str], earlier: Mapping[str, tuple[int, int]]) -> list[str]:
    """Return the words to search for, each repeated according to its weight.

    `earlier` maps each word in earlier questions to the number of chunks that contain it, and to its weight. Only the
    rarest of these words are searched for, because they matter most and are found fastest.
    """
    if not earlier:
        return list(question)
    known = sorted((word for word in earlier if earlier[word][0]), key=lambda word: earlier[word][0])
    of_earlier = [word for word in known[:MAX_EARLIER_WORDS] for _ in range(earlier[word][1])]
    return [*list(question) * QUESTION_WEIGHT, *of_earlier]


def weights(count: int, content_words: int) -> list[int]:
    """The weights of `count` questions, newest first. The new question has `content_words` content words.

    >>> weights(3, content_words=5), weights(3, content_words=1), weights(3, content_words=0)
    ([4, 1, 1], [4, 2, 1], [4, 4, 1])
    """
    latest = _LATEST_WEIGHTS[content_words] if content_words < len(_LATEST_WEIGHTS) else 1
    return [QUESTION_WEIGHT, latest, *[1] * count][:count]


def combined_vector(vectors: "Sequence[NDArray[np.float32]]", of_each: Sequence[float]) -> "NDArray[np.float32]":
    """The weighted mean of unit vectors, scaled to unit length. `of_each` contains the weight of each vector."""
    import numpy as np

    total = np.array(of_each, dtype=np.float32) @ np.stack(vectors)
    unit: NDArray[np.float32] = total / (np.linalg.norm(total) or 1.0)
    return unit


def combined_terms(terms: Sequence[Mapping[str, float]], of_each: Sequence[float]) -> dict[str, float]:
    """Combine the terms from several questions. A term that occurs in several questions gets its highest weight."""
    combined: dict[str, float] = {}
    for of_question, weight in zip(terms, of_each, strict=True):
        for term, value in of_question.items():
            combined[term] = max(combined.get(term, 0.0), weight * value)
    return combined
