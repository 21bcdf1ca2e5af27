"""Loads mail messages (RFC 5322) and mailboxes: each message under its subject, with sender, date and text.

Plain text is preferred to HTML. Attached messages are included in the message that contains them. Attached files follow
their message under their names (`attachments`). All lines of a message have the line number of its first line, because
the body may be encoded.
"""

import re
from dataclasses import replace
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import EmailPolicy
from typing import Final, cast

from streamrag_cli.counting import counted_noun
from streamrag_cli.documents.loaders.attachments import Attachments
from streamrag_cli.documents.loaders.html import load_html
from streamrag_cli.documents.loaders.lines import Lines
from streamrag_cli.documents.read import decode
from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document
from streamrag_cli.text import NOT_TEXT, REPLACEMENT

_SEPARATOR: Final = re.compile(rb"^From (?>[^\n]*?\d{4})[^\n]*\n(?=[!-9;-~]+:)", re.MULTILINE)
_HEADER: Final = re.compile(rb"\A(?:From [^\n]*\n|>From [^\n]*\n)?(?:[!-9;-~]{1,100}:[^\n]*\n)")
_HEADERS: Final = ("From", "To", "Cc", "Date")
_QUOTED: Final = re.compile(r"[ \t]*(?:>[ \t]?)+")
_NESTED: Final = 5
_UNQUOTED_BOUNDARY: Final = re.compile(rb"(?i)([\n;][ \t]*boundary=)([^\s\";]+=[^\s\";]*)")
_PARTS: Final = 500
_HEADER_CHARS: Final = 500
_PARSED_CHARS: Final = 5_000
"""The characters of a header that are parsed. The time that parsing takes is quadratic in their number."""
_MAX_RECIPIENTS: Final = 20
_SHORT_CHARS: Final = 1000
_SHOWN_NAMES: Final = 3


def load_mail(path: str, data: bytes) -> Document:
    data = data.replace(b"\r\n", b"\n").removeprefix(b"\xef\xbb\xbf")
    if not _HEADER.match(data):
        raise DocumentError("the file is corrupt or is not a mail message", code="corrupt")
    out, files = Lines(), Attachments()
    _Writer(out, files, 1).write(_parsed(data), 1)
    return _separate_messages(out.document(path, notes=_notes(files)))


def load_mailbox(path: str, data: bytes) -> Document:
    data = data.replace(b"\r\n", b"\n")
    out, files = Lines(), Attachments()
    starts = [
        match.start()
        for match in _SEPARATOR.finditer(data)
        if data[max(0, match.start() - 1) : match.start()] in (b"", b"\n")
    ]
    if not starts or starts[0] != 0:
        if data.strip():
            raise DocumentError("the file is corrupt or is not a mailbox", code="corrupt")
        return _separate_messages(out.document(path))
    line = 1
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        _Writer(out, files, line).write(_parsed(data[data.index(b"\n", start) + 1 : end]), 1)
        line += data.count(b"\n", start, end)
    return _separate_messages(out.document(path, notes=_notes(files)))


def _notes(files: Attachments) -> tuple[str, ...]:
    if not files.unread:
        return ()
    names = ", ".join(files.unread[:_SHOWN_NAMES]) + (", …" if len(files.unread) > _SHOWN_NAMES else "")
    return (f"{counted_noun(len(files.unread), 'attachment')} could not be read: {names}",)


def _separate_messages(document: Document) -> Document:
    """Mark the section of each short message as whole, so that a chunk has the sender and date of all its text."""
    sections = [replace(each, is_whole=each.end - each.start <= _SHORT_CHARS) for each in document.sections]
    return replace(document, sections=tuple(sections))


def _parsed(data: bytes) -> EmailMessage:
    quoted = _UNQUOTED_BOUNDARY.sub(rb'\1"\2"', data)  # Outlook Express writes `boundary=----=_NextPart`
    return cast("EmailMessage", BytesParser(EmailMessage, policy=_ShortHeaders()).parsebytes(quoted))


