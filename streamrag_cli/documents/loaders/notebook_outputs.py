"""Converts the outputs of a notebook's code cells to text, shortened to their beginning and end.

An output may contain the same content in several formats. HTML tables become rows with the column names; for other
outputs, the plain text is used. An error is reduced to its message. Text such as `<Figure size 640x480>`, which only
names an object, is dropped.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from streamrag_cli.documents.loaders.html import load_html
from streamrag_cli.errors import DocumentError
from streamrag_cli.text import NOT_TEXT, REPLACEMENT

PIECE_CHARS: Final = 800
"""The maximum length of a piece of output, so that it fits into a chunk. An output longer than two pieces is reduced to
its beginning and its end, which often contain the results."""

GAP: Final = "[…]"
"""The mark that replaces the omitted middle of an output."""

_MAX_HTML_CHARS: Final = 200_000
_MAX_NAME_CHARS: Final = 500
_FORMAT_3: Final = (("plain", "text"), ("html", "html"), ("latex", "latex"), ("markdown", "markdown"))
_ESCAPE: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_OBJECT: Final = re.compile(
    r"[\[({]*<(?:[^<>\n]*\b(?:object|at 0x[0-9a-f]+)\b|Figure size |AxesSubplot|Axes:)[^<>\n]*>[^\n]*"
)


def output_texts(outputs: Any) -> Iterator[tuple[bool, str]]:
    """Yield the outputs with text, in pieces, as (is table, text) pairs. A stream counts as one output."""
    stream: list[str] = []
    for output in [*(outputs if isinstance(outputs, list) else ()), None]:
        if isinstance(output, dict) and output.get("output_type") == "stream":
            stream.append(joined(output.get("text"), strip=False))
            continue
        texts = [(False, "".join(stream))]
        stream.clear()
        if isinstance(output, dict):
            texts.append(_output_text(output))
        for is_table, text in texts:
            yield from ((is_table, piece) for piece in _pieces(text))


def joined(source: Any, *, strip: bool = True) -> str:
    """Return the text of a cell or an output as one string.

    `source` should be a string or a list of strings. For any other value, the text is empty.
    """
    text = "".join(str(piece) for piece in source) if isinstance(source, list) else source
    if not isinstance(text, str):
        return ""
    text = NOT_TEXT.sub(REPLACEMENT, text)
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").rstrip() if strip else text


def _output_text(output: dict[str, Any]) -> tuple[bool, str]:
    if output.get("output_type") in {"error", "pyerr"}:
        return False, ": ".join(filter(None, (joined(output.get("ename")), joined(output.get("evalue")))))
    data = output.get("data")
    if not isinstance(data, dict):  # in format 3, the formats are keys in the output itself
        data = {f"text/{name}": output.get(key) for name, key in _FORMAT_3}
    html, plain = joined(data.get("text/html")), joined(data.get("text/plain"))
    if plain and _OBJECT.fullmatch(plain[:_MAX_NAME_CHARS]):
        plain = ""
    is_table = "<table" in html
    if html and len(html) <= _MAX_HTML_CHARS and (is_table or not plain) and (text := _html_text(html)):
        return is_table, text
    return False, plain or joined(data.get("text/markdown")) or joined(data.get("text/latex"))


def _html_text(html: str) -> str:
    try:
        return load_html("", html.encode()).text
    except DocumentError:
        return ""


def _pieces(text: str) -> Iterator[str]:
    """Yield the text of an output as a terminal would show it, in at most two pieces.

    If the text is longer, the pieces are its beginning and its end, and the first one ends with a mark for the gap.
    """
    lines = _ESCAPE.sub("", text.replace("\r\n", "\n")).split("\n")
    text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines).strip("\n").rstrip()
    if len(text) <= PIECE_CHARS:
        if text:
            yield text
        return
    head = text[: text.rfind("\n", 0, PIECE_CHARS) + 1 or PIECE_CHARS]
    tail = text[max(len(head), len(text) - PIECE_CHARS) :]
    is_whole = len(head) + len(tail) == len(text)
    if not is_whole:
        tail = tail[tail.find("\n") + 1 :]
    yield head.rstrip() if is_whole else f"{head.rstrip()}\n{GAP}"
    yield tail
