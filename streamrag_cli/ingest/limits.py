"""How much an ingest does ahead of what is written, and when it reports progress."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestLimits:
    """`batch_chunks` are embedded and written together; so many documents without chunks are a batch as well.

    `batches_ahead` may be with the embedder while another is written: one under way, and the next. Up to `events_ahead`
    events of unchanged files wait for a batch before them. Files are read ahead up to `files_ahead` and `bytes_ahead`;
    a larger one is read alone. Vectors of the last `remembered_texts`, under 2 kB each, are not made again. What takes
    `progress_after_s` seconds is reported every `progress_every_s`.
    """

    batch_chunks: int = 256
    batches_ahead: int = 2
    events_ahead: int = 1000
    files_ahead: int = 64
    bytes_ahead: int = 4_000_000
    remembered_texts: int = 512
    progress_after_s: float = 1.0
    progress_every_s: float = 0.2
