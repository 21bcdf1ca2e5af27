"""Loads headlines, lists, blocks and tables from Org files, line by line. Drops comments, drawers and keywords."""

import re
from typing import Final

from streamrag_cli.documents.loaders.code_placeholders import CodePlaceholders
from streamrag_cli.documents.loaders.lines import Lines
from streamrag_cli.documents.loaders.rows import column_names
from streamrag_cli.documents.outline import clean_heading
from streamrag_cli.model import Document

_HEADLINE: Final = re.compile(
    r"(\*+)[ \t]+(?:(?:TODO|DONE|NEXT|WAITING|STARTED|CANCELLED|CANCELED|HOLD|SOMEDAY)[ \t]+)?(?:\[#\w\][ \t]*)?"
    r"(\S.*?)?[ \t]*(:(?:[\w@#%]+:)+)?[ \t]*"
)
_COOKIE: Final = re.compile(r"[ \t]*\[\d*(?:%|/\d*)\]")
_KEYWORD: Final = re.compile(r"[ \t]*#\+([\w-]+(?:\[[^\[\]]*\])?):[ \t]*(.*)")
_BEGIN: Final = re.compile(r"[ \t]*#\+begin_([\w-]+)(?:[ \t]+([\w+#-]+))?.*", re.IGNORECASE)
_BLOCK_MARK: Final = re.compile(r"[ \t]*#\+(?:begin|end)(?:_\S+|:)?.*", re.IGNORECASE)
_COMMENT: Final = re.compile(r"[ \t]*#(?:[ \t].*)?")
_DRAWER: Final = re.compile(r"[ \t]*:[\w-]+:[ \t]*")
_DRAWER_END: Final = re.compile(r"[ \t]*:end:[ \t]*", re.IGNORECASE)
_CLOCK: Final = re.compile(r"[ \t]*CLOCK:.*")
_PLANNING: Final = re.compile(r"(SCHEDULED|DEADLINE|CLOSED):[ \t]*([<\[][^<>\[\]]*[>\]](?:--<[^<>]*>)?)[ \t]*")
_PLANNING_LINE: Final = re.compile(rf"[ \t]*(?:{_PLANNING.pattern})+")
_FIXED: Final = re.compile(r"[ \t]*:(?: (.*))?")
_ROW: Final = re.compile(r"[ \t]*\|(.*)")
_ROW_RULE: Final = re.compile(r"[ \t]*\|[-+|: ]*[ \t]*")
_ITEM: Final = re.compile(
    r"[ \t]*(?:[-+]|[ \t]\*|\d+[.)]|[a-zA-Z][.)])[ \t]+(?:\[@\d+\][ \t]*)?(?:\[[ xX-]\][ \t]+)?(?=\S)"
)
_RULING: Final = re.compile(r"[ \t]*-{5,}[ \t]*")
_LINK: Final = re.compile(r"\[\[([^\[\]]*)\](?:\[([^\[\]]*)\])?\]")
_NOTE_DEFINITION: Final = re.compile(r"\[fn:[\w-]+\][ \t]+")
_NOTE: Final = re.compile(r"[ \t]?\[fn:[\w-]*(?::([^\[\]]*))?\]")
_TARGET: Final = re.compile(r"<{2,3}([^<>\n]*)>{2,3}")
_MACRO: Final = re.compile(r"\{\{\{[^{}\n]*\}\}\}")
_SNIPPET: Final = re.compile(r"@@[\w-]+:[^@\n]*@@")
_EMPHASIS: Final = re.compile(r"(?<![^\s\-({'\"])([*/_+])(?=\S)([^\n]{1,300}?)(?<=\S)\1(?![^\s\-.,:;!?)}'\"\[])")
_VERBATIM: Final = re.compile(r"(?<![^\s\-({'\"])([=~])(?=\S)([^\n]{1,300}?)(?<=\S)\1(?![^\s\-.,:;!?)}'\"\[])")
_CODE_BLOCKS: Final = frozenset({"src", "example"})
_HIDDEN_BLOCKS: Final = frozenset({"comment", "export"})
_LINE_CHARS: Final = 4000
_HEADLINE_CHARS: Final = 1000


def load_org(path: str, text: str) -> Document:
    reader = _Reader(text)
    reader.read()
    descriptions = [
        *reader.keywords.get("description", ()),
        *reader.keywords.get("keywords", ()),
        *reader.keywords.get("filetags", ()),
    ]
    summary = "; ".join(" ".join(each.replace(":", " ").split()) for each in descriptions)
    title = clean_heading(" ".join(reader.keywords.get("title", ())))
    return reader.out.document(path, title=title, summary=clean_heading(summary))


