"""Converts equations in Office files to one line of text: fractions a/b, powers x^2, indices a_i, roots √x."""

import re
from typing import Any, Final

_M: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_SIMPLE: Final = re.compile(r"[\w.,%′°]+|[^\w\s]?\w")
_SKIPPED: Final = frozenset({"rPr", "ctrlPr"})


def linear(element: Any) -> str:
    """Return an equation (`m:oMath`) or a paragraph of equations as text on one line."""
    return " ".join(_text(element).split())


def _text(element: Any) -> str:
    tag = element.tag if isinstance(element.tag, str) else ""
    name = tag.removeprefix(_M) if tag.startswith(_M) else tag.rpartition("}")[2]
    if name == "t":
        return element.text or ""
    if name.endswith("Pr") or name in _SKIPPED:
        return ""
    shape = _SHAPES.get(name) if tag.startswith(_M) else None
    return shape(element) if shape else "".join(_text(child) for child in element)


def _part(element: Any, name: str) -> str:
    child = element.find(f"{_M}{name}")
    return "" if child is None else _text(child).strip()


def _grouped(text: str) -> str:
    return text if not text or _SIMPLE.fullmatch(text) or _is_bracketed(text) else f"({text})"


def _is_bracketed(text: str) -> bool:
    return text[0] == "(" and text[-1] == ")" and text.count("(") == 1


def _property(element: Any, name: str, default: str) -> str:
    for property_element in element.iterfind(f"{element.tag}Pr/{_M}{name}"):
        return str(property_element.get(f"{_M}val") or "")
    return default


def _fraction(element: Any) -> str:
    return f"{_grouped(_part(element, 'num'))}/{_grouped(_part(element, 'den'))}"


def _script(element: Any) -> str:
    below, above = _part(element, "sub"), _part(element, "sup")
    base = _grouped(_part(element, "e"))
    scripts = (f"_{_grouped(below)}" if below else "") + (f"^{_grouped(above)}" if above else "")
    return scripts + base if element.tag == f"{_M}sPre" else base + scripts


def _root(element: Any) -> str:
    degree = _part(element, "deg")
    return f"{degree and f'({degree})'}√{_grouped(_part(element, 'e'))}"


def _operator(element: Any) -> str:
    below, above = _part(element, "sub"), _part(element, "sup")
    limits = (f"_{_grouped(below)}" if below else "") + (f"^{_grouped(above)}" if above else "")
    return f"{_property(element, 'chr', '∫')}{limits} {_part(element, 'e')}"


def _delimiters(element: Any) -> str:
    between = _property(element, "sepChr", "|")
    inside = between.join(_text(child).strip() for child in element.iterfind(f"{_M}e"))
    return f"{_property(element, 'begChr', '(')}{inside}{_property(element, 'endChr', ')')}"


def _function(element: Any) -> str:
    return f"{_part(element, 'fName')} {_part(element, 'e')}"


def _limit(element: Any) -> str:
    sign = "_" if element.tag == f"{_M}limLow" else "^"
    return f"{_part(element, 'e')}{sign}{_grouped(_part(element, 'lim'))}"


def _accent(element: Any) -> str:
    return f"{_part(element, 'e')}{_property(element, 'chr', chr(0x302))}"


def _matrix(element: Any) -> str:
    rows = (", ".join(_text(cell).strip() for cell in row.iterfind(f"{_M}e")) for row in element.iterfind(f"{_M}mr"))
    return f"[{'; '.join(rows)}]"


def _equations(element: Any) -> str:
    return "; ".join(_text(child).strip() for child in element.iterfind(f"{_M}e"))


_SHAPES: Final = {
    "f": _fraction,
    "sSup": _script,
    "sSub": _script,
    "sSubSup": _script,
    "sPre": _script,
    "rad": _root,
    "nary": _operator,
    "d": _delimiters,
    "func": _function,
    "limLow": _limit,
    "limUpp": _limit,
    "acc": _accent,
    "m": _matrix,
    "eqArr": _equations,
}
