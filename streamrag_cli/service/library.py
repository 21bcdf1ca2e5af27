"""Reads passages and lists documents from a collection's catalog, without vectors, an embedder or a model."""

import re
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Final
from urllib.parse import unquote

from streamrag_cli.addresses import is_web_address
from streamrag_cli.counting import counted_noun
from streamrag_cli.display_names import DisplayNames
from streamrag_cli.documents.filters import pattern_for_paths
from streamrag_cli.documents.formats import has_row_places
from streamrag_cli.documents.row_places import parse_place, place_of_line
from streamrag_cli.errors import StreamragError, UsageError
from streamrag_cli.model import Chunk, DocumentEntry, DocumentRecord, Passage
from streamrag_cli.service import document_names
from streamrag_cli.service.document_text import Line, chunk_at_line, lines_of, places_of, selected
from streamrag_cli.service.interface import Listing, Selection
from streamrag_cli.settings import Settings
from streamrag_cli.store.backend import other_collections
from streamrag_cli.store.document_filter import matcher
from streamrag_cli.store.interface import Manifest
from streamrag_cli.store.registry import open_store
from streamrag_cli.store.rows import EVERYTHING
from streamrag_cli.text import sanitise, sanitise_line

_PLACE: Final = re.compile(
    r"(?P<path>.+?)(?::(?P<first>\d{1,9})(?:-(?P<last>\d{1,9}))?|[: ](?:p\.?|slide) ?(?P<page>\d{1,9}))", re.DOTALL
)
_ID: Final = re.compile(r"[0-9a-f]{6,64}")
_ID_CHARS: Final = 32
_SHOWN_CHARS: Final = 80
_SHOWN_RANGES: Final = 6


def read(
    manifest: Manifest, selection: Selection, heading_of: Callable[[str, str], str | None] = lambda _page, _id: None
) -> Passage:
    """The selected text. Raises the errors that `Service.read` documents.

    `heading_of` takes a web page and a heading's id, and returns the heading's text, or None if it is unknown.
    """
    if selection.chunk_id:
        return _chunk(manifest, selection.chunk_id)
    where = selection.where
    exact = document_names.exactly_named(manifest, where, selection.names)
    if exact is None and _ID.fullmatch(where) and (ids := manifest.chunk_ids_from(where, 2)):
        if len(ids) > 1:
            raise UsageError(
                f"several passages have an id that begins with {where!r}",
                code="ambiguous_passage",
                hint="use more characters of the id: streamrag show ID",
            )
        return _chunk(manifest, ids[0])
    if exact is None and _ID.fullmatch(where) and len(where) == _ID_CHARS:
        return _chunk(manifest, where)  # raises the error for an unknown id
    page, _, fragment = where.partition("#")
    if exact is None and fragment and is_web_address(page):
        record = document_names.find(manifest, page, selection.names)
        return _part(manifest, record, heading_of(record.path, fragment), fragment, selection)
    if exact is None and (in_sheet := _split_at_sheet(where)):
        return _rows(manifest, document_names.find(manifest, in_sheet[0], selection.names), in_sheet[1], selection)
    place = _PLACE.fullmatch(where)
    if exact is None and place:
        record = document_names.find(manifest, place["path"], selection.names)
        if place["page"]:
            return _page(manifest, record, int(place["page"]), selection)
        first = int(place["first"])
        return _lines(manifest, record, first, int(place["last"]) if place["last"] else None, selection)
    record = exact or document_names.find(manifest, where, selection.names)
    return _passage(record, lines_of(manifest.chunks_of(record.path)), title=record.title)


def suggest_other_collection(error: UsageError, selection: Selection, settings: Settings) -> None:
    """If another collection in a local store has the document, name that collection in `error`."""
    store = open_store(settings.store)
    place, in_sheet = _PLACE.fullmatch(selection.where), _split_at_sheet(selection.where)
    for name in other_collections(store, settings.collections):
        for where in (selection.where, *([place["path"]] if place else []), *(in_sheet or ())[:1]):
            try:
                with store.manifest(name) as manifest:
                    if manifest is None or document_names.find(manifest, where, selection.names) is None:
                        continue
            except StreamragError:  # the collection lacks the document, or is damaged
                continue
            error.message = f"the collection {settings.collection!r} has no document named {sanitise_line(where)!r}"
            error.hint = f"streamrag show {shlex.quote(sanitise_line(selection.where))} -c {shlex.quote(name)}"
            return


def other_collection_with(listing: Listing, settings: Settings) -> str:
    """The first other collection in a local store that has documents that match the listing; "" if there is none."""
    store = open_store(settings.store)
    for name in other_collections(store, settings.collections):
        with suppress(StreamragError), store.manifest(name) as manifest:  # the collection may be damaged
            if manifest is not None and list_documents(manifest, listing):
                return name
    return ""


