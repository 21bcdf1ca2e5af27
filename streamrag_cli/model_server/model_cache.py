"""Caches the model's name for servers that offer only one model, and the parameters that a model refuses.

The cache is a file in the user's state directory. It contains hashes instead of URLs, because some gateways' URLs
contain a key. If the file cannot be read, the list of models is requested from the server.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from streamrag_cli.model_server.endpoint import ModelEndpoint
from streamrag_cli.regular_files import read_regular_file, replacing

_MAX_BYTES: Final = 10_000_000


class ModelCache:
    """Maps a server's base URL to the name of its only model. If `directory` is "", nothing is cached."""

    def __init__(self, directory: str) -> None:
        self._file = Path(directory, "models.json") if directory else None

    def get(self, url: str) -> str | None:
        model = self._read().get(_digest(url))
        return model if isinstance(model, str) and model else None

    def remember(self, url: str, model: str) -> None:
        self._write({**self._read(), _digest(url): model})

    def forget(self, url: str) -> None:
        models = self._read()
        if models.pop(_digest(url), None) is not None:
            self._write(models)

    def _read(self) -> dict[str, object]:
        if self._file is None:
            return {}
        try:
            models = json.loads(read_regular_file(self._file, _MAX_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        return models if isinstance(models, dict) else {}

    def _write(self, models: dict[str, object]) -> None:
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with replacing(self._file) as opened:
                opened.write(json.dumps(models).encode())


class RefusedDefaults:
    """The default parameters that a model refuses."""

    def __init__(self, directory: str, endpoint: ModelEndpoint) -> None:
        self._cache = ModelCache(directory)
        self._model = f"{endpoint.url}\n{endpoint.model}"

    def without(self, defaults: Mapping[str, object]) -> dict[str, object]:
        """The `defaults` that the model has not refused yet."""
        return {name: value for name, value in defaults.items() if self._cache.get(self._key(name)) is None}

    def remember(self, name: str) -> None:
        self._cache.remember(self._key(name), "refused")

    def _key(self, name: str) -> str:
        return f"{self._model}\nwithout {name}"


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()[:32]
