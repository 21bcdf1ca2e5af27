"""Converts the tables, charts and diagrams in a presentation to text.

A chart becomes its titles and its values, one line per category. If it has very many values, only its titles are kept.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from streamrag_cli.documents.loaders.grid import MAX_COLUMNS, grid_text, head_rows
from streamrag_cli.documents.loaders.pptx_text import A, one_line

_C: Final = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_D: Final = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_MAX_CATEGORIES: Final = 200
_MAX_SERIES: Final = 50
_MAX_DEPTH: Final = 50
_SERIAL_DAY_0: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - a date without time zone
_LAST_SERIAL_DAY: Final = 2_958_465  # 9999-12-31


def table_text(table: Any) -> str:
    """Return the rows of a table, one per line. A table with only one row or column is read as text."""
    properties = table.find(f"{A}tblPr")
    is_marked = properties is not None and properties.get("firstRow") in {"1", "true"}
    grid = list(_grid(table))
    if not grid:
        return ""
    if len(grid) < 2 or max(map(len, grid)) < 2:
        return "\n".join(text for row in grid for text in row if text)
    return grid_text(grid, head_rows(grid, is_marked=is_marked))


def _grid(table: Any) -> Iterator[list[str]]:
    """Yield the text of each row by column.

    A cell that spans rows is repeated in each of these rows. A cell that spans columns is only in the first of them.
    """
    above: list[str] = []
    for row in table.iterfind(f"{A}tr"):
        cells: list[str] = []
        for cell in row.iterfind(f"{A}tc"):
            if len(cells) == MAX_COLUMNS:
                break
            body = cell.find(f"{A}txBody")
            text = "" if body is None else one_line(body)
            if _is_set(cell, "hMerge"):
                text = ""
            elif _is_set(cell, "vMerge"):
                text = above[len(cells)] if len(cells) < len(above) else ""
            cells.append(text)
        above = cells
        yield cells


def _is_set(element: Any, name: str) -> bool:
    return element.get(name) in {"1", "true"}


def chart_text(root: Any) -> str:
    """Return the titles of a chart and its axes, and its values."""
    names = [one_line(rich) for title in root.iter(f"{_C}title") for rich in title.iter(f"{_C}rich")]
    series = list(root.iter(f"{_C}ser"))[:_MAX_SERIES]
    labels = [_name(each) for each in series]
    if not any(label or _points(each, "val", "yVal") for each, label in zip(series, labels, strict=True)):
        return "\n".join(filter(None, names))
    rows = list(_rows(series))
    below = grid_text([["", *labels], *rows], 1) if rows else "; ".join(filter(None, labels))
    return "\n".join(filter(None, [*names, below]))


def _rows(series: Sequence[Any]) -> Iterator[list[str]]:
    """Yield each category with the values of all series; nothing if there are too many."""
    values = [_points(each, "val", "yVal") for each in series]
    categories = next((points for each in series if (points := _points(each, "cat", "xVal"))), {})
    positions = sorted({*categories, *(position for points in values for position in points)})
    if len(positions) <= _MAX_CATEGORIES:
        for position in positions:
            yield [categories.get(position, ""), *(points.get(position, "") for points in values)]


def _name(series: Any) -> str:
    value = series.find(f"{_C}tx")
    return "" if value is None else " ".join(" ".join(each.text or "" for each in value.iter(f"{_C}v")).split())


def _points(series: Any, *kinds: str) -> dict[int, str]:
    """Return the cached values in the first existing child of `kinds`, by position. Category levels are joined."""
    values: dict[int, str] = {}
    source = next((each for kind in kinds if (each := series.find(f"{_C}{kind}")) is not None), None)
    if source is None:
        return values
    form = source.findtext(f".//{_C}formatCode") or ""
    for point in source.iter(f"{_C}pt"):
        position = point.get("idx") or ""
        if position.isascii() and position.isdigit() and len(position) < 8:
            text = _shown(point.findtext(f"{_C}v") or "", point.get("formatCode") or form)
            values[int(position)] = f"{text} {values[int(position)]}" if int(position) in values else text
    return values


def _shown(value: str, form: str) -> str:
    """Return a cached value roughly in the format `form`: as a percentage, a date or a rounded number."""
    try:
        number = float(value)
    except ValueError:
        return " ".join(value.split())
    if form.endswith("%"):
        return f"{number * 100:.{len(form[:-1].partition('.')[2])}f}%"
    if "yy" in form.casefold() and 0 < number < _LAST_SERIAL_DAY:
        return f"{_SERIAL_DAY_0 + timedelta(days=number):%Y-%m-%d}"
    return value if len(value) <= 8 else f"{number:.10g}" if abs(number) >= 1e6 else f"{number:.6g}"


def diagram_text(root: Any) -> str:
    """Return the texts in a diagram (SmartArt) as a nested list."""
    points = {each.get("modelId"): each for each in root.iter(f"{_D}pt")}
    below: dict[str | None, list[tuple[int, str | None]]] = {}
    for link in root.iter(f"{_D}cxn"):
        if link.get("type") in {None, "parOf"}:
            order = link.get("srcOrd") or ""
            below.setdefault(link.get("srcId"), []).append(
                (int(order) if order.isascii() and order.isdigit() and len(order) < 8 else 0, link.get("destId"))
            )
    tops = [identity for identity, point in points.items() if point.get("type") == "doc"]
    lines: list[str] = []
    pending = [(identity, -1) for identity in [*reversed(points), *reversed(tops)]]
    while pending:  # first the tree below the document, then points without a connection
        identity, depth = pending.pop()
        point = points.pop(identity, None)
        if point is None:
            continue
        body = point.find(f"{_D}t")
        text = "" if body is None or point.get("type") == "pres" else one_line(body)
        if text:
            lines.append(f"{'  ' * max(depth, 0)}- {text}")
        children = sorted(below.get(identity, ()), key=lambda each: each[0], reverse=True)
        pending += ((child, min(depth + 1, _MAX_DEPTH)) for _, child in children)
    return "\n".join(lines)
