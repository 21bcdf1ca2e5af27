"""Splits a chunk into blocks (paragraphs, items, code, headings) and finds the block that a sentence introduces."""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from typing import Final, Literal

from streamrag_cli.answer.inline import mask
from streamrag_cli.answer.split_code import FENCE, starts_inside_code
from streamrag_cli.documents.formats import Markup, TextKind

MAX_BLOCK_LINES: Final = 12
MAX_BLOCK_CHARS: Final = 800
"""The maximum length of a quoted block; a longer block is cut off and ends in `...`."""

_ITEM: Final = re.compile(r"[ \t]*([-*+\u2022]|\d{1,3}[.)]|\|)[ \t]+(?:\[[ xX]\][ \t]+)?")
_RECORD: Final = re.compile(r"[ \t]*[{}]")
_STAMP: Final = re.compile(
    r"[ \t]*[\[(<]?(?:\d{4}[-/.]\d\d[-/.]\d\d|\d\d:\d\d(?::\d\d|[\])>]? ?[<\[])|[A-Z][a-z]{2} [ \d]?\d \d\d:\d\d"
    r"|\d{1,2}[./-]\d{1,2}[./-]\d{2,4},? \d{1,2}[:.]\d\d|\d{1,2}/[A-Z][a-z]{2}/\d{4}:\d\d|[IWEF]\d{4} \d\d:\d\d)"
)
"""A timestamp at the beginning of a line in a log or an exported chat."""
_CAPITALS: Final = re.compile(r"[ \t]*(?=[^a-z]*[^\W\d_]{3})[^\n]{4,80}(?<![.!?:;,])[ \t]*$")
_HEADING: Final = re.compile(r"[ \t]{0,3}#{1,6}[ \t]+(.*)")
_RULING: Final = re.compile(r"[\s=\-~^\"'*+#_`.:|>]*$")
_UNDERLINE: Final = re.compile(r"([=\-~^\"'*+#_`.:])\1{2,}[ \t]*$")
_COLUMN: Final = re.compile(r"(?<=[^\s.!?:])[ \t]{3,}(?=\S)")
_QUOTE_MARK: Final = re.compile(r"(?:[ \t]{0,3}>[ \t]?)+")
_DEFINITION: Final = re.compile(r"[ \t]{0,3}\[(?!\^)[^\[\]]+\]:[ \t]*\S*[ \t]*(?:[\"'(].*)?$")
_ADMONITION: Final = re.compile(
    r"[ \t>]*(?:!!!.*|\?\?\?\+?.*|:{3,}.*|\[![\w-]+\][+-]?.*|\.\.[ \t]+[\w-]+::[ \t]*"
    r"|[*_]{0,3}(?:note|tip|hint|info|important|warning|caution|danger|attention)s?"
    r"[*_]{0,3}[:!]?[*_]{0,3}[ \t]*)$",
    re.IGNORECASE,
)
_ROW_NAME: Final = re.compile(r"([^:;]{1,80}):[ \t]")
_LOW_HEADING: Final = re.compile(r"[ \t]{0,3}#{4,6}[ \t]")
_NUMBERED_CAPTION: Final = re.compile(r"(?:table|figure|fig\.|listing|example)[ ]\d+[a-z]?[.:]?[ ]", re.IGNORECASE)
_CAPTION_CHARS: Final = 160
_ENDS_IN_PUNCTUATION: Final = re.compile(r"[.!?;,\u3002\uff01\uff1f][\"')\]\u201d\u2019]*\s*$")
_SENTENCE_ENDS: Final = re.compile(r"[.!?\u3002\uff01\uff1f][\"')\]\u201d\u2019]*\s*$")

_LINE_START: Final = re.compile(
    "[ \t]*[\"'(\u201c]?[A-Z\u00a7\u00c0-\u00de\u0400-\u042f\u3041-\u30fa\u3400-\u9fff\uac00-\ud7af]"
)
_RUNS_ON: Final = re.compile(r"[,;:(/\-\u2013\u2014\u3001\uff0c\uff1a]\s*$")
_SHORT_SHARE: Final = 0.75
"""A line that is shorter than this share of its paragraph's width, with the next word, is not wrapped."""
_TITLE_CHARS: Final = 80
_CODE_INDENT: Final = 4
_NOT_IN_TITLES: Final = re.compile(rf"[:\uff1a=|@]|{_ENDS_IN_PUNCTUATION.pattern}")


