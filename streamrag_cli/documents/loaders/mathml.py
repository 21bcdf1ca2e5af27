"""Converts MathML to one line of text: fractions a/b, powers x^2, indices a_i, roots √x."""

import re
from typing import Any, Final

MATH: Final = "{http://www.w3.org/1998/Math/MathML}"
_SIMPLE: Final = re.compile(r"[\w.,%′°]*|[^\w\s]?\w")
_SKIPPED: Final = frozenset({"annotation", "annotation-xml", "maction"})


def linear_mathml(element: Any) -> str:
    """Return an equation (the element `math`) as text on one line."""
    return " ".join(_text(element).split())


def _text(element: Any) -> str:
    name = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
    parts = [_text(child) for child in element if isinstance(child.tag, str)] if name not in _SKIPPED else []
    match name, [part.strip() for part in parts]:
        case "mi" | "mn" | "mtext" | "ms", _:
            return "".join(element.itertext())
        case "mo", _:
            return f" {''.join(element.itertext())} "
        case "mfrac", [above, below]:
            return f"{_grouped(above)}/{_grouped(below)}"
        case "msup" | "mover", [base, above]:
            return f"{_grouped(base)}^{_grouped(above)}"
        case "msub" | "munder", [base, below]:
            return f"{_grouped(base)}_{_grouped(below)}"
        case "msubsup" | "munderover", [base, below, above]:
            return f"{_grouped(base)}_{_grouped(below)}^{_grouped(above)}"
        case "msqrt", inner:
            return f"√{_grouped(' '.join(inner))}"
        case "mroot", [base, degree]:
            return f"({degree})√{_grouped(base)}"
        case "mtr", cells:
            return f"{', '.join(cells)}; "
        case "mtable", rows:
            return f"[{' '.join(rows).rstrip('; ')}]"
    return "".join(parts)


def _grouped(text: str) -> str:
    return (
        text
        if _SIMPLE.fullmatch(text) or (text[0] == "(" and text[-1] == ")" and text.count("(") == 1)
        else f"({text})"
    )
