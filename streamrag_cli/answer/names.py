"""Finds the names in an English sentence, and looks them up in a passage.

A name is a run of capitalised words such as "Ada Lovelace" or "University of Bologna". Names are compared without case,
accents and endings; "Norwegian" is found in "Norway", and "WHO" in "World Health Organization".
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from streamrag_cli.answer.number_words import MONTHS, ROMAN, UNITS
from streamrag_cli.store.languages import ENGLISH, FUNCTION_WORDS
from streamrag_cli.store.stemming import stems

_WORD: Final = re.compile(r"[^\W_]++(?:['\u2019][^\W_]++)*+")
_POINTS: Final = re.compile(r"(?<![^\W_])(?:[A-Z]\.){1,6}(?:[A-Z](?![^\W_])\.?|(?<=[A-Z]\.[A-Z]\.))")
_CONNECTORS: Final = frozenset("of de von van der den la le al el du da di del bin ibn".split())
_GENERIC: Final = frozenset(
    "university college school institute academy church cathedral river lake mount mountain mountains sea ocean bay"
    " island islands street road avenue park bridge tower castle palace city town village county state states province"
    " region kingdom empire republic dynasty army navy force forces war battle treaty act law bill amendment convention"
    " conference council committee commission company corporation group society association organization organisation"
    " union party house court king queen prince princess emperor pope bishop president minister prime secretary general"
    " colonel captain professor doctor dr mr mrs ms sir lord lady saint st north south east west northern southern"
    " eastern western central new great old upper lower first second third world international national royal united"
    " center centre museum library hospital station stadium airport festival day century age era movement"
    " department office agency bank the and for in on at by with from to a an program programme project team league cup"
    " valley forest desert county district area street super bowl championship award awards section chapter"
    " article duke count earl baron king edict".split()
)
_INITIAL_WORDS: Final = frozenset(
    "according additionally afterwards ago almost already also although always among another anyone anything apart"
    " around aside away back based because besides better beyond big both call check click come compared complete"
    " consider contrary copy create currently days despite different double during each earlier early either else"
    " enough even ever every everyone everything example except few finally find first following fourth further"
    " generally get give given go good half hence here high however if important indeed initially instead it its keep"
    " know last late later least less let like likewise little long look lots make many maybe might more"
    " moreover most much must near nearly neither never nevertheless next no none nor note nothing now often"
    " old once one only open originally other others otherwise overall part people perhaps please press previously"
    " put rather read recently remember run say second see send set several short similarly since small so some"
    " someone something sometimes soon start step still stop such summary take thanks then there therefore"
    " third though three thus time today together too try turn two type typically unless unlike until upon use using"
    " usually various well what whenever whereas whether while within without work write yes yet you"
    " your default limit rate answer question source sources document documents text result error warning tip yeah"
    " okay sure approximately roughly about nearly around children men women scientists researchers life water light"
    " music government power land trade food money religion art science war death education evidence law nature"
    " population research society language members officials experts students teachers workers".split()
)
_COMMON_ACRONYMS: Final = frozenset(
    "AI API ASCII CEO CI CLI CPU CSS CSV DNS FAQ GPU GUI HTML HTTP HTTPS ID IDE IO IP JSON LAN LLM ML OK OS PC PDF"
    " RAM SDK SQL SSD SSH SSL TCP TLS TODO TV UI URI URL USB UTC UTF UX VM XML YAML AD BC BCE CE AM PM"
    " SSE RAG NOTE TTY".split()
)
_SAME: Final = (
    "france french",
    "netherlands dutch holland",
    "england english britain british uk",
    "germany german",
    "spain spanish spaniard spaniards",
    "greece greek greeks",
    "wales welsh",
    "ireland irish",
    "scotland scottish scots scot",
    "denmark danish danes dane",
    "sweden swedish swedes",
    "finland finnish finns",
    "poland polish poles",
    "turkey turkish turks turk",
    "china chinese sino",
    "japan japanese",
    "switzerland swiss",
    "usa us america american americans states",
    "iceland icelandic",
    "portugal portuguese",
    "thailand thai",
    "peru peruvian",
    "israel israeli",
    "europe european",
    "norse norway norwegian",
    "ussr soviet soviets",
    "saint st",
    "mount mt",
    "fort ft",
    "doctor dr",
    "christianity christian christians",
    "islam islamic muslim muslims",
    "judaism jewish jews jew",
    "buddhism buddhist buddhists",
    "catholicism catholic catholics",
    "monday mon",
    "tuesday tue tues",
    "wednesday wed",
    "thursday thu thurs",
    "friday fri",
    "saturday sat",
    "sunday sun",
)
_SYNONYMS: Final = {word: frozenset(words.split()) for words in _SAME for word in words.split()}
_SHORTEST_PREFIX: Final = 4
_SHORTEST_FUZZY: Final = 6


class Name(NamedTuple):
    """A name in a sentence.

    `is_weak` is True for a single word at the beginning of a clause, because such a word might not be a name.
    """

    words: tuple[str, ...]
    is_weak: bool = False


def folded(text: str) -> str:
    """`text` in lower case, without accents.

    >>> folded("Č. Dvořák")
    'c. dvorak'
    """
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss").replace("ø", "o").replace("ł", "l"))
    return "".join(each for each in decomposed if not unicodedata.combining(each))


def words_of(text: str) -> list[re.Match[str]]:
    return list(_WORD.finditer(text))


def joined_points(text: str) -> str:
    """`text` with the dots removed from acronyms such as "U.S."."""
    return _POINTS.sub(lambda match: match[0].replace(".", "") + " ", text)


def bare(word: str) -> str:
    """The word without a possessive ending."""
    return re.sub(r"['\u2019]s?$", "", word)


def names(sentence: str) -> list[Name]:
    """The names in a sentence of prose, in order; none if nearly all of its words are capitalised.

    >>> [each.words for each in names("The lens was made by Augustin Fresnel in Paris.")]
    [('Augustin', 'Fresnel'), ('Paris',)]
    """
    sentence = joined_points(sentence)
    words = words_of(sentence)
    if len(words) > 3 and sum(_is_capitalised(each[0]) for each in words) > 0.7 * len(words):
        return []
    result: list[Name] = []
    at = 0
    while at < len(words):
        if not _is_capitalised(words[at][0]) or words[at][0].lower() in _NEVER:
            at += 1
            continue
        end = _end_of_run(sentence, words, at)
        run = [each[0] for each in words[at:end]]
        is_initial = _begins_clause(sentence, words, at)
        if is_initial and (run[0].lower() in _STARTERS or (len(run) > 1 and run[0].lower().endswith(("ing", "ly")))):
            run = run[1:]
            is_initial = False
        if is_initial and len(run) == 1 and not _is_subject(run[0], sentence[words[end - 1].end() :]):
            run = []
        if run and not _is_common(run, is_initial=is_initial):
            result.append(Name(tuple(map(bare, run)), is_initial and len(run) == 1))
        at = end
    return result


_COMMON_ENDING: Final = re.compile(
    r"(?:[st]ion|ment|ness|ity|[ae]nce|ship|age|ism|ure|ing|ed|ly|s|al|able|ible|ful|less|ware)$"
)
_VERB: Final = re.compile(
    r"(?:['\u2019]s\b|,? (?:is|was|has|had|were|are|will|did|does|became|began|won|wrote|made|led|built|founded|died"
    r"|and [A-Z]|[a-z]{3,}ed)\b)"
)


def _is_subject(word: str, rest: str) -> bool:
    """Whether the first word of a sentence is likely to be a name: a verb or another name follows."""
    return not _COMMON_ENDING.search(word.lower()) and _VERB.match(rest) is not None


_NEVER: Final = frozenset(("i", *MONTHS))
_STARTERS: Final = FUNCTION_WORDS[ENGLISH] | _INITIAL_WORDS


def _is_common(run: Sequence[str], *, is_initial: bool) -> bool:
    return len(run) == 1 and (
        run[0] in _COMMON_ACRONYMS
        or run[0] in ROMAN
        or run[0].lower() in UNITS
        or (is_initial and run[0].lower() in _GENERIC)
    )


def _is_capitalised(word: str) -> bool:
    return word[0].isupper() or (len(word) > 2 and any(map(str.isupper, word[1:])))


def _end_of_run(sentence: str, words: Sequence[re.Match[str]], at: int) -> int:
    """The index after the run of capitalised words at `at`, joined by spaces, hyphens, dots of initials or "of"."""
    end = at + 1
    while end < len(words):
        gap = sentence[words[end - 1].end() : words[end].start()]
        is_initial = len(words[end - 1][0]) <= 2 or words[end - 1][0].lower() in _SYNONYMS
        if gap not in {" ", "-", "\n"} and not (gap == ". " and is_initial):
            break
        if words[end - 1][0].endswith(("'s", "\u2019s")):
            break
        if _is_capitalised(words[end][0]):
            end += 1
            continue
        is_joined = words[end][0] in _CONNECTORS and end + 1 < len(words)
        next_at = end + 1
        if is_joined and words[next_at][0] == "the" and next_at + 1 < len(words):
            next_at += 1
        if is_joined and _is_capitalised(words[next_at][0]):
            end = next_at + 1
            continue
        break
    return end


def _begins_clause(sentence: str, words: Sequence[re.Match[str]], at: int) -> bool:
    before = sentence[words[at - 1].end() if at else 0 : words[at].start()]
    return at == 0 or any(mark in before for mark in '.!?:;\n|\u2014\u2022"\u201c\u2018(')


class KnownWords:
    """The words in a passage, in which an answer's names and words are looked up."""

    def __init__(self, text: str) -> None:
        text = joined_points(text)
        raw = [bare(match[0]) for match in words_of(text)]
        self.all = set(map(folded, raw))
        self.all.update(part for word in raw for part in _camel_parts(word))
        ordered = [folded(word) for word in raw]
        self._pairs = {first + second for first, second in pairwise(ordered)}
        capitalised = {folded(word) for word in raw if _is_capitalised(word)}
        self._by_prefix: dict[str, list[str]] = defaultdict(list)
        for word in capitalised:
            self._by_prefix[word[:_SHORTEST_PREFIX]].append(word)
        self._acronyms = {word.lower() for word in raw if word.isupper() and 2 <= len(word) <= 8}
        content = [word for word in ordered if word not in FUNCTION_WORDS[ENGLISH]]
        self._initials = "".join(word[0] for word in ordered) + " " + "".join(word[0] for word in content)
        self._capital_initials = "".join(word[0] if _is_capitalised(word) else " " for word in raw).lower()
        self._stems: set[str] | None = None
        self._before: dict[str, set[str]] = defaultdict(set)
        joined = [word for word in raw if word not in _CONNECTORS]
        for first, second in pairwise(joined):
            self._before[folded(second)].add(folded(first) if _is_capitalised(first) else "")

    @property
    def stems(self) -> set[str]:
        if self._stems is None:
            self._stems = {stem for of_word in stems(sorted(self.all)) for stem in of_word}
        return self._stems

    def has_stems(self, word: str) -> bool:
        """Whether any inflection of the word occurs in the passage."""
        of_word = stems([word])[0]
        return bool(of_word) and self.stems.issuperset(of_word)

    def has_word(self, word: str) -> bool:
        """Whether the passage has this word in a name: in any form, as an acronym, or spelled slightly differently."""
        key = folded(word)
        if key in self.all or key in self._pairs or not _SYNONYMS.get(key, frozenset()).isdisjoint(self.all):
            return True
        if self.has_stems(key) or self._has_acronym(word):
            return True
        for known in self._by_prefix.get(key[:_SHORTEST_PREFIX], ()):
            common = _common_prefix(key, known)
            if common >= max(_SHORTEST_PREFIX, 0.6 * max(len(key), len(known)) - 1):
                return True
            if len(key) >= _SHORTEST_FUZZY and _differs_by_one(key, known):
                return True
        return False

    def _has_acronym(self, word: str) -> bool:
        if not (2 <= len(word) <= 8 and word.rstrip("s").isupper()):
            return False
        letters = word.rstrip("s").lower()
        return letters in (self._capital_initials if len(letters) == 2 else self._initials)

    def has(self, name: Name) -> bool:
        """Whether the passage contains the name, or enough of it to identify it."""
        if len(name.words) > 1:
            initials = "".join(word[0] for word in name.words if word[0].isupper()).lower()
            if len(initials) > 1 and initials in self._acronyms:
                return True
            if "".join(map(folded, name.words)) in self.all:
                return True
        parts: list[list[str]] = [[]]
        for word in name.words:
            if word.lower() in _CONNECTORS:
                parts.append([])
            elif word.lower() != "the":
                parts[-1].append(word)
        parts = [part for part in parts if part] or [list(name.words)]
        return self._has_part(parts[-1]) and (
            len(parts) == 1 or any(map(self._has_part, parts[:-1])) or len(parts[0]) > 1
        )

    def _has_part(self, words: Sequence[str]) -> bool:
        specific = [word for word in words if word.lower() not in _GENERIC and word not in ROMAN] or words
        is_known = [self.has_word(word) for word in specific]
        if all(is_known):
            return True
        if not is_known[-1]:
            return sum(is_known) > len(is_known) / 2
        return not self._contradicts(specific)

    def _contradicts(self, words: Sequence[str]) -> bool:
        """Whether the last of `words`, a last name, follows a different first name everywhere in the passage."""
        others = self._before.get(folded(words[-1]), set())
        return bool(others) and all(each and each not in _GENERIC and len(each) > 1 for each in others)


def _camel_parts(word: str) -> Iterable[str]:
    """The lower-case parts of a word such as `StreamingResponse`."""
    if word.islower() or word.isupper() or word.istitle():
        return ()
    return (part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", word))


def _common_prefix(first: str, second: str) -> int:
    return next(
        (at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


def _differs_by_one(first: str, second: str) -> bool:
    """Whether the words differ by one letter, which is replaced, added or missing."""
    if abs(len(first) - len(second)) > 1:
        return False
    at = _common_prefix(first, second)
    return first[at + 1 :] == second[at + 1 :] or first[at:] == second[at + 1 :] or first[at + 1 :] == second[at:]