@dataclass(slots=True)
class Block:
    """Lines of a chunk that belong together, without list markers (`lines`) and unchanged (`raw`).

    `line` is the index of the first line in the chunk; `mark` is an item's list marker, or the language of code.
    """

    kind: Literal["text", "item", "code", "heading", "output"]
    line: int
    indent: int = 0
    mark: str = ""
    lines: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True, slots=True)
class AttachedBlock:
    """The block that a sentence introduces, as Markdown and as plain text.

    If the block is a table that was cut, `rows` contains all of its rows, each as a line of Markdown and as plain text.
    """

    markdown: str = ""
    words: str = ""
    rows: tuple[tuple[str, str], ...] = ()


NOTHING: Final = AttachedBlock()


def blocks(text: str, kind: TextKind, markup: Markup) -> list[Block]:
    """The blocks in `text`. Horizontal rules, admonition titles and link definitions are left out."""
    result: list[Block] = []
    block: Block | None = None
    fence: tuple[str, Block] | None = None
    lines = text.split("\n")
    widths = _widths(lines) if markup != "markdown" and kind != "code" else [0] * len(lines)
    was_quoted = False
    if kind == "prose" and (markup != "none" or "```" in text) and starts_inside_code(text):
        closing = next(filter(None, map(FENCE.match, lines)), None)
        fence = (closing[1] if closing else "```", Block("code", 0))
        result.append(fence[1])
    for number, line in enumerate(lines):
        if fence:
            mark, inside = fence
            if line.strip(" \t>").startswith(mark) and not line.strip(f" \t>{mark[0]}"):
                fence = None
            else:
                inside.lines.append(line)
            continue
        if opening := FENCE.match(line):
            inside = Block("output" if opening[2] == "output" else "code", number + 1, _indent(line), opening[2])
            result.append(inside)
            fence, block = (opening[1], inside), None
            continue
        is_quoted = kind == "prose" and line.lstrip()[:1] == ">"
        shown = _QUOTE_MARK.sub("", line, count=1) if is_quoted else line
        if markup != "markdown" and is_quoted != was_quoted:  # in Markdown a quoted paragraph may continue without `>`
            block = None
        was_quoted = is_quoted
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if heading := _heading(
            shown, following if block is None else "", kind, is_separate=block is None and not following
        ):
            result.append(Block("heading", number, lines=[heading], raw=[line]))
            block = None
        elif _RULING.match(shown) or (markup == "markdown" and (_DEFINITION.match(shown) or _ADMONITION.match(shown))):
            block = None
        else:
            starts = _starts_block(shown, kind)
            if (
                block is None
                or starts
                or (block.kind == "text" and _is_hard_break(block.raw[-1], shown, widths[number]))
            ):
                item = _ITEM.match(shown)
                block = Block("item" if starts else "text", number, _indent(shown), item[1] if item else "")
                result.append(block)
            block.lines.append(_without_list_marker(shown, kind))
            block.raw.append(shown)
    if markup == "markdown":
        return _with_indented_code(result)
    _mark_titles(result)
    return result


def _widths(lines: Sequence[str]) -> list[int]:
    """For each line, the length of the longest line of its paragraph."""
    widths: list[int] = []
    for is_text, paragraph in groupby(lines, key=lambda line: bool(line.strip())):
        lengths = [len(line.rstrip()) for line in paragraph]
        widths += [max(lengths) if is_text else 0] * len(lengths)
    return widths


def _is_hard_break(line: str, following: str, width: int) -> bool:
    """Whether the line break after `line` is intended, because the line is short and its sentence does not continue.

    `width` is the length of the longest line in the paragraph, and `following` is the next line.
    """
    if not _LINE_START.match(following) or _RUNS_ON.search(line):
        return False
    next_word = following.split(maxsplit=1)[0] if line.isascii() else ""
    return len(line.rstrip()) + 1 + len(next_word) <= width * _SHORT_SHARE


def _with_indented_code(block_list: Sequence[Block]) -> list[Block]:
    """Turn indented paragraphs in Markdown into code, except in lists, where they belong to an item."""
    result: list[Block] = []
    is_in_list = False
    for block in block_list:
        is_in_list = block.kind == "item" or (is_in_list and block.indent > 0)
        if block.kind != "text" or block.indent < _CODE_INDENT or is_in_list:
            result.append(block)
        elif result and result[-1].kind == "code" and result[-1].indent >= _CODE_INDENT and result[-1].raw:
            blank_lines = block.line - result[-1].line - len(result[-1].raw)
            result[-1].raw += [""] * blank_lines + block.raw
            result[-1].lines = result[-1].raw
        else:
            result.append(replace(block, kind="code", lines=block.raw))
    return result


