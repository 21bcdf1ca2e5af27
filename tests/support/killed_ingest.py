"""An ingest that kills itself before its n-th write, and a later ingest that completes it. Both run in a `ForkServer`.

Writes are recorded in three ways: an audit hook sees every file that is created, opened for writing, renamed or removed
below the store; a trace callback sees every SQL statement of the catalog; and a wrapper sees the beginning and the end
of every call of `WritableVectors`. Most statements in a transaction leave the files as they are. A kill before such a
statement gives the same store as a kill before the previous one.
"""

import hashlib
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from streamrag_cli.errors import StoreError
from streamrag_cli.events import IngestDone
from streamrag_cli.ingest import pipeline
from streamrag_cli.ingest.limits import IngestLimits
from streamrag_cli.retrieval.search import retrieve
from streamrag_cli.settings import Settings
from streamrag_cli.store.local import full_text
from streamrag_cli.store.local.catalog import Catalog
from streamrag_cli.store.local.layout import Layout
from streamrag_cli.store.local.reader import CollectionReader
from streamrag_cli.store.local.vectors import Vectors, WritableVectors
from tests.support.fake_embedder import FakeEmbedder

_READS = ("SELECT", "PRAGMA", "--")
_CHANGING_EVENTS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"}


def main(command: str, docs: str, store: str, step: str = "-1") -> None:
    """Run a command and print its result.

    `ingest DOCS STORE [STEP]` and `rebuild DOCS STORE [STEP]` print the number of writes and the writes before which a
    kill gives different stores; `resume DOCS STORE` asks and ingests, and prints both results. All as JSON.
    """
    if command == "resume":
        answered = _ask(Path(store))
        _ingest(Path(docs), Path(store), rebuild=False)
        sys.stdout.write(json.dumps({"answered": answered, "content": _content(Path(store))}))
        return
    killer = _Killer(Path(store), at=int(step))
    killer.watch()
    _ingest(Path(docs), Path(store), rebuild=command == "rebuild")
    sys.stdout.write(json.dumps({"writes": killer.writes, "different": killer.different}))


def _ingest(docs: Path, store: Path, *, rebuild: bool) -> None:
    limits = IngestLimits(batch_chunks=2)
    request = pipeline.IngestRequest(paths=(docs,), working_directory=docs.parent, rebuild=rebuild, limits=limits)
    *_, last = pipeline.ingest(request, Settings(store=store), FakeEmbedder())
    assert isinstance(last, IngestDone), last


class _Killer:
    """Counts writes and kills the process before write number `at`, from 0. If it is negative, compares the files."""

    def __init__(self, store: Path, *, at: int) -> None:
        self._store = str(store)
        self._at = at
        self._files = b""
        self.writes = 0
        self.different: list[int] = []

    def step(self) -> None:
        if self.writes == self._at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._at < 0:
            self._compare()
        self.writes += 1

    def _compare(self) -> None:
        files = _digest(Path(self._store))
        if files != self._files:
            self.different.append(self.writes)
        self._files = files

    def watch(self) -> None:
        sys.addaudithook(self._on_audit)
        connect = Catalog._connect

        def traced(catalog: Catalog, mode: str) -> sqlite3.Connection:
            db = connect(catalog, mode)
            db.set_trace_callback(self._on_statement)
            return db

        setattr(Catalog, "_connect", traced)  # noqa: B010 - affects only this process
        for name in ("__init__", "add", "delete", "close"):
            setattr(WritableVectors, name, self._around(getattr(WritableVectors, name)))

    def _on_statement(self, statement: str) -> None:
        if not statement.lstrip().startswith(_READS):
            self.step()

    def _on_audit(self, event: str, details: tuple[Any, ...]) -> None:
        writes = event in _CHANGING_EVENTS or (event == "open" and details[2] & (os.O_WRONLY | os.O_RDWR))
        if writes and os.fsdecode(str(details[0])).startswith(self._store):
            self.step()

    def _around(self, method: Any) -> Any:
        def wrapped(*args: Any, **named: Any) -> Any:
            self.step()
            result = method(*args, **named)
            self.step()
            return result

        return wrapped


def _digest(folder: Path) -> bytes:
    """A digest of the names and contents of all files and folders."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.digest()


def _ask(store: Path) -> str:
    """The text of the best hit, or the error code."""
    reader = CollectionReader(store, "default")
    try:
        return retrieve(reader, FakeEmbedder(), "what keeps", limit=1).hits[0].chunk.text.strip()
    except StoreError as error:
        return error.code
    finally:
        reader.close()


def _content(store: Path) -> dict[str, object]:
    """The content of the store without times, row numbers and the generation."""
    layout = Layout(store, "default")
    current = layout.active_epoch()
    assert current is not None
    with closing(sqlite3.connect(layout.catalog(current.epoch))) as db:
        full_text.register(db)
        db.execute("INSERT INTO chunks_fts(chunks_fts, rank) VALUES('integrity-check', 1)")
        chunks = db.execute(
            "SELECT chunk_id, ordinal, chunks.title, body, line_start, char_end, path FROM chunks JOIN documents"
            " ON documents.id = document_id ORDER BY chunk_id"
        ).fetchall()
        documents = db.execute("SELECT path, source, size, mtime_ns, sha256, title FROM documents ORDER BY path")
        values: dict[str, object] = {
            "documents": documents.fetchall(),
            "chunks": chunks,
            "roots": [*current.roots, *db.execute("SELECT path FROM roots").fetchall()],
            "in doubt": db.execute("SELECT * FROM vectors_in_doubt").fetchall(),
            "embedding": db.execute("SELECT value FROM meta WHERE key IN ('embedding', 'dimension')").fetchall(),
        }
    with closing(Vectors(layout.vectors(current.epoch), "default")) as vectors:
        values["vectors"] = sorted(vectors.ids())
        embed = FakeEmbedder().embed_query
        values["found"] = [vectors.nearest(embed(f"{row[2]}\n{row[3]}"), 1)[0][0] for row in chunks]
    epochs = sorted(each.name for each in layout.directory.iterdir() if each.is_dir())
    assert epochs == [current.epoch]
    return values
