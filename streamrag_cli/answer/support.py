"""Judges without a model whether the passages that a sentence cites support it.

A sentence is unsupported if it has a number, a name or a quoted string that none of its passages has, or if hardly any
of its words occur in them. What the user wrote, and what earlier supported sentences say, counts as known. All of it
errs on the side of the answer: a model may convert, round, count and rephrase.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final

from streamrag_cli.answer.cited_sentences import CitedPart, CitedSentence, cited_sentences
from streamrag_cli.answer.names import KnownWords, folded, names, words_of
from streamrag_cli.answer.number_words import MONTHS, UNITS
from streamrag_cli.answer.quantities import KnownQuantities, Quantity, quantities, singular
from streamrag_cli.model import Source
from streamrag_cli.store.languages import ENGLISH, FUNCTION_WORDS, language_of

_MAX_PASSAGE_CHARS: Final = 20_000
_MAX_PASSAGES: Final = 12
"""The number of passages that one sentence is compared with; the citations of a sentence with more are not judged."""
_ABSENT: Final = re.compile(
    r"\b(?:(?:do(?:es)?|did|is|are|was|were|has|have|can|could)(?: not|n['\u2019]t)|cannot|no(?:ne|thing)?|neither|without)\b"
    r"[^.!?]{0,80}\b(?:mention|specif|state|stating|say|contain|include|provid|describ|cover|list|explain|give|address|detail"
    r"|information|document|source|indicat|discuss|answer|define)",
    re.IGNORECASE,
)
_COMPUTED: Final = re.compile(
    r"\b(?:total|sum|altogether|combined|together|difference|average|mean|times as|times (?:more|less|faster|slower|larger"
    r"|smaller|higher)|years? (?:later|earlier|after|before|old)|apart|longer|shorter|more than|fewer|lasted|adds? up|per)\b"
    r"|[=\u00d7]|\d\s*[+*]\s*\d",
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(r"[\"\u201c\u201d\u201e\u00ab\u300c]([^\"\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d\n]{3,300})[\"\u201c\u201d\u00bb\u300d]")
_CODE: Final = re.compile(r"`+([^`\n]{1,200})`+")
_IDENTIFIER: Final = re.compile(r"-{0,2}[\w.$]+(?:[-_./:\w]*\w)?(?:\(\))?")
_NUMBERED: Final = frozenset("step option point item method approach case tip rule reason way answer note".split())
_LARGEST_COUNT: Final = 12
_MIN_QUOTED_WORDS: Final = 2
_MIN_WORDS: Final = 4
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
        """The lengths of the lists in the passage: of bullets, and of items in a sentence."""
        bullets = len(re.findall(r"^[ \t]{0,20}(?:[-*+\u2022]|\d{1,3}[.)])[ \t]", self.text, re.MULTILINE))
        found = {bullets, len(re.findall(r"^#", self.text, re.MULTILINE))}
        for sentence in re.split(r"[.;:\n]", self.text):
            commas = sentence.count(",")
            if re.search(r"\b(?:and|or)\b|&", sentence):
                found |= {2, commas + 1, commas + 2}
        return found


def unsupported(answer: str, sources: Sequence[Source], known: Sequence[str] = ()) -> tuple[int, ...]:
    """The numbers of the cited sources that do not support a sentence that cites them, in order.

    `known` is what the user wrote: the question, earlier turns, and text piped in.
    """
    by_number = {source.n: source for source in sources}
    passages: dict[int, Passage] = {}
    context = [Passage(text) for text in known if text.strip()]
    found: dict[int, None] = {}
    is_english = _is_english(f"{answer} {known[0] if known else ''}") and _english_words(answer) > 0
    for sentence in cited_sentences(answer):
        numbers = sorted(sentence.numbers)
        if len(numbers) > _MAX_PASSAGES or not all(number in by_number for number in numbers):
            continue
        if _ABSENT.search(sentence.text):
            continue
        cited = [passages.setdefault(number, _passage(by_number[number])) for number in numbers]
        marked = _unsupported_parts(sentence, cited, context, is_english=is_english)
        found.update(dict.fromkeys(number for part in marked for number in part.numbers))
        if not marked:
            context.append(Passage(sentence.text))
    return tuple(found)


def _passage(source: Source) -> Passage:
    stem = re.sub(r"[-_./]", " ", source.source)
    return Passage(f"{source.title}\n{source.source}\n{stem}\n{source.text or source.content}")


def _unsupported_parts(
    sentence: CitedSentence, cited: Sequence[Passage], context: Sequence[Passage], *, is_english: bool
) -> list[CitedPart]:
    everything = [*cited, *context]
    compares_words = is_english and any(passage.is_english for passage in cited)
    marked = []
    at = 0
    for part in sentence.parts:
        if (
            any(not _has_quantity(each, part.text, cited, everything) for each in _stated(part.text))
            or (compares_words and _has_unknown_name(sentence.text, at, part.text, everything))
            or _has_unknown_quote(part.text, everything, is_english=compares_words)
        ):
            marked.append(part)
        at += len(part.text)
    if not marked and compares_words and _shares_few_words(sentence.text, cited):
        return list(sentence.parts)
    return marked


def _stated(text: str) -> Iterable[Quantity]:
    """The numbers that the text states about its subject."""
    prose = _CODE.sub(lambda code: code[0] if re.fullmatch(r"`[\d.,%\s]+\w{0,3}`", code[0]) else " ", text)
    for each in quantities(prose):
        if each.forms and all(form.value == 1 for form in each.forms):
            continue
        if each.before in _NUMBERED or (each.is_word and each.kind == "ordinal" and prose[each.end : each.end + 1] == ","):
            continue
        if each.is_word and each.text in {"second", "seconds", "one", "half"}:
            continue
        if not each.forms and not re.search(r"\d", each.text):
            continue
        yield each


def _has_quantity(
    quantity: Quantity, sentence: str, cited: Sequence[Passage], everything: Sequence[Passage]
) -> bool:
    if any(passage.quantities.contains(quantity) for passage in everything):
        return True
    if not quantity.forms:
        return any(_squeezed(quantity.text) in passage.squeezed for passage in everything)
    value = quantity.forms[0].value
    if quantity.noun and not quantity.unit and value <= _LARGEST_COUNT and value == int(value) and not quantity.kind:
        noun = singular(quantity.noun)
        is_counted = any(passage.quantities.counted(noun) for passage in cited)
        is_plural = quantity.noun.endswith("s") or quantity.noun in {"people", "children", "men", "women", "of"}
        if not is_counted and is_plural and quantity.noun not in UNITS:
            return any(int(value) in passage.counts for passage in cited)
    is_computed = _COMPUTED.search(sentence) is not None
    return is_computed and any(passage.quantities.can_be_computed(quantity) for passage in cited)


def _has_unknown_name(sentence: str, at: int, part: str, everything: Sequence[Passage]) -> bool:
    """Whether a name in the part is not known. `at` is the offset of the part in its sentence."""
    text = _CODE.sub(" ", part if at == 0 else f"x {part}")
    for name in names(text):
        if not any(passage.words.has(name) for passage in everything):
            return True
    months = {MONTHS[word] for word in _month_names(text)}
    return bool(months) and not any(months <= passage.quantities.months for passage in everything)


def _month_names(text: str) -> list[str]:
    """The months in the text, in lower case. "May" and "March" count only next to a number, "of" or "in"."""
    found = re.findall(r"(?:(\w+)[ ,]+)?\b([A-Z][a-z]{2,8})\b(?= ?(\d)?)", text)
    return [
        month.lower()
        for before, month, digit in found
        if month.lower() in MONTHS
        and (
            month not in {"May", "March", "Mar", "Jan", "Sep", "Dec"}
            or digit or before.isdigit() or before.lower() in {"in", "of", "since", "until", "by"}
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
    return max(sum(_knows(passage, word) for word in content) for passage in cited) < _MIN_SHARE * len(content)


def _knows(passage: Passage, word: str) -> bool:
    return folded(word) in passage.words.all or passage.words.has_stems(folded(word))


def _squeezed(text: str) -> str:
    """The letters and digits of the text, to compare quotations without regard to punctuation and markup."""
    return re.sub(r"[\W_]+", "", text.lower())


def _is_english(text: str) -> bool:
    """Whether the text is in English; unlike `language_of`, not for a text without function words."""
    sample = text[:_LANGUAGE_CHARS]
    return _english_words(sample) >= _MIN_ENGLISH_SHARE * len(words_of(sample)) and language_of(sample) == ENGLISH


def _english_words(text: str) -> int:
    return sum(word[0].lower() in FUNCTION_WORDS[ENGLISH] for word in words_of(text[:_LANGUAGE_CHARS]))