class _Reader:
    def __init__(self, text: str) -> None:
        self.out = Lines()
        self.keywords: dict[str, list[str]] = {}
        self._lines = text.split("\n")
        self._at = 0
        self._drawer_limit = 0  # the index of the next line that is known to end a drawer or to be a headline
        self._never_closed: set[str] = set()
        self._hidden_level = 0  # the level of the headline above a subtree that is a comment, or 0

    def read(self) -> None:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            if len(line) > _LINE_CHARS:
                if not self._hidden_level:
                    self.out.add(line, self._at)
            elif len(line) <= _HEADLINE_CHARS and (headline := _HEADLINE.fullmatch(line)):
                self._headline(headline)
            elif not self._hidden_level:
                self._take(line, self._at)

    def _headline(self, headline: re.Match[str]) -> None:
        level, words = len(headline[1]), headline[2] or ""
        if self._hidden_level and level > self._hidden_level:
            return
        is_comment = words == "COMMENT" or words.startswith("COMMENT ")
        self._hidden_level = level if is_comment else 0
        if not is_comment:
            self.out.heading(level, _inline(_COOKIE.sub("", words)), self._at)

    def _take(self, line: str, number: int) -> None:
        if not line.strip() or _RULING.fullmatch(line):
            self.out.blank()
        elif begin_mark := _BEGIN.fullmatch(line):
            self._block(begin_mark[1].casefold(), begin_mark[2] or "")
        elif keyword := _KEYWORD.fullmatch(line):
            name = keyword[1].casefold()
            if name == "caption":
                self.out.add(_inline(keyword[2]), number)
            self.keywords.setdefault(name, []).append(keyword[2].strip())
        elif _COMMENT.fullmatch(line) or _BLOCK_MARK.fullmatch(line) or _CLOCK.fullmatch(line):
            return
        elif _DRAWER.fullmatch(line) and (end := self._drawer_end()):
            self._at = end
        elif _FIXED.fullmatch(line):
            self._fixed(number)
        elif _ROW.fullmatch(line):
            self._table(number)
        elif item := _ITEM.match(line):
            term, is_definition, rest = line[item.end() :].partition(" :: ")
            self.out.add("- " + _inline(f"{term}: {rest}" if is_definition else term), number)
        elif _PLANNING_LINE.fullmatch(line):
            self._planning(line, number)
        else:
            self.out.add(_inline(_NOTE_DEFINITION.sub("", line.strip())), number)

    def _planning(self, line: str, number: int) -> None:
        for name, date in _PLANNING.findall(line):
            self.out.add(f"- {name.capitalize()}: {date.strip('<>[]')}", number)
        self.out.blank()

    def _block(self, kind: str, language: str) -> None:
        closing = f"#+end_{kind}"
        end = self._at
        if kind not in _CODE_BLOCKS | _HIDDEN_BLOCKS or kind in self._never_closed:
            self.out.blank()
            return
        while end < len(self._lines) and self._lines[end].strip().casefold() != closing:
            end += 1
        if end == len(self._lines):
            self._never_closed.add(kind)
            return
        if kind in _CODE_BLOCKS:
            source = [(number + 1, self._lines[number].removeprefix(",")) for number in range(self._at, end)]
            self.out.code(source, language if kind == "src" else "")
        self._at = end + 1

    def _drawer_end(self) -> int:
        """Return the index of the line after the drawer, or 0 if it is not a drawer because it is never closed."""
        end = max(self._drawer_limit, self._at)
        while end < len(self._lines) and not (
            self._lines[end].startswith("*") or _DRAWER_END.fullmatch(self._lines[end])
        ):
            end += 1
        self._drawer_limit = end
        return end + 1 if end < len(self._lines) and not self._lines[end].startswith("*") else 0

    def _run(self, pattern: re.Pattern[str], number: int) -> list[tuple[int, re.Match[str]]]:
        """Read successive lines that match `pattern`, starting at line `number`. Returns (line number, match) pairs."""
        matches: list[tuple[int, re.Match[str]]] = []
        at = number - 1
        while (
            at < len(self._lines)
            and len(self._lines[at]) <= _LINE_CHARS
            and (match := pattern.fullmatch(self._lines[at]))
        ):
            matches.append((at + 1, match))
            at += 1
        self._at = at
        return matches

    def _fixed(self, number: int) -> None:
        self.out.code([(at, match[1] or "") for at, match in self._run(_FIXED, number)])

    def _table(self, number: int) -> None:
        source = self._run(_ROW, number)
        rows = [(at, [_inline(cell) for cell in match[1].strip().strip("|").split("|")]) for at, match in source]
        rules = [bool(_ROW_RULE.fullmatch(match[0])) for _, match in source]
        has_header = (len(rules) > 2 and not rules[0] and rules[1]) or (len(rules) > 3 and rules[0] and rules[2])
        shown = [row for row, is_rule in zip(rows, rules, strict=True) if not is_rule]
        columns = column_names(shown.pop(0)[1]) if has_header and shown else []
        self.out.rows(columns, shown)


def _inline(text: str) -> str:
    """Convert a line to its visible text. Verbatim text becomes inline code."""
    text = _SNIPPET.sub("", _MACRO.sub("", text.strip()))
    text = _LINK.sub(lambda match: match[2] or match[1].removeprefix("file:"), text)
    text = _NOTE.sub(lambda match: f" ({match[1]})" if match[1] else "", text)
    text = _TARGET.sub("", text) if "<<" in text else text
    code = CodePlaceholders()
    text = _VERBATIM.sub(lambda match: code.keep(match[2]), text)
    for _ in range(2):  # emphasis may be nested once
        text = _EMPHASIS.sub(r"\2", text)
    return code.restore(text.removesuffix("\\\\")).strip()