def _mark_titles(block_list: Sequence[Block]) -> None:
    """Turn each line of plain text above a paragraph of sentences into a heading if it looks like a title."""
    for title, below in reversed([*pairwise(block_list)]):
        is_above = title.line + len(title.raw) == below.line
        has_sentences = below.kind == "heading" or (below.kind == "text" and _SENTENCE_ENDS.search(below.lines[-1]))
        if (
            title.kind == "text"
            and len(title.raw) == 1
            and is_above
            and has_sentences
            and len(title.text) <= _TITLE_CHARS
            and not _NOT_IN_TITLES.search(title.text)
        ):
            title.kind = "heading"


def _heading(line: str, following: str, kind: TextKind, *, is_separate: bool) -> str:
    """The text of a heading, else "". In plain text a heading is underlined, or a separate line in capitals."""
    if kind == "plain" and is_separate and line.isupper() and _CAPITALS.match(line):
        return line.strip()
    match = _HEADING.match(line) if kind == "prose" else None
    if match:
        return match[1].strip(" \t#")
    is_underlined = _UNDERLINE.match(following) and not _RULING.match(line) and not _ITEM.match(line)
    return line.strip() if is_underlined else ""


def _starts_block(line: str, kind: TextKind) -> bool:
    if kind == "plain" and (_STAMP.match(line) or line.startswith("#")):
        return True
    return bool(_ITEM.match(line) or _COLUMN.search(line) or _RECORD.match(line))


def _without_list_marker(line: str, kind: TextKind) -> str:
    """The line without a list marker. Columns separated by spaces get a bar between them, except in plain text."""
    words = _ITEM.sub("", line, count=1) if _ITEM.match(line) else line
    if kind == "plain":
        return words.rstrip()
    return (
        _COLUMN.sub(" | ", words.rstrip().rstrip("|")).rstrip()
        if _COLUMN.search(words.strip())
        else words.rstrip("| \t")
    )


def _indent(line: str) -> int:
    expanded = line.expandtabs(4)
    return len(expanded) - len(expanded.lstrip())


def attached_block(block_list: Sequence[Block], at: int, markup: Markup) -> tuple[AttachedBlock, int]:
    """Return the block at index `at` if the previous block introduces it, and the index of the block after it.

    The returned block is code, a list or a paragraph; if no block is introduced, it is `NOTHING`. If the returned index
    is the length of `block_list`, the block may continue in the next chunk.
    """
    above = block_list[at - 1]
    at = _after_title(block_list, at)
    if at >= len(block_list):
        return NOTHING, at
    first = block_list[at]
    if first.kind in {"code", "output"}:
        return fenced(first.lines, first.mark), at + 1
    if first.kind == "item" and (above.kind != "item" or first.indent > above.indent):
        end = _end_of_list(block_list, at)
        return _items(block_list[at:end], markup), end
    if first.kind != "text":
        return NOTHING, at
    if first.indent > above.indent:
        end = at
        while (
            end < len(block_list)
            and block_list[end].kind in {"text", "item"}
            and block_list[end].indent >= first.indent
        ):
            end += 1
        return fenced(_lines(block_list[at:end]), ""), end
    if _SENTENCE_ENDS.search(first.lines[-1]):
        words = _words(first.text, markup)
        shown, is_cut = _cut([markdown for _, markdown in words], " ")
        ellipsis = " ..." if is_cut else ""
        return AttachedBlock(f"> {shown}{ellipsis}", " ".join(plain for plain, _ in words)[:MAX_BLOCK_CHARS]), at + 1
    return (fenced(first.raw, ""), at + 1) if above.kind == "text" else (NOTHING, at)


def _after_title(block_list: Sequence[Block], at: int) -> int:
    """The index after a title (a caption or a low-level heading) above code or items; `at` if there is no title."""
    if at >= len(block_list):
        return at
    title = block_list[at]
    is_title = (title.kind == "heading" and _LOW_HEADING.match(title.raw[0])) or (
        title.kind == "text" and len(title.raw) == 1 and _is_caption(title.text.strip(" \t*_"))
    )
    if not is_title:
        return at
    if at + 1 == len(block_list):
        return at + 1
    following = block_list[at + 1]
    return at + 1 if following.kind in {"code", "output", "item"} and following.indent >= title.indent else at


def is_title(text: str) -> bool:
    """Whether text on its own line above code can be the title of that code: short, and not a sentence."""
    return len(text) <= _CAPTION_CHARS and not _ENDS_IN_PUNCTUATION.search(text)


