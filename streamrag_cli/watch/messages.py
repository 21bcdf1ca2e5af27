"""Messages between a watcher and its worker: one JSON object per line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from streamrag_cli.addresses import Address, location
from streamrag_cli.codec import from_full, read_line
from streamrag_cli.documents.scope import Scope
from streamrag_cli.ingest.roots import Confirmation, IngestRequest
from streamrag_cli.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job for the worker, normally one ingest. If `changed` is None, whole paths are ingested.

    If `only_loads` is set, nothing is ingested: the worker only imports its libraries and, for "embedder", also loads
    the embedder, so that a later job does not have to wait for them.

    `asks` is True if the user can be asked for confirmation. `follow`, `max_pages` and `starts` are as in
    `IngestRequest`.
    """

    settings: Settings
    paths: tuple[str, ...]
    changed: tuple[str, ...] | None = None
    working_directory: str | None = None
    home: str | None = None
    only_loads: Literal["libraries", "embedder"] | None = None
    rebuild: bool = False
    allow_empty: bool = False
    confirmed: bool = False
    asks: bool = False
    follow: bool | None = None
    max_pages: int | None = None
    starts: tuple[tuple[str, str], ...] = ()

    def request(self, confirmation: Confirmation) -> IngestRequest:
        return IngestRequest(
            paths=tuple(map(location, self.paths)),
            follow=self.follow,
            max_pages=self.max_pages,
            starts={Address(root): page for root, page in self.starts},
            working_directory=Path(self.working_directory) if self.working_directory else None,
            scope=None if self.changed is None else Scope(self.changed),
            home=Path(self.home) if self.home else None,
            rebuild=self.rebuild,
            allow_empty=self.allow_empty,
            confirmation=confirmation,
        )


def read_job(line: bytes) -> Job:
    """Decode a line as a job. Raises DecodeError."""
    return from_full(Job, read_line(line))
