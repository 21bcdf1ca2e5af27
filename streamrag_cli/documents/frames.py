"""The protocol between the sandbox and its worker: length-prefixed frames of JSON and raw bytes, never pickles.

A request is a JSON frame, `{"path", "loader", "input_type", "time_limit_s"}`, and a frame with the file's bytes. An
answer is one JSON frame, `{"document"}` or `{"error"}`. The worker's first frame, `{"ready": true}`, reports that it
has started. For OCR, the request also has `ocr` and `known_pages`. The worker then sends two frames for each page
before the answer: `{"begins_page": true}` and, after recognition, `{"page", "text"}`.
"""

import json
from dataclasses import asdict
from typing import Any, Final, Protocol

from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document, Section

_LENGTH_BYTES: Final = 8
_MAX_FRAME: Final = 1 << 30


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Writable(Protocol):
    def write(self, data: bytes, /) -> int | None: ...


def write_frame(stream: _Writable, payload: bytes) -> None:
    stream.write(len(payload).to_bytes(_LENGTH_BYTES))
    stream.write(payload)


def read_frame(stream: _Readable) -> bytes:
    """Return the next frame. Raises `EOFError` if the stream ends before the frame does or the length is invalid."""
    length = int.from_bytes(_exactly(stream, _LENGTH_BYTES))
    if length > _MAX_FRAME:
        raise EOFError
    return _exactly(stream, length)


def document_to_json(document: Document) -> bytes:
    lines = document.line_numbers
    plain = asdict(document) | {"line_numbers": None if lines is None else list(lines)}
    return json.dumps({"document": plain}).encode("ascii")


def error_to_json(error: DocumentError) -> bytes:
    plain = {"message": error.message, "code": error.code, "hint": error.hint}
    return json.dumps({"error": plain}).encode("ascii")


def document_from_json(payload: bytes) -> Document:
    """Return the document in an answer. Raises `DocumentError` if the answer contains an error."""
    answer: dict[str, Any] = json.loads(payload)
    if "error" in answer:
        raise DocumentError(**answer["error"])
    plain = answer["document"]
    sections = tuple(Section(**{**each, "headings": tuple(each["headings"])}) for each in plain["sections"])
    return Document(**{**plain, "sections": sections, "notes": tuple(plain["notes"]), "tags": tuple(plain["tags"])})


def _exactly(stream: _Readable, length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data
