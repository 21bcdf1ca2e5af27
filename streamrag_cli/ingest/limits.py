"""The limits of an ingest: how far it works ahead, and when it reports progress."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestLimits:
    """The limits of an ingest; tests lower them.

    A batch is full with `batch_chunks` chunks or as many documents. It is embedded and written as a whole. While one
    batch is written, up to `batches_ahead` others are being embedded or wait for it. Up to `events_ahead` events of
    unchanged files wait for an earlier batch. At most `files_ahead` files with `bytes_ahead` bytes in total are read
    ahead; a larger file is read on its own. The vectors of the last `remembered_texts` texts, less than 2 kB each, are
    cached. If a step takes longer than `progress_after_s`, progress is reported every `progress_every_s`.
    """

    batch_chunks: int = 256
    batches_ahead: int = 2
    events_ahead: int = 1000
    files_ahead: int = 64
    bytes_ahead: int = 4_000_000
    remembered_texts: int = 512
    progress_after_s: float = 1.0
    progress_every_s: float = 0.2
