"""Loads manual pages: roff with the macros of man(7) and mdoc(7), as text under the page's headings.

Only these two macro packages are supported. The conditions `n` and `t` are evaluated as for output to a terminal.
Registers, other conditions and macros that the page defines are ignored. No other file is read.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from streamrag_cli.documents.loaders.lines import Lines
from streamrag_cli.documents.loaders.man_macros import inline_mdoc, roff_text
from streamrag_cli.documents.loaders.rows import column_names
from streamrag_cli.model import Document

_REQUEST: Final = re.compile(r"[.'][ \t]*([^\s\\\"]{1,20})[ \t]*(.*)")
_ARGUMENT: Final = re.compile(r'"((?:[^"]|"")*)"?|((?:\\ |\S)+)')
_COMMENT: Final = re.compile(r"(?<!\\)\\[\"#].*")
_TEXT_MACROS: Final = frozenset({"B", "I", "SM", "SB", "R", "CW", "C"})
_ALTERNATING: Final = frozenset({"BR", "RB", "BI", "IB", "IR", "RI"})
_CONTROL_MACROS: Final = frozenset(
    {"TH", "Dt", "de", "am", "ig", "TS", "EQ", "UR", "MT", "UE", "ME", "PP", "P", "LP", "HP", "Pp", "Lp",
     "sp", "RS", "RE", "SY",
     "YS", "if", "ie", "el"}
)  # fmt: skip
_CONDITION: Final = re.compile(r"(!?)([nt])(?![\w'])[ \t]*(.*)")
_CODE_BEGINS: Final = frozenset({"nf", "EX", "Vb"})
_CODE_ENDS: Final = frozenset({"fi", "EE", "Ve"})
_WITHOUT_TEXT: Final = frozenset(
    {"ad", "na", "hy", "nh", "ne", "ft", "ps", "vs", "ll", "in", "ti", "br", "nr", "ds", "rm", "so", "de1",
     "als", "tr", "ta",
     "UC", "AT", "DT", "PD", "Dd", "Os", "Bk", "Ek", "Bl", "El", "Sm", "IX", "while", "rn", "ev",
     "bp", "cc", "c2", "ec", "eo", "fam", "ss", "cs", "bd", "lf", "mso", "TQ", "hw", "pl", "po", "Rs", "Re",
     "lg", "kern"}
)  # fmt: skip
_PARAGRAPHS: Final = frozenset({"PP", "P", "LP", "Pp", "sp"})
_TERM_LINES: Final = 12
_TERM_CHARS: Final = 600
_TERM_WORDS: Final = 4
_LINE_CHARS: Final = 4000


def load_man(path: str, text: str) -> Document:
    reader = _Reader(text)
    reader.read()
    return reader.out.document(path, title=reader.title)


class _Reader:
    def __init__(self, text: str) -> None:
        self.out = Lines()
        self.title = ""
        self._lines = text.split("\n")
        self._at = 0
        self._number = 0
        self._name = ""  # the name of the documented command, for `.Nm` without an argument
        self._code: list[tuple[int, str]] | None = None
        self._tag: str | None = None  # the tag of a `.TP` item, "" until its line is read; None outside `.TP`
        self._heading_due = 0
        self._unclosed: set[str] = set()
        self._mark = ""
        self._has_open_block = False
        self._else: bool | None = None  # whether the text of the next `.el` is shown; None if unknown

    def read(self) -> None:
        while self._at < len(self._lines):
            line = self._next()
            if request := _REQUEST.fullmatch(line[:_LINE_CHARS]):
                self._request(request[1], _COMMENT.sub("", request[2]).strip())
            elif not line.startswith((".", "'")):
                self._text(roff_text(_COMMENT.sub("", line)))
        self._end_code()

    def _next(self) -> str:
        line = self._lines[self._at]
        self._at += 1
        self._number = self._at
        while (
            line.endswith("\\")
            and not line.endswith("\\\\")
            and self._at < len(self._lines)
            and len(line) < _LINE_CHARS
        ):
            line = line[:-1] + self._lines[self._at]
            self._at += 1
        return line

    def _request(self, name: str, source: str) -> None:
        if name in {"SH", "Sh", "SS", "Ss"}:
            self._begin_heading(1 if name.casefold() == "sh" else 2, source)
        elif name in _CODE_BEGINS or (name == "Bd" and not re.search(r"-(?:ragged|filled)", source)):
            self._end_code()
            self._code = []
        elif name in _CODE_ENDS or name == "Ed":
            self._end_code()
        elif name in {"TP", "IP", "It"}:
            self._item(name, source)
        elif name in _TEXT_MACROS | _ALTERNATING:
            self._text(roff_text(("" if name in _ALTERNATING else " ").join(_arguments(source))))
        elif name in _CONTROL_MACROS:
            self._control(name, source)
        elif name not in _WITHOUT_TEXT and name[0].isupper():
            self._mdoc(name, source)

    def _control(self, name: str, source: str) -> None:
        words = _arguments(source)
        if name in {"TH", "Dt"}:
            self.title = f"{words[0]}({words[1]})" if len(words) > 1 else "".join(words)
        elif name in {"de", "am", "ig"}:
            self._skip_to(f".{words[1] if len(words) > 1 else '.'}")
        elif name == "TS":
            self._table()
        elif name == "EQ":
            self._skip_to(".EN")
        elif name in {"if", "ie", "el"}:
            self._conditional(name, source)
        elif name in {"UR", "MT", "UE", "ME"}:
            if re.search(r"\w", source):
                self._text(roff_text(source))
        elif self._code is None:
            self.out.blank()
            if name in _PARAGRAPHS and (term := self._term()):
                self.out.add(f"- {term}:", self._number)

    def _conditional(self, name: str, source: str) -> None:
        """Read or skip the text after `n` (terminal), `t` (typesetter) or `.el`. Ignore any other condition."""
        if name == "el":
            is_shown, shown = self._else, source
        elif condition := _CONDITION.fullmatch(source):
            is_shown, shown = (condition[2] == "n") != bool(condition[1]), condition[3]
        else:
            is_shown, shown = None, ""
        if name == "ie":
            self._else = None if is_shown is None else not is_shown
        if is_shown is False and (depth := shown.count("\\{") - shown.count("\\}")) > 0:
            self._skip_block(depth)
        elif is_shown and (line := shown.removeprefix("\\{").rstrip("\\").strip()):
            self._at -= 1
            self._lines[self._at] = line

    def _skip_block(self, depth: int) -> None:
        """Continue after the line that closes the block, or with the next line if no line closes it."""
        if self._has_open_block:
            return
        for at in range(self._at, len(self._lines)):
            depth += self._lines[at].count("\\{") - self._lines[at].count("\\}")
            if depth <= 0:
                self._at = at + 1
                return
        self._has_open_block = depth > 0

    def _term(self) -> str:
        """Return the term before an `.RS` that indents its definition, as DocBook and AsciiDoc write it; else "".

        If there is a term, the lines up to and including the `.RS` are skipped.
        """
        words: list[str] = []
        for at in range(self._at, min(self._at + _TERM_LINES, len(self._lines))):
            line = self._lines[at]
            request = _REQUEST.fullmatch(line[:_LINE_CHARS])
            if request and request[1] == "RS" and words:
                is_marked = self._lines[self._at].startswith((".B", ".I", "\\f"))
                term = " ".join(" ".join(words).split())
                if not _is_term(term, is_marked=is_marked or request[2].strip() == "4") or self._is_code_at(at + 1):
                    return ""
                self._number, self._at = self._at + 1, at + 1
                return term
            if request and request[1] not in _TEXT_MACROS | _ALTERNATING:
                return ""
            if request:
                words.append(roff_text(("" if request[1] in _ALTERNATING else " ").join(_arguments(request[2]))))
            elif not line.startswith((".", "'")):
                words.append(roff_text(_COMMENT.sub("", line)))
        return ""

    def _is_code_at(self, at: int) -> bool:
        request = _REQUEST.fullmatch(self._lines[at][:_LINE_CHARS]) if at < len(self._lines) else None
        return request is not None and request[1] in _CODE_BEGINS

    def _mdoc(self, name: str, source: str) -> None:
        words = _arguments(source)
        if name == "Nm":
            self._name = self._name or next(iter(words), "")
            words = words if words and words[0][:1].isalnum() else [self._name, *words]
        self._text(inline_mdoc([name, *words]))

    def _item(self, name: str, source: str) -> None:
        words = _arguments(source)
        self.out.blank()
        if name == "TP":
            self._tag = ""
            return
        tag = inline_mdoc(words) if name == "It" else roff_text("".join(words[:1]))
        if tag and not re.fullmatch(r"[\W\d]{1,4}", tag):
            self.out.add(f"- {tag}:", self._number)
        elif words:
            self._tag = None
            self._mark = "- "

    def _begin_heading(self, level: int, source: str) -> None:
        self._end_code()
        self._tag = None
        words = roff_text(" ".join(_arguments(source)))
        if words:
            self.out.heading(level, words, self._number)
        else:
            self._heading_due = level

    def _text(self, text: str) -> None:
        if self._heading_due:
            level, self._heading_due = self._heading_due, 0
            self.out.heading(level, text, self._number)
        elif self._code is not None:
            self._code.append((self._number, text))
        elif self._tag == "":
            self._tag = None
            self.out.add(f"- {text.strip()}:", self._number)
        else:
            self.out.add(self._mark + text.strip() if text.strip() else text, self._number)
            self._mark = "" if text.strip() else self._mark

    def _end_code(self) -> None:
        if self._code is not None:
            self.out.code(self._code)
            self._code = None

    def _skip_to(self, closing: str) -> bool:
        """Skip everything up to the line `closing`, which may contain blanks. Returns False if that line is missing."""
        end = len(self._lines) if closing in self._unclosed else self._at
        while end < len(self._lines) and "".join(self._lines[end].split()) != closing:
            end += 1
        if end == len(self._lines):
            self._unclosed.add(closing)
            return False
        self._at = end + 1
        return True

    def _table(self) -> None:
        """Read a tbl(1) table. Its rows begin after the options and formats, which end with a full stop."""
        begin = self._at
        if not self._skip_to(".TE"):
            return
        lines = list(enumerate(self._lines[begin : self._at - 1], begin + 1))
        while lines and not lines.pop(0)[1].rstrip().endswith("."):
            pass
        rows = list(_table_rows(lines))
        columns = column_names(rows.pop(0)[1]) if len(rows) > 1 else []
        self.out.rows(columns, rows)


def _table_rows(lines: Sequence[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and cells of each row. Tabs separate cells; `T{` and `T}` enclose multi-line cells."""
    cells: list[str] = []
    first = 0
    is_open = False
    for number, line in lines:
        if not is_open and (line.startswith((".", "'")) or not line.strip("_=\t ")):
            continue
        pieces = line.split("\t")
        if is_open:
            if not line.startswith("T}"):
                cells[-1] += " " + roff_text(line.removeprefix(".").strip())
                continue
            is_open, pieces = False, pieces[1:]
        elif not cells:
            first = number
        cells.extend("" if piece == "T{" else roff_text(piece) for piece in pieces)
        is_open = line.endswith("T{")
        if not is_open:
            yield first, cells
            cells = []
    if cells:
        yield first, cells


def _is_term(text: str, *, is_marked: bool) -> bool:
    """Whether the text before an indented block is a term rather than a sentence that introduces the block."""
    if not text or len(text) > _TERM_CHARS or text.endswith((".", ":", ";", "!", "?")):
        return False
    return is_marked or len(text.split()) <= _TERM_WORDS


def _arguments(source: str) -> list[str]:
    return [
        match[2] if match[1] is None else match[1].replace('""', '"')
        for match in _ARGUMENT.finditer(source[:_LINE_CHARS])
    ]
