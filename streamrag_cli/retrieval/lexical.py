"""Extracts the words, codes and options from a question. `store.stemming` stems the words."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from streamrag_cli.store.languages import ENGLISH, FUNCTION_WORDS, without_endings
from streamrag_cli.store.stemming import separate

_LATIN_END: Final = "\u0250"  # all letters with a lower code point are Latin

_BEYOND_LATIN: Final = re.compile(f"[{_LATIN_END}-\U0010ffff]")
_CODE: Final = re.compile(r"(?<![^\W_])[^\W_]++(?:[-./:][^\W_]++)++")  # takes linear time, even on very long words
_LETTERS_AND_DIGITS: Final = re.compile(
    r"(?<![\w.-])(?:[^\W\d_]{1,12}\d[^\W_]{0,60}|\d++[^\W\d_]{1,12}\d[^\W_]{0,60})(?![\w-])"
)
"""Matches a word that mixes letters and digits, such as E18, but not numbers such as 20th, 1990s or 5kg."""
_REFERENCE_WORDS: Final = (
    "article|chapter|clause|code|error|fault|item|message|paragraph|part|rule|section"
    "|abschnitt|absatz|artikel|fehler|kapitel|klausel|meldung|paragraf|paragraph|regel|ziffer"
)
_REFERENCE: Final = re.compile(
    rf"(?:§+|(?<!\w)(?:{_REFERENCE_WORDS})(?: +code)?(?: +(?:no|nr|number|nummer)\.?)?)[ \u00a0]*"
    r"(?P<number>\d{1,9}(?:\.\d{1,4}){0,4}[a-z]?)(?!\w)"
)
"""Matches a numbered section, rule or message in lower case, such as "§ 5", "clause 7.2" or "error 404"."""
_OPTION: Final = re.compile(r"(?<![^\s('\"`])--?[A-Za-z0-9][\w-]{0,40}")
_MEASURE: Final = re.compile(
    r"(?<!\w)(?:how|wie) (big|deep|expensive|far|fast|heavy|high|large|long|loud|many|much|often|old|strong"
    r"|tall|thick|wide|alt|breit|dick|groß|hoch|lange?|oft|schnell|schwer|stark|teuer|tief|viele?|weit)(?!\w)"
)
_CACHED_PATTERNS: Final = 100
_CODE_CHARS: Final = range(4, 65)
_MAX_CODES: Final = 16
STOP_WORDS: Final = FUNCTION_WORDS[ENGLISH]
_STOP_CHARACTERS: Final = frozenset(
    "的了是在有吗呢吧啊么几哪谁何请问我你您他她它们这那些个就也都要会被把让给和与及或はがをにでとのもかへや"
)
"""Chinese and Japanese characters that are function words. Pairs that contain one of them are stop words as well."""
_KANA: Final = re.compile("[\u3041-\u30ff]")
"""Matches a single kana, which is a stop word, because it is as common as a single Latin letter."""
_STOP_PAIRS: Final = frozenset(
    "多少 多久 多长 多大 怎么 怎样 如何 为什 什么 可以 ます です する した ない ある から まで".split()
)


def words(text: str) -> list[str]:
    """The unstemmed words in `text` in lower case, in order, with repetitions. Scripts without spaces are split."""
    return re.findall(r"\w+", separate(text).lower())


def content_words(text: str, language: str = ENGLISH) -> list[str]:
    """Like `words`, but without the stop words of `language`. If the text has only stop words, all are returned."""
    all_words = words(text)
    return [word for word in all_words if not _is_stop_word(word, language)] or all_words


def has_content_words(text: str) -> bool:
    """Whether `text` contains words other than the stop words of a single language.

    >>> has_content_words("Where are they?"), has_content_words("Wo ist es?"), has_content_words("Where are tents?")
    (False, False, True)
    """
    all_words = words(text)
    return bool(all_words) and not any(
        all(_is_stop_word(word, language) for word in all_words) for language in FUNCTION_WORDS
    )


def words_by_language(text: str, languages: Iterable[str]) -> dict[str, list[str]]:
    """The content words in `text` for each language, stemmed in that language, with repetitions."""
    return {
        language: [without_endings(word, language) for word in content_words(text, language)] for language in languages
    }


def merged_words(words: Mapping[str, Sequence[str]]) -> list[str]:
    """Merge the words from several languages into one list. A word that two languages share is counted once."""
    counted: Counter[str] = Counter()
    for of_language in words.values():
        counted |= Counter(of_language)
    return list(counted.elements())


def codes(text: str) -> tuple[str, ...]:
    """The codes in `text`, in lower case: dates, article numbers, versions and other words with digits and punctuation.

    >>> codes("Which contract of HO-4057 ends on 2026-02-17, and/or in 1.5 h?")
    ('ho-4057', '2026-02-17')
    """
    candidates = (each for each in _CODE.findall(text.lower()) if len(each) in _CODE_CHARS)
    return tuple(dict.fromkeys(each for each in candidates if any(map(str.isdigit, each))))[:_MAX_CODES]


def short_codes(text: str) -> tuple[str, ...]:
    """The words in `text` that mix letters and digits, in lower case. Some, such as "mp3", may be common.

    >>> short_codes("What does E18 mean for the 20th load of 5kg in the 1990s?")
    ('e18',)
    """
    return tuple(dict.fromkeys(_LETTERS_AND_DIGITS.findall(text.lower())))[:_MAX_CODES]


def references(text: str) -> tuple[str, ...]:
    """The numbers of sections, rules and messages that `text` refers to, each with a paragraph sign before it.

    >>> references("Does § 5 or clause 7.2 explain error 404 in 3 lines?")
    ('§5', '§7.2', '§404')
    """
    numbers = (f"§{match['number']}" for match in _REFERENCE.finditer(text.lower()))
    return tuple(dict.fromkeys(numbers))[:_MAX_CODES]


def contains_code(text: str, codes: Iterable[str]) -> bool:
    """Whether `text` contains one of the codes as a whole word.

    The number of a reference is recognised only after a paragraph sign or a word such as "section", at the beginning of
    a heading, or, if it contains a point, at the beginning of a line.

    >>> [contains_code(text, ["§7.2"]) for text in ("7.2 Pets", "see § 7.2.", "7.2.1 Dogs", "17.2 kg", "in 7.2 km")]
    [True, True, False, False, False]
    """
    lowered = text.lower()
    return any(_code_pattern(code).search(lowered) for code in codes if code.lstrip("§") in lowered)


@lru_cache(maxsize=_CACHED_PATTERNS)
def _code_pattern(code: str) -> re.Pattern[str]:
    if not code.startswith("§"):
        return re.compile(rf"(?<!\w){re.escape(code)}(?!\w)")
    number = re.escape(code[1:])
    after_word = rf"(?:§+[ \u00a0]*|\b(?:{_REFERENCE_WORDS})(?: code)?(?: (?:no|nr|number|nummer)\.?)?:? )"
    heading = rf"^[ \t]*#+[ \t]+{number}(?!\w|\.\d)|^[ \t]*{number}[.)][ \t]+\S[^\n]{{0,60}}(?<![.,;:])$"
    first = rf"|^[ \t]*{number}(?!\w|\.\d)" if "." in code else ""
    return re.compile(rf"{after_word}{number}(?!\w|\.\d)|{heading}{first}", re.MULTILINE)


def measure_words(text: str) -> frozenset[str]:
    """The words in `text` that only name the requested kind of value, such as "long" in "how long".

    >>> sorted(measure_words("How long is the trial, and how high is the fee? Wie lange dauert es?"))
    ['high', 'lange', 'long']
    """
    return frozenset(_MEASURE.findall(text.lower()))


def options(text: str) -> tuple[str, ...]:
    """The command-line options in `text`.

    >>> options("What does xargs -0 do, or --null? A well-known -- dash - is not.")
    ('-0', '--null')
    """
    return tuple(dict.fromkeys(_OPTION.findall(text)))[:_MAX_CODES]


def has_option(text: str, option: str) -> bool:
    """Whether `text` contains the whole option: `--rate` does not match `--rate-limit`."""
    return option in text and re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text) is not None


def _is_stop_word(word: str, language: str) -> bool:
    if word in FUNCTION_WORDS.get(language, STOP_WORDS):
        return True
    if word in _STOP_PAIRS or _KANA.fullmatch(word):
        return True
    return len(word) <= 2 and not _STOP_CHARACTERS.isdisjoint(word)


def is_outside_latin(text: str) -> bool:
    """Whether most words in `text` are in a script other than Latin; a Chinese character counts as a word.

    >>> is_outside_latin("Docker 怎么安装?"), is_outside_latin("What does 渡轮 mean?")
    (True, False)
    """
    if not any(map(str.isalpha, _BEYOND_LATIN.findall(text))):
        return False
    initials = [word[0] for word in words(text) if word[0].isalpha()]
    return sum(not _is_latin(each) for each in initials) * 2 > len(initials)


def _is_latin(letter: str) -> bool:
    return letter < _LATIN_END or unicodedata.name(letter, "").startswith(("LATIN", "FULLWIDTH LATIN"))
