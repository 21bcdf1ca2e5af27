"""Limits of prefetching and progress reports of an ingest."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestLimits:
    """`batch_chunks` chunks, or as many documents without chunks, are embedded and written together.

    While one batch is written, `batches_ahead` may be with the embedder: the current one and the next. Up to
    `events_ahead` events of unchanged files wait for an earlier batch. Files are read ahead up to `files_ahead` files
    and `bytes_ahead` bytes; while a larger file is read, no other file is ahead. The vectors of the last
    `remembered_texts` texts, less than 2 kB each, are cached. If a step takes longer than `progress_after_s`,
    progress is reported every `progress_every_s`.
    """

    batch_chunks: int = 256
    batches_ahead: int = 2
    events_ahead: int = 1000
    files_ahead: int = 64
    bytes_ahead: int = 4_000_000
    remembered_texts: int = 512
    progress_after_s: float = 1.0
    progress_every_s: float = 0.2