def _is_caption(text: str) -> bool:
    return len(text) <= _CAPTION_CHARS and bool(_NUMBERED_CAPTION.match(text) or not _ENDS_IN_PUNCTUATION.search(text))


def _end_of_list(block_list: Sequence[Block], at: int) -> int:
    """The index after the list items that begin at `at` and the blocks nested in them."""
    indent = block_list[at].indent
    end = at
    while end < len(block_list) and (
        (block_list[end].kind == "item" and block_list[end].indent >= indent)
        or (block_list[end].kind in {"code", "text"} and block_list[end].indent > indent)
    ):
        end += 1
    return end


def _lines(block_list: Sequence[Block]) -> list[str]:
    """The lines of the blocks, with a blank line between two blocks that blank lines separate in the chunk."""
    lines: list[str] = []
    for previous, block in zip([None, *block_list], block_list, strict=False):
        if previous and previous.line + len(previous.raw) < block.line:
            lines.append("")
        lines += block.raw
    return lines


def fenced(lines: Sequence[str], language: str) -> AttachedBlock:
    """Lines of code, unchanged, as a fenced block; if it is too long, it is cut and `...` is added below."""
    code = textwrap.dedent("\n".join(lines)).strip("\n")
    if not code.strip():
        return NOTHING
    shown, is_cut = _cut(code.split("\n"), "\n")
    longest = max(map(len, re.findall(r"^\s*(`{3,})", shown, re.MULTILINE)), default=2)
    fence = "`" * (longest + 1)
    ellipsis = "\n\n..." if is_cut else ""
    return AttachedBlock(f"{fence}{language}\n{shown}\n{fence}{ellipsis}", shown)


def _items(block_list: Sequence[Block], markup: Markup) -> AttachedBlock:
    """The items as a Markdown list, with nested blocks below their item."""
    lines: list[str] = []
    words: list[str] = []
    for block in block_list:
        shift = " " * (block.indent - block_list[0].indent)
        if block.kind == "code":
            lines += [shift + line for line in fenced(block.lines, block.mark).markdown.split("\n")]
            words += block.lines
            continue
        pairs = _words(block.text, markup)
        mark = "" if block.kind == "text" else block.mark if block.mark[:1].isdigit() else "-"
        lines.append(f"{shift}{mark} {' '.join(markdown for _, markdown in pairs)}".rstrip())
        words.append(" ".join(plain for plain, _ in pairs))
    shown, is_cut = _cut(lines, "\n")
    ellipsis = "\n- ..." if is_cut else ""
    rows = tuple(zip(lines, words, strict=True)) if is_cut and _is_table(block_list) else ()
    return AttachedBlock(f"{shown}{ellipsis}", "\n".join(words)[:MAX_BLOCK_CHARS], rows)


def _is_table(block_list: Sequence[Block]) -> bool:
    """Whether the items are table rows, that is, all begin with the same column name."""
    names = {name[1] if (name := _ROW_NAME.match(block.text)) else "" for block in block_list}
    return (
        len(names) == 1 and "" not in names and all(block.kind == "item" and block.mark == "-" for block in block_list)
    )


def select_rows(table: AttachedBlock, order: Sequence[int]) -> AttachedBlock:
    """As many of the rows in `order` as fit, in table order; `...` replaces rows that are left out."""
    lines = [table.rows[index][0] for index in order]
    selected = sorted(order[: _cut(lines, "\n")[0].count("\n") + 1])
    shown: list[str] = []
    for index, before in zip(selected, [-1, *selected], strict=False):
        shown += ["- ..."] * (index > before + 1) + [table.rows[index][0][:MAX_BLOCK_CHARS]]
    shown += ["- ..."] * (selected[-1] < len(table.rows) - 1)
    return AttachedBlock("\n".join(shown), "\n".join(table.rows[index][1] for index in selected))


def _words(text: str, markup: Markup) -> list[tuple[str, str]]:
    masked = mask(text, markup)
    return masked.words(masked.text)


def _cut(parts: Sequence[str], separator: str) -> tuple[str, bool]:
    """The first parts that are within the limits, joined, and whether any part was cut."""
    shown: list[str] = []
    chars_left = MAX_BLOCK_CHARS
    for part in parts:
        chars_left -= len(part) + 1
        if chars_left < 0 or (separator == "\n" and len(shown) == MAX_BLOCK_LINES):
            break
        shown.append(part)
    if not shown:
        return parts[0][:MAX_BLOCK_CHARS], True
    return separator.join(shown), len(shown) < len(parts)