def list_documents(manifest: Manifest, listing: Listing) -> list[DocumentEntry]:
    """The documents that match the listing, ordered by path."""
    counts = manifest.chunk_counts()
    unread = {each.path: each for each in manifest.unread_files()}
    entries: dict[str, DocumentEntry] = {}
    for record in manifest.documents_under(EVERYTHING):
        failure = unread.get(record.path)
        ingested_at = _time(record.read_at_ns)
        # An interrupted run reads files without updating the list of unread files.
        is_failed = failure is not None and failure.action == "failed" and failure.seen_at >= ingested_at
        entries[record.path] = DocumentEntry(
            source=sanitise_line(record.source),
            state="failed" if is_failed else "stored",
            title=sanitise_line(record.title),
            chunks=counts.get(record.path, 0),
            size_bytes=record.size,
            modified_at=_time(record.mtime_ns),
            ingested_at=ingested_at,
            reason=sanitise_line(failure.reason) if failure and is_failed else "",
            code=failure.code if failure and is_failed else "",
            tags=tuple(map(sanitise_line, record.tags or ())),
            path=record.path,
        )
    if listing.unread:
        entries = {path: entry for path, entry in entries.items() if entry.state != "stored"} | {
            path: DocumentEntry(
                source=sanitise_line(listing.names.of(path)),
                state=each.action,
                title="",
                chunks=0,
                size_bytes=None,
                modified_at=None,
                ingested_at=None,
                reason=sanitise_line(each.reason),
                code=each.code,
                path=path,
            )
            for path, each in unread.items()
            if path not in entries
        }
    tags = {tag.strip().removeprefix("#").casefold() for tag in listing.tags}
    by_path = (entries[path] for path in sorted(entries))
    chosen = [each for each in by_path if tags <= {tag.casefold() for tag in each.tags}]
    return _matching(listing.pattern, chosen, listing.names) if listing.pattern else chosen


def _matching(written: str, entries: list[DocumentEntry], names: DisplayNames) -> list[DocumentEntry]:
    """The entries, stored or unread, that `--in` with the pattern `written` would select."""
    pattern = pattern_for_paths(written, names.directory, names.home)
    of_path, of_name = matcher(pattern.path or "/"), matcher(pattern.name or "/")
    by_path = [each for each in entries if pattern.path and of_path(each.path)]
    return by_path or [each for each in entries if pattern.name and of_name(each.source)]


def _time(nanoseconds: int) -> str:
    try:
        return datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):  # a file's time stamp may be out of range
        return ""


def _chunk(manifest: Manifest, chunk_id: str) -> Passage:
    stored = manifest.chunks([chunk_id]).get(chunk_id)
    record = manifest.document(stored.path) if stored else None
    if stored is None or record is None:
        raise UsageError(
            f"no passage has the id {sanitise_line(chunk_id)[:_SHOWN_CHARS]!r}",
            code="no_such_passage",
            hint="search again, because the id of a passage changes with its document: streamrag search QUERY",
        )
    return _of_chunk(record, stored.chunk)


def _of_chunk(record: DocumentRecord, chunk: Chunk) -> Passage:
    return Passage(
        source=sanitise_line(record.source),
        title=sanitise_line(chunk.title),
        page=chunk.page,
        line_start=chunk.line_start,
        line_end=chunk.line_end,
        text=sanitise(chunk.text),
        chunk_id=chunk.id,
        path=record.path,
        ingested_at=_time(record.read_at_ns),
        record=record,
    )


def _passage(record: DocumentRecord, lines: Sequence[Line], *, title: str, page: int | None = None) -> Passage:
    return Passage(
        source=sanitise_line(record.source),
        title=sanitise_line(title),
        page=page,
        line_start=lines[0].first if lines else None,
        line_end=lines[-1].last if lines else None,
        text=sanitise("\n".join(line.text for line in lines)),
        chunk_id="",
        path=record.path,
        ingested_at=_time(record.read_at_ns),
        record=record,
    )


def _page(manifest: Manifest, record: DocumentRecord, page: int, selection: Selection) -> Passage:
    chunks = manifest.chunks_of(record.path)
    pages = sorted({chunk.page for chunk in chunks if chunk.page is not None})
    if page not in pages:
        name = sanitise_line(selection.names.of(record.path))
        message = f"{name} has {_text_on(pages)}" if pages else f"{name} has no pages"
        raise UsageError(
            f"cannot show page {page}: {message}",
            code="no_such_line",
            hint=document_names.show_command(record, selection.names),
        )
    of_page = [chunk for chunk in chunks if chunk.page == page]
    return _passage(record, lines_of(of_page), title=of_page[0].title, page=page)


def _text_on(pages: Sequence[int]) -> str:
    """Name the pages, which are in ascending order.

    >>> _text_on([2]), _text_on([1, 2, 3, 7])
    ('text on page 2', 'text on pages 1 to 3 and 7')
    >>> _text_on([1, 3, 5, 7, 9, 11, 13])
    'text on pages 1, 3, 5, 7, 9 and others up to 13'
    """
    ranges: list[list[int]] = []
    for page in pages:
        if ranges and page == ranges[-1][-1] + 1:
            ranges[-1][1:] = [page]
        else:
            ranges.append([page])
    shown = [" to ".join(map(str, each)) for each in ranges]
    if len(shown) > _SHOWN_RANGES:
        shown = [*shown[: _SHOWN_RANGES - 1], f"others up to {pages[-1]}"]
    *before, last = shown
    listed = f"{', '.join(before)} and {last}" if before else last
    return f"text on page{'s' if len(pages) > 1 else ''} {listed}"


