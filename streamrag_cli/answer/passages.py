"""The blocks of a chunk: paragraphs, list items, code, headings; and the block that a sentence announces."""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from streamrag_cli.answer.inline import mask
from streamrag_cli.answer.split_code import FENCE, starts_inside_code
from streamrag_cli.documents.formats import Markup, TextKind

MOST_LINES: Final = 12
MOST_CHARS: Final = 800
"""Of a block that is quoted: what is longer is cut, and says so."""

_ITEM: Final = re.compile(r"[ \t]*([-*+\u2022]|\d{1,3}[.)]|\|)[ \t]+(?:\[[ xX]\][ \t]+)?")
_RECORD: Final = re.compile(r"[ \t]*[{}]")
_STAMP: Final = re.compile(
    r"[ \t]*[\[(<]?(?:\d{4}[-/.]\d\d[-/.]\d\d|\d\d:\d\d(?::\d\d|[\])>]? ?[<\[])|[A-Z][a-z]{2} [ \d]?\d \d\d:\d\d"
    r"|\d{1,2}[./-]\d{1,2}[./-]\d{2,4},? \d{1,2}[:.]\d\d|\d{1,2}/[A-Z][a-z]{2}/\d{4}:\d\d|[IWEF]\d{4} \d\d:\d\d)"
)
"""Times that lines of logs and of exported chats begin with."""
_CAPITALS: Final = re.compile(r"[ \t]*(?=[^a-z]*[^\W\d_]{3})[^\n]{4,80}(?<![.!?:;,])[ \t]*$")
_HEADING: Final = re.compile(r"[ \t]{0,3}#{1,6}[ \t]+(.*)")
_RULING: Final = re.compile(r"[\s=\-~^\"'*+#_`.:|>]*$")
_UNDERLINE: Final = re.compile(r"([=\-~^\"'*+#_`.:])\1{2,}[ \t]*$")
_COLUMN: Final = re.compile(r"(?<=[^\s.!?:])[ \t]{3,}(?=\S)")
_QUOTE_MARK: Final = re.compile(r"(?:[ \t]{0,3}>[ \t]?)+")
_DEFINITION: Final = re.compile(r"[ \t]{0,3}\[(?!\^)[^\[\]]+\]:[ \t]*\S+[ \t]*(?:[\"'(].*)?$")
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
_ENDS_OR_GOES_ON: Final = re.compile(r"[.!?;,\u3002\uff01\uff1f][\"')\]\u201d\u2019]*\s*$")
_SENTENCE_ENDS: Final = re.compile(r"[.!?\u3002\uff01\uff1f][\"')\]\u201d\u2019]*\s*$")


