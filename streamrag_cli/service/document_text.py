"""Reconstructs the text of a document from its chunks, with the file's line numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from streamrag_cli.documents.chunk_lines import line_ranges
from streamrag_cli.model import Chunk


@dataclass(slots=True)
class Line:
    """A line of a document's text. Its line number in the file is at least `first` and at most `last`.

    The two differ if the chunk lacks some of the file's lines, such as comments. Both are None if the format of the
    document has no line numbers.
    """

    text: str
    first: int | None = None
    last: int | None = None


def lines_of(chunks: Sequence[Chunk]) -> list[Line]:
    """The lines of consecutive chunks, in order. Text that is in two overlapping chunks is returned once.

    White space between chunks is not stored. It is restored as far as offsets and line numbers allow.
    """
    lines: list[Line] = []
    position = 0
    was_decoded = False
    for chunk in chunks:
        start = max(position, chunk.char_start)
        if start >= chunk.char_end:
            continue
        skipped = start - chunk.char_start
        new = _lines_of_chunk(chunk)[chunk.text.count("\n", 0, skipped) :]
        new[0].text = chunk.text[skipped:].partition("\n")[0]
        gap = chunk.char_start - position
        is_decoded, was_decoded = was_decoded or _is_decoded(chunk), _is_decoded(chunk)
        is_same_line = bool(lines) and (gap <= 0 or (_is_same_line(lines[-1], new[0]) and not is_decoded))
        if lines and gap > 0 and not is_same_line:
            lines += _between(lines[-1], new[0], gap)
        if is_same_line:
            separator = " " if gap > 0 else ""
            lines[-1].text += separator + new.pop(0).text
        lines += new
        position = chunk.char_end
    return lines


def selected(lines: Sequence[Line], first: int, last: int) -> list[Line]:
    """The lines that are, or may be, in the range from line `first` to line `last` of the file."""
    return [line for line in lines if (line.first or 0) <= last and (line.last or 0) >= first]


def chunk_at_line(chunks: Sequence[Chunk], line: int) -> Chunk:
    """The chunk that contains line `line` of the file, or else the first chunk after it, or else the last chunk."""
    after = (chunk for chunk in chunks if chunk.line_end is not None and chunk.line_end >= line)
    return next(after, chunks[-1])


def places_of(chunk: Chunk, line: int) -> tuple[int, ...]:
    """The indices of the lines in the chunk's text that are, or may be, line `line` of the file."""
    lines = _lines_of_chunk(chunk)
    return tuple(at for at, each in enumerate(lines) if (each.first or 0) <= line <= (each.last or 0))


def _lines_of_chunk(chunk: Chunk) -> list[Line]:
    texts = chunk.text.split("\n")
    ranges = line_ranges(chunk)
    if not ranges:
        return [Line(text) for text in texts]
    return [Line(text, first, last) for text, (first, last) in zip(texts, ranges, strict=True)]


def _is_decoded(chunk: Chunk) -> bool:
    """Whether the chunk has several lines of text from one line of the file, as in encoded mail."""
    return chunk.line_start is not None and chunk.line_start == chunk.line_end and "\n" in chunk.text


def _is_same_line(line: Line, following: Line) -> bool:
    return line.last is not None and line.last == following.first


def _between(line: Line, following: Line, gap: int) -> list[Line]:
    """The empty lines between two chunks that are `gap` characters apart."""
    if line.last is None or following.first is None or following.first <= line.last:
        return [Line("", line.last, line.last)] if gap > 1 else []
    count = min(following.first - line.last, gap) - 1
    return [Line("", line.last + n, line.last + n) for n in range(1, count + 1)]
