"""The first stage of an ingest: reads, parses and chunks files in advance, in its own thread.

This stage does not depend on the store or the embedder. Only its thread uses its `Loader`.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from streamrag_cli.addresses import format_path
from streamrag_cli.documents.chunking import chunk
from streamrag_cli.documents.discovery_results import FoundFile
from streamrag_cli.documents.formats import content_matches_name, is_image, is_supported, newer_suffix, text_kind
from streamrag_cli.documents.image_header import HEADER_BYTES, is_camera_photo
from streamrag_cli.documents.naming import title_from_name
from streamrag_cli.documents.ocr import Ocr
from streamrag_cli.documents.ocr_cache import OcrCache
from streamrag_cli.documents.read import RawFile, empty_file, read_start
from streamrag_cli.documents.sandbox import Loader
from streamrag_cli.documents.withheld import Withheld, withhold_reason, withhold_reason_for_text
from streamrag_cli.errors import DocumentError
from streamrag_cli.events import DocumentAction
from streamrag_cli.ingest.compare import lacks_tags, read_record, refreshed
from streamrag_cli.model import Chunk, Document, DocumentRecord
from streamrag_cli.store.languages import ENGLISH, language_of

_NATURAL_LANGUAGE: Final = frozenset({"prose", "plain"})
"""The kinds of text whose language is detected. Other kinds, such as code and records, count as English."""

_NEED_OCR: Final = frozenset({"no_text", "no_ocr"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """The planned action for one discovered path, and the reason for it.

    - `shown`: the display name of the path.
    - `record`, `chunks`: what to store for an added or changed file. For an unchanged file, `record` is its new
      metadata, or None if that has not changed.
    - `code`: the machine-readable reason for a skip.
    - `keeps_stored`: if it is False, the stored document must be removed.
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
        """Always None, because the result is already available."""

    @property
    def keeps_stored(self) -> bool:
        return self.action not in {"skipped", "deleted"}  # if a file cannot be read, its stored document is kept


@dataclass(frozen=True, slots=True)
class Reading:
    """A file that is being read, and its display name."""

    future: "Future[FileResult]"
    shown: str


class FileReader:
    """Reads files one after the other, in a thread. The end of the `with` block stops it, even within a file."""

    def __init__(
        self,
        *,
        limit_bytes: int,
        reads_chunks: bool,
        find_ocr: Callable[[], tuple[Ocr, OcrCache] | None],
        ocr_hint: str,
    ) -> None:
        """`limit_bytes` is the maximum file size. Unless `reads_chunks` is set, files are only compared.

        `ocr_hint` states how to enable OCR. It is part of the reason why a file that requires OCR failed.
        """
        self._ocr_hint = ocr_hint
        self._limit_bytes = limit_bytes
        self._reads_chunks = reads_chunks
        self._loader = Loader(find_ocr=find_ocr)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="read")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Do not wait, because the current file is no longer needed and an interrupted ingest should end quickly.
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._loader.close()

    def begin(self, file: FoundFile, source: str, known: DocumentRecord | None, *, shown: str) -> Reading:
        """Submit the next file, to be stored under the name `source`. `known` is its stored record, or None."""
        return Reading(self._thread.submit(self._read_or_fail, file, source, known, shown), shown)

    def _read_or_fail(self, file: FoundFile, source: str, known: DocumentRecord | None, shown: str) -> FileResult:
        try:
            return self._read(file, source, known, shown)
        except DocumentError as error:
            is_binary = error.code == "binary"
            suffix = file.format_path.suffix
            unsupported = f"unsupported format ({suffix}): " if is_binary and suffix else ""
            reason = ("" if is_supported(file.format_path) else unsupported) + error.message
            newer = newer_suffix(file.format_path) if is_binary else ""
            reason += f"; save the file as {newer}" if newer else ""
            reason += f"; for OCR: {self._ocr_hint}" if error.code in _NEED_OCR else ""
            if error.code == "vanished" and not file.is_named:
                return deleted(file, shown)
            action: DocumentAction = "skipped" if is_binary else "failed"
            code = "binary" if is_binary else ""
            return FileResult(path=file.name, shown=shown, action=action, reason=reason, code=code)

    def _read(self, file: FoundFile, source: str, known: DocumentRecord | None, shown: str) -> FileResult:
        path = Path(file.format_path)
        if not file.is_named and is_image(path) and is_camera_photo(read_start(Path(file.real), HEADER_BYTES)):
            return _withheld_result(file, shown, Withheld("photo", "photo; pass its path to ingest it"))
        record, raw = read_record(file, source, limit_bytes=self._limit_bytes)
        if withheld := withhold_reason(file, raw):
            return _withheld_result(file, shown, withheld)
        if known and (refreshed_record := refreshed(known, record)):
            has_old_rules = known.recipe != record.recipe
            if self._reads_chunks and (has_old_rules or lacks_tags(refreshed_record)):
                document = self._load(path, raw)
                if withheld := withhold_reason_for_text(file, document):
                    return _withheld_result(file, shown, withheld)
                refreshed_record = replace(refreshed_record, date=document.date, tags=document.tags)
            return FileResult(path=file.name, shown=shown, action="unchanged", record=refreshed_record)
        if not file.is_named and not content_matches_name(path, raw.data):
            return _withheld_result(file, shown, Withheld("unsupported", "the content does not match the file name"))
        note, chunks = "", []
        if self._reads_chunks:
            document = self._load(path, raw)
            if withheld := withhold_reason_for_text(file, document):
                return _withheld_result(file, shown, withheld)
            title = document.title or title_from_name(format_path(file.name), format_path(str(file.root)))
            document = replace(document, path=file.name, title=title)
            chunks = list(chunk(document))
            language = language_of(document.text) if text_kind(path) in _NATURAL_LANGUAGE else ENGLISH
            record = replace(record, title=document.title, language=language, date=document.date, tags=document.tags)
            note = "; ".join(document.notes) or ("" if chunks else "the document contains no text")
        action: DocumentAction = "changed" if known else "added"
        return FileResult(path=file.name, shown=shown, action=action, reason=note, record=record, chunks=chunks)

    def _load(self, path: Path, raw: RawFile) -> Document:
        try:
            return self._loader.load(path, raw)
        except DocumentError as error:
            if raw.data:
                raise
            raise empty_file() from error


def deleted(file: FoundFile, shown: str) -> FileResult:
    return FileResult(path=file.name, shown=shown, action="deleted", reason="no longer exists")


def _withheld_result(file: FoundFile, shown: str, withheld: Withheld) -> FileResult:
    return FileResult(path=file.name, shown=shown, action="skipped", reason=withheld.reason, code=withheld.code)