@dataclass(slots=True)
class Block:
    """Lines of a chunk that belong together, without marks of items, and as they stand (`raw`).

    `line` is the first one's, counted from 0; `mark` is an item's own, or the language of code.
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
class Announced:
    """A block as Markdown that shows just what it holds, and its words.

    Of a table that is cut, `rows` are all, each as a line of Markdown and its words.
    """

    markdown: str = ""
    words: str = ""
    rows: tuple[tuple[str, str], ...] = ()


NOTHING: Final = Announced()


def blocks(text: str, kind: TextKind, markup: Markup) -> list[Block]:
    """The blocks of `text`. Rulings, heads of admonitions and definitions of links are in none."""
    found: list[Block] = []
    block: Block | None = None
    fence: tuple[str, Block] | None = None
    lines = text.split("\n")
    was_quoted = False
    if kind == "prose" and (markup != "none" or "```" in text) and starts_inside_code(text):
        closing = next(filter(None, map(FENCE.match, lines)), None)
        fence = (closing[1] if closing else "```", Block("code", 0))
        found.append(fence[1])
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
            found.append(inside)
            fence, block = (opening[1], inside), None
            continue
        is_quoted = kind == "prose" and line.lstrip()[:1] == ">"
        shown = _QUOTE_MARK.sub("", line, count=1) if is_quoted else line
        if (
            markup != "markdown" and is_quoted != was_quoted
        ):  # of Markdown, a quoted paragraph may go on without the mark
            block = None
        was_quoted = is_quoted
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if heading := _heading(
            shown, following if block is None else "", kind, is_alone=block is None and not following
        ):
            found.append(Block("heading", number, lines=[heading], raw=[line]))
            block = None
        elif _RULING.match(shown) or (markup == "markdown" and (_DEFINITION.match(shown) or _ADMONITION.match(shown))):
            block = None
        else:
            starts = _starts_block(shown, kind)
            if block is None or starts:
                item = _ITEM.match(shown)
                block = Block("item" if starts else "text", number, _indent(shown), item[1] if item else "")
                found.append(block)
            block.lines.append(_unmarked(shown, kind))
            block.raw.append(shown)
    return found


def _heading(line: str, following: str, kind: TextKind, *, is_alone: bool) -> str:
    """The words of the heading that the line is, or "". Of plain text: underlined, or in capitals and alone."""
    if kind == "plain" and is_alone and line.isupper() and _CAPITALS.match(line):
        return line.strip()
    found = _HEADING.match(line) if kind == "prose" else None
    if found:
        return found[1].strip(" \t#")
    is_underlined = _UNDERLINE.match(following) and not _RULING.match(line) and not _ITEM.match(line)
    return line.strip() if is_underlined else ""


def _starts_block(line: str, kind: TextKind) -> bool:
    if kind == "plain" and (_STAMP.match(line) or line.startswith("#")):
        return True
    return bool(_ITEM.match(line) or _COLUMN.search(line) or _RECORD.match(line))


def _unmarked(line: str, kind: TextKind) -> str:
    """The line without an item's mark; columns that only space parts are parted by a bar, but in plain text."""
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


def announced(found: Sequence[Block], at: int, markup: Markup) -> tuple[Announced, int]:
    """The block that the one before index `at` announces: code, the items of a list, or a paragraph; and where it ends.

    Nothing if it announces none. What ends with the last block may go on in the next chunk.
    """
    above = found[at - 1]
    at = _behind_title(found, at)
    if at >= len(found):
        return NOTHING, at
    first = found[at]
    if first.kind in {"code", "output"}:
        return fenced(first.lines, first.mark), at + 1
    if first.kind == "item" and (above.kind != "item" or first.indent > above.indent):
        end = _end_of_list(found, at)
        return _items(found[at:end], markup), end
    if first.kind != "text":
        return NOTHING, at
    if first.indent > above.indent:
        end = at
        while end < len(found) and found[end].kind in {"text", "item"} and found[end].indent >= first.indent:
            end += 1
        return fenced(_lines(found[at:end]), ""), end
    if _SENTENCE_ENDS.search(first.lines[-1]):
        words = _words(first.text, markup)
        shown, is_cut = _cut([markdown for _, markdown in words], " ")
        goes_on = " ..." if is_cut else ""
        return Announced(f"> {shown}{goes_on}", " ".join(plain for plain, _ in words)[:MOST_CHARS]), at + 1
    return (fenced(first.raw, ""), at + 1) if above.kind == "text" else (NOTHING, at)


def _behind_title(found: Sequence[Block], at: int) -> int:
    """Behind the title of the block that is announced: a caption, or a heading of low level, above code or items."""
    if at >= len(found):
        return at
    title = found[at]
    is_title = (title.kind == "heading" and _LOW_HEADING.match(title.raw[0])) or (
        title.kind == "text" and len(title.raw) == 1 and _is_caption(title.text.strip(" \t*_"))
    )
    if not is_title:
        return at
    if at + 1 == len(found):
        return at + 1
    following = found[at + 1]
    return at + 1 if following.kind in {"code", "output", "item"} and following.indent >= title.indent else at


def is_title(text: str) -> bool:
    """Whether the text, alone on its line above code, reads as its title: it is short and no sentence."""
    return len(text) <= _CAPTION_CHARS and not _ENDS_OR_GOES_ON.search(text)


def _is_caption(text: str) -> bool:
    return len(text) <= _CAPTION_CHARS and bool(_NUMBERED_CAPTION.match(text) or not _ENDS_OR_GOES_ON.search(text))


