"""The limits of an ingest: how far it works ahead, and when it reports progress."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestLimits:
    """The limits of an ingest; tests lower them."""

    batch_chunks: int = 256
    """The number of chunks or documents in a full batch, which is embedded and written as a whole."""
    batches_ahead: int = 2
    """While one batch is written, at most this many others are being embedded or wait to be written."""
    events_ahead: int = 1000
    """The maximum number of results of other files, such as unchanged ones, that wait for an earlier batch."""
    files_ahead: int = 64
    """The maximum number of files that are read ahead."""
    bytes_ahead: int = 4_000_000
    """The maximum total size of the files that are read ahead. A larger file is read on its own."""
    remembered_texts: int = 512
    """The number of recent texts whose embeddings are cached. Each takes less than 2 kB, plus 48 bytes per token."""
    request_interval_s: float = 0.5
    """The time between two requests to a web server."""
    progress_after_s: float = 1.0
    """Progress is reported if the ingest takes longer than this."""
    progress_every_s: float = 0.2
    """The interval between two progress reports."""
