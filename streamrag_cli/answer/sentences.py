"""Sentences of a chunk, fit to be quoted: markup removed, headings and rulings left out, announced blocks brought."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from streamrag_cli.answer.code_units import code_units
from streamrag_cli.answer.facts import split_facts
from streamrag_cli.answer.inline import CODE_CHARACTERS, LINE, Masked, code_span, mask
from streamrag_cli.answer.passages import MOST_LINES, NOTHING, Announced, Block, announced, blocks, fenced, is_title
from streamrag_cli.documents.formats import Markup, TextKind

MAX_CHARS: Final = 500
MOST_FOLLOWING: Final = 3
_MOST_TEXT: Final = 20_000
"""Of one chunk; a longer one is a document whose sections may not be cut."""

_DASHES: Final = re.compile(r"^(?:-[ \t]+)+")
_VALUE: Final = re.compile(r"[\w\"'/.$@<{-][^:=\n]{0,80}[:=]")
_CAPITAL: Final = f"[A-Z0-9\u00c0-\u00de\u0400-\u042f{CODE_CHARACTERS}]"
_END: Final = re.compile(
    rf"(?<=[.!?])[\"')\]\u201d\u2019]*\s+(?=[\"'(\[\u201c\u2018`]*{_CAPITAL})"
    r"|(?<=[\u3002\uff01\uff1f])[\"')\u201d\u2019\u300d\u300f\uff09]*\s*(?=\S)|(?<=[\u061f\u06d4\u0964])[\"')\u201d]*\s+"
)
_ABBREVIATION: Final = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|cf|vs|approx|Mr|Mrs|Ms|Dr|Prof|St|No|Fig|Eq|Inc|Ltd|Co|Jr|Sr|Gen|Col|Lt|Rev|Mt|ca)|"
    r"\b[A-Z])\.[\"')\]]*\s*$"
)
_LONGEST_ABBREVIATION: Final = 20
_ANNOUNCES: Final = re.compile(r"[:\uff1a][\"')\]*_]*$")
_ANNOUNCES_CODE: Final = re.compile(r"\b(?:follow(?:s|ing)|below|like (?:this|so))\b", re.IGNORECASE)
_POINTER: Final = re.compile(
    r"(?:for (?:more|further|additional|full)[\w ,]{0,60}?)?(?:please )?(?:see|refer to|consult|check out)\b"
    r"[^`:/]{0,100}\b(?:documentation|docs|manual|guide|reference|readme|details|information|above|below)\b"
    r"[\w ]{0,40}[.!]?",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"\w+")
_WITHOUT_SPACES: Final = re.compile("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence on one line: as it reads, and as Markdown that shows just that.

    `line` is where it begins, counted from the chunk's first line, 0. `block` is what it announces; if that may go on
    in the next chunk, or begin there, the sentence `is_open`. `before` is the one before it in the same paragraph or
    item, if any, `following` the next ones. Code without a word about it is a `block` alone, and has no `markdown`.
    A `heading` is there if the chunk has nothing else, a `fact` is a line of the page's front matter.
    """

    text: str
    markdown: str = ""
    line: int = 0
    block: Announced = NOTHING
    is_open: bool = False
    before: tuple["Sentence", ...] = ()
    following: tuple["Sentence", ...] = ()
    role: Literal["text", "heading", "fact"] = "text"


def sentences(text: str, kind: TextKind = "prose", markup: Markup = "markdown") -> Iterator[Sentence]:
    """The sentences of `text`; each line of a program's output is one, and each record, with the names of its values.

    Code within prose counts as far as it is announced, or where there is no prose. What is too long is cut at a word.
    """
    text = text[:_MOST_TEXT]
    facts, text = split_facts(text) if kind == "prose" else ((), text)
    if kind == "records":
        found = [_whole(mask(record, "none"), line) for record, line in _records(text)]
    elif kind == "code":
        found = list(_of_code(text))
    else:
        found = list(_of_blocks(blocks(text, kind, markup), markup))
    fit = [each for each in found if _is_quotable(each)]
    yield from fit or _lines(text, kind, markup)
    for line, fact in facts:
        yield replace(_whole(mask(fact, "none"), line), role="fact")


def _of_blocks(found: Sequence[Block], markup: Markup) -> Iterator[Sentence]:
    for index, block in enumerate(found):
        is_last = index == len(found) - 1
        follows_code = not is_last and found[index + 1].kind == "code"
        if block.kind == "output":
            for number, line in enumerate(block.lines):
                yield _whole(mask(line, "none"), block.line + number)
        elif block.kind == "heading" and follows_code:
            yield _announcing(_whole(mask(block.text, markup), block.line), found, index, markup)
        elif block.kind in {"text", "item"}:
            parts = list(_split(mask(block.text, markup), block.line))
            if parts:
                parts[-1] = _with_block(parts[-1], found, index, markup, follows_code=follows_code)
            for at, part in enumerate(parts):
                following = tuple(parts[at + 1 : at + 1 + MOST_FOLLOWING])
                yield replace(part, before=tuple(parts[:at][-1:]), following=following)


