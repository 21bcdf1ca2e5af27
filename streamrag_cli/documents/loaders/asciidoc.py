"""Loads headings, blocks, lists and tables from AsciiDoc, line by line. Drops comments, attributes and index terms.

Included files are not read. Conditions are not evaluated, so the text of all branches is read. Include and condition
directives are dropped everywhere, even in code, because AsciiDoc processes them before everything else.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from streamrag_cli.documents.loaders.asciidoc_inline import inline_text, with_attributes
from streamrag_cli.documents.loaders.asciidoc_tables import read_table
from streamrag_cli.documents.loaders.front_matter import front_matter
from streamrag_cli.documents.loaders.lines import Lines, closed_term
from streamrag_cli.documents.loaders.rows import column_names
from streamrag_cli.documents.outline import clean_heading
from streamrag_cli.model import Document

_HEADING: Final = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*)")
_DELIMITER: Final = re.compile(r"(-{4,}|\.{4,}|={4,}|\*{4,}|_{4,}|\+{4,}|/{4,}|--|```[\w+-]*|~~~)[ \t]*")
_TABLE: Final = re.compile(r"([|,:!])={3,}[ \t]*")
_ATTRIBUTE: Final = re.compile(r":(!?[\w][\w-]*!?):(?:[ \t]+(.*))?")
_BLOCK_ATTRIBUTES: Final = re.compile(r"\[(?:[^\[\]]*|\[[^\[\]]*\])\][ \t]*")
_BLOCK_MACRO: Final = re.compile(r"(\w[\w-]*)::([^\s\[]*)\[(.*)\][ \t]*")
_DIRECTIVE: Final = re.compile(
    r"(\\?)(include|ifdef|ifndef|ifeval|endif)::[^\s\[][^\[]*\[(.*)\][ \t]*|(\\?)(?:ifeval|endif)::\[.*\][ \t]*"
)
_SUBSTITUTED: Final = re.compile(r"\bsubs\s*=\s*[\"']?[^\"'\]]*\b(?<!-)(?:attributes|normal)\b")
_BLOCK_TITLE: Final = re.compile(r"\.(?![.\s])(.+)")
_ITEM: Final = re.compile(r"[ \t]*(?:[*.]{1,5}|-|\d+\.|[a-zA-Z]\.|<[\d.]+>)[ \t]+(\[[ x*]\][ \t]+)?(?=\S)")
_TERM: Final = re.compile(r"[ \t]*(\S.*?)(?<![\s;:])(?:::{1,3}|;;)(?:[ \t]+(\S.*))?")
_RULING: Final = re.compile(r"(?:<<<|'{3,}|\+|-{3}|\*{3})[ \t]*")
_LINE_CHARS: Final = 4000
_ABOVE_CHARS: Final = 1000
_KNOWN: Final = {
    "nbsp": " ", "sp": " ", "empty": "", "zwsp": "", "amp": "&", "lt": "<", "gt": ">", "plus": "+", "asterisk": "*",
    "tilde": "~", "caret": "^", "startsb": "[", "endsb": "]", "vbar": "|", "backtick": "`", "two-colons": "::",
    "apos": "'", "quot": '"', "ldquo": "“", "rdquo": "”", "lsquo": "‘", "rsquo": "’", "cpp": "C++", "deg": "°",
}  # fmt: skip


def load_asciidoc(path: str, text: str) -> Document:
    about = front_matter(text)
    reader = _Reader(text, skipped=text.count("\n", 0, about.length))
    reader.read()
    summary = "; ".join(each for each in (about.summary, reader.summary) if each)
    document = reader.out.document(path, title=about.title, summary=clean_heading(summary))
    return replace(document, date=about.date, tags=about.tags)


class _Reader:
    def __init__(self, text: str, *, skipped: int) -> None:
        self.out = Lines()
        source = list(_preprocessed(text, skipped))
        self._lines = [line for _, line in source]
        self._numbers = [number for number, _ in source]
        self._at = 0
        self._attributes = dict(_KNOWN)
        self._language: str | None = None  # the language of the next source block
        self._is_comment = False
        self._above_block = ""  # the attribute lines in brackets above the next block

    @property
    def summary(self) -> str:
        values = (self._attributes.get(name, "") for name in ("description", "keywords"))
        return "; ".join(each for each in values if each)

    def read(self) -> None:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            number = self._numbers[self._at]
            self._at += 1
            self._take(line, number)

    def _take(self, line: str, number: int) -> None:
        if not line.strip() or len(line) > _LINE_CHARS:
            self.out.add(line, number)
            return
        if line.startswith("//") and not line.startswith("///"):
            return
        if delimiter := _DELIMITER.fullmatch(line):
            self._block(delimiter[1])
        elif table := _TABLE.fullmatch(line):
            self._table(line.rstrip(), table[1])
        elif heading := _HEADING.fullmatch(line):
            self._above_block = ""
            self.out.heading(len(heading[1]), self._inline(heading[2].removesuffix(heading[1])), number)
        elif attribute := _ATTRIBUTE.fullmatch(line):
            self._set(attribute)
        elif _BLOCK_ATTRIBUTES.fullmatch(line):
            self._above_block = f"{self._above_block},{line.strip()[1:-1]}"[-_ABOVE_CHARS:]
            self._apply_attributes(line.strip()[1:-1])
        elif macro := _BLOCK_MACRO.fullmatch(line):
            self._macro(macro, number)
        elif _RULING.fullmatch(line):
            self.out.blank()
        elif self._language is not None or self._is_comment:
            self._paragraph(line, number)
        else:
            self._text(line, number)

    def _block(self, delimiter: str) -> None:
        """Read a delimited block of code or comments as a whole. Of any other block, drop only the delimiter."""
        kind = delimiter[0]
        is_code = kind in "-.+`~" and delimiter != "--"
        if not (is_code or kind == "/" or self._is_comment or (delimiter == "--" and self._language is not None)):
            self._language = None
            self.out.blank()
            return
        lines = self._lines_until("```" if kind == "`" else delimiter)
        if kind != "/" and not self._is_comment:
            self._code(lines, self._language or delimiter[3:] if kind == "`" else self._language or "")
        self._language, self._is_comment = None, False

    def _paragraph(self, line: str, number: int) -> None:
        """Read a paragraph of code or a comment, up to the next blank line."""
        end = self._at
        while end < len(self._lines) and self._lines[end].strip():
            end += 1
        lines = [(number, line), *self._numbered_lines(end)]
        self._at = end
        if not self._is_comment:
            self._code(lines, self._language or "")
        self._language, self._is_comment = None, False

    def _lines_until(self, closing: str) -> list[tuple[int, str]]:
        """Return the lines before the line `closing`, with their numbers, and continue after that line."""
        end = self._at
        while end < len(self._lines) and self._lines[end].rstrip() != closing:
            end += 1
        lines = self._numbered_lines(end)
        self._at = end + 1
        return lines

    def _numbered_lines(self, end: int) -> list[tuple[int, str]]:
        """Return the lines from the current one up to index `end`, with their numbers."""
        return list(zip(self._numbers[self._at : end], self._lines[self._at : end], strict=True))

    def _code(self, lines: list[tuple[int, str]], language: str) -> None:
        if _SUBSTITUTED.search(self._above_block):
            lines = [(number, with_attributes(line, self._attributes)) for number, line in lines]
        self._above_block = ""
        self.out.code(lines, language)

    def _apply_attributes(self, attributes: str) -> None:
        """Apply an attribute line, such as `[source,python]`, to the next block."""
        style, _, rest = attributes.partition(",")
        style = re.split(r"[#.%]", style.strip())[0]
        language = rest.partition(",")[0].strip().strip('"')
        if style == "comment":
            self._is_comment = True
        elif style in {"source", "listing", "literal", "plantuml", "mermaid"} or (
            not style and rest and "=" not in rest
        ):
            self._language = language if re.fullmatch(r"[\w+#-]{1,20}", language) else ""
        elif style in {"stem", "latexmath", "asciimath"}:
            self._language = ""

    def _set(self, attribute: re.Match[str]) -> None:
        name, value = attribute[1].strip("!").casefold(), (attribute[2] or "").strip()
        while value.endswith(" \\") and self._at < len(self._lines):
            value = f"{value[:-2]} {self._lines[self._at].strip()}"
            self._at += 1
        if "!" in attribute[1]:
            self._attributes.pop(name, None)
        elif len(value) <= _LINE_CHARS and len(expanded := self._inline(value)) <= _LINE_CHARS:
            self._attributes[name] = expanded  # values that refer to each other could double without bound

    def _macro(self, macro: re.Match[str], number: int) -> None:
        name, _, attributes = macro.groups()
        if name == "image":
            self._text(attributes.partition(",")[0].strip().strip('"'), number)

    def _text(self, line: str, number: int) -> None:
        if title := _BLOCK_TITLE.fullmatch(line):
            self.out.blank()
            self.out.add(self._inline(title[1]), number)
            self.out.blank()
            return
        self._above_block = ""
        mark = ""
        if item := _ITEM.match(line):
            mark, line = "- ", line[item.end() :]
        elif term := _TERM.fullmatch(line):
            mark, line = "- ", f"{closed_term(term[1])} {term[2] or ''}"
        shown = self._inline(line.strip())
        if shown:
            self.out.add(mark + shown, number)

    def _inline(self, text: str) -> str:
        return inline_text(text, self._attributes)

    def _table(self, closing: str, mark: str) -> None:
        source = self._lines_until(closing)
        self._language = None
        header, rows = read_table(source, mark, self._above_block)
        self._above_block = ""
        columns = column_names([self._inline(cell) for cell in header])
        shown = {cell: self._inline(cell) for cell in {cell for _, cells in rows for cell in cells}}  # may be repeated
        self.out.rows(columns, ((number, [shown[cell] for cell in cells]) for number, cells in rows))


def _preprocessed(text: str, skipped: int) -> Iterator[tuple[int, str]]:
    """Yield the lines after the first `skipped` ones, with their numbers, without include and condition directives."""
    for number, line in enumerate(text.split("\n")[skipped:], skipped + 1):
        match = _DIRECTIVE.fullmatch(line) if "::" in line and len(line) <= _LINE_CHARS else None
        if not match:
            yield number, line
        elif match[1] or match[4]:
            yield number, line[1:]
        elif match[2] in {"ifdef", "ifndef"} and match[3]:
            yield number, match[3]
