"""Judges without a model whether the passages that a sentence cites support it.

A sentence is unsupported if it has a number, a name or a quoted string that none of its passages has, or if hardly any
of its words occur in them. What the user wrote, and what earlier supported sentences say, counts as known. Every check
gives the answer the benefit of the doubt: a model may convert, round, count and rephrase.
"""

import re
import time
from collections import deque
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final

from streamrag_cli.answer.cited_sentences import CitedPart, CitedSentence, cited_sentences
from streamrag_cli.answer.names import KnownWords, folded, names, words_of
from streamrag_cli.answer.number_words import MONTHS
from streamrag_cli.answer.quantities import KnownQuantities, Quantity, is_computed, quantities, singular
from streamrag_cli.model import Source
from streamrag_cli.store.languages import ENGLISH, FUNCTION_WORDS, language_of

_MAX_PASSAGE_CHARS: Final = 20_000
_MAX_PASSAGES: Final = 12
"""The maximum number of passages that a sentence is compared with. Sentences that cite more are not judged."""
_MAX_EARLIER: Final = 10
"""The number of earlier sentences whose content counts as known."""
_TIME_LIMIT_S: Final = 0.05
"""The limit on the CPU time for one answer. An ordinary answer takes 2 to 5 ms."""
_ABSENT: Final = re.compile(
    r"\b(?:(?:do(?:es)?|did|is|are|was|were|has|have|can|could)(?: not|n['\u2019]t)|cannot|no(?:ne|thing)?|neither"
    r"|without)\b"
    r"[^.!?]{0,80}\b(?:mention|specif|state|stating|say"
    r"|contain|include|provid|describ|cover|list|explain|give"
    r"|address|detail"
    r"|information|document|source|indicat|discuss|answer|define)",
    re.IGNORECASE,
)
_COMPUTED: Final = re.compile(
    r"\b(?:totals?|sums? up|sum of|altogether|combined|together|difference|on average|averages?"
    r"|times as|[a-z]+er (?:than|by)|more (?:than|by)|less by|years? (?:later|earlier|after|before|old)"
    r"|apart|lasted|adds? up"
    r"|percentage points?|(?:rose|rise|fell|fall|grew|increased?|decreased?|dropped|went (?:up|down))\b)"
    r"|[=\u00d7]|\d\s*[+*]\s*\d",
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(
    r"[\"\u201c\u201d\u201e\u00ab\u300c]([^\"\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d\n]{3,300})[\"\u201c\u201d\u00bb\u300d]"
)
_CODE: Final = re.compile(r"`+([^`\n]{1,200})`+")
_IDENTIFIER: Final = re.compile(
    r"--[a-z][a-z-]{2,40}|[A-Za-z]{2,40}(?:_[A-Za-z]{1,40}){1,6}|[a-z]{2,20}(?:[A-Z][a-z]{2,20}){1,5}"
)
_NUMBERED: Final = frozenset("step option point item method approach case tip rule reason way answer note".split())
_WEEKDAYS: Final = frozenset("monday tuesday wednesday thursday friday saturday sunday".split())
_LARGEST_COUNT: Final = 12
_MIN_QUOTED_WORDS: Final = 2
_MIN_WORDS: Final = 4
_MANY_WORDS: Final = 10
_MIN_SHARE: Final = 0.15
_MIN_ENGLISH_SHARE: Final = 0.15
_LANGUAGE_CHARS: Final = 4_000


class Passage:
    """A passage with its headings and the name of its document, or any other known text."""

    def __init__(self, text: str) -> None:
        self.text = text[:_MAX_PASSAGE_CHARS]

    @cached_property
    def words(self) -> KnownWords:
        return KnownWords(self.text)

    @cached_property
    def quantities(self) -> KnownQuantities:
        return KnownQuantities(self.text)

    @cached_property
    def squeezed(self) -> str:
        return _squeezed(self.text)

    @cached_property
    def is_english(self) -> bool:
        return _is_english(self.text)

    @cached_property
    def counts(self) -> set[int]:
        """The possible numbers of items in the lists of the passage: bullets, headings, and items in a sentence."""
        bullets = len(re.findall(r"^[ \t]{0,20}(?:[-*+\u2022]|\d{1,3}[.)])[ \t]", self.text, re.MULTILINE))
        lengths = {bullets, len(re.findall(r"^#", self.text, re.MULTILINE))}
        for sentence in re.split(r"[.;:\n]", self.text):
            commas = sentence.count(",")
            if re.search(r"\b(?:and|or)\b|&", sentence):
                lengths |= {2, commas + 1, commas + 2}
        return lengths


def unsupported(answer: str, sources: Sequence[Source], known: Sequence[str] = ()) -> tuple[int, ...]:
    """The numbers of the cited sources that do not support a sentence that cites them, in order.

    `known` is what the user wrote: the question, earlier turns, and text piped in.
    """
    by_number = {source.n: source for source in sources}
    passages: dict[int, Passage] = {}
    written = [Passage(text) for text in known if text.strip()]
    earlier: deque[Passage] = deque(maxlen=_MAX_EARLIER)
    doubtful: dict[int, None] = {}
    started_s = time.thread_time()
    is_english = _is_english(f"{answer} {known[0] if known else ''}") and _english_words(answer) > 0
    for sentence in cited_sentences(answer):
        if time.thread_time() - started_s > _TIME_LIMIT_S:
            break
        numbers = sorted(sentence.numbers)
        if len(numbers) > _MAX_PASSAGES or not all(number in by_number for number in numbers):
            continue
        if _ABSENT.search(sentence.text):
            continue
        cited = [passages.setdefault(number, _passage(by_number[number])) for number in numbers]
        marked = _unsupported_parts(sentence, cited, [*written, *earlier], is_english=is_english)
        doubtful.update(dict.fromkeys(number for part in marked for number in part.numbers))
        if not marked:
            earlier.append(Passage(sentence.text))
    return tuple(doubtful)


def _passage(source: Source) -> Passage:
    stem = re.sub(r"[-_./]", " ", source.source)
    return Passage(f"{source.context or source.title}\n{source.source}\n{stem}\n{source.text or source.content}")


def _unsupported_parts(
    sentence: CitedSentence, cited: Sequence[Passage], context: Sequence[Passage], *, is_english: bool
) -> list[CitedPart]:
    everything = [*cited, *context]
    compares_words = is_english and any(passage.is_english for passage in cited)
    stated = [list(_stated(part.text)) for part in sentence.parts]
    in_passages = [each for of_part in stated for each in of_part if _contains(cited, each)]
    marked = []
    at = 0
    for part, numbers in zip(sentence.parts, stated, strict=True):
        if (
            any(not _has_quantity(each, part.text, in_passages, cited, everything) for each in numbers)
            or (compares_words and _has_unknown_name(at, part.text, everything))
            or _has_unknown_quote(part.text, everything, is_english=compares_words)
            or _has_unknown_identifier(part.text, everything)
        ):
            marked.append(part)
        at += len(part.text)
    if not marked and compares_words and not in_passages and _shares_few_words(sentence.text, cited):
        return list(sentence.parts)
    return marked


def _contains(passages: Sequence[Passage], quantity: Quantity) -> bool:
    return any(passage.quantities.contains(quantity) for passage in passages)


def _stated(text: str) -> Iterable[Quantity]:
    """The numbers that the text states as facts. Numbers such as the one in "option 2" or "one of them" are skipped."""
    prose = _CODE.sub(lambda code: code[0] if re.fullmatch(r"`[\d.,%\s]+\w{0,3}`", code[0]) else " ", text)
    for each in quantities(prose):
        if each.forms and all(form.value == 1 for form in each.forms) and not each.unit:
            continue
        if each.text == "00" or each.before in _NUMBERED:
            continue
        if each.is_word and (
            each.text in {"second", "seconds", "half", "quarter", "quarters", "first"}
            or (each.kind == "ordinal" and prose[each.end : each.end + 1] == ",")
        ):
            continue
        yield each


def _has_quantity(
    quantity: Quantity,
    sentence: str,
    others: Sequence[Quantity],
    cited: Sequence[Passage],
    everything: Sequence[Passage],
) -> bool:
    """Whether the number is in a passage, counts something in it, or can be computed from numbers in it.

    `others` are the quantities in the same sentence that do appear in a passage.
    """
    if _contains(everything, quantity) or (quantity.unit and all(form.value == 1 for form in quantity.forms)):
        return True
    if not quantity.forms:
        squeezed = _squeezed(quantity.text).removeprefix("v")
        return any(squeezed in passage.squeezed for passage in everything)
    value = quantity.forms[0].value
    if quantity.noun and not quantity.unit and value <= _LARGEST_COUNT and value == int(value) and not quantity.kind:
        noun = singular(quantity.noun)
        is_plural = quantity.noun.endswith("s") or quantity.noun in {"people", "children", "men", "women", "of"}
        is_counted = any(passage.quantities.counted(noun) for passage in cited)
        if is_plural and not is_counted and any(int(value) in passage.counts for passage in cited):
            return True
    shares = [form.value / 100 for each in others if each.unit == "%" for form in each.forms[:1]]
    if any(passage.quantities.has_share(quantity, share) for passage in cited for share in shares):
        return True
    if len(others) > 1 and is_computed(quantity, others):
        return True
    return _COMPUTED.search(sentence) is not None and any(
        passage.quantities.can_be_computed(quantity) for passage in cited
    )


def _has_unknown_name(at: int, part: str, everything: Sequence[Passage]) -> bool:
    """Whether the part has a name that is in no passage. `at` is the offset of the part in its sentence."""
    text = _CODE.sub(" ", part if at == 0 else f"x {part}")
    for name in names(text):
        is_weekday = len(name.words) == 1 and name.words[0].lower().removesuffix("s") in _WEEKDAYS
        if is_weekday and any(len(_WEEKDAYS & passage.words.all) > 1 for passage in everything):
            continue  # "Monday to Friday"
        if not any(passage.words.has(name) for passage in everything):
            return True
    months = {MONTHS[word] for word in _month_names(text)}
    return bool(months) and not any(months <= passage.quantities.months for passage in everything)


def _has_unknown_identifier(part: str, everything: Sequence[Passage]) -> bool:
    """Whether the part has an identifier in code, such as a flag, whose words are mostly not in the passages."""
    for match in _CODE.finditer(part):
        code = match[1].strip()
        if not _IDENTIFIER.fullmatch(code) or any(_squeezed(code) in passage.squeezed for passage in everything):
            continue
        words = [word for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", code) if len(word) > 2]
        unknown = [word for word in words if not any(_knows(passage, word) for passage in everything)]
        if words and len(unknown) >= len(words) / 2:
            return True
    return False


def _month_names(text: str) -> list[str]:
    """The months in the text, in lower case. "May" and "March" count only next to a number, "of" or "in"."""
    months = re.findall(r"(?:(\w+)[ ,]+)?\b([A-Z][a-z]{2,8})\b(?= ?(\d)?)", text)
    return [
        month.lower()
        for before, month, digit in months
        if month.lower() in MONTHS
        and (
            month not in {"May", "March", "Mar", "Jan", "Sep", "Dec"}
            or digit
            or before.isdigit()
            or before.lower() in {"in", "of", "since", "until", "by"}
        )
    ]


def _has_unknown_quote(part: str, everything: Sequence[Passage], *, is_english: bool) -> bool:
    for match in _QUOTED.finditer(part):
        quote = _squeezed(match[1])
        if any(quote in passage.squeezed for passage in everything):
            continue
        words = [word[0] for word in words_of(match[1])]
        if len(words) < _MIN_QUOTED_WORDS:
            continue
        content = [word for word in words if word.lower() not in FUNCTION_WORDS[ENGLISH]] or words
        share = max(sum(_knows(passage, word) for word in content) for passage in everything) / len(content)
        if share < 0.5 and (is_english or share == 0) and len(content) >= _MIN_QUOTED_WORDS:
            return is_english or _same_script(match[1], everything)
    return False


def _same_script(text: str, everything: Sequence[Passage]) -> bool:
    return text.isascii() and all(passage.text.isascii() for passage in everything)


def _shares_few_words(sentence: str, cited: Sequence[Passage]) -> bool:
    stop_words = FUNCTION_WORDS[ENGLISH]
    content = {folded(word[0]) for word in words_of(_CODE.sub(" ", sentence))}
    content = {word for word in content if word not in stop_words and len(word) > 2 and not word.isdigit()}
    if len(content) < _MIN_WORDS:
        return False
    known = max(sum(_knows(passage, word) for word in content) for passage in cited)
    return known == 0 or (len(content) >= _MANY_WORDS and known < _MIN_SHARE * len(content))


def _knows(passage: Passage, word: str) -> bool:
    return folded(word) in passage.words.all or passage.words.has_stems(folded(word))


def _squeezed(text: str) -> str:
    """The letters and digits in the text, in lower case, to compare texts regardless of punctuation and markup."""
    return re.sub(r"[\W_]+", "", text.lower())


def _is_english(text: str) -> bool:
    """Whether the text is in English. Unlike `language_of`, this is False for a text without function words."""
    sample = text[:_LANGUAGE_CHARS]
    return _english_words(sample) >= _MIN_ENGLISH_SHARE * len(words_of(sample)) and language_of(sample) == ENGLISH


def _english_words(text: str) -> int:
    return sum(word[0].lower() in FUNCTION_WORDS[ENGLISH] for word in words_of(text[:_LANGUAGE_CHARS]))
