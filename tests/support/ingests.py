"""Ingests files below a directory and returns the action for each file."""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from streamrag_cli.events import DocumentSeen, Error, IngestDone, IngestEvent
from streamrag_cli.ingest.limits import IngestLimits
from streamrag_cli.ingest.pipeline import IngestRequest, ingest, remove
from streamrag_cli.remote.address import has_scheme, parse_address
from streamrag_cli.settings import Settings
from streamrag_cli.store.registry import open_store
from streamrag_cli.store.rows import EVERYTHING
from tests.support.fake_embedder import FakeEmbedder

LONG_AGO_NS = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class Ingests:
    """Ingests from one working directory into one store. A copy made with `dataclasses.replace` shares `events`."""

    home: Path
    settings: Settings
    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)
    limits: IngestLimits = field(default_factory=IngestLimits)
    events: list[IngestEvent] = field(default_factory=list)
    environment: Mapping[str, str] | None = None

    def put(self, name: str, content: str | bytes, *, mtime_ns: int = LONG_AGO_NS) -> Path:
        """Write a file with an old modification time, or `mtime_ns`."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(path, ns=(mtime_ns, mtime_ns))
        return path

    def run(
        self,
        *paths: str,
        rebuild: bool = False,
        dry_run: bool = False,
        follow: bool | None = None,
        max_pages: int | None = None,
    ) -> dict[str, str]:
        """Ingest `paths` and return the action for each file. Afterwards, `events` contains all events."""
        request = replace(self.request(*paths, rebuild=rebuild, dry_run=dry_run), follow=follow, max_pages=max_pages)
        return self._actions(ingest(request, self.settings, self.embedder))

    def remove(self, *paths: str) -> dict[str, str]:
        return self._actions(remove(self.request(*paths), self.settings))

    def request(self, *paths: str, rebuild: bool = False, dry_run: bool = False) -> IngestRequest:
        return IngestRequest(
            paths=tuple(parse_address(path) if has_scheme(path) else Path(path) for path in paths),
            environment=self.environment,
            working_directory=self.home,
            rebuild=rebuild,
            dry_run=dry_run,
            limits=self.limits,
        )

    def _actions(self, events: Iterator[IngestEvent]) -> dict[str, str]:
        self.events[:] = events
        return {event.source: event.action for event in self.events if isinstance(event, DocumentSeen)}

    @property
    def done(self) -> IngestDone:
        """The last event."""
        assert isinstance(self.events[-1], IngestDone), self.events[-1]
        return self.events[-1]

    @property
    def error(self) -> Error:
        """The last event."""
        assert isinstance(self.events[-1], Error), self.events[-1]
        return self.events[-1]

    @property
    def reasons(self) -> dict[str, str]:
        return {event.source: event.reason for event in self.events if isinstance(event, DocumentSeen) and event.reason}

    @property
    def store(self) -> Path:
        """The directory of the store."""
        assert isinstance(self.settings.store, Path)
        return self.settings.store

    def stored(self) -> dict[str, str]:
        """The text of each document in the store, by displayed name."""
        reader = open_store(self.settings.store).reader(self.settings.collection)
        catalog = reader.catalog
        texts = {record.source: "" for record in catalog.documents_under(EVERYTHING)}
        for each in sorted(catalog.chunks(catalog.chunk_ids()).values(), key=lambda each: each.chunk.ordinal):
            texts[each.source] += each.chunk.text.strip()
        reader.close()
        return texts

    def vectors(self) -> dict[str, list[float]]:
        """The vector of each chunk in the store."""
        with closing(open_store(self.settings.store).reader(self.settings.collection)) as reader:
            ids = sorted(reader.catalog.chunk_ids())
            return dict(zip(ids, reader.vectors(ids).tolist(), strict=True))
