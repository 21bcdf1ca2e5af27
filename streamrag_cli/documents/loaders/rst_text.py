"""Writes reStructuredText as visible text, line by line: comments, targets and directive markup are dropped.

The headings are already known. Directives are processed by their names: the text of admonitions and similar boxes is
kept, code is unchanged, and directives that only control the layout are dropped.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from streamrag_cli.documents.loaders.code_placeholders import CodePlaceholders
from streamrag_cli.documents.loaders.lines import Lines, closed_term
from streamrag_cli.documents.loaders.rows import column_names, row_text

_DIRECTIVE: Final = re.compile(r"\.\.[ \t]+(?:\|[^|\n]*\|[ \t]+)?([\w:+.-]+?)::(?:[ \t]+(.*))?")
_EXPLICIT: Final = re.compile(r"\.\.(?:[ \t]|$)")
_NOTE: Final = re.compile(r"\.\.[ \t]+\[([#*\w.-]+)\][ \t]+(.*)")
_OPTION: Final = re.compile(r":([\w-]+):(?:[ \t]+(.*))?$")
_CODE: Final = frozenset({"code-block", "code", "sourcecode", "parsed-literal", "productionlist", "prompt",
                          "ipython", "doctest", "testcode", "math", "graphviz", "mermaid", "highlight-block",
     "literal"})  # fmt: skip
_HIDDEN: Final = frozenset(
    {"index", "toctree", "contents", "include", "raw", "meta", "highlight", "default-role", "role", "currentmodule",
     "module", "sectnum", "comment", "todo", "only-comment", "testsetup", "testcleanup", "testoutput", "automodule",
     "autoclass", "autofunction", "literalinclude", "bibliography", "tags", "ifconfig", "py:module",
     "py:currentmodule", "target-notes", "header", "footer", "sectionauthor", "codeauthor", "moduleauthor", "unicode"}
)  # fmt: skip
_PICTURES: Final = frozenset({"image", "figure"})
_TABLES: Final = frozenset({"csv-table", "list-table"})
_RULING: Final = re.compile(r"([!-/:-@\[-`{-~])\1{3,}[ \t]*")
_TABLE_RULE: Final = re.compile(r"[ \t]*\+(?:[-=]+\+)+[ \t]*")
_SIMPLE_RULE: Final = re.compile(r"[ \t]*=+(?:[ \t]+=+)+[ \t]*")
_ITEM: Final = re.compile(r"([ \t]*)(?:[-*+•]|#\.|\(?(?:\d+|[a-zA-Z])[.)])[ \t]+(?=\S)")
_FIELD: Final = re.compile(r":[\w][\w -]*:(?:[ \t]|$)")
_ANONYMOUS: Final = re.compile(r"__[ \t]+\S+")
_ROLE: Final = re.compile(r"(?::[\w.+-]+)+:`([^`\n]*)`")
_LITERAL: Final = re.compile(r"``([^\n]*?)``")
_REFERENCE: Final = re.compile(r"`([^`\n<]*?)[ ]?(?:<([^<>`\n]*)>)?`__?|(?<![\w`])([\w-]+\w)__?(?![\w`])")
_INTERPRETED: Final = re.compile(r"(?<![\w`])`([^`\n]+)`(?![`\w])")
_TARGET: Final = re.compile(r"[ ]?<[^<>\n]*>$")
_STRONG: Final = re.compile(r"(?<![\w*\\])(\*{1,2})(?=[^\s*])([^*\n]+?)(?<=\S)\1(?![\w*])")
_NOTE_MARK: Final = re.compile(r"[ ]?\[(?:#\w*|\*|\d+)\]_(?!\w)")
_SUBSTITUTION: Final = re.compile(r"\|([^|\s][^|\n]{0,80}?)\|_{0,2}(?!\w)")
_NO_TERM: Final = re.compile(r"[ \t]*(?:[|>]|:[\w-]+:)|.*(?:::|[.!;,])[ \t]*$")
_TERM_CHARS: Final = 80
_TERM_WORDS: Final = 5
_CLASSIFIER: Final = re.compile(r"[ ]:[ ]+(.+)$")
_LINE_CHARS: Final = 4000
_TABLE_LINES: Final = 2000


class Title(NamedTuple):
    """A heading. `lines` is the number of its lines, including its overline and underline."""

    level: int
    text: str
    lines: int


def write_rst(text: str, titles: Mapping[int, Title]) -> Lines:
    """Convert `text` to its visible text. `titles` are the headings by the index of their first line."""
    writer = _Writer(text, titles)
    writer.write()
    return writer.out


class _Writer:
    def __init__(self, text: str, titles: Mapping[int, Title]) -> None:
        self.out = Lines()
        self._titles = titles
        self._has_prose = False
        self._term = ""  # the term that the next line defines
        self._lines = text.split("\n")
        self._at = 0

    def write(self) -> None:
        while self._at < len(self._lines):
            at = self._at
            line = self._lines[at]
            self._at += 1
            if title := self._titles.get(at):
                self._at = at + title.lines
                number = at + 1 if title.lines < 3 else at + 2
                self.out.heading(title.level, title.text, number)
            elif len(line) > _LINE_CHARS or not line.strip():
                self.out.add(line, at + 1)
            else:
                self._take(line, at)

    def _take(self, line: str, at: int) -> None:
        stripped = line.strip()
        indentation = _indent(line)
        if not self._has_prose and _FIELD.match(line):  # page metadata, like front matter
            self._block(0)
        elif _EXPLICIT.match(stripped):
            self._explicit(stripped, indentation, at)
        elif _TABLE_RULE.fullmatch(line):
            self._grid(at)
        elif _SIMPLE_RULE.fullmatch(line) and self._simple(at):
            return
        elif _RULING.fullmatch(line) or _ANONYMOUS.fullmatch(stripped):
            self.out.blank()
        else:
            self._text(line, at)

    def _text(self, line: str, at: int) -> None:
        indentation = _indent(line)
        if self._is_term(line, indentation, at):
            self._has_prose = True
            self._term = "- " + closed_term(inline_text(_CLASSIFIER.sub(r" (\1)", line.strip())))
            if _ITEM.match(self._lines[at + 1]):
                self.out.add(self._term, at + 1)
                self._term = ""
            return
        opens_literal = line.rstrip().endswith("::")
        if opens_literal:
            line = line.rstrip()[:-1] if line.strip() != "::" else ""
        self._has_prose = True
        if item := _ITEM.match(line):
            self.out.add(f"- {inline_text(line[item.end() :])}", at + 1)
        elif line.strip():
            self.out.add(f"{self._term} {inline_text(line.strip())}".lstrip(), at + 1 - bool(self._term))
            self._term = ""
        if opens_literal:
            block = self._block(indentation)
            if block and not block[0][1].strip():
                self.out.code(_dedented(block))
            else:
                self._at = at + 1

    def _is_term(self, line: str, indentation: int, at: int) -> bool:
        """Whether the line is a term: it begins a paragraph, and the next line, its definition, is indented.

        docutils accepts any line of this form; here, lines that look like a wrapped sentence are not terms.
        """
        if len(line.strip()) > _TERM_CHARS or _NO_TERM.match(line) or _ITEM.match(line) or at + 1 == len(self._lines):
            return False
        above = self._lines[at - 1] if at else ""
        begins = not above.strip() or _indent(above) > indentation or at - 1 in self._titles
        below = self._lines[at + 1]
        if not begins or not below.strip() or _indent(below) <= indentation or _EXPLICIT.match(below.strip()):
            return False
        return len(line.split()) <= _TERM_WORDS or not below.lstrip()[0].islower()

    def _block(self, indentation: int) -> list[tuple[int, str]]:
        """Read the next lines that are indented deeper than `indentation`, with blank lines before and between them."""
        begin = end = self._at
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.strip():
                if _indent(line) <= indentation:
                    break
                end = self._at + 1
            self._at += 1
        self._at = end
        return [(number + 1, self._lines[number]) for number in range(begin, end)]

    def _explicit(self, line: str, indentation: int, at: int) -> None:
        if note := _NOTE.fullmatch(line):
            self.out.add(f"[{note[1].strip('#')}] {inline_text(note[2])}", at + 1)
            return
        directive = _DIRECTIVE.fullmatch(line)
        if not directive:  # a comment, or a target
            self._block(indentation)
            return
        name, argument = directive[1].casefold(), directive[2] or ""
        self.out.blank()
        if name in _HIDDEN:
            self._block(indentation)
        elif name in _CODE or name in _TABLES:
            body = self._block(indentation)
            first = 0
            while first < len(body) and _OPTION.match(body[first][1].strip()):
                first += 1
            shown = _dedented(body[first:])
            if name == "list-table":
                self._list_table(shown, argument, at)
            elif name == "csv-table":
                self._csv_table(body, shown, argument, at)
            else:
                self.out.code(shown, argument.strip() if re.fullmatch(r"[\w+#-]{1,20}", argument.strip()) else "")
        else:
            self._box(name, argument, at)

    def _box(self, name: str, argument: str, at: int) -> None:
        """Read a directive whose content is text. Its options are dropped, and its content is read like other text."""
        alternative = ""
        while self._at < len(self._lines) and (option := _OPTION.match(self._lines[self._at].strip())):
            alternative = (option[2] or "") if option[1] == "alt" else alternative
            self._at += 1
        shown = alternative if name in _PICTURES else inline_text(argument)
        if shown:
            self.out.add(shown, at + 1)

    def _list_table(self, lines: list[tuple[int, str]], argument: str, at: int) -> None:
        rows: list[tuple[int, list[str]]] = []
        for number, line in lines:
            stripped = line.strip()
            if line.startswith("* -"):
                rows.append((number, [inline_text(stripped[3:].strip())]))
            elif rows and re.match(r"[ ]{2}-(?:[ ]|$)", line):
                rows[-1][1].append(inline_text(stripped[1:].strip()))
            elif rows and stripped:
                rows[-1][1][-1] += " " + inline_text(stripped)
        self._rows(rows, argument, at)

    def _csv_table(self, body: list[tuple[int, str]], lines: list[tuple[int, str]], argument: str, at: int) -> None:
        import csv  # rarely needed

        header = next((line.strip()[8:].strip() for _, line in body if line.strip().startswith(":header:")), "")
        sources = [*([(at + 1, header)] if header else []), *((n, line) for n, line in lines if line.strip())]
        try:
            rows = [
                (number, [inline_text(cell) for cell in cells])
                for number, line in sources
                for cells in csv.reader([line], skipinitialspace=True)
            ]
        except csv.Error:
            rows = [(number, [line]) for number, line in sources]
        self._rows(rows, argument, at)

    def _rows(self, rows: list[tuple[int, list[str]]], caption: str, at: int) -> None:
        self.out.blank()
        self.out.add(inline_text(caption), at + 1)
        columns = column_names(rows[0][1]) if len(rows) > 1 else []
        for number, cells in rows[1:] if columns else rows:
            self.out.add(row_text(columns, cells), number)
        self.out.blank()

    def _grid(self, at: int) -> None:
        """Read a table drawn with `+--+`. Horizontal rules separate its rows, and bars separate its cells."""
        rows: list[tuple[int, list[str]]] = []
        cells: list[str] = []
        first = at
        self._at = at
        while self._at < len(self._lines) and re.match(r"[ \t]*[+|]", line := self._lines[self._at]):
            if _TABLE_RULE.fullmatch(line):
                if any(cells):
                    rows.append((first + 1, cells))
                cells = []
            else:
                pieces = [piece.strip() for piece in line.strip().strip("|").split("|")]
                first = first if cells else self._at
                cells = [
                    " ".join(filter(None, pair))
                    for pair in zip(
                        [*cells, *[""] * (len(pieces) - len(cells))],
                        [*pieces, *[""] * (len(cells) - len(pieces))],
                        strict=True,
                    )
                ]
            self._at += 1
        if any(cells):
            rows.append((first + 1, cells))
        self._rows([(number, [inline_text(cell) for cell in row]) for number, row in rows], "", at)

    def _simple(self, at: int) -> bool:
        """Read a table whose columns are marked by lines of `=`. Returns False if it is not closed."""
        spans = [match.span() for match in re.finditer(r"=+", self._lines[at])]
        limits = [start for start, _ in spans]
        rulings = [at]
        end = at + 1
        while end < min(len(self._lines), at + _TABLE_LINES):
            if _SIMPLE_RULE.fullmatch(self._lines[end]):
                rulings.append(end)
                if end + 1 == len(self._lines) or not self._lines[end + 1].strip():
                    break
            end += 1
        if len(rulings) < 2 or end == min(len(self._lines), at + _TABLE_LINES):
            return False
        rows: list[tuple[int, list[str]]] = []
        for number in range(at + 1, end):
            line = self._lines[number]
            if number in rulings or not line.strip() or re.fullmatch(r"[ \t]*-+(?:[ \t]+-+)*[ \t]*", line):
                continue
            cells = [line[start:stop].strip() for start, stop in zip(limits, [*limits[1:], None], strict=True)]
            if rows and not cells[0]:
                rows[-1] = (
                    rows[-1][0],
                    [" ".join(filter(None, pair)) for pair in zip(rows[-1][1], cells, strict=True)],
                )
            else:
                rows.append((number + 1, cells))
        self._at = end + 1
        shown = [(number, [inline_text(cell) for cell in row]) for number, row in rows]
        if len(rulings) < 3:
            shown = [(0, [""] * len(limits)), *shown]
        self._rows(shown, "", at)
        return True


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _dedented(lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
    margin = min((_indent(line) for _, line in lines if line.strip()), default=0)
    return [(number, line[margin:]) for number, line in lines]


def inline_text(text: str) -> str:
    """Convert reStructuredText inline markup to the visible text. Literals become inline code."""
    code = CodePlaceholders()
    text = _LITERAL.sub(lambda match: code.keep(match[1]), text)
    text = _ROLE.sub(lambda match: _TARGET.sub("", match[1]).lstrip("~!"), text)
    text = _NOTE_MARK.sub("", text)
    text = _REFERENCE.sub(lambda match: match[1] or match[2] or match[3], text)
    text = _INTERPRETED.sub(r"\1", text)
    text = _STRONG.sub(r"\2", text)
    text = _SUBSTITUTION.sub(r"\1", text)
    text = re.sub(r"\\(\S)", r"\1", text).replace("\\ ", "")
    return code.restore(text)
