"""Plain value classes for documents, chunks, hits, questions and sources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

PRIVATE: Final = "private"
"""Metadata for a field that never leaves the machine."""
LOCAL: Final = "local"
"""Metadata for a field that is shown only to this machine's user."""
IN_OBJECTS: Final = "in objects"
"""Metadata for a field that is omitted from event lines but included in the objects of `--json` and `/search`."""
IF_SET: Final = "if set"
"""Metadata for a field that is omitted from JSON if it is None or an empty tuple."""
ROUNDED_UP: Final = "rounded up"
"""Metadata for a number that is rounded up to an integer."""
SUMMARY_MARK: Final = "\x1f"
"""The first character of a heading that is the document's summary. A heading in a document contains no control
characters."""
LONGEST_CHUNK_CHARS: Final = 100_000
"""The maximum length of a chunk in an intact store. Normal chunks are about a hundred times shorter; quoting a longer
one would take minutes."""


def shown(*rules: str, key: str = "") -> Mapping[str, Any]:
    """Return the metadata for a dataclass field: rules for showing it, and its JSON `key` if that is not its name."""
    return dict.fromkeys(rules, True) | ({"key": key} if key else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a document's text under the same headings and, in a format with pages, on one page.

    `start` and `end` are character offsets into `Document.text`. If `is_whole`, the section becomes one chunk
    regardless of its length.
    """

    start: int
    end: int
    headings: tuple[str, ...] = ()
    page: int | None = None
    is_whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One loaded source.

    - `sections` cover all of `text` in order, without gaps or overlaps.
    - `line_numbers[i]` is the line of the file, counted from 1, that contains line `i` of `text`, counted from 0.
      `line_numbers` is None if the format has no lines (PDF, DOCX, notebooks).
    - `title` is the document's own title, or "".
    - `summary` is metadata of the document (description, tags, imports) on one line, or "". It is searched with the
      first chunk and never quoted.
    - `date` and `tags` are metadata from the front matter, as the author wrote them; empty if there is none.
    - `notes` are notes for the user, such as that decoding lost characters; one short line each.
    """

    path: str
    text: str
    title: str
    sections: tuple[Section, ...]
    line_numbers: Sequence[int] | None
    summary: str = ""
    date: str = ""
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A contiguous span of a document: `text == document.text[char_start:char_end]`.

    `id` is derived from the document's path, the headings, the page, the text and `RECIPE`, so that unchanged text can
    keep its vector and changed text cannot. `line_start` and `line_end` are lines of the file, counted from 1, both
    inclusive. The `headings` of a document's first chunk may include its summary, which begins with `SUMMARY_MARK`.
    """

    id: str
    ordinal: int
    text: str
    headings: tuple[str, ...]
    page: int | None
    line_start: int | None
    line_end: int | None
    char_start: int
    char_end: int

    @property
    def title(self) -> str:
        """The heading path as one line, without the document's summary."""
        return " > ".join(each for each in self.headings if not each.startswith(SUMMARY_MARK))

    @property
    def context(self) -> str:
        """The heading path and the document's summary as one line, which is searched together with the text."""
        return " > ".join(each.removeprefix(SUMMARY_MARK) for each in self.headings)

    @property
    def text_to_embed(self) -> str:
        """The text with its heading path, because a chunk rarely repeats its topic."""
        return f"{self.context}\n{self.text}" if self.headings else self.text


@dataclass(frozen=True, slots=True)
class Copy:
    """A near-duplicate of a hit in another document. `source` is that document's name as shown to users, `path` its
    absolute path.
    """

    source: str
    path: str
    is_missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A chunk returned by retrieval. `rank` counts from 1; `score` is 0 to 1, higher is better.

    `source` is the document's name as shown to users; `path` is its absolute path on this machine. `copies` are
    near-duplicates of the chunk, which are not separate hits. `is_missing` is True only if a check found that the
    file no longer exists. `collection` is set only if several collections were searched.
    """

    chunk: Chunk
    source: str
    path: str
    score: float
    rank: int
    is_missing: bool = False
    copies: tuple[Copy, ...] = ()
    language: str = ""
    collection: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """An earlier question in a conversation and its answer; unknown values are empty.

    `cited` are the ids of the chunks that the answer cites.
    """

    question: str
    answer: str = ""
    cited: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A pattern for documents and folders; a folder stands for everything below it.

    `path` is compared with the absolute paths of documents, unless it is "". `name` is compared with their names as
    shown to clients, but only if `path` matches no document. `*` and `?` do not match a slash; `**` matches any number
    of folders.
    """

    path: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Restricts a question to documents that satisfy every condition. An empty condition allows all documents.

    - `patterns`: at least one of these patterns matches the document.
    - `since_ns`: the file was modified at or after this time, in nanoseconds since the Unix epoch.
    - `suffixes` and `file_names`, both in lower case: the file has one of these suffixes or one of these names.
    - `tags`: the document has all of these tags; case is ignored.

    `text` is the filter as the user wrote it, for messages.
    """

    patterns: tuple[PathPattern, ...] = ()
    since_ns: int | None = None
    suffixes: tuple[str, ...] = ()
    file_names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    text: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.patterns or self.suffixes or self.file_names or self.tags) and self.since_ns is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question with its context. `accepted_at` is the `perf_counter` value at which it was accepted; all timings
    count from it.

    - `extra`: text piped in with the question. It is sent to the model but not used for retrieval.
    - `with_stages`: whether to measure the duration of every step.
    - `with_matches`: whether to find the question's words in the excerpts.
    - `history`: the conversation's earlier turns, oldest first.
    - `thread`: the conversation's id, or "" if it has none.
    - `n`: the number of this turn in the conversation. Unlike `history`, it also counts questions without an answer.
    - `instructions`: additional instructions for the model.
    - `options`: options such as `temperature`, which are sent to the model server unchanged.
    - `max_tokens`: the token limit for the answer. It can only lower the limit in the settings.
    - `filter`: restricts the documents that are searched.
    """

    text: str
    accepted_at: float
    extra: str = ""
    startup_ms: float | None = None
    with_stages: bool = False
    with_matches: bool = False
    history: tuple[Turn, ...] = ()
    thread: str = ""
    n: int | None = None
    instructions: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    max_tokens: int | None = None
    filter: Filter = Filter()

    @property
    def is_in_conversation(self) -> bool:
        return bool(self.history or self.thread)

    @property
    def turn_number(self) -> int:
        """The number of this turn in its conversation, counted from 1."""
        return self.n or len(self.history) + 1

    @property
    def stop(self) -> tuple[str, ...]:
        """Stop sequences for the answer."""
        stop = self.options.get("stop", ())
        return (stop,) if isinstance(stop, str) else tuple(map(str, stop)) if isinstance(stop, list | tuple) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A numbered hit as shown to users and to the model.

    - `content`, `text`: an excerpt of the chunk, and its whole text.
    - `matches`: if requested, the start and end, in characters, of each of the question's words in `content`.
    - `url`: the passage's address if the document is a web page, with the id of its heading if that is known.
    - `also`: the names of documents with near-duplicates of the chunk, shortened to the folder if only that differs.
    - `path`, `also_paths`: the absolute paths of the file and of the documents in `also`, for links in a terminal. They
      never leave this machine.
    - `gone_paths`: those of these paths that no longer exist.
    - `collection`: None unless several collections were searched.
    - `context`: what the model reads above the text, which is `title` and the document's summary.
    """

    n: int
    source: str
    page: int | None
    line_start: int | None
    line_end: int | None
    title: str
    content: str
    score: float
    chunk_id: str
    matches: tuple[tuple[int, int], ...] = field(default=(), metadata=shown(IF_SET))
    collection: str | None = field(default=None, metadata=shown(IF_SET))
    text: str = field(default="", metadata=shown(IN_OBJECTS))
    path: str = field(default="", metadata=shown(LOCAL))
    also: tuple[str, ...] = field(default=(), metadata=shown(IF_SET))
    also_paths: tuple[str, ...] = field(default=(), metadata=shown(PRIVATE))
    gone_paths: tuple[str, ...] = field(default=(), metadata=shown(PRIVATE))
    context: str = field(default="", metadata=shown(PRIVATE))
    url: str | None = field(default=None, metadata=shown(IF_SET))


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A `[n]` in the answer that refers to the source numbered `n`."""

    n: int
    source: str
    chunk_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts from the model server."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds since the question was accepted; `startup_ms` is the time before that.

    The time of a stage that did not happen is None. `stages`, if requested, has the duration of each step.
    """

    startup_ms: float | None = None
    retrieval_ms: float | None = None
    context_ms: float | None = None
    request_ms: float | None = None
    first_token_ms: float | None = None
    total_ms: float | None = None
    tokens_per_second: float | None = None
    stages: Mapping[str, float] | None = field(default=None, metadata=shown(IF_SET))


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRecord:
    """Metadata about a document, which the store keeps in order to detect changes to the document's file.

    `path` is absolute; `source` is the name shown to users. `mtime_ns` and `read_at_ns` are nanoseconds since the Unix
    epoch; `sha256` is the hex digest of the file's bytes. `recipe` identifies the versions of the loaders, the chunker
    and the rules for withholding files. `language` is a two-letter code, or "" for English and for unknown languages.
    """

    path: str
    source: str
    size: int
    mtime_ns: int
    read_at_ns: int
    sha256: str
    recipe: str
    title: str = ""
    language: str = ""
    date: str = ""
    tags: tuple[str, ...] | None = None


class FileVersion(NamedTuple):
    """The fields of a `DocumentRecord` that reveal changes to its file. `tags` are as stored; None means unknown.

    This is a tuple, which is fast to create, because a check for changes reads one per document.
    """

    path: str
    source: str
    size: int
    mtime_ns: int
    read_at_ns: int
    recipe: str
    tags: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Sanitised text from an ingested document, as it was ingested: a chunk, some lines or the whole document.

    - `source`: the document's name as shown to users.
    - `title`: the heading path of the passage.
    - `line_start`, `line_end`: lines of the file, counted from 1, both inclusive; None if the format has no lines.
    - `chunk_id`: "" unless the text is that of one chunk.
    - `path`: the absolute path on this machine.
    - `ingested_at`: a time in ISO 8601 (UTC).
    - `record`: the file's record in the store.
    - `marked`: the lines of the text, counted from 0, that may be the requested line; usually there is only one.
    """

    source: str
    title: str
    page: int | None
    line_start: int | None
    line_end: int | None
    text: str
    chunk_id: str
    path: str = field(default="", metadata=shown(LOCAL))
    ingested_at: str = field(default="", metadata=shown(LOCAL))
    record: DocumentRecord | None = field(default=None, metadata=shown(PRIVATE))
    marked: tuple[int, ...] = field(default=(), metadata=shown(PRIVATE))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadFile:
    """A file or folder that the last ingest of its root could not read (`failed`) or did not read (`skipped`).

    `path` is absolute. `code` is the machine-readable reason for a skip, or "". `seen_at` is the time of the first run
    with this outcome, as ISO 8601 in UTC.
    """

    path: str
    action: str
    reason: str
    code: str
    seen_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentEntry:
    """A row of a list of documents. `state` is `stored`, `failed` or `skipped`; the last two have a `reason`.

    The times are ISO 8601 in UTC. `tags` come from the front matter. A file that failed after it had been ingested
    keeps its chunks; otherwise it has no chunks, and its size and times are None.
    """

    source: str
    state: str
    title: str
    chunks: int
    size_bytes: int | None
    modified_at: str | None
    ingested_at: str | None
    reason: str = ""
    code: str = ""
    tags: tuple[str, ...] = field(default=(), metadata=shown(IF_SET))
    path: str = field(default="", metadata=shown(LOCAL))