class _ShortHeaders(EmailPolicy):
    """The default policy, except that the end of a very long header is dropped."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_PARSED_CHARS]


class _Writer:
    """Writes a message that begins on line `number`."""

    def __init__(self, out: Lines, files: Attachments, number: int) -> None:
        self._out = out
        self._files = files
        self._number = number
        self._parts = 0

    def write(self, message: EmailMessage, level: int) -> None:
        self._out.heading(level, _header(message, "Subject") or "(no subject)", self._number)
        for name in _HEADERS:
            if value := _header(message, name):
                self._out.add(f"- {name}: {value}", self._number)
        self._out.blank()
        attachments: list[tuple[str, EmailMessage]] = []
        messages: list[EmailMessage] = []
        self._write_lines(self._body(message, attachments, messages))
        if attachments:
            self._out.blank()
            self._out.add(f"Attachments: {', '.join(name for name, _ in attachments)}", self._number)
        for name, part in attachments:
            self._write_file(name, part, level + 1)
        for each in messages:
            if level < _NESTED:
                self.write(each, level + 1)
            else:
                self._files.unread.append(_header(each, "Subject") or "(no subject)")

    def _write_file(self, name: str, part: EmailMessage, level: int) -> None:
        payload = part.get_payload(decode=True)
        document = self._files.load(name, payload if isinstance(payload, bytes) else b"")
        last = ""
        for section in document.sections if document is not None else ():
            is_slide = bool(section.headings) and section.headings[0].startswith(f"Slide {section.page}")
            place = f"{name}, page {section.page}" if section.page and not is_slide else name
            heading = " > ".join((place, *section.headings))
            if heading != last:
                self._out.heading(level, heading, self._number)
            last = heading
            for line in document.text[section.start : section.end].split("\n") if document else ():
                self._out.add(line, self._number)

    def _body(
        self,
        part: EmailMessage,
        attachments: list[tuple[str, EmailMessage]],
        messages: list[EmailMessage],
        depth: int = 0,
    ) -> str:
        """Return the text of a part and its nested parts. Appends attached files and messages to the two lists."""
        self._parts += 1
        if self._parts > _PARTS or depth > _NESTED * 4:
            return ""
        kind = part.get_content_type()
        if kind == "message/rfc822":
            messages.extend(each for each in _parts_of(part))
            return ""
        if part.is_multipart():
            return self._multipart_text(part, kind, attachments, messages, depth)
        if part.get_content_maintype() == "multipart":  # without its parts, because the boundary is missing or wrong
            return _text_of(part, is_html=False)
        name = _file_name(part)
        if part.get_content_maintype() != "text" or (depth and _is_attached(part)):
            if name or part.get_content_maintype() != "text":
                attachments.append((name or kind, part))
            return ""
        return _text_of(part, is_html=kind == "text/html")

    def _multipart_text(
        self,
        part: EmailMessage,
        kind: str,
        attachments: list[tuple[str, EmailMessage]],
        messages: list[EmailMessage],
        depth: int,
    ) -> str:
        inner = _parts_of(part)
        if kind != "multipart/alternative":
            texts = (self._body(each, attachments, messages, depth + 1) for each in inner)
            return "\n\n".join(text for text in texts if text.strip())
        inner = sorted(inner, key=lambda each: each.get_content_type() != "text/plain")
        for each in inner:
            if (text := self._body(each, attachments, messages, depth + 1)).strip():
                return text
        return ""

    def _write_lines(self, text: str) -> None:
        for line in text.split("\n"):
            if line.rstrip() == "--" or re.fullmatch(r"[-_=*]{5,}[ \t]*", line):
                self._out.blank()
                continue
            self._out.add(line, self._number)


def _parts_of(part: EmailMessage) -> list[EmailMessage]:
    payload = part.get_payload()
    return [each for each in payload if isinstance(each, EmailMessage)] if isinstance(payload, list) else []


def _header(message: EmailMessage, name: str) -> str:
    """Return a header's value on one line, decoded if it is valid, and shortened if it is long; "" if it is missing."""
    try:
        value = str(message.get(name, ""))
    except Exception:  # noqa: BLE001 - the header parser may raise anything on malformed headers
        value = next((str(raw) for key, raw in message.raw_items() if key.casefold() == name.casefold()), "")
    shown = " ".join(NOT_TEXT.sub(REPLACEMENT, value).split())
    if name in {"To", "Cc"} and shown.count(",") >= _MAX_RECIPIENTS:
        shown = ",".join(shown.split(",")[:_MAX_RECIPIENTS]) + ", …"
    return shown if len(shown) <= _HEADER_CHARS else shown[: _HEADER_CHARS - 1] + "…"


def _file_name(part: EmailMessage) -> str:
    try:
        name = part.get_filename() or ""
    except Exception:  # noqa: BLE001 - as for headers
        name = ""
    return " ".join(NOT_TEXT.sub(REPLACEMENT, name).split())[:200]


def _is_attached(part: EmailMessage) -> bool:
    try:
        return part.get_content_disposition() == "attachment"
    except Exception:  # noqa: BLE001 - as for headers
        return False


def _text_of(part: EmailMessage, *, is_html: bool) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    declared = part.get_content_charset()
    try:
        text, _ = decode(data, declared=declared)
    except DocumentError:
        return ""
    if is_html:
        return load_html("", text.encode("utf-8", "replace")).text
    return text
