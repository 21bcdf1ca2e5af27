"""Finds the documents at addresses, as `documents/discover.py` finds the files in folders.

To add a kind of source, write a module with a function like `discover` and add it to `_DISCOVER`. The function updates
the copy of one root if that is necessary, and yields:

- `FoundFile(name=ADDRESS, root=ROOT, real=PATH_OF_THE_COPY)` for each document. A document whose copy has the same
  size and modification time as before counts as unchanged. Documents in the store at or below the root that are not
  yielded are removed from the store.
- `UnreadableDirectory(path=Address(...), reason=..., code=...)` for a failure. It counts as a failed document, and
  stored documents at or below its path are kept. If the root was fetched before, yield the files in its copy as well,
  because a rebuild needs them.
- `SkippedPath(name=ADDRESS, code=...)` for a document that is left out.
- `FetchNote(message=..., code=...)` for a note.

It may raise DocumentError and OSError if the whole root fails.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Final, TypeAlias

from streamrag_cli.addresses import Address
from streamrag_cli.documents.discovery_results import DiscoveryResult, FoundFile, UnreadableDirectory
from streamrag_cli.errors import DocumentError
from streamrag_cli.remote.copies import Copies, Copy


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """The options for one ingest.

    - `limit_bytes`: the maximum size of a document.
    - `exclude`: the patterns in `--exclude`.
    - `environment`: the user's environment variables.
    - `piped`: the contents of documents that were piped into this command, by address.
    - `dry_run`: whether this is a dry run. It may update copies, but not replace one that cannot be fetched again.
    - `named`: the roots that the user has named in this command.
    - `follow`, `max_pages`, `starts`: for the web pages in `named`, whether to follow links, to how many pages, and the
      first page if that is not the root. None means that the last ingest's choice applies.
    - `interval_s`: the time between two requests to a host.
    - `on_fetch`: called with the number and the address of each page that has been checked.
    """

    limit_bytes: int
    exclude: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    piped: Mapping[Address, bytes] = field(default_factory=dict)
    dry_run: bool = False
    named: Collection[Address] = ()
    follow: bool | None = None
    max_pages: int | None = None
    starts: Mapping[Address, str] = field(default_factory=dict)
    interval_s: float = 0.5
    on_fetch: Callable[[int, str], None] = lambda _number, _address: None


@dataclass(frozen=True, slots=True)
class FetchNote:
    """A note for the user about a root. `code` is for programs."""

    message: str
    code: str


Discover: TypeAlias = Callable[[Address, Copy, FetchOptions], Iterator[DiscoveryResult | FetchNote]]
_DISCOVER: Final[Mapping[str, str]] = {
    "git+file": "streamrag_cli.remote.git:discover",
    "git+http": "streamrag_cli.remote.git:discover",
    "git+https": "streamrag_cli.remote.git:discover",
    "git+ssh": "streamrag_cli.remote.git:discover",
    "http": "streamrag_cli.remote.web.source:discover",
    "https": "streamrag_cli.remote.web.source:discover",
    "stdin": "streamrag_cli.remote.piped:discover",
}
"""The function for each scheme. The modules are imported when they are needed."""


def discover(roots: Sequence[Address], copies: Copies, options: FetchOptions) -> Iterator[DiscoveryResult | FetchNote]:
    """Yield the results for the roots, in their order. Failures are yielded as results, not raised."""
    names: set[str] = set()
    for root in roots:
        for result in _discover(root, copies, options):
            if not isinstance(result, FoundFile) or len(roots) == 1:
                yield result
            elif result.name not in names:  # roots may be below each other
                names.add(result.name)
                yield result


def _discover(root: Address, copies: Copies, options: FetchOptions) -> Iterator[DiscoveryResult | FetchNote]:
    if root.scheme not in _DISCOVER:
        yield UnreadableDirectory(path=root, reason=f"cannot ingest {root.scheme}:// addresses", code="bad_address")
        return
    of_source: Discover = resolve_name(_DISCOVER[root.scheme])
    try:
        yield from of_source(root, copies.at(root), options)
    except DocumentError as error:
        yield UnreadableDirectory(path=root, reason=error.message, code=error.code)
    except OSError as error:
        reason = f"the local copy of this source cannot be written: {(error.strerror or str(error)).lower()}"
        yield UnreadableDirectory(path=root, reason=reason, code="copy_not_writable")


def is_available(root: Address, copies: Copies, *, shared_store: bool) -> bool:
    """Whether this machine can ingest a recorded root again.

    A piped document can be ingested again only on the machine that has the copy. A root of a store that several users
    share is fetched only on a machine where a user has named it: otherwise anyone with write access to the store could
    make others fetch any address.
    """
    return (root.scheme != "stdin" and not shared_store) or copies.at(root).exists
