"""Splits RTF into tokens, and decodes text with the code page of its font."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,10})? ?|\\'(?P<byte>[0-9a-fA-F]{2})|\\(?P<symbol>[^a-zA-Z])"
    r"|(?P<brace>[{}])|(?P<text>[^\\{}]+)|\\",
    re.DOTALL,
)
CHARACTER_SETS: Final = {
    2: "symbol", 77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gbk", 136: "cp950", 161: "cp1253",
    162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874",
    238: "cp1250", 255: "cp437",
}  # fmt: skip
"""The encoding for each character set of a font. Fonts with another character set use the file's code page."""
_SYMBOLS: Final = {0xB7: "•", 0xA7: "▪", 0xD8: "➢", 0xFC: "✓", 0xE0: "→", 0xA8: "□"}


class Token(NamedTuple):
    """A token. `kind` is "word", "byte", "symbol", "text", "{" or "}"; `number` is the parameter of a control word."""

    kind: str
    text: str
    number: int | None = None


def tokens(source: str) -> Iterator[Token]:
    """Yield the tokens of a file that was decoded as Latin-1. Binary data (`\\bin`) is skipped."""
    at = 0
    while match := _TOKEN.match(source, at):
        at = match.end()
        kind, text = match.lastgroup, match[0]
        if kind in {"word", "number"}:
            number = None if match["number"] is None else int(match["number"])
            if match["word"] == "bin":
                at += min(max(0, number or 0), len(source) - at)
                continue
            yield Token("word", match["word"], number)
        elif kind == "brace":
            yield Token(text, text)
        elif kind == "text":
            if text := text.replace("\r", "").replace("\n", ""):
                yield Token("text", text)
        elif kind is not None:
            yield Token(kind, match[kind])


def decoded(data: bytes, encoding: str) -> str:
    """Decode bytes of one font. Invalid bytes are replaced."""
    if encoding == "symbol":
        return "".join(chr(byte) if byte < 0x80 else _SYMBOLS.get(byte, "") for byte in data)
    try:
        return data.decode(encoding, "replace")
    except LookupError:
        return data.decode("cp1252", "replace")


def code_page(number: int) -> str:
    """Return the name of the encoding with this Windows code page number."""
    return {65001: "utf-8", 10000: "mac_roman", 936: "gbk", 42: "symbol", 1361: "johab"}.get(number, f"cp{number}")
