"""Loads YAML line by line. Indentation and keys determine the nesting, and aliases are not expanded."""

import re
from typing import Final

from streamrag_cli.documents.loaders.code import licence_end
from streamrag_cli.documents.loaders.structured import NAMING, NESTING, Entry, structured_document
from streamrag_cli.model import Document

_KEY: Final = re.compile(
    r"""("(?:[^"\\]|\\.){0,300}"|'(?:[^']|''){0,300}'|[^\s#\[\]{},&*!|>'"%@`][^#\n]{0,300}?)[ \t]*:(?:[ \t]+(.*)|$)"""
)
_DASHES: Final = re.compile(r"(?:-[ \t]+)+|-$")
_BLOCK_TEXT: Final = re.compile(r"(?:^|[ \t])[|>][-+\d]{0,3}[ \t]*(?:#.*)?$")
_DOCUMENT_MARK: Final = re.compile(r"(?:---|\.\.\.)(?:[ \t]+.*)?$")
_LINE_CHARS: Final = 4000


def load_yaml(path: str, text: str) -> Document:
    documents = _Reader(text).documents
    if len(documents) == 1:
        return structured_document(path, documents[0])
    for position, each in enumerate(documents, 1):
        each.name = _name_of_document(each) or f"document {position}"
    return structured_document(path, Entry("", entries=documents), is_multi_document=True)


def _name_of_document(document: Entry) -> str:
    """Return the name of one of several documents in a file: the values of its keys `kind` and `name`, or ""."""
    metadata = next((each for each in document.entries if each.name == "metadata"), document)
    names = (_value_of(document, "kind"), _value_of(metadata, "name") or _value_of(document, "title"))
    return " ".join(each for each in names if each)


def _value_of(entry: Entry, name: str) -> str:
    for each in entry.entries:
        if each.name == name and (match := _KEY.match(each.lines[-1][1].strip())):
            return _unquoted(match[2] or "")
    return ""


def _unquoted(source: str) -> str:
    word = re.sub(r"[ \t]#.*", "", source[:_LINE_CHARS]).strip()
    return word[1:-1] if len(word) > 1 and word[0] in "\"'" and word[-1] == word[0] else word


class _Reader:
    """Reads lines into one tree per document. Lines with a deeper indentation are nested in the entry above them.

    A list item may have the same indentation as the key above it, so it counts as half a level deeper.
    """

    def __init__(self, text: str) -> None:
        self.documents = [Entry("")]
        # The open entries with their depths in half levels, the outermost first.
        self._open: list[tuple[int, Entry]] = [(-1, self.documents[0])]
        self._comments: list[tuple[int, str]] = []  # the comments above the next entry
        self._text_above: int | None = None  # the indentation of a key whose value is a block of text
        lines = text.split("\n")
        first = licence_end(lines, ("#",))
        for number, line in enumerate(lines[first:], first + 1):
            self._take(number, line.rstrip())
        self._continue_entry([])

    def _take(self, number: int, line: str) -> None:
        stripped = line.lstrip(" \t")
        indentation = len(line) - len(stripped)
        if self._text_above is not None:
            if not stripped or indentation > self._text_above:
                self._open[-1][1].lines.append((number, line))
                return
            self._text_above = None
        if not stripped or (stripped.startswith("%") and not indentation):
            return
        if len(line) > _LINE_CHARS:
            self._continue_entry([(number, line)])
        elif _DOCUMENT_MARK.match(line):
            self._begin_document(number, line[3:].strip())
        elif stripped.startswith("#"):
            self._comments.append((number, line))
        else:
            self._entry(number, line, stripped, indentation)

    def _continue_entry(self, lines: list[tuple[int, str]]) -> None:
        """Add `lines` to the entry that was read last."""
        self._open[-1][1].lines.extend([*self._comments, *lines])
        self._comments = []

    def _begin_document(self, number: int, rest: str) -> None:
        self._continue_entry([])
        if self.documents[-1].entries or self.documents[-1].lines:
            self.documents.append(Entry(""))
        self._open = [(-1, self.documents[-1])]
        if rest and not rest.startswith("#"):
            self._open[0][1].lines.append((number, rest))

    def _entry(self, number: int, line: str, stripped: str, indentation: int) -> None:
        dashes = _DASHES.match(stripped)
        column = dashes.end() if dashes else 0
        match = _KEY.match(stripped, column)
        if not dashes and not match:
            self._continue_entry([(number, line)])
            return
        depth = indentation * 2 + (1 if dashes else 0)
        while self._open[-1][0] >= depth:
            self._open.pop()
        parent = self._open[-1][1]
        if len(self._open) > NESTING:
            self._continue_entry([(number, line)])
            return
        key = _unquoted(match[1]) if match else ""
        name = f"[{len(parent.entries) + 1}]" if dashes else key
        entry = Entry(name, [*self._comments, (number, line)], is_item=bool(dashes))
        self._comments = []
        parent.entries.append(entry)
        self._open.append((depth, entry))
        item = entry if dashes else parent
        if match and key in NAMING and item.name.startswith("[") and match[2]:
            item.name = _unquoted(match[2])
        if _BLOCK_TEXT.search(stripped):
            self._text_above = indentation + (column if match else 0)
