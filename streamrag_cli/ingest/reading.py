"""The first stage of an ingest: files are read, parsed and cut in a thread of its own, ahead of who needs them.

It knows neither the store nor the embedding, and nobody else has its `Loader`.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Self

from streamrag_cli.documents.chunking import chunk
from streamrag_cli.documents.discovery_results import FoundFile
from streamrag_cli.documents.formats import is_of_its_format, is_supported, text_kind
from streamrag_cli.documents.naming import title_from_name
from streamrag_cli.documents.sandbox import Loader
from streamrag_cli.documents.withheld import Withheld, withheld, withheld_text
from streamrag_cli.errors import DocumentError
from streamrag_cli.events import DocumentAction
from streamrag_cli.ingest.compare import read_record, renewed
from streamrag_cli.model import Chunk, DocumentRecord
from streamrag_cli.store.languages import ENGLISH, language_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """What is to become of one path that was found, and why. `shown` is its name for the person who ingests it.

    `record` is what to store, with its chunks, of a file that is added or changed, and what to renew of an unchanged
    one, if there is anything. `code` says in a word why it was skipped. `is_kept` is false where what the store has
    of the path, if anything, is to go.
    """

    path: str
    shown: str
    action: DocumentAction
    reason: str = ""
    code: str = ""
    record: DocumentRecord | None = None
    chunks: Sequence[Chunk] = ()

    @property
    def future(self) -> None:
        """Nothing has to be waited for."""

    @property
    def is_kept(self) -> bool:
        return self.action not in {"skipped", "deleted"}  # of one that cannot be read now, the store keeps what it has


@dataclass(frozen=True, slots=True)
class Reading:
    """A file that is being examined, and its shown name."""

    future: "Future[FileResult]"
    shown: str


class FileReader:
    """Examines files one after the other, in a thread. Leaving it ends its worker, amid a file if need be."""

    def __init__(self, *, limit_bytes: int, wants_chunks: bool) -> None:
        """`limit_bytes` is the largest file; without `wants_chunks` files are only compared."""
        self._limit_bytes = limit_bytes
        self._wants_chunks = wants_chunks
        self._loader = Loader()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="read")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Not waited for: a file under way is nobody's any more, and who interrupts an ingest wants it to end.
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._loader.close()

    def begin(self, found: FoundFile, source: str, known: DocumentRecord | None, *, shown: str) -> Reading:
        """Start on the next file, which is stored as `source`; `known` is what the store has of it."""
        return Reading(self._thread.submit(self._examine, found, source, known, shown), shown)

    def _examine(self, found: FoundFile, source: str, known: DocumentRecord | None, shown: str) -> FileResult:
        try:
            return self._read(found, source, known, shown)
        except DocumentError as error:
            is_binary = error.code == "binary"
            suffix = found.path.suffix
            unsupported = f"unsupported format ({suffix}): " if is_binary and suffix else ""
            reason = ("" if is_supported(found.path) else unsupported) + error.message
            if error.code == "vanished" and not found.is_named:
                return deleted(found, shown)
            action: DocumentAction = "skipped" if is_binary else "failed"
            code = "binary" if is_binary else ""
            return FileResult(path=found.name, shown=shown, action=action, reason=reason, code=code)

    def _read(self, found: FoundFile, source: str, known: DocumentRecord | None, shown: str) -> FileResult:
        path = found.path
        record, raw = read_record(found, source, limit_bytes=self._limit_bytes)
        if why := withheld(found, raw):
            return _left_out(found, shown, why)
        if known and (same := renewed(known, record)):
            return FileResult(path=found.name, shown=shown, action="unchanged", record=same)
        if not found.is_named and not is_of_its_format(path, raw.data):
            return _left_out(found, shown, Withheld("unsupported", "its content does not match its file name"))
        remark, chunks = "", []
        if self._wants_chunks:
            document = self._loader.load(path, raw)
            if why := withheld_text(found, document):
                return _left_out(found, shown, why)
            document = replace(document, title=document.title or title_from_name(path, found.root))
            chunks = list(chunk(document))
            is_prose = text_kind(found.path) == "prose"
            language = language_of(document.text) if is_prose else ENGLISH
            record = replace(record, title=document.title, language=language)
            remark = "; ".join(document.remarks) or ("" if chunks else "no text in it")
        action: DocumentAction = "changed" if known else "added"
        return FileResult(path=found.name, shown=shown, action=action, reason=remark, record=record, chunks=chunks)


def deleted(found: FoundFile, shown: str) -> FileResult:
    return FileResult(path=found.name, shown=shown, action="deleted", reason="no longer there")


def _left_out(found: FoundFile, shown: str, why: Withheld) -> FileResult:
    return FileResult(path=found.name, shown=shown, action="skipped", reason=why.reason, code=why.code)
