"""Loads SubRip and WebVTT subtitles: the spoken text as sentences, under the time at which it is spoken.

A sentence may span several cues. Cue numbers, times, tags, settings, and WebVTT notes and styles are dropped. A line
that the next cue repeats, as in rolling captions, is written once.
"""

import re
from collections.abc import Iterator
from html import unescape
from typing import Final, NamedTuple

from streamrag_cli.model import Document, Section

RUN_CHARS: Final = 350
"""The minimum length of a section, which has a timestamp and ends with a sentence. The chunker does not merge sections
of this length, so the timestamps stay correct."""

_PAUSE_S: Final = 4.0
_UNPUNCTUATED_CHARS: Final = 300
"""The number of characters after which captions without punctuation are split even if there is no long pause."""

_FLASH_S: Final = 0.05
"""The minimum duration of a cue in seconds. Shorter cues are intermediate steps of rolling captions."""

_TIMES: Final = re.compile(
    r"[ \t]*(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})[ \t]*-->[ \t]*"
    r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3}).*"
)
_NOT_SPOKEN: Final = re.compile(r"(?:NOTE|STYLE|REGION)\b")
_VOICE: Final = re.compile(r"<v(?:\.[\w.-]+)?[ \t]+([^<>]+)>")
_NAMED: Final = re.compile(r"- ([^:]{1,80}): ")
_TAG: Final = re.compile(r"</?[a-zA-Z0-9][^<>]*>|\{\\[^{}]*\}|\{[a-z]\}")
_SPEAKER: Final = re.compile(r"^[ \t]*(?:>>+|[-–][ \t]?)(?=\S)[ \t]*")
_SENTENCE_END: Final = re.compile(r"[.!?…。！？][\"')\]”’]*\Z")


class _Cue(NamedTuple):
    number: int  # the line number of the times
    begins_s: float
    ends_s: float
    lines: list[str]


class _Sentence(NamedTuple):
    number: int
    begins_s: float
    text: str


def load_subtitles(path: str, text: str) -> Document:
    sentences = list(_sentences(text))
    sections: list[Section] = []
    lines: list[str] = []
    length = start = 0
    heading = ""
    for sentence in sentences:
        if length - start > RUN_CHARS:
            sections.append(Section(start=start, end=length, headings=(heading,)))
            start, heading = length, ""
        heading = heading or _clock(sentence.begins_s)
        lines.append(sentence.text)
        length += len(sentence.text) + 1
    if length > start:
        sections.append(Section(start=start, end=length, headings=(heading,)))
    shown = "".join(line + "\n" for line in lines)
    numbers = [sentence.number for sentence in sentences]
    return Document(
        path=path, text=shown, title="", sections=tuple(sections), line_numbers=[*numbers, *(numbers[-1:] or [1])]
    )


def _sentences(text: str) -> Iterator[_Sentence]:
    pieces: list[str] = []
    number, begins_s, ends_s = 1, 0.0, 0.0
    voice = ""
    for each in _cues(text):
        cue, voice = _without_repeated_voice(each, voice if pieces else "")
        is_new_voice = bool(cue.lines) and _SPEAKER.match(cue.lines[0]) is not None
        length = sum(map(len, pieces))
        if pieces and (cue.begins_s - ends_s > _PAUSE_S or is_new_voice or length > _UNPUNCTUATED_CHARS):
            yield _Sentence(number, begins_s, " ".join(pieces))
            pieces = []
        for line in cue.lines:
            spoken = _SPEAKER.sub("", line)
            if spoken != line and pieces:
                yield _Sentence(number, begins_s, " ".join(pieces))
                pieces = []
            for piece in _split(spoken):
                if not pieces:
                    number, begins_s = cue.number, cue.begins_s
                pieces.append(piece)
                if _SENTENCE_END.search(piece):
                    yield _Sentence(number, begins_s, " ".join(pieces))
                    pieces = []
        ends_s = cue.ends_s
    if pieces:
        yield _Sentence(number, begins_s, " ".join(pieces))


def _without_repeated_voice(cue: _Cue, voice: str) -> tuple[_Cue, str]:
    """Drop the name in lines that continue a sentence of `voice`. Returns the name of the last voice as well."""
    lines: list[str] = []
    for line in cue.lines:
        if match := _NAMED.match(line):
            lines.append(line[match.end() :] if match[1] == voice else line)
            voice = match[1]
        else:
            lines.append(line)
    return cue._replace(lines=[line for line in lines if line]), voice


def _split(line: str) -> list[str]:
    return [piece for piece in re.split(r"(?<=[.!?…])[\"')”’]*[ ]+(?=[\"'“‘(¿¡]*[^\W\d_a-z])", line) if piece]


def _cues(text: str) -> Iterator[_Cue]:
    """Yield the cues with text. Lines of the previous cue that a cue repeats above a new line are dropped."""
    before: list[str] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        times = _TIMES.fullmatch(lines[at]) if "-->" in lines[at] and len(lines[at]) < 300 else None
        at += 1
        if not times:
            if _NOT_SPOKEN.match(lines[at - 1]):
                while at < len(lines) and lines[at].strip() and "-->" not in lines[at]:
                    at += 1
            continue
        number = at
        shown: list[str] = []
        while at < len(lines) and lines[at].strip() and "-->" not in lines[at]:
            shown.append(_spoken(lines[at]))
            at += 1
        if at < len(lines) and "-->" in lines[at] and shown and re.fullmatch(r"\d+", shown[-1]):
            shown.pop()  # the number of the next cue, if no blank line precedes it
        shown = [line for line in shown if line]
        hours, minutes, seconds, part, *end = (int(each or 0) for each in times.groups())
        begins_s = hours * 3600 + minutes * 60 + seconds + part / 1000
        ends_s = end[0] * 3600 + end[1] * 60 + end[2] + end[3] / 1000
        new_lines = shown if ends_s - begins_s >= _FLASH_S else []
        if shown[:-1] and before:  # rolling captions repeat the last lines above the new one
            repeated = next((size for size in range(len(shown) - 1, 0, -1) if shown[:size] == before[-size:]), 0)
            new_lines = new_lines[repeated:]
        before = shown or before
        if new_lines:
            yield _Cue(number, begins_s, ends_s, new_lines)


def _spoken(line: str) -> str:
    line = _TAG.sub("", _VOICE.sub(lambda match: f"- {match[1].strip()}: ", line))
    return " ".join(unescape(line).strip("♪♫ \t").split())


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
