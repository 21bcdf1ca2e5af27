"""Remembers which model a server offers if it offers a single one, so that it is not asked before every question.

A file in the user's state directory. It holds no address: some gateways have a key in theirs. It is a cache: whatever
is wrong with the file, the server is asked.
"""

import contextlib
import hashlib
import json
import os
import secrets
from pathlib import Path


class ModelCache:
    """One model for each address. `directory` "" remembers nothing."""

    def __init__(self, directory: str) -> None:
        self._file = Path(directory, "models.json") if directory else None

    def get(self, url: str) -> str | None:
        model = self._read().get(_digest(url))
        return model if isinstance(model, str) and model else None

    def remember(self, url: str, model: str) -> None:
        self._write({**self._read(), _digest(url): model})

    def forget(self, url: str) -> None:
        known = self._read()
        if known.pop(_digest(url), None) is not None:
            self._write(known)

    def _read(self) -> dict[str, object]:
        if self._file is None:
            return {}
        try:
            known = json.loads(self._file.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return known if isinstance(known, dict) else {}

    def _write(self, known: dict[str, object]) -> None:
        if self._file is None:
            return
        beside = self._file.with_name(f"models-{secrets.token_hex(4)}.tmp")
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                beside.write_text(json.dumps(known), encoding="utf-8")
                beside.chmod(0o600)
                os.replace(beside, self._file)  # noqa: PTH105 - one step for readers
            finally:
                beside.unlink(missing_ok=True)


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()[:32]
