"""The limits of an ingest: how far it works ahead, and when it reports progress."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestLimits:
    """The limits of an ingest; tests lower them."""

    batch_chunks: int = 256
    """A batch, which is embedded and written as a whole, is full with this many chunks or documents."""
    batches_ahead: int = 2
    """While one batch is written, up to this many others are being embedded or wait for it."""
    events_ahead: int = 1000
    """Up to this many events of unchanged files wait for an earlier batch."""
    files_ahead: int = 64
    """The maximum number of files that are read ahead."""
    bytes_ahead: int = 4_000_000
    """The maximum total size of the files that are read ahead. A larger file is read on its own."""
    remembered_texts: int = 512
    """The embeddings of this many recent texts, less than 2 kB each, are cached."""
    progress_after_s: float = 1.0
    """Progress is reported if a step takes longer than this."""
    progress_every_s: float = 0.2
    """The interval between two progress reports."""