def _with_block(last: Sentence, found: Sequence[Block], index: int, markup: Markup, *, follows_code: bool) -> Sentence:
    """The last sentence of a block, and the next block if it announces that."""
    is_caption = len(found[index].raw) == 1 and found[index].kind == "text" and is_title(last.text)
    announces_code = follows_code and (is_caption or _ANNOUNCES_CODE.search(last.text))
    if not _ANNOUNCES.search(last.text) and not announces_code:
        return last
    return _announcing(last, found, index, markup)


def _announcing(sentence: Sentence, found: Sequence[Block], index: int, markup: Markup) -> Sentence:
    block, end = announced(found, index + 1, markup)
    return replace(sentence, block=block, is_open=end == len(found))


def _of_code(text: str) -> Iterator[Sentence]:
    units = list(code_units(text))
    for unit, following in zip(units, [*units[1:], None], strict=True):
        if unit.is_comment:
            *before, last = _split(mask("\n".join(unit.lines), "none"), unit.line)
            yield from before
            announces = following is not None and not following.is_comment and _ANNOUNCES.search(last.text)
            yield replace(last, block=following.shown) if following and announces else last
        else:
            yield _code(unit.lines, unit.line, unit.shown)


def _lines(text: str, kind: TextKind, markup: Markup) -> Iterator[Sentence]:
    """Each line alone, where nothing else can be quoted: code without a word about it, headings without a text."""
    found = [] if kind in {"records", "code"} else blocks(text, kind, markup)
    for block in found:
        if block.kind == "code":
            for at in range(0, len(block.lines), MOST_LINES):
                lines = block.lines[at : at + MOST_LINES]
                if re.search(r"\w", "".join(lines)):
                    yield _code(lines, block.line + at, fenced(lines, block.mark))
            continue
        for number, line in enumerate(block.lines):
            sentence = _whole(mask(line, markup), block.line + number)
            if _has_words(sentence.text):
                yield replace(sentence, role="heading") if block.kind == "heading" else sentence


def _code(lines: Sequence[str], line: int, shown: Announced) -> Sentence:
    """Code without a word about it."""
    return Sentence(" ".join(" ".join(lines).split())[:MAX_CHARS], "", line, shown)


def _records(text: str) -> Iterator[tuple[str, int]]:
    """Each block between blank lines, or from one item at the margin to the next, as one line; and where it begins."""
    at = line_number = 0
    for match in [*re.finditer(r"\n[ \t]*\n|\n(?=- )", text), None]:
        block = text[at : match.start() if match else len(text)]
        shown = ""
        for line in block.split("\n"):
            words = _DASHES.sub("", line.strip())
            is_more = not shown or shown.endswith(":") or not _VALUE.match(words)
            shown += f"{' ' if is_more else '; '}{words}"
        if shown.strip():
            yield shown.strip(), line_number
        if match:
            line_number += block.count("\n") + match[0].count("\n")
            at = match.end()


def _split(masked: Masked, line: int) -> Iterator[Sentence]:
    """The sentences of a block that begins at `line`."""
    text = masked.text
    start = 0
    for match in _END.finditer(text):
        if not _ABBREVIATION.search(text[max(start, match.end() - _LONGEST_ABBREVIATION) : match.end()].rstrip()):
            yield from _one(masked, text[start : match.end()], line)
            line += text.count(LINE, start, match.end())
            start = match.end()
    yield from _one(masked, text[start:], line)


def _one(masked: Masked, part: str, line: int) -> Iterator[Sentence]:
    if part.strip():
        before = part[: len(part) - len(part.lstrip())]
        yield _sentence(masked, part, line + before.count(LINE))


def _whole(masked: Masked, line: int) -> Sentence:
    return _sentence(masked, masked.text, line)


def _sentence(masked: Masked, part: str, line: int) -> Sentence:
    """The part as a sentence, cut at a word if it is too long."""
    words = masked.words(part)
    shown: list[tuple[str, str]] = []
    room = MAX_CHARS
    for plain, markdown in words:
        room -= len(plain) + bool(shown)
        if room < 0:
            if not shown:
                kept = plain[:MAX_CHARS]
                shown.append((kept, kept if markdown == plain else code_span(kept)))
            shown.append(("...", "..."))
            break
        shown.append((plain, markdown))
    return Sentence(" ".join(plain for plain, _ in shown), " ".join(markdown for _, markdown in shown), line)


def _is_quotable(sentence: Sentence) -> bool:
    if sentence.block.markdown:
        return _WORD.search(sentence.text) is not None
    return _has_words(sentence.text) and not (len(sentence.text) < 200 and _POINTER.fullmatch(sentence.text))


def _has_words(text: str) -> bool:
    """Whether it is more than one word, or than three characters of a script that does not part words."""
    return len(_WORD.findall(text)) > 1 or len(_WITHOUT_SPACES.findall(text)) > 3
