"""Loads LaTeX: the text of the document body by section, without comments and commands that print nothing.

Only the document's own macros without arguments are expanded. An unknown command is replaced by the content of its
braces.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from streamrag_cli.documents.loaders.latex_inline import argument_end, inline_text
from streamrag_cli.documents.loaders.lines import Lines
from streamrag_cli.documents.loaders.rows import column_names, looks_like_header
from streamrag_cli.documents.outline import clean_heading
from streamrag_cli.model import Document

_LEVELS: Final = {
    "part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5, "subparagraph": 6,
    "frametitle": 3, "addchap": 1, "addsec": 2,
}  # fmt: skip
_HEADING: Final = re.compile(rf"\\({'|'.join(_LEVELS)})\*?[ \t]*(?:\[[^\[\]\n]*\][ \t]*)?(?=\{{)")
_TITLE: Final = re.compile(r"\\title[ \t]*(?:\[[^\[\]\n]*\][ \t]*)?(?=\{)")
_COMMENT: Final = re.compile(r"(?<!\\)((?:\\\\)*)%.*")
_VERB: Final = re.compile(r"\\(?:verb\*?|lstinline(?:\[[^\[\]]*\])?)([^a-zA-Z\s*{])(.{0,500}?)\1")
_VERBATIM: Final = frozenset(
    {"verbatim", "verbatim*", "Verbatim", "BVerbatim", "lstlisting", "minted", "alltt", "listing", "filecontents",
     "filecontents*", "pycode", "code"}
)  # fmt: skip
_FORMULAS: Final = frozenset(
    {"equation", "equation*", "align", "align*", "gather", "gather*", "multline", "multline*", "displaymath",
     "eqnarray", "eqnarray*", "alignat", "alignat*", "flalign", "flalign*", "math", "tikzpicture", "pgfpicture"}
)  # fmt: skip
_PICTURES: Final = frozenset({"tikzpicture", "pgfpicture", "pspicture", "picture"})
_TABLES: Final = frozenset({"tabular", "tabular*", "tabularx", "tabulary", "longtable", "array", "tabu"})
_BEGIN: Final = re.compile(r"\\begin[ \t]*\{([^{}\n]{1,40})\}")
_END: Final = re.compile(r"\\end[ \t]*\{([^{}\n]{1,40})\}")
_LANGUAGE: Final = re.compile(
    r"language[ ]*=[ ]*\{?(?:\[[^\]]*\])?([\w+#-]{1,20})|\A(?:\[[^\]]*\])?\{([\w+#-]{1,20})\}"
)
_DEFINITION: Final = re.compile(
    r"[ \t]*\\(?:(?:re)?newcommand|providecommand|def|let|(?:re)?newenvironment|newtheorem|usepackage|documentclass"
    r"|RequirePackage|DeclareMathOperator|setlength|addtolength|setcounter|hypersetup|graphicspath|pagestyle|geometry"
    r"|bibliographystyle|bibliography|addbibresource|theoremstyle|lstset|definecolor|input|include|makeatletter"
    r"|newif|newlength|newcounter|tikzset|usetikzlibrary|usetheme|sisetup|captionsetup|title|author|date|thispagestyle"
    r"|includeonly|import|subfile)\b"
)
_MACRO: Final = re.compile(
    r"[ \t]*\\(?:(?:(?:re)?newcommand|providecommand)\*?[ \t]*\{?|def)\\([a-zA-Z@]{1,40})\}?[ \t]*(?=\{)"
)
_COMMAND: Final = re.compile(r"\\([a-zA-Z@]+)(?:\{\})?")
_MACRO_CHARS: Final = 200
_MACRO_DEPTH: Final = 3
_ITEM: Final = re.compile(r"\\item\b[ \t]*(?:\[((?:[^\[\]\n]|\[[^\[\]]*\])*)\])?[ \t]*")
_RULES: Final = re.compile(
    r"\\(?:hline|toprule|midrule|bottomrule|endhead|endfirsthead|endfoot|endlastfoot)\b(?:\[[^\]]*\])?"
    r"|\\c(?:line|midrule)(?:\([^)]*\))?\{[^{}]*\}"
)
_LINE_CHARS: Final = 4000
_DEFINITION_LINES: Final = 200


def load_latex(path: str, text: str) -> Document:
    lines = list(_without_comments(text))
    begin = next(
        (at for at, (_, line, is_code) in enumerate(lines) if not is_code and _is_mark(line, _BEGIN, "document")), -1
    )
    title = _title("\n".join(line for _, line, is_code in lines if not is_code))
    macros = _macros(line for _, line, is_code in lines if not is_code)
    reader = _Reader(
        [
            (number, line if is_code else _expanded(line, macros), is_code)
            for number, line, is_code in lines[begin + 1 :]
        ]
    )
    reader.read()
    return reader.out.document(path, title=title)


def _macros(lines: Iterable[str]) -> dict[str, str]:
    """The replacement of each macro that has no arguments and is defined on one line."""
    macros: dict[str, str] = {}
    for line in lines:
        match = _MACRO.match(line) if len(line) <= _LINE_CHARS else None
        if match and (end := argument_end(line, match.end())) > 0:
            body = line[match.end() + 1 : end - 1].replace("\\xspace", "")
            if len(body) <= _MACRO_CHARS and "#" not in body:
                macros[match[1]] = body
    return macros


def _expanded(line: str, macros: Mapping[str, str]) -> str:
    """Replace the macros in `line` and the macros in their replacements, within limits."""
    for _ in range(_MACRO_DEPTH):
        if not macros or "\\" not in line or _DEFINITION.match(line) or _VERB.search(line):
            break
        replaced = _COMMAND.sub(lambda match: macros.get(match[1], match[0]), line)
        if replaced == line or len(replaced) > _LINE_CHARS:
            break
        line = replaced
    return line


def _title(text: str) -> str:
    match = _TITLE.search(text)
    end = argument_end(text, match.end()) if match else 0
    return clean_heading(inline_text(" ".join(text[match.end() + 1 : end - 1].split()))) if match else ""


def _is_mark(line: str, pattern: re.Pattern[str], name: str) -> bool:
    return any(match[1] == name for match in pattern.finditer(line))


def _without_comments(text: str) -> Iterator[tuple[int, str, bool]]:
    """Yield the number of each line of the document, its text without comments, and whether it is verbatim.

    A line that contains only a comment is dropped and does not end a paragraph.
    """
    verbatim = hidden = ""
    is_off = 0
    for number, line in enumerate(text.split("\n"), 1):
        if verbatim:
            is_end = _is_mark(line, _END, verbatim)
            verbatim = "" if is_end else verbatim
            yield number, line, not is_end
            continue
        shown = _uncommented(line)
        if hidden:
            hidden = "" if _is_mark(shown, _END, hidden) else hidden
            continue
        if is_off:
            is_off += len(re.findall(r"\\if[a-zA-Z]+", shown)) - len(re.findall(r"\\fi\b", shown))
            is_off = max(is_off, 0)
            continue
        if re.match(r"[ \t]*\\iffalse\b", shown):
            is_off = 0 if re.search(r"\\fi\b", shown) else 1
            continue
        if re.match(r"[ \t]*\\begin[ \t]*\{comment\}", shown):
            hidden = "" if _is_mark(shown, _END, "comment") else "comment"
            continue
        if shown.strip() or not line.strip():
            yield number, shown, False
        begin_mark = _BEGIN.search(shown)
        if begin_mark and begin_mark[1] in _VERBATIM and not _is_mark(shown, _END, begin_mark[1]):
            verbatim = begin_mark[1]
        if _is_mark(shown, _END, "document"):
            return


def _uncommented(line: str) -> str:
    """Return the line without its comment. A percent sign in `\\verb` or a URL does not begin a comment."""
    if "%" not in line or len(line) > _LINE_CHARS:
        return line
    protected = [
        match.span() for match in re.finditer(rf"{_VERB.pattern}|\\(?:url|href|nolinkurl|path)\{{[^{{}}]*\}}", line)
    ]
    for match in _COMMENT.finditer(line):
        at = match.end(1)
        if not any(start < at < end for start, end in protected):
            return line[:at]
        for position in range(at + 1, len(line)):
            inside = any(start < position < end for start, end in protected)
            if line[position] == "%" and line[position - 1] != "\\" and not inside:
                return line[:position]
    return line


class _Reader:
    def __init__(self, lines: list[tuple[int, str, bool]]) -> None:
        self.out = Lines()
        self._lines = lines
        self._at = 0

    def read(self) -> None:
        while self._at < len(self._lines):
            number, line, _ = self._lines[self._at]
            self._at += 1
            if not line.strip() or len(line) > _LINE_CHARS:
                self.out.add(line, number)
            elif _DEFINITION.match(line):
                self._skip_definition(line)
            elif begun := _BEGIN.search(line):
                self._text(line[: begun.start()], number)
                self._environment(begun[1], line[begun.end() :], number)
            elif match := _HEADING.search(line):
                self._heading(match, line, number)
            else:
                self._text(line, number)

    def _skip_definition(self, line: str) -> None:
        """Skip the next lines up to the closing brace of the definition that begins on `line`."""
        depth = line.count("{") - line.count("}")
        last = min(len(self._lines), self._at + _DEFINITION_LINES)
        while depth > 0 and self._at < last:
            depth += self._lines[self._at][1].count("{") - self._lines[self._at][1].count("}")
            self._at += 1

    def _heading(self, match: re.Match[str], line: str, number: int) -> None:
        self._text(line[: match.start()], number)
        source = line[match.end() :]
        while argument_end(source, 0) < 0 and self._at < len(self._lines) and len(source) < _LINE_CHARS:
            source += " " + self._lines[self._at][1]
            self._at += 1
        end = argument_end(source, 0)
        end = len(source) if end < 0 else end
        self.out.heading(_LEVELS[match[1]], inline_text(source[1:end].removesuffix("}")), number)
        self._text(source[end:], number)

    def _environment(self, name: str, rest: str, number: int) -> None:
        if name in _VERBATIM:
            self._verbatim(name, rest)
        elif name in _TABLES or name in _FORMULAS | _PICTURES:
            body = self._body(name, rest, number)
            if name in _TABLES:
                self._table(body)
            elif name not in _PICTURES:
                self.out.code(body, "latex")
        else:
            self.out.blank()
            if rest.startswith("{") and name in {"frame", "block", "exampleblock", "alertblock"}:
                rest = f"\n{rest[1:].replace('}', '', 1)}"
            else:
                rest = re.sub(r"\A(?:\[[^\[\]]*\]|\{[^{}]*\})+", "", rest)
            self._text(rest.strip(), number)

    def _body(self, name: str, rest: str, number: int) -> list[tuple[int, str]]:
        """Return the lines of an environment up to its `\\end`. Text after it on the same line is read next."""
        lines = [(number, rest)]
        while True:
            at, line = lines[-1]
            for match in _END.finditer(line):
                if match[1] == name:
                    lines[-1] = (at, line[: match.start()])
                    if line[match.end() :].strip():
                        self._lines.insert(self._at, (at, line[match.end() :], False))
                    return lines
            if self._at == len(self._lines):
                return lines
            lines.append(self._lines[self._at][:2])
            self._at += 1

    def _verbatim(self, name: str, rest: str) -> None:
        language = _LANGUAGE.search(rest)
        lines: list[tuple[int, str]] = []
        while self._at < len(self._lines) and self._lines[self._at][2]:
            lines.append(self._lines[self._at][:2])
            self._at += 1
        self.out.code(lines, (language[1] or language[2]).casefold() if language else "")
        if self._at < len(self._lines) and _is_mark(self._lines[self._at][1], _END, name):
            number, line, _ = self._lines[self._at]
            self._lines[self._at] = (number, _END.sub("", line, count=1), False)

    def _table(self, lines: list[tuple[int, str]]) -> None:
        """Write a table, whose rows end with `\\\\` and whose cells are separated by `&`."""
        rows: list[tuple[int, list[str]]] = []
        row, first = "", 0
        lines[0] = (lines[0][0], "")  # the column specification
        for number, line in lines:
            *ended, last = re.split(r"\\\\(?:\[[^\]]*\])?|\\tabularnewline\b", _RULES.sub("", line))
            for piece in ended:
                rows.append((first or number, _cells(f"{row} {piece}")))
                row, first = "", 0
            first = first or (number if last.strip() else 0)
            row = f"{row} {last}"
        if row.strip():
            rows.append((first, _cells(row)))
        rows = [(number, cells) for number, cells in rows if any(cells)]
        is_named = len(rows) > 1 and looks_like_header(rows[0][1], [cells for _, cells in rows[1:]])
        columns = column_names(rows.pop(0)[1]) if is_named else []
        self.out.rows(columns, rows)

    def _text(self, line: str, number: int) -> None:
        item = _ITEM.search(line)
        if item:
            self._text(line[: item.start()], number)
            term = f"{inline_text(item[1])}: " if item[1] else ""
            following = _ITEM.search(line, item.end())
            end = following.start() if following else len(line)
            self.out.add(f"- {term}{inline_text(line[item.end() : end])}", number)
            if following:
                self._text(line[end:], number)
            return
        shown = inline_text(line)
        if shown:
            self.out.add(shown, number)


def _cells(row: str) -> list[str]:
    return [inline_text(cell) for cell in re.split(r"(?<!\\)&", row)]
