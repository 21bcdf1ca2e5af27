"""Converts the shapes and table cells in a presentation to text."""

from collections.abc import Iterator
from typing import Any, Final

from streamrag_cli.documents.loaders.docx_math import linear
from streamrag_cli.documents.loaders.equations import in_sentence, with_spaced_equations
from streamrag_cli.text import NOT_TEXT

A: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_A14: Final = "{http://schemas.microsoft.com/office/drawing/2010/main}"
_M: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_MC: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_NO_BULLET: Final = f"{A}buNone"
_BULLETS: Final = (f"{A}buChar", f"{A}buAutoNum", f"{A}buBlip")
_MAX_LEVEL: Final = 8


def first_choice(alternate: Any, *tags: str) -> Any:
    """Return the first alternative in `mc:AlternateContent` that contains one of the tags, or () if none does."""
    for choice in alternate:
        if isinstance(choice.tag, str) and next(choice.iter(*tags), None) is not None:
            return choice
    return ()


def paragraph_text(paragraph: Any) -> str:
    """Return the text of a paragraph, without the slide number. Line breaks are kept."""
    text = with_spaced_equations("".join(_pieces(paragraph)))
    lines = NOT_TEXT.sub("", text).replace("\v", "\n").split("\n")
    return "\n".join(line for line in (" ".join(each.split()) for each in lines) if line)


def one_line(body: Any) -> str:
    """Return the text of all paragraphs in `body` on one line."""
    return " ".join(filter(None, (" ".join(paragraph_text(each).split()) for each in body.iterfind(f"{A}p"))))


def text_of_body(body: Any, *, is_list: bool) -> str:
    """Return the paragraphs in `body`, one per line.

    With `is_list`, paragraphs that do not set a bullet are list items, unless there is only one paragraph.
    """
    paragraphs = [(each, text) for each in body.iterfind(f"{A}p") if (text := paragraph_text(each))]
    styles = body.find(f"{A}lstStyle")
    lines: list[str] = []
    for paragraph, text in paragraphs:
        properties = paragraph.find(f"{A}pPr")
        level = _level(properties)
        has_bullet = _has_bullet(properties)
        if has_bullet is None and styles is not None:
            has_bullet = _has_bullet(styles.find(f"{A}lvl{level + 1}pPr"))
        if has_bullet or (has_bullet is None and is_list and len(paragraphs) > 1):
            lines.append(f"{'  ' * level}- {' '.join(text.split())}")
        else:
            lines.append(text)
    return "\n".join(lines)


def _pieces(element: Any) -> Iterator[str]:
    for child in element:
        tag = child.tag
        if tag == f"{A}t":
            yield child.text or ""
        elif tag == f"{A}br":
            yield "\n"
        elif tag == f"{A}r" or (tag == f"{A}fld" and child.get("type") != "slidenum") or tag == f"{_A14}m":
            yield from _pieces(child)
        elif tag == f"{_MC}AlternateContent":
            yield from _pieces(first_choice(child, f"{A}t", f"{_M}t"))
        elif tag in {f"{_M}oMath", f"{_M}oMathPara"}:
            yield in_sentence(linear(child))


def _level(properties: Any) -> int:
    value = "" if properties is None else properties.get("lvl") or ""
    return min(int(value), _MAX_LEVEL) if value.isascii() and value.isdigit() and len(value) < 3 else 0


def _has_bullet(properties: Any) -> bool | None:
    """Whether the paragraph properties set a bullet or number; None if they do not determine that."""
    if properties is None:
        return None
    if properties.find(_NO_BULLET) is not None:
        return False
    return True if any(properties.find(tag) is not None for tag in _BULLETS) else None
