"""The limits for an ingest, such as how many files it reads in advance and how often it reports progress."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestLimits:
    """The limits for an ingest. Tests use lower ones."""

    batch_chunks: int = 256
    """The number of chunks or documents in a full batch, which is embedded and written as a whole."""
    batches_ahead: int = 2
    """The maximum number of batches that are being embedded or wait to be written while another one is written."""
    events_ahead: int = 1000
    """The maximum number of other results, such as unchanged files, that wait for an earlier batch."""
    files_ahead: int = 64
    """The maximum number of files that are read in advance."""
    bytes_ahead: int = 4_000_000
    """The maximum total size of the files that are read in advance. A larger file is read while no other is."""
    remembered_texts: int = 512
    """The number of recent texts whose embeddings are cached. Each takes less than 2 kB, plus 48 bytes per token."""
    request_interval_s: float = 0.5
    """The time between two requests to a web server."""
    progress_after_s: float = 1.0
    """Progress is reported if the ingest takes longer than this."""
    progress_every_s: float = 0.2
    """The interval between two progress reports."""