def _split_at_sheet(where: str) -> tuple[str, str] | None:
    """The path and the place of `PATH sheet NAME, row N`, or None if `where` has another form."""
    for match in re.finditer(r"[: ](?=sheet )", where):
        if has_row_places(PurePath(where[: match.start()])):
            return where[: match.start()], where[match.end() :]
    return None


def _rows(manifest: Manifest, record: DocumentRecord, place: str, selection: Selection) -> Passage:
    """The passages with these rows of a sheet; without rows, the whole sheet. A single row is marked in its passage."""
    requested = parse_place(place)
    chunks = manifest.chunks_of(record.path)
    places = [(chunk, rows) for chunk in chunks if (rows := parse_place(chunk.title.rpartition(" > ")[2]))]
    in_sheet = [
        (chunk, rows) for chunk, rows in places if requested and rows.sheet.casefold() == requested.sheet.casefold()
    ]
    chosen = [chunk for chunk, rows in in_sheet if requested and (not requested.ranges or rows.overlaps(requested))]
    if not chosen:
        name = sanitise_line(selection.names.of(record.path))
        sheets = ", ".join(dict.fromkeys(rows.sheet for _, rows in places))
        message = "has no text in these rows" if in_sheet else f"has text on these sheets: {sanitise_line(sheets)}"
        raise UsageError(
            f"cannot show {sanitise_line(place)[:_SHOWN_CHARS]}: {name} {message if places else 'has no sheets'}",
            code="no_such_line",
            hint=document_names.show_command(record, selection.names),
        )
    if len(chosen) > 1:
        return _passage(record, lines_of(chosen), title=place)
    chunk, count = chosen[0], chosen[0].text.count("\n") + 1
    line_places = [place_of_line(chunk.title, line, count).rpartition(" > ")[2] for line in range(count)]
    marked = tuple(line for line, each in enumerate(line_places) if parse_place(each) == requested)
    return replace(_of_chunk(record, chunk), title=place, marked=marked)


def _part(
    manifest: Manifest, record: DocumentRecord, heading: str | None, fragment: str, selection: Selection
) -> Passage:
    """The part of a web page under the heading whose text is `heading` or, failing that, whose id is `fragment`.

    `heading` is None for a page that was fetched on another machine.
    """
    chunks = manifest.chunks_of(record.path)
    lines = lines_of(chunks)
    levels = [len(line.text) - len(line.text.lstrip("#")) for line in lines]
    texts = [line.text[level:].strip() if level else "" for line, level in zip(lines, levels, strict=True)]
    fragment_id = _as_id(unquote(fragment))
    start = next((at for at, text in enumerate(texts) if text and text == heading), None)
    if start is None:
        start = next((at for at, text in enumerate(texts) if text and _as_id(text) == fragment_id), None)
    if start is None:
        raise UsageError(
            f"{sanitise_line(record.path)} has no heading with the id {sanitise_line(fragment)[:_SHOWN_CHARS]!r}",
            code="no_such_line",
            hint=document_names.show_command(record, selection.names),
        )
    after = (at for at in range(start + 1, len(lines)) if 0 < levels[at] <= levels[start])
    part = lines[start : next(after, len(lines))]
    while part and not part[-1].text.strip():
        part.pop()
    return _passage(record, part, title=texts[start])


def _as_id(text: str) -> str:
    """The id that most programs derive from the text of a heading."""
    return "-".join(re.findall(r"\w+", text.casefold()))


def _lines(manifest: Manifest, record: DocumentRecord, first: int, last: int | None, selection: Selection) -> Passage:
    """Lines `first` to `last`, or to the end of the document. Without `last`, the passage at line `first`."""
    chunks = manifest.chunks_of(record.path)
    name = sanitise_line(selection.names.of(record.path))
    end = max((chunk.line_end for chunk in chunks if chunk.line_end is not None), default=None)
    hint = document_names.show_command(record, selection.names)
    if end is None:
        pages = next((f"; to show a page: {hint}:p{chunk.page}" for chunk in chunks if chunk.page), "")
        raise UsageError(f"the format of {name} has no line numbers{pages}", code="no_such_line", hint=hint)
    if last is not None and (first < 1 or last < first):
        raise UsageError(f"{first}-{last} is not a valid line range", code="no_such_line", hint=f"{hint}:1-{end}")
    if first > end or first < 1:
        raise UsageError(
            f"{name} had {counted_noun(end, 'line')} when it was ingested", code="no_such_line", hint=f"{hint}:1-{end}"
        )
    if last is None:
        chunk = chunk_at_line(chunks, first)
        return replace(_of_chunk(record, chunk), marked=places_of(chunk, first))
    lines = selected(lines_of(chunks), first, last)
    return _passage(record, lines, title=chunk_at_line(chunks, first).title)
