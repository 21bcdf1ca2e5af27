"""Splits a chunk into quotable sentences without markup, each with the block that it introduces."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from streamrag_cli.answer.code_units import code_units
from streamrag_cli.answer.facts import split_facts
from streamrag_cli.answer.inline import CODE_CHARACTERS, LINE, Masked, code_span, mask
from streamrag_cli.answer.passages import (
    MAX_BLOCK_LINES,
    NOTHING,
    AttachedBlock,
    Block,
    attached_block,
    blocks,
    fenced,
    is_title,
)
from streamrag_cli.answer.records import records
from streamrag_cli.documents.formats import Markup, TextKind

MAX_CHARS: Final = 500
MAX_FOLLOWING: Final = 3
_MAX_CHUNK_CHARS: Final = 20_000
"""Text beyond this length is ignored. A chunk is shorter, but a long table's chunks are joined."""

_CAPITALS: Final = "".join(chr(code) for code in range(0x80, 0x590) if chr(code).isupper())
_WITHOUT_CASE: Final = "\u05d0-\u05ea\u0620-\u06d3\u0900-\u0eff\u10d0-\u10ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_STARTS_SENTENCE: Final = f"[A-Z0-9\u00a7{_CAPITALS}{_WITHOUT_CASE}{CODE_CHARACTERS}]"
_END: Final = re.compile(
    rf"(?<=[.!?])[\"')\]\u201d\u2019]*\s+(?=[\"'(\[\u201c\u2018`]*{_STARTS_SENTENCE})"
    r"|(?<=[\u3002\uff01\uff1f])[\"')\u201d\u2019\u300d\u300f\uff09]*\s*(?=\S)"
    r"|(?<=[\u061f\u06d4\u0964])[\"')\u201d]*\s+"
)
_ABBREVIATION: Final = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|cf|vs|approx|Mr|Mrs|Ms|Dr|Prof|St|No|Fig|Eq|Inc|Ltd|Co|Jr|Sr|Gen|Col|Lt|Rev|Mt|ca|"
    r"Abs|Art|art|Bd|bijv|blz|bspw|bzw|dott|env|evtl|ggf|Hr|inkl|Nr|nr|núm|pag|pág|Sra|sig|sog|Str|Tel|Ud|vgl|zzgl|"
    r"al|godz|np|pl|św|ul|č|např|tř|αρ|τηλ|π\.χ|акад|им|кв|корп|обл|пер|пр|проф|просп|рис|см|стр|тел|ул)|"
    r"\b[A-Zdhosuzдт\u0391-\u03a9\u0410-\u042f]|(?<!\d\s)\bг)\.[\"')\]]*\s*$"
)
"""Abbreviations in ten languages that are often followed by a capital letter or a digit."""
_ORDINAL: Final = re.compile(
    r"\b(?:ab|am|auf|bis|dem|den|der|des|die|fra|im|nach|på|seit|til|vom|vor|zum|zur)\s+\d{1,2}\.$", re.IGNORECASE
)
"""An ordinal number in German, Danish or Norwegian."""
_SPACED_DATE: Final = re.compile(
    r"(?<!\d)(?:\d{4}\. \d{1,2}\. \d{1,2}\.(?: (?=[\uac00-\ud7af]))?|\d{1,2}\. \d{1,2}\. \d{4})"
)
"""A date whose numbers are separated by spaces, as in Korean, German and Czech."""
_NUMBER: Final = re.compile(r"(?<![\w.])\d{1,2}\.$")
_MONTH: Final = re.compile(
    r"(?:Januar|Jänner|Februar|März|Mars|Marts|April|Mai|Maj|Juni|Juli|August|September"
    r"|Oktober|November|Dezember|Desember|December)\b",
    re.IGNORECASE,
)
_NUMBERED: Final = re.compile(
    r"\b(?:no|nos|p|pp|vol|ch|sec|fig|ext|apt|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Okt|Nov|Dec|Dez)\.$"
)
"""Abbreviations that are followed by a number only if they do not end a sentence."""
_LONGEST_ABBREVIATION: Final = 20
_ANNOUNCES: Final = re.compile(r"[:\uff1a][\"')\]*_]*$")
_ANNOUNCES_CODE: Final = re.compile(r"\b(?:follow(?:s|ing)|below|like (?:this|so))\b", re.IGNORECASE)
_ELSEWHERE: Final = (
    r"\b(?:documentation|docs|manual|guide|reference|readme|details|information|above|below|chapter|section"
    r"|page|tutorial"
    r"|wiki|website|faq)\b[\w ]{0,40}[.!]?"
)
_POINTER: Final = re.compile(
    r"(?:for (?:more|further|additional|full|complete)[\w ,]{0,60}?)?(?:please )?(?:also )?"
    rf"(?:see|refer to|consult|check out|check|visit|read|have a look at|take a look at)\b[^`:/]{{0,100}}{_ELSEWHERE}"
    r"|(?:please )?(?:see|refer to|consult)\b[^:]{0,100}\bfor (?:(?:more|further|additional|full|complete"
    r"|a full|all) )?"
    r"(?:information|details|explanations?|guidance|instructions)\b[\w' ,]{0,100}[.!]?|see also\W{0,3}"
    r"|for (?:more|further|additional|full) (?:information|details)[\w' ,]{0,60},? see\b.{0,100}"
    rf"|(?:read|learn|find out) more\b[^`:/]{{0,100}}|(?:you (?:can|will) find )?(?:(?:more|further|additional|full) )?"
    r"(?:information|details|examples|explanations?)\b(?! (?:is|are) (?:stored|kept|sent|shown))[^`:/]{0,60}"
    rf"\b(?:found|available|described|in|on|at)\b[^`:/]{{0,60}}{_ELSEWHERE}"
    rf"|[\w ]{{1,40}} (?:is|are) (?:described|explained|documented|covered)\b[^`:/]{{0,60}}{_ELSEWHERE}",
    re.IGNORECASE,
)
_URL: Final = re.compile(r"<?(?:https?|ftp)://\S+>?")
_WORD: Final = re.compile(r"\w+")
_WITHOUT_SPACES: Final = re.compile("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence on one line, as plain text and as Markdown that renders the same."""

    text: str
    markdown: str = ""
    """The sentence as Markdown. Empty for code that no sentence introduces, which is only shown as `block`."""
    line: int = 0
    """The index of the line in the chunk on which the sentence begins."""
    block: AttachedBlock = NOTHING
    """The block that the sentence introduces."""
    is_open: bool = False
    """Whether the block may begin or continue in the next chunk."""
    before: tuple["Sentence", ...] = ()
    """The previous sentence in the same paragraph or item; empty if there is none."""
    following: tuple["Sentence", ...] = ()
    """The next sentences in the same paragraph or item; at most three."""
    fields: tuple[str, ...] = ()
    """All fields of a record that is too long to be shown as a whole; otherwise empty."""
    role: Literal["text", "heading", "fact"] = "text"
    """A `heading` occurs only if the chunk has nothing else; a `fact` is a line of the page's front matter."""


def sentences(text: str, kind: TextKind = "prose", markup: Markup = "markdown") -> Iterator[Sentence]:
    """The sentences in `text`. Each line of program output, and each record with its field names, is one sentence.

    Code in prose is included only if a sentence introduces it or there is no prose. Long sentences are cut at a word.
    """
    text = text[:_MAX_CHUNK_CHARS]
    facts, text = split_facts(text) if kind == "prose" else ((), text)
    if kind == "records":
        candidates = [_record_sentence(record, line) for record, line in records(text)]
    elif kind == "code":
        candidates = list(_code_sentences(text))
    else:
        candidates = list(_block_sentences(blocks(text, kind, markup), markup))
    quotable = [each for each in candidates if _is_quotable(each)]
    yield from quotable or _line_sentences(text, kind, markup)
    for line, fact in facts:
        yield replace(_line_sentence(mask(fact, "none"), line), role="fact")


def _block_sentences(block_list: Sequence[Block], markup: Markup) -> Iterator[Sentence]:
    for index, block in enumerate(block_list):
        is_last = index == len(block_list) - 1
        follows_code = not is_last and block_list[index + 1].kind == "code"
        if block.kind == "output":
            for number, line in enumerate(block.lines):
                yield _line_sentence(mask(line, "none"), block.line + number)
        elif block.kind == "heading" and follows_code:
            yield _with_attached_block(_line_sentence(mask(block.text, markup), block.line), block_list, index, markup)
        elif block.kind in {"text", "item"}:
            parts = list(_split(mask(block.text, markup), block.line))
            if parts:
                parts[-1] = _with_block_if_introduced(parts[-1], block_list, index, markup, follows_code=follows_code)
            for at, part in enumerate(parts):
                following = tuple(parts[at + 1 : at + 1 + MAX_FOLLOWING])
                yield replace(part, before=tuple(parts[:at][-1:]), following=following)


def _with_block_if_introduced(
    last: Sentence, block_list: Sequence[Block], index: int, markup: Markup, *, follows_code: bool
) -> Sentence:
    """`last`, the last sentence of a block, with the next block attached if the sentence introduces that block."""
    is_caption = len(block_list[index].raw) == 1 and block_list[index].kind == "text" and is_title(last.text)
    announces_code = follows_code and (is_caption or _ANNOUNCES_CODE.search(last.text))
    if not _ANNOUNCES.search(last.text) and not announces_code:
        return last
    return _with_attached_block(last, block_list, index, markup)


def _with_attached_block(sentence: Sentence, block_list: Sequence[Block], index: int, markup: Markup) -> Sentence:
    block, end = attached_block(block_list, index + 1, markup)
    return replace(sentence, block=block, is_open=end == len(block_list))


def _code_sentences(text: str) -> Iterator[Sentence]:
    units = list(code_units(text))
    for unit, following in zip(units, [*units[1:], None], strict=True):
        if unit.is_comment:
            *before, last = _split(mask("\n".join(unit.lines), "none"), unit.line)
            yield from before
            announces = following is not None and not following.is_comment and _ANNOUNCES.search(last.text)
            yield replace(last, block=following.as_block) if following and announces else last
        else:
            yield _code_sentence(unit.lines, unit.line, unit.as_block)


def _line_sentences(text: str, kind: TextKind, markup: Markup) -> Iterator[Sentence]:
    """Yield the sentences in a chunk that has only headings or only code: each line, or every 12 lines of code."""
    block_list = [] if kind in {"records", "code"} else blocks(text, kind, markup)
    for block in block_list:
        if block.kind == "code":
            for at in range(0, len(block.lines), MAX_BLOCK_LINES):
                lines = block.lines[at : at + MAX_BLOCK_LINES]
                if re.search(r"\w", "".join(lines)):
                    yield _code_sentence(lines, block.line + at, fenced(lines, block.mark))
            continue
        for number, line in enumerate(block.lines):
            sentence = _line_sentence(mask(line, markup), block.line + number)
            if _has_words(sentence.text):
                yield replace(sentence, role="heading") if block.kind == "heading" else sentence


def _code_sentence(lines: Sequence[str], line: int, shown: AttachedBlock) -> Sentence:
    """The `Sentence` for code that no sentence introduces."""
    return Sentence(" ".join(" ".join(lines).split())[:MAX_CHARS], "", line, shown)


def _split(masked: Masked, line: int) -> Iterator[Sentence]:
    """The sentences in a block that begins at `line`."""
    text = masked.text
    start = 0
    for end in sentence_ends(text):
        yield from _sentence_if_any(masked, text[start:end], line)
        line += text.count(LINE, start, end)
        start = end
    yield from _sentence_if_any(masked, text[start:], line)


def sentence_ends(text: str) -> Iterator[int]:
    """The offsets in plain text at which a sentence ends and another one begins."""
    start = 0
    in_dates = {at for match in _SPACED_DATE.finditer(text) for at in range(match.start() + 1, match.end() + 1)}
    for match in _END.finditer(text):
        last_words = text[max(start, match.end() - _LONGEST_ABBREVIATION) : match.end()].rstrip()
        next_words = text[match.end() : match.end() + 12]
        is_in_date = match.end() in in_dates
        if not (is_in_date or _ABBREVIATION.search(last_words) or _is_number(last_words, next_words)):
            yield match.end()
            start = match.end()


def _is_number(last_words: str, next_words: str) -> bool:
    """Whether the full stop between the words belongs to a number, as in "no. 7" and "am 1. Mai"."""
    return bool(
        _ORDINAL.search(last_words)
        or (_NUMBER.search(last_words) and _MONTH.match(next_words))
        or (_NUMBERED.search(last_words) and next_words[:1].isdigit())
    )


def _sentence_if_any(masked: Masked, part: str, line: int) -> Iterator[Sentence]:
    if part.strip():
        before = part[: len(part) - len(part.lstrip())]
        yield _sentence(masked, part, line + before.count(LINE))


def _line_sentence(masked: Masked, line: int) -> Sentence:
    return _sentence(masked, masked.text, line)


def _record_sentence(record: str, line: int) -> Sentence:
    sentence = _line_sentence(mask(record, "none"), line)
    return replace(sentence, fields=tuple(record.split("; "))) if len(record) > MAX_CHARS else sentence


def select_fields(record: Sentence, order: Sequence[int]) -> Sentence:
    """As many of the fields in `order` as fit, in the order of the record; `...` replaces fields that are left out."""
    selected: list[int] = []
    chars_left = MAX_CHARS
    for index in order:
        cost = len(record.fields[index]) + len("; ...; ")
        if cost <= chars_left:
            selected.append(index)
            chars_left -= cost
    shown: list[str] = []
    for index, before in zip(sorted(selected), [-1, *sorted(selected)], strict=False):
        shown += ["..."] * (index > before + 1) + [record.fields[index]]
    shown += ["..."] * (max(selected, default=-1) < len(record.fields) - 1)
    return _line_sentence(mask("; ".join(shown), "none"), record.line) if selected else record


def _sentence(masked: Masked, part: str, line: int) -> Sentence:
    """`part` as a sentence, which is cut between two words if it is too long."""
    words = masked.words(part)
    shown: list[tuple[str, str]] = []
    chars_left = MAX_CHARS
    for plain, markdown in words:
        chars_left -= len(plain) + bool(shown)
        if chars_left < 0:
            if not shown:
                part_of_word = plain[:MAX_CHARS]
                shown.append((part_of_word, part_of_word if markdown == plain else code_span(part_of_word)))
            shown.append(("...", "..."))
            break
        shown.append((plain, markdown))
    return Sentence(" ".join(plain for plain, _ in shown), " ".join(markdown for _, markdown in shown), line)


def _is_quotable(sentence: Sentence) -> bool:
    if sentence.block.markdown:
        return _WORD.search(sentence.text) is not None
    is_pointer = len(sentence.text) < 200 and (_POINTER.fullmatch(sentence.text) or _URL.fullmatch(sentence.text))
    return _has_words(sentence.text) and not is_pointer


def _has_words(text: str) -> bool:
    """Whether there are at least two words, or four characters in a script without spaces between words."""
    return len(_WORD.findall(text)) > 1 or len(_WITHOUT_SPACES.findall(text)) > 3
