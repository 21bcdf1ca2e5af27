"""Caches the recognised text of pages in the state directory, so that each page is recognised only once.

There is one file per document and `Ocr.recipe`. Each of its lines is a JSON array with the key and the text of a page.
Pages are added as they are recognised, so an interrupted ingest continues at the next page. Files that have not been
used for 90 days are deleted.
"""

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Final

from streamrag_cli.regular_files import read_regular_file

_MAX_BYTES: Final = 100_000_000
_MAX_FILE_BYTES: Final = 50_000_000
_MAX_AGE_S: Final = 90 * 86_400.0


class OcrCache:
    """The cache for one `Ocr.recipe`. If `state_directory` is "" or not writable, nothing is cached."""

    def __init__(self, state_directory: str, recipe: str) -> None:
        self._folder = Path(state_directory, "ocr") if state_directory else None
        self._recipe = recipe
        self._remove_old()

    def pages(self, digest: str) -> dict[str, str]:
        """Return the cached text of each page, by its key. `digest` is that of the document's file."""
        file = self._file(digest)
        if file is None:
            return {}
        try:
            content = read_regular_file(file, _MAX_FILE_BYTES)
            os.utime(file)
        except Exception:  # noqa: BLE001 - a cache that cannot be read is empty
            return {}
        pages: dict[str, str] = {}
        for line in content.splitlines():
            with contextlib.suppress(ValueError):  # an incompletely written line
                key, text = json.loads(line)
                pages[str(key)] = str(text)
        return pages

    def add(self, digest: str, key: str, text: str) -> None:
        file = self._file(digest)
        if file is None:
            return
        with contextlib.suppress(OSError):
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
            with os.fdopen(descriptor, "ab") as stream:
                stream.write(json.dumps([key, text]).encode("ascii") + b"\n")

    def _file(self, digest: str) -> Path | None:
        if self._folder is None or not digest:
            return None
        return self._folder / f"{hashlib.sha256(f'{self._recipe} {digest}'.encode()).hexdigest()[:32]}.jsonl"

    def _remove_old(self) -> None:
        if self._folder is None:
            return
        with contextlib.suppress(OSError):
            files = sorted(
                ((each.stat(), each) for each in self._folder.glob("*.jsonl")), key=lambda each: -each[0].st_mtime
            )
            size = 0
            for status, file in files:
                size += status.st_size
                if size > _MAX_BYTES or time.time() - status.st_mtime > _MAX_AGE_S:
                    file.unlink()
