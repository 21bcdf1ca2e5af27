"""Measures how many passages per second an embedder embeds on this machine, and saves it for the next ingest."""

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Final

from streamrag_cli.regular_files import read_regular_file
from streamrag_cli.retrieval.calibration_texts import PAIRS
from streamrag_cli.retrieval.embedder import Embedder, has_tokens

_MAX_BYTES: Final = 1_000_000
_PROBE_FROM: Final = 400
"""The speed is measured only for at least this many passages, because a measurement takes 0.3 s."""
_PROBE_TEXTS: Final = 8
_PROBE_CHARS: Final = 600
"""The length of the text for the measurement, which is about the mean length of a passage."""
_RECORD_FROM: Final = 200
"""An ingest's speed is saved only if it has embedded at least this many passages."""


def seconds_for(passages: int | None, embedder: Embedder, state_directory: str) -> float | None:
    """Estimate how long it takes to embed this number of passages; None if the number or the speed is unknown.

    The estimate uses the speed of the last long ingest. If there was none, the speed is measured, but only for an
    embedder in this process, because a server may charge for it.
    """
    if passages is None:
        return None
    speed = _recorded(state_directory).get(embedder.name)
    if speed is None and passages >= _PROBE_FROM and has_tokens(embedder):
        speed = _measure(embedder)
    return passages / speed if speed else None


def record_speed(embedder: Embedder, passages: int, seconds: float, state_directory: str) -> None:
    """Save an ingest's speed, unless it was short or the state directory is unusable."""
    if passages < _RECORD_FROM or seconds <= 0 or not state_directory:
        return
    speeds = _recorded(state_directory) | {embedder.name: round(passages / seconds, 2)}
    file = _file(state_directory)
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = file.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(speeds), encoding="utf-8")
        new.replace(file)


def _recorded(state_directory: str) -> dict[str, float]:
    if not state_directory:
        return {}
    try:
        speeds = json.loads(read_regular_file(_file(state_directory), _MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(speeds, dict):
        return {}
    return {name: speed for name, speed in speeds.items() if isinstance(speed, int | float) and speed > 0}


def _file(state_directory: str) -> Path:
    return Path(state_directory) / "passages-per-second.json"


def _measure(embedder: Embedder) -> float:
    text = " ".join(passage for _, passage in PAIRS)
    texts = [text[start : start + _PROBE_CHARS] for start in range(0, _PROBE_TEXTS * _PROBE_CHARS, _PROBE_CHARS)]
    embedder.embed_documents(texts[:1])  # loads the model
    started_s = time.perf_counter()
    embedder.embed_documents(texts)
    return len(texts) / (time.perf_counter() - started_s)
