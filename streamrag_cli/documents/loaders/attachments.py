"""Loads the files attached to mail with the loaders of their formats, within limits.

Data files such as settings are not read, because their secrets would not be detected in a mail. Images and scanned
pages are not read either. If an attachment cannot be read, its message still is.
"""

import time
from pathlib import Path, PurePath
from typing import Final

from streamrag_cli.documents.formats import Format, content_matches_name, format_of
from streamrag_cli.documents.load import load_with
from streamrag_cli.documents.read import RawFile
from streamrag_cli.documents.secret_names import classify_name
from streamrag_cli.model import Document

_FILES: Final = 200
_BYTES: Final = 50_000_000
_PROCESSOR_S: Final = 20.0
"""The limit on processor time for all attachments in a file. Later ones are only listed, so that the mail is read."""
_MESSAGES: Final = frozenset({"mail", "mailbox"})


class Attachments:
    """The attachments in one mail file. `unread` has the names of attachments that failed or exceeded a limit."""

    def __init__(self) -> None:
        self.unread: list[str] = []
        self._files = self._bytes = 0
        self._end_s = time.process_time() + _PROCESSOR_S

    def load(self, name: str, data: bytes) -> Document | None:
        """Load an attachment. Returns None if it is only listed, because of its format, a limit or an error."""
        path = Path(PurePath(name.replace("\\", "/")).name or "file")
        entry = format_of(path)
        if entry is None or not data or not _is_read(entry) or classify_name(path) == "secret":
            return None
        self._files += 1
        self._bytes += len(data)
        if self._files > _FILES or self._bytes > _BYTES or time.process_time() > self._end_s:
            self.unread.append(path.name)
            return None
        if not content_matches_name(path, data):
            return None
        raw = RawFile(data=data, size=len(data), mtime_ns=0, read_at_ns=0, sha256="")
        try:
            return load_with(entry.loader, entry.input_type, path, raw)
        except Exception:  # noqa: BLE001 - loaders raise DocumentError, third-party parsers may raise anything
            self.unread.append(path.name)
            return None


def _is_read(entry: Format) -> bool:
    is_data = entry.kind == "records" and not entry.is_encoded and entry.name != "table"
    return not (entry.is_image or is_data or entry.name in _MESSAGES)
