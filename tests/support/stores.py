"""A small interface to every store backend, so that the same tests run on all backends."""

import atexit
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from streamrag_cli.model import Chunk, DocumentRecord
from streamrag_cli.store.address import StoreAddress
from streamrag_cli.store.interface import EmbeddedPassages, Reader, Writer
from streamrag_cli.store.local.layout import Layout
from streamrag_cli.store.local.reader import CollectionReader
from streamrag_cli.store.local.vectors import Vectors
from streamrag_cli.store.local.writer import CollectionWriter
from streamrag_cli.store.local.writer import open_for_writing as open_directory_for_writing
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.registry import BACKENDS, open_store, store_address
from tests.support import postgres_server
from tests.support.fake_embedder import FakeEmbedder
from tests.support.fork_server import ForkServer

Document = tuple[DocumentRecord, Sequence[Chunk]]


@dataclass(frozen=True)
class Store:
    """A store in any backend, opened as the program opens it."""

    place: StoreAddress
    collection: str = "default"

    @contextmanager
    def writing(self, *, embedding: str = "fake", rebuild: bool = False) -> Iterator[Writer]:
        with open_store(self.place).writer(self.collection, embedding=embedding, rebuild=rebuild) as writer:
            yield writer

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        with closing(open_store(self.place).reader(self.collection)) as reader:
            yield reader

    def put(self, *documents: Document, rebuild: bool = False) -> None:
        with self.writing(rebuild=rebuild) as writer:
            write(writer, *documents)

    def remove(self) -> None:
        """Remove the store like a user would."""
        for name in open_store(self.place).collections():
            open_store(self.place).remove(name)

    def exists(self) -> bool:
        return bool(self.leftovers())

    def leftovers(self) -> list[str]:
        """The names of the collections that remain in the store."""
        return open_store(self.place).collections()

    def vector_ids(self) -> set[str]:
        with self.reading() as reader, reader.snapshot():
            return set(reader.cosines(FakeEmbedder().embed_query("any"), sorted(reader.catalog.chunk_ids())))

    def address(self) -> str:
        return open_store(self.place).with_secret()

    def other_process(self, command: str, *words: str) -> "subprocess.Popen[str]":
        """Start `command` of `second_process`, which prints its steps to stdout and waits for lines on stdin."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.second_process", self.address(), command, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def run_other_process(self, command: str, *words: str) -> str:
        """The stdout of a `command` of `second_process`. A crash or timeout fails the test."""
        ended = _fork_server().run(self.address(), command, *words)
        assert ended.status == 0, f"{command} ended with {ended}"
        return ended.stdout.strip()


@dataclass(frozen=True)
class LocalStore(Store):
    """SQLite and Chroma in a directory."""

    place: Path

    @property
    def directory(self) -> Path:
        return self.place

    @contextmanager
    def writing(self, *, embedding: str = "fake", rebuild: bool = False) -> Iterator[CollectionWriter]:
        opened = open_directory_for_writing(self.directory, self.collection, embedding=embedding, rebuild=rebuild)
        with opened as writer:
            yield writer

    @contextmanager
    def reading(self) -> Iterator[CollectionReader]:
        with closing(CollectionReader(self.directory, self.collection)) as reader:
            yield reader

    def remove(self) -> None:
        shutil.rmtree(self.place)

    def exists(self) -> bool:
        return self.place.exists()

    def leftovers(self) -> list[str]:
        return sorted(each.name for each in (self.place / "collections").iterdir())

    def vector_ids(self) -> set[str]:
        layout = Layout(self.place, self.collection)
        current = layout.active_epoch()
        assert current is not None
        with closing(Vectors(layout.vectors(current.epoch), self.collection)) as vectors:
            return vectors.ids()


@dataclass(frozen=True)
class PostgresStore(Store):
    """A schema in a database."""

    place: PostgresUrl

    def remove(self) -> None:
        postgres_server.drop(self.place)

    def exists(self) -> bool:
        return postgres_server.exists(self.place)

    def leftovers(self) -> list[str]:
        shared = {"collections", "epochs", "migrations", "roots"}
        return [each for each in postgres_server.tables(self.place) if each not in shared]

    def vector_ids(self) -> set[str]:
        return postgres_server.vector_ids(self.place)


def store_at(address: str) -> Store:
    match store_address(address):
        case Path() as place:
            return LocalStore(place)
        case PostgresUrl() as place:
            return PostgresStore(place)
        case place:
            return Store(place)


@contextmanager
def empty_store(package: str, folder: Path) -> Iterator[Store]:
    """A new store for the backend in `package`. For unknown backends the address is a path after the scheme."""
    match package:
        case "streamrag_cli.store.local":
            yield LocalStore(folder / "store")
        case "streamrag_cli.store.postgres":
            with postgres_server.fresh_schema() as place:
                yield PostgresStore(place)
        case _:
            scheme = next(scheme for scheme, each in BACKENDS.items() if each == package)
            yield store_at(f"{scheme}:{folder / 'store'}")


@cache
def _fork_server() -> ForkServer:
    server = ForkServer("tests.support.second_process")
    atexit.register(server.__exit__, None, None, None)
    return server


def document(path: str, *texts: str) -> Document:
    """A document whose chunks are the texts."""
    starts = [sum(map(len, texts[:ordinal])) for ordinal in range(len(texts))]
    chunks = [
        Chunk(
            id=hashlib.sha256(f"{path}\0{text}".encode()).hexdigest()[:24],
            ordinal=ordinal,
            text=text,
            headings=("Guide", path),
            page=None,
            line_start=ordinal + 1,
            line_end=ordinal + 1,
            char_start=start,
            char_end=start + len(text),
        )
        for ordinal, (text, start) in enumerate(zip(texts, starts, strict=True))
    ]
    record = DocumentRecord(
        path=f"/docs/{path}",
        source=path,
        size=len("".join(texts)),
        mtime_ns=1,
        read_at_ns=2,
        sha256=hashlib.sha256("".join(texts).encode()).hexdigest(),
        recipe="1",
        title="",
    )
    return record, chunks


def many_chunks(path: str, count: int) -> Document:
    """A document with `count` different chunks."""
    return document(path, *(f"{path} number {each} word{each % 97}x{each % 89}" for each in range(count)))


def write(writer: Writer, *documents: Document) -> None:
    texts = [chunk.text_to_embed for _, chunks in documents for chunk in chunks]
    writer.write(documents, EmbeddedPassages(FakeEmbedder().embed_documents(texts)))


def by_text(reader: Reader, word: str) -> set[str]:
    """The texts of the chunks that full-text search finds."""
    ids = [chunk_id for chunk_id, _ in reader.search_text([word], 100)]
    return {each.chunk.text for each in reader.catalog.chunks(ids).values()}


def by_vector(reader: Reader, limit: int = 100) -> set[str]:
    """The texts of all chunks that a search with their own vector finds."""
    texts = set()
    for chunk_id in reader.catalog.chunk_ids():
        chunk = reader.catalog.chunks([chunk_id])[chunk_id].chunk
        vector = FakeEmbedder().embed_query(chunk.text_to_embed)
        best = reader.nearest(vector, limit)
        if chunk_id in [each for each, cosine in best if cosine > 0.999]:
            texts.add(chunk.text)
    return texts


def texts(reader: Reader) -> set[str]:
    """The texts of all chunks in the catalog."""
    return {each.chunk.text for each in reader.catalog.chunks(reader.catalog.chunk_ids()).values()}


def vector_ids(store: Store) -> set[str]:
    """The ids of the chunks that have a vector, read in a separate process."""
    return set(store.run_other_process("vector-ids").split())
