"""Loads XML: elements become lines `name: text` with their attributes, under the path of their parent elements.

The parser is expat, because it provides line numbers. A file that defines entities, is nested too deeply or is not
well-formed is loaded as plain text.
"""

from dataclasses import replace
from xml.parsers import expat

from streamrag_cli.documents.loaders.plain import load_plain
from streamrag_cli.documents.loaders.structured import NAMING, NESTING, Entry, structured_document
from streamrag_cli.documents.read import decode
from streamrag_cli.model import Document


class _RefusedError(Exception):
    """Raised if the file defines entities or is nested too deeply."""


def load_xml(path: str, data: bytes) -> Document:
    text, note = decode(data)
    reader = _Reader()
    try:
        reader.parse(text)
    except (expat.ExpatError, _RefusedError):
        document = load_plain(path, text)
    else:
        document = structured_document(path, reader.root)
    return replace(document, notes=(*document.notes, note)) if note else document


class _Reader:
    def __init__(self) -> None:
        self.root = Entry("")
        self._open: list[Entry] = [self.root]
        self._words: list[str] = []
        self._words_line = 1
        self._inline = 0  # the number of open elements inside running text
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add_text
        self._parser.EntityDeclHandler = self._refuse

    def parse(self, text: str) -> None:
        body = text.lstrip()
        if body.startswith("<?xml"):  # the text is already decoded, so the declared encoding is wrong
            end = body.find("?>")
            head = text[: len(text) - len(body)] + "\n" * body[:end].count("\n") if end > 0 else ""
            text = (head + body[end + 2 :]) if end > 0 else text
        self._parser.Parse(text.encode("utf-8", "replace"), True)

    def _refuse(self, *_: object) -> None:
        raise _RefusedError

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._inline or any(word.strip() for word in self._words):
            self._inline += 1
            return
        if len(self._open) > NESTING:
            raise _RefusedError
        self._words = []
        parent = self._open[-1]
        name = name.rpartition(":")[2]
        shown = "; ".join(f"{key.rpartition(':')[2]}: {' '.join(value.split())}" for key, value in attributes.items())
        indent = "  " * (len(self._open) - 1)
        line = f"{indent}{name}: {shown}" if shown else f"{indent}{name}:"
        label = next((value for key, value in attributes.items() if key in NAMING), "")
        entry = Entry(f"{name} {label}".strip(), [(self._parser.CurrentLineNumber, line)])
        parent.entries.append(entry)
        self._open.append(entry)

    def _end(self, _: str) -> None:
        if self._inline:
            self._inline -= 1
            return
        self._flush_text()
        self._open.pop()

    def _add_text(self, words: str) -> None:
        if not self._words:
            self._words_line = self._parser.CurrentLineNumber
        self._words.append(words)

    def _flush_text(self) -> None:
        """Add the collected text to the line of the innermost element or, if it has nested elements, after them."""
        content = " ".join("".join(self._words).split())
        self._words = []
        if not content:
            return
        entry = self._open[-1]
        if entry.entries or not entry.lines:
            indent = "  " * (len(self._open) - 1)
            entry.entries.append(Entry("", [(self._words_line, indent + content)]))
        elif len(entry.lines) == 1:
            number, line = entry.lines[0]
            entry.lines[0] = (number, f"{line} {content}" if line.endswith(":") else f"{line}; {content}")
