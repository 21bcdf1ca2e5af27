"""The things streamrag is about, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

PRIVATE: Final = "private"
"""A field with this in its metadata never leaves the machine."""
LOCAL: Final = "local"
"""A field that only the user of this machine is shown."""
IF_SET: Final = "if set"
"""A field that is left out of JSON if it is None or an empty tuple."""
ROUNDED_UP: Final = "rounded up"
"""A number that is shown as the next whole one."""


def shown(*rules: str, key: str = "") -> Mapping[str, Any]:
    """How a field is shown in public, as its metadata: by these rules, and under `key` where that is not its name."""
    return dict.fromkeys(rules, True) | ({"key": key} if key else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A run of a document's text under one heading path and, in a paged format, on one page.

    `start` and `end` are character offsets into `Document.text`. One that `is_whole` is to be one chunk, whatever its
    length.
    """

    start: int
    end: int
    headings: tuple[str, ...] = ()
    page: int | None = None
    is_whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One loaded source.

    `sections` cover `text` from first to last character, in order, without gap or overlap.
    `line_numbers[i]` is the line of the file that line `i` of `text` (counted from 0, split at
    newlines) came from, counted from 1; it is None where the format has no lines (PDF, DOCX, notebooks).
    `title` is the document's own name for itself, or "".
    `summary` is what it says about itself outside its text (description, tags, imports), on one line, or "": it is
    searched with the document's first chunk and never quoted.
    `notes` are things its reader should know, such as a lossy decode; one short line each.
    """

    path: str
    text: str
    title: str
    sections: tuple[Section, ...]
    line_numbers: Sequence[int] | None
    summary: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A contiguous span of a document: `text == document.text[char_start:char_end]`.

    `id` is derived from the document's path, the headings, the text and the recipe, so that changed text never
    keeps an old vector, and text that is as it was can. Lines are the file's, counted from 1, both inclusive.
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
        """The heading path as one line."""
        return " > ".join(self.headings)

    @property
    def text_to_embed(self) -> str:
        """The text under its heading path: a chunk rarely repeats what it is about."""
        return f"{self.title}\n{self.text}" if self.headings else self.text


@dataclass(frozen=True, slots=True)
class Copy:
    """Another document that says the same as a hit: its shown name, its absolute path, whether the file is gone."""

    source: str
    path: str
    is_missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A chunk that retrieval found. `rank` counts from 1; `score` is 0 to 1, higher is better.

    `source` is the document's name as shown to a person; `path` is its absolute path on this machine. `copies` are
    documents with a near-copy of the chunk, which are not hits of their own. `is_missing` is false if it was not
    checked.
    """

    chunk: Chunk
    source: str
    path: str
    score: float
    rank: int
    is_missing: bool = False
    copies: tuple[Copy, ...] = ()
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One message of a conversation that a client holds with the model."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question as accepted: `accepted_at` is a `perf_counter` reading, the zero of all timings.

    `extra` is text given beside the question; it is shown to the model, not searched for. `with_stages` asks for
    the timings of every step. `conversation` are all messages of a chat in their order, if the question is asked in
    one; the last one of the user is the question. `options` are passed on to the model's server as they are,
    such as `temperature`; `max_tokens` is a limit below the one of the settings.
    """

    text: str
    accepted_at: float
    extra: str = ""
    startup_ms: float | None = None
    with_stages: bool = False
    conversation: tuple[ChatMessage, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)
    max_tokens: int | None = None

    @property
    def stop(self) -> tuple[str, ...]:
        """The texts before which an answer is to end."""
        stop = self.options.get("stop", ())
        return (stop,) if isinstance(stop, str) else tuple(map(str, stop)) if isinstance(stop, list | tuple) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A numbered hit as shown to a person and to the model. `content` is an excerpt of the chunk.

    `also` names documents with a near-copy of the chunk, by the folder if only that is another. `path` is the file's
    absolute path on this machine, for links on its own terminal, `also_paths` are those of `also`, `gone_paths` those
    of both that no longer exist; they never leave the machine.
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
    path: str = field(default="", metadata=shown(LOCAL))
    also: tuple[str, ...] = field(default=(), metadata=shown(IF_SET))
    also_paths: tuple[str, ...] = field(default=(), metadata=shown(PRIVATE))
    gone_paths: tuple[str, ...] = field(default=(), metadata=shown(PRIVATE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A `[n]` in the answer that points to the source numbered `n`."""

    n: int
    source: str
    chunk_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Model tokens as the model's server counted them."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds since the question was accepted; `startup_ms` lies before that.

    A stage that did not happen is None. `stages`, where it was asked for, says how long each step took.
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
    """What the store remembers of a document, to tell whether the file has changed.

    `path` is absolute; `source` is the name shown to people. `mtime_ns` and `read_at_ns` are
    nanoseconds since the epoch; `sha256` is the hex digest of the file's bytes.
    `recipe` names the loader and chunker that made the chunks: another recipe, other chunks. `language` is a code of
    two letters, or "" for English and what is read as English.
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