def _end_of_list(found: Sequence[Block], at: int) -> int:
    """The index behind the items from index `at` on, and what stands below each."""
    indent = found[at].indent
    end = at
    while end < len(found) and (
        (found[end].kind == "item" and found[end].indent >= indent)
        or (found[end].kind in {"code", "text"} and found[end].indent > indent)
    ):
        end += 1
    return end


def _lines(found: Sequence[Block]) -> list[str]:
    """The lines of the blocks, with a blank one between those that had some."""
    lines: list[str] = []
    for previous, block in zip([None, *found], found, strict=False):
        if previous and previous.line + len(previous.raw) < block.line:
            lines.append("")
        lines += block.raw
    return lines


def fenced(lines: Sequence[str], language: str) -> Announced:
    """Lines of code as a fenced block, to the character; what is too long says below that it goes on."""
    code = textwrap.dedent("\n".join(lines)).strip("\n")
    if not code.strip():
        return NOTHING
    shown, is_cut = _cut(code.split("\n"), "\n")
    longest = max(map(len, re.findall(r"^\s*(`{3,})", shown, re.MULTILINE)), default=2)
    fence = "`" * (longest + 1)
    goes_on = "\n\n..." if is_cut else ""
    return Announced(f"{fence}{language}\n{shown}\n{fence}{goes_on}", shown)


def _items(found: Sequence[Block], markup: Markup) -> Announced:
    """The items as a list; what stands below an item stays below it."""
    lines: list[str] = []
    words: list[str] = []
    for block in found:
        shift = " " * (block.indent - found[0].indent)
        if block.kind == "code":
            lines += [shift + line for line in fenced(block.lines, block.mark).markdown.split("\n")]
            words += block.lines
            continue
        pairs = _words(block.text, markup)
        mark = "" if block.kind == "text" else block.mark if block.mark[:1].isdigit() else "-"
        lines.append(f"{shift}{mark} {' '.join(markdown for _, markdown in pairs)}".rstrip())
        words.append(" ".join(plain for plain, _ in pairs))
    shown, is_cut = _cut(lines, "\n")
    goes_on = "\n- ..." if is_cut else ""
    rows = tuple(zip(lines, words, strict=True)) if is_cut and _is_table(found) else ()
    return Announced(f"{shown}{goes_on}", "\n".join(words)[:MOST_CHARS], rows)


def _is_table(found: Sequence[Block]) -> bool:
    """Whether the items are rows that begin with the name of the same column."""
    names = {name[1] if (name := _ROW_NAME.match(block.text)) else "" for block in found}
    return len(names) == 1 and "" not in names and all(block.kind == "item" and block.mark == "-" for block in found)


def chosen_rows(table: Announced, order: Sequence[int]) -> Announced:
    """The first of the rows in `order`, as many as fit, as they follow each other; what is left out shows as `...`."""
    lines = [table.rows[index][0] for index in order]
    kept = sorted(order[: _cut(lines, "\n")[0].count("\n") + 1])
    shown: list[str] = []
    for index, before in zip(kept, [-1, *kept], strict=False):
        shown += ["- ..."] * (index > before + 1) + [table.rows[index][0][:MOST_CHARS]]
    shown += ["- ..."] * (kept[-1] < len(table.rows) - 1)
    return Announced("\n".join(shown), "\n".join(table.rows[index][1] for index in kept))


def _words(text: str, markup: Markup) -> list[tuple[str, str]]:
    masked = mask(text, markup)
    return masked.words(masked.text)


def _cut(parts: Sequence[str], between: str) -> tuple[str, bool]:
    """The first of the parts, joined, up to the limits; and whether there are more."""
    shown: list[str] = []
    room = MOST_CHARS
    for part in parts:
        room -= len(part) + 1
        if room < 0 or (between == "\n" and len(shown) == MOST_LINES):
            break
        shown.append(part)
    if not shown:
        return parts[0][:MOST_CHARS], True
    return between.join(shown), len(shown) < len(parts)
