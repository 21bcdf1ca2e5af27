"""Loads RTF: paragraphs, tables and headings in reading order.

Headings are recognised by style or outline level. Hidden and deleted text, headers, footers, comments, field codes,
pictures and embedded objects are omitted. Footnotes and text boxes follow the paragraph in which they are anchored.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from streamrag_cli.documents.loaders.blocks import document_of_blocks
from streamrag_cli.documents.loaders.grid import MAX_COLUMNS, grid_text, head_rows
from streamrag_cli.documents.loaders.rtf_tokens import CHARACTER_SETS, Token, code_page, decoded, tokens
from streamrag_cli.documents.outline import clean_heading
from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document
from streamrag_cli.text import NOT_TEXT

_MAX_DEPTH: Final = 2000
_SKIPPED: Final = frozenset(
    "colortbl filetbl info pict object header headerl headerr headerf footer footerl footerr footerf annotation atnid "
    "fldinst nonshppict xe tc ftnsep ftnsepc ftncn aftnsep aftnsepc aftncn upr sp sn sv nonesttables mctrlPr mrPr "
    "datafield private template operator".split()
)
"""The groups that contain no document text. Most optional groups (`\\*`) are skipped as well."""
_READ: Final = frozenset("shpinst shptxt ud do dptxbxtext moMath moMathPara fldrslt listtext pntext".split())
"""The optional groups that contain document text and are read."""
_FLOWS: Final = frozenset({"footnote", "shptxt", "dptxbxtext"})
_CHARACTERS: Final = {
    "tab": "\t", "line": "\n", "lbr": "\n", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’",
    "ldblquote": "“", "rdblquote": "”", "emspace": " ", "enspace": " ", "qmspace": " ", "nestcell": " ",
    "nestrow": "\n", "~": "\xa0", "_": "‑", "\n": "\n", "\r": "\n",
}  # fmt: skip
_HEADING: Final = re.compile(r"heading ([1-9])\Z", re.IGNORECASE)
_CODE_PAGES: Final = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850"}
_NUMBERED: Final = re.compile(r"[^\W_]")
"""Matches in the marker of a numbered list item, but not in a bullet."""


@dataclass(slots=True)
class _State:
    """The properties that a group inherits from its parent group."""

    target: str = ""
    """The destination of text: "" for the document, "fonts" and "styles" for these tables, "title" for the title in the
    properties, "marker" for the number of a list item, and "skip" if the text is omitted."""
    encoding: str = ""
    unicode_skip: int = 1
    is_hidden: bool = False
    is_deleted: bool = False
    is_in_table: bool = False
    style: int = 0
    level: int | None = None


@dataclass(slots=True)
class _Flow:
    """A sequence of paragraphs: the document, a note or a text box."""

    blocks: list[tuple[int, str]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    anchored: list[tuple[int, str]] = field(default_factory=list)
    marker: str = ""
    cells: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    has_header: bool = False

    def take_text(self) -> str:
        joined = "".join(self.text)
        self.text.clear()
        # Characters above U+FFFF are written as surrogate pairs.
        whole = joined.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return NOT_TEXT.sub("", whole).strip()

    def end_paragraph(self, level: int) -> None:
        self.end_table()
        if text := self.take_text():
            mark = self.marker.strip()
            mark = "-" if mark and not _NUMBERED.search(mark) else mark
            marker = f"{mark} " if mark and level < 0 else ""
            self.blocks.append((level, f"{marker}{text}"))
        self.marker = ""
        self.blocks += self.anchored
        self.anchored = []

    def end_cell(self) -> None:
        text = " ".join(self.take_text().split())
        if len(self.cells) < MAX_COLUMNS:
            self.cells.append(text)
        self.marker = ""

    def end_row(self) -> None:
        if self.cells:
            self.rows.append(self.cells)
        self.cells = []

    def end_table(self) -> None:
        """Add the collected rows as a table, or as paragraphs if there is only one row or one column."""
        self.end_row()
        rows, self.rows = self.rows, []
        if len(rows) < 2 or max(map(len, rows)) < 2:
            self.blocks += ((-1, cell) for row in rows for cell in row if cell)
        elif text := grid_text(rows, 1 if self.has_header else head_rows(rows, is_marked=False)):
            self.blocks.append((-1, text))
        self.has_header = False


def load_rtf(path: str, data: bytes) -> Document:
    source = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not source.startswith(b"{\\rtf"):
        raise DocumentError("the file is corrupt or is not an RTF document", code="corrupt")
    reader = _Reader()
    reader.read(source.decode("latin-1"))
    return document_of_blocks(path, clean_heading(reader.title), reader.blocks)


class _Reader:
    def __init__(self) -> None:
        self.title = ""
        self._flow = _Flow()
        self._state = _State(encoding="cp1252")
        self._stack: list[tuple[_State, _Flow]] = []
        self._bytes = bytearray()
        self._to_skip = 0
        """The number of the next characters to skip, because they only repeat a Unicode character."""
        self._default_encoding = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._levels: dict[int, int] = {}
        self._name: list[str] = []
        """The pieces of the name of the style that is being defined."""
        self._is_first = self._is_optional = False
        """Whether the next word is the first of a group, and whether that group is optional."""

    @property
    def blocks(self) -> list[tuple[int, str]]:
        return self._flow.blocks

    def read(self, source: str) -> None:
        """Read all tokens. Raises DocumentError `corrupt` if groups are nested too deeply or not closed."""
        for token in tokens(source):
            if token.kind == "{":
                self._begin_group()
            elif token.kind == "}":
                self._end_group()
                if not self._stack:
                    break
            elif token.kind in {"byte", "text"}:
                self._add_bytes(token)
            elif token.kind == "symbol":
                self._symbol(token.text)
            else:
                self._word(token.text, token.number)
        if self._stack:
            raise DocumentError("the file is cut off: its end is missing", code="corrupt")
        self._flow.end_paragraph(self._level())

    def _begin_group(self) -> None:
        self._flush()
        if len(self._stack) >= _MAX_DEPTH:
            raise DocumentError("the groups of the file are nested too deeply", code="corrupt")
        self._stack.append((self._state, self._flow))
        self._state = replace(self._state)
        self._is_first, self._is_optional = True, False

    def _end_group(self) -> None:
        self._flush()
        self._is_first = False
        ended = self._state.target
        state, flow = self._stack.pop() if self._stack else (self._state, self._flow)
        if flow is not self._flow:
            self._flow.end_paragraph(self._level())
            flow.anchored += self._flow.blocks
        elif ended == "styles" and self._stack:
            self._end_style()
        self._state, self._flow = state, flow

    def _add_bytes(self, token: Token) -> None:
        self._is_first = False
        data = bytes.fromhex(token.text) if token.kind == "byte" else token.text.encode("latin-1")
        skipped = min(self._to_skip, len(data))
        self._to_skip -= skipped
        if self._state.target != "skip":
            self._bytes += data[skipped:]

    def _flush(self) -> None:
        """Decode the pending bytes with the current font's encoding, and add their text."""
        self._to_skip = 0
        if self._bytes:
            self._add(decoded(bytes(self._bytes), self._state.encoding))
            self._bytes.clear()

    def _add(self, text: str) -> None:
        state = self._state
        if state.target == "styles":
            self._name.append(text)
        elif state.target == "title":
            self.title += text
        elif state.is_hidden or state.is_deleted:
            return
        elif state.target == "marker":
            self._flow.marker = f"{self._flow.marker}{text}".strip()
        elif not state.target:
            self._flow.text.append(text)

    def _symbol(self, symbol: str) -> None:
        if symbol == "*":
            self._is_optional = self._is_first
            return
        self._is_first = False
        if self._to_skip:
            self._to_skip -= 1
        elif symbol in "\n\r":
            self._word("par", None)
        elif symbol in "\\{}":
            self._bytes += symbol.encode("ascii") if self._state.target != "skip" else b""
        elif symbol in _CHARACTERS:
            self._flush()
            self._add(_CHARACTERS[symbol])

    def _word(self, word: str, number: int | None) -> None:
        if word == "u":
            self._unicode(number or 0)
            return
        self._flush()
        is_first, self._is_first = self._is_first, False
        if is_first and self._begins_destination(word):
            return
        if self._state.target == "fonts":
            self._font_word(word, number)
        elif handler := _HANDLERS.get(word):
            handler(self, number)
        elif word in _CHARACTERS and self._state.target != "skip":
            self._add(_CHARACTERS[word])
        elif word in _CODE_PAGES:
            self._default_encoding = self._state.encoding = _CODE_PAGES[word]

    def _begins_destination(self, word: str) -> bool:
        """Process the first word of a group if it names the group's destination. Returns whether it does."""
        target = self._state.target
        if target == "skip" and word not in {"title", "ud"}:
            return word in _READ or word in _FLOWS or word in _SKIPPED
        if word in {"fonttbl", "stylesheet", "title", "listtext", "pntext"}:
            names = {"fonttbl": "fonts", "stylesheet": "styles", "title": "title"}
            self._state.target = names.get(word, "marker")
        elif word == "ud":
            self._state.target = ""
        elif word in _FLOWS:
            self._flow = _Flow()
            self._state.style, self._state.level, self._state.is_in_table = 0, None, False
        elif word in _SKIPPED or (self._is_optional and word not in _READ and target != "styles"):
            self._state.target = "skip"
        else:
            return False
        return True

    def _unicode(self, number: int) -> None:
        self._is_first = False
        self._flush()
        if self._state.target != "skip":
            self._add(chr(number % 0x10000))
        self._to_skip = self._state.unicode_skip

    def _font_word(self, word: str, number: int | None) -> None:
        if word == "f":
            self._font = number or 0
        elif word == "fcharset" and number in CHARACTER_SETS:
            self._fonts[self._font] = CHARACTER_SETS[number]
        elif word == "cpg" and number:
            self._fonts[self._font] = code_page(number)

    def _end_style(self) -> None:
        name = "".join(self._name).strip().rstrip(";").strip()
        self._name.clear()
        match = _HEADING.match(name)
        level = int(match[1]) if match else 0 if name.casefold() == "title" else self._state.level
        if level is not None:
            self._levels[self._state.style] = level

    def _level(self) -> int:
        level = self._state.level
        return self._levels.get(self._state.style, -1) if level is None else level

    def _set_font(self, number: int | None) -> None:
        self._state.encoding = self._fonts.get(number or 0, self._default_encoding)

    def _set_code_page(self, number: int | None) -> None:
        self._default_encoding = self._state.encoding = code_page(number or 1252)

    def _set_unicode_skip(self, number: int | None) -> None:
        self._state.unicode_skip = max(0, min(number if number is not None else 1, 100))

    def _set_hidden(self, number: int | None) -> None:
        self._state.is_hidden = number != 0

    def _set_deleted(self, number: int | None) -> None:
        self._state.is_deleted = number != 0

    def _reset_characters(self, _: int | None) -> None:
        self._state.is_hidden = self._state.is_deleted = False
        self._state.encoding = self._default_encoding

    def _reset_paragraph(self, _: int | None) -> None:
        self._state.is_in_table = False
        self._state.style, self._state.level = 0, None

    def _set_style(self, number: int | None) -> None:
        self._state.style = number or 0

    def _set_level(self, number: int | None) -> None:
        self._state.level = (number or 0) + 1 if (number or 0) < 9 else -1

    def _set_in_table(self, number: int | None) -> None:
        self._state.is_in_table = number != 0

    def _set_header(self, _: int | None) -> None:
        if not self._flow.rows:
            self._flow.has_header = True

    def _end_paragraph(self, _: int | None) -> None:
        if self._state.target or self._state.is_hidden:
            return
        if self._state.is_in_table:
            self._flow.text.append("\n")
        else:
            self._flow.end_paragraph(self._level())

    def _end_cell(self, _: int | None) -> None:
        if not self._state.target:
            self._flow.end_cell()

    def _end_row(self, _: int | None) -> None:
        if not self._state.target:
            self._flow.end_row()


_HANDLERS: Final[dict[str, Callable[[_Reader, int | None], None]]] = {
    "f": _Reader._set_font, "ansicpg": _Reader._set_code_page, "uc": _Reader._set_unicode_skip,
    "v": _Reader._set_hidden, "deleted": _Reader._set_deleted, "plain": _Reader._reset_characters,
    "pard": _Reader._reset_paragraph, "s": _Reader._set_style, "outlinelevel": _Reader._set_level,
    "intbl": _Reader._set_in_table, "trhdr": _Reader._set_header, "par": _Reader._end_paragraph,
    "sect": _Reader._end_paragraph, "page": _Reader._end_paragraph, "cell": _Reader._end_cell,
    "row": _Reader._end_row,
}  # fmt: skip
