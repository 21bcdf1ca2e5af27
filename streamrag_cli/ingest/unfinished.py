"""Saves the embeddings that an interrupted ingest made for incomplete documents, so that the next ingest can use them.

They are saved in the state directory. The next ingest with the same embedder reads the file and deletes it.
"""

import contextlib
import hashlib
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from streamrag_cli.ingest.embedding import Passage
from streamrag_cli.regular_files import read_regular_file, replacing

_MAX_AGE_S: Final = 86_400.0
_MAX_BYTES: Final = 1_000_000_000


class UnfinishedPassages:
    """One embedder's saved passages. If `state_directory` is "" or unusable, no passages are saved."""

    def __init__(self, state_directory: str, embedder: str) -> None:
        name = hashlib.sha256(embedder.encode()).hexdigest()[:16]
        self._file = Path(state_directory, f"unfinished-{name}.npz") if state_directory else None

    def save(self, passages: Mapping[bytes, Passage]) -> None:
        """Save `passages`, whose keys identify their texts."""
        if self._file is None or not passages:
            return
        import numpy as np  # the embedder has imported it

        states = [passage.token_states for passage in passages.values()]
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with replacing(self._file) as file:
                np.savez(
                    file,
                    keys=np.frombuffer(b"".join(passages), dtype=np.uint8),
                    vectors=np.stack([passage.vector for passage in passages.values()]),
                    lengths=np.array(list(map(len, states)), dtype=np.int64),
                    states=np.frombuffer(b"".join(states), dtype=np.uint8),
                )

    def take(self) -> dict[bytes, Passage]:
        """Return the passages that were saved in the last 24 hours, and delete the cache."""
        if self._file is None:
            return {}
        try:
            is_recent = time.time() - self._file.stat().st_mtime < _MAX_AGE_S
            return self._read(read_regular_file(self._file, _MAX_BYTES)) if is_recent else {}
        except Exception:  # noqa: BLE001 - NumPy raises many types for a malformed file, even EOFError
            return {}
        finally:
            with contextlib.suppress(OSError):
                self._file.unlink()

    @staticmethod
    def _read(content: bytes) -> dict[bytes, Passage]:
        import numpy as np  # the embedder also needs this import

        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            joined, states = arrays["keys"].tobytes(), arrays["states"].tobytes()
            passages, at = {}, 0
            for row, (vector, length) in enumerate(zip(arrays["vectors"], arrays["lengths"].tolist(), strict=True)):
                key = joined[row * _KEY_BYTES : (row + 1) * _KEY_BYTES]
                passages[key] = Passage(np.asarray(vector, dtype=np.float32), states[at : at + length])
                at += length
        return passages


_KEY_BYTES: Final = hashlib.sha256().digest_size
