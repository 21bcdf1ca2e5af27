"""Fuzz targets: each parser of untrusted input accepts an input or refuses it with a named error.

Each function takes any bytes and raises only if the parser has a bug. `tests/faults/test_fuzz.py` runs all of them
briefly. `python -m tests.support.fuzz NAME` runs one of them without a time limit, guided by coverage.
"""

import contextlib
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from streamrag_cli.answer.chat_piece import InvalidChunkError, parse_chunk
from streamrag_cli.codec import DecodeError, read_event, read_line
from streamrag_cli.documents.chunking import chunk
from streamrag_cli.documents.load import load
from streamrag_cli.documents.read import decode
from streamrag_cli.engine.messages import read_request
from streamrag_cli.errors import ConfigurationError, DocumentError, UsageError
from streamrag_cli.model_server.event_stream import EventStreamDecoder
from streamrag_cli.settings import read_server_settings, read_settings
from streamrag_cli.text import sanitise, sanitise_line
from tests.support.loading import check_promises, raw_file

SUFFIXES: Final = tuple(
    (
        ".md .txt .rst .html .csv .json .jsonl .ipynb .py .org .adoc .toml .docx"
        " .xlsx .ods .fods .rtf .mdx .tex .man .yaml .ini .xml .srt .eml .mbox .js"
    ).split()
)


def sanitiser(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")  # invalid UTF-8 becomes lone surrogates
    safe = sanitise(text)
    at = len(text) // 2
    assert sanitise(text[:at]) + sanitise(text[at:]) == safe
    assert sanitise(safe) == safe
    assert not any(character < " " and character not in "\n\t" for character in safe)
    assert "\n" not in sanitise_line(text)
    safe.encode()


def documents(data: bytes) -> None:
    """The first byte selects the format."""
    suffix, body = SUFFIXES[data[0] % len(SUFFIXES)] if data else ".md", data[1:]
    try:
        document = load(Path("docs/any" + suffix), raw_file(body))
    except DocumentError:
        return
    check_promises(document)
    chunks = list(chunk(document))
    assert len({each.id for each in chunks}) == len(chunks)
    assert all(0 <= each.char_start < each.char_end <= len(document.text) for each in chunks)
    for each in chunks:
        each.text_to_embed.encode()


def encodings(data: bytes) -> None:
    try:
        text, _ = decode(data)
    except DocumentError:
        return
    assert "\x00" not in text
    assert "\r" not in text
    text.encode()


def messages(data: bytes) -> None:
    for read in (read_request, read_event, read_line):
        with contextlib.suppress(DecodeError):
            read(data)


def event_streams(data: bytes) -> None:
    """A stream has the same events regardless of how it is split."""
    whole, cut = EventStreamDecoder(), EventStreamDecoder()
    together = [*whole.feed(data), *whole.finish()] if data else []
    apart = [each for at in range(len(data)) for each in cut.feed(data[at : at + 1])]
    assert together == [*apart, *cut.finish()]


def model_chunks(data: bytes) -> None:
    """One event from a model server."""
    try:
        piece = parse_chunk(json.loads(data))
    except (InvalidChunkError, ValueError, RecursionError):
        return
    assert isinstance(piece.text, str)
    sanitise(piece.text).encode()


def settings(data: bytes) -> None:
    """The part before the first NUL is the settings file, the rest the values of variables."""
    file, _, values = data.partition(b"\x00")
    names = "TOP_K MIN_SCORE TIMEOUT COLLECTION RATE_LIMIT SERVER_KEY BASE_URL".split()
    variables = dict(
        zip((f"STREAMRAG_{name}" for name in names), values.decode("utf-8", "replace").split("\n"), strict=False)
    )
    for read in (read_settings, read_server_settings):
        with contextlib.suppress(ConfigurationError, UsageError):
            read({}, {"HOME": "/nowhere", **variables})
    if file:
        _settings_file(file)


def _settings_file(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as home:
        path = Path(home, "streamrag", "config.toml")
        path.parent.mkdir()
        path.write_bytes(data)
        with contextlib.suppress(ConfigurationError, UsageError):
            read_settings({}, {"HOME": home, "XDG_CONFIG_HOME": home})


READERS: Final[Mapping[str, Callable[[bytes], None]]] = {
    each.__name__: each for each in (sanitiser, documents, encodings, messages, event_streams, model_chunks, settings)
}
