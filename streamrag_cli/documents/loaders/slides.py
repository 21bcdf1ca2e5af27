"""Builds the document for a presentation: one section per slide, cited by the slide's number and title.

Text that most slides repeat at the same position, such as a footer, is kept only on the first of these slides.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from streamrag_cli.documents.outline import clean_heading
from streamrag_cli.model import Document, Section

_Key: TypeAlias = tuple[tuple[str | None, ...], str]

_REPEATED_ON: Final = 3
_REPEATED_CHARS: Final = 200
_NO_TITLE: Final = re.compile(
    r"(?:untitled|title|presentation(?: title)?|(?:microsoft )?powerpoint[ -]\w+|slide 1|folie 1|no slide title)?\Z",
    re.IGNORECASE,
)
"""Matches the meaningless titles that programs write to the properties of a file."""


@dataclass(frozen=True, slots=True)
class Box:
    """The text and position of a shape. The position is None if the layout sets it or the shape cannot be a footer."""

    text: str
    position: tuple[str | None, ...] | None = None


@dataclass(slots=True)
class Slide:
    """A slide with its number, counted from 1. `title` may have several lines."""

    number: int
    title: str = ""
    boxes: list[Box] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_hidden: bool = False


def document_of_slides(path: str, title: str, slides: Sequence[Slide], notes: tuple[str, ...] = ()) -> Document:
    """Build the document. A title on the first slide is preferred to `title`, which is from the file's properties.

    `notes` are messages for the user.
    """
    repeated = _repeated(slides)
    seen: set[_Key] = set()
    sections: list[Section] = []
    pieces: list[str] = []
    length = 0
    for slide in slides:
        shown: list[str] = []
        for box in slide.boxes:
            keys = _keys(slide, box)
            if not keys & repeated & seen:
                shown.append(box.text)
            seen |= keys
        if not (slide.title or shown or slide.notes):
            continue
        heading = clean_heading(_heading(slide))
        if heading.endswith("…"):
            shown.insert(0, slide.title)
        if slide.notes:
            shown.append("Notes:\n" + "\n".join(slide.notes))
        pieces.append("".join(f"{each}\n\n" for each in (f"# {heading}", *shown)))
        end = length + len(pieces[-1])
        sections.append(Section(start=length, end=end, headings=(heading,), page=slide.number))
        length = end
    first = clean_heading(slides[0].title) if slides else ""
    stored = "" if _NO_TITLE.match(title.strip()) else clean_heading(title)
    return Document(
        path=path,
        text="".join(pieces),
        title=first or stored,
        sections=tuple(sections),
        line_numbers=None,
        notes=notes,
    )


def _heading(slide: Slide) -> str:
    place = f"Slide {slide.number}{' (hidden)' if slide.is_hidden else ''}"
    return f"{place}: {slide.title}" if slide.title else place


def _repeated(slides: Sequence[Slide]) -> set[_Key]:
    counts = Counter(key for slide in slides for key in set().union(*(_keys(slide, box) for box in slide.boxes)))
    return {key for key, count in counts.items() if count >= _REPEATED_ON and count * 2 >= len(slides)}


def _keys(slide: Slide, box: Box) -> set[_Key]:
    """Return the keys that identify a repeated box: its position, and its text with and without the slide's number."""
    if box.position is None or len(box.text) > _REPEATED_CHARS:
        return set()
    numberless = re.sub(rf"(?<!\d){slide.number}(?!\d)", "#", box.text, count=1)
    return {(box.position, box.text), (box.position, numberless)}
