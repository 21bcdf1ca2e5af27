"""A second process that uses a store: `python -m tests.support.second_process STORE COMMAND [WORD...]`.

It prints one line per step to stdout, and waits for a line on stdin before steps that need a signal.
"""

import io
import itertools
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from streamrag_cli.errors import StoreError, StreamragError
from streamrag_cli.retrieval.search import retrieve
from streamrag_cli.store.backend import status_of
from streamrag_cli.store.registry import open_store
from tests.support.fake_embedder import FakeEmbedder
from tests.support.stores import LocalStore, Store, by_vector, document, many_chunks, store_at, texts, write

_COMPACTING = ("VACUUM", "PRAGMA wal", "INSERT INTO chunks_fts (", "INSERT INTO embedding_fulltext_search")


def main(address: str, command: str, *words: str) -> None:
    try:
        COMMANDS[command](store_at(address), *words)
    except StreamragError as error:
        say(f"{error.code} hint={error.hint}")


def put(store: Store, path: str, *chunks: str) -> None:
    store.put(document(path, *chunks))
    say("done")


def rebuild(store: Store, path: str, *chunks: str) -> None:
    store.put(document(path, *chunks), rebuild=True)
    say("done")


def rebuild_limited(store: Store, bytes_per_file: str, path: str, *chunks: str) -> None:
    """Like `rebuild`, with a limit on the size of files."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(bytes_per_file), int(bytes_per_file)))
    rebuild(store, path, *chunks)


def status(store: Store) -> None:
    [report] = status_of(open_store(store.place))
    say(f"{report.chunks} chunks")


def put_batches(store: Store, count: str) -> None:
    """Write documents of 50 chunks one by one, like an ingest."""
    with store.writing() as writer:
        writer.repair(FakeEmbedder().embed_documents)
        for number in range(int(count)):
            write(writer, many_chunks(f"{number}.md", 50))
    say("done")


def put_and_die(store: Store, path: str, *chunks: str) -> None:
    """Write in a child process that is killed while its databases are open; this process continues."""
    child = os.fork()
    if not child:
        with store.writing() as writer:
            write(writer, document(path, *chunks))
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def remove_and_die(store: Store, at: str, *paths: str) -> None:
    """Remove documents, and kill this process at the statement number `at`, from 0, that frees disk space."""
    count = itertools.count()

    def step(statement: str) -> None:
        if statement.startswith(_COMPACTING) and next(count) == int(at):
            os.kill(os.getpid(), signal.SIGKILL)

    connect = sqlite3.connect

    def traced(*arguments: Any, **named: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = connect(*arguments, **named)
        db.set_trace_callback(step)
        return db

    sqlite3.connect = traced  # type: ignore[assignment]
    with store.writing() as writer:
        writer.remove(f"/docs/{path}" for path in paths)
    say("done")


def remove(store: Store, path: str) -> None:
    with store.writing() as writer:
        writer.remove([f"/docs/{path}"])
    say("done")


def hold(store: Store) -> None:
    """Keep the write lock until a line arrives on stdin."""
    with store.writing():
        say("holding")
        sys.stdin.readline()


def put_slowly(store: LocalStore, path: str, count: str) -> None:
    """Write a document, and wait for a line on stdin between the vectors and the catalog."""
    with store.writing() as writer:
        clear_pending = writer.catalog.clear_pending

        def wait_and_clear(chunk_ids: object) -> None:
            say("vectors written")
            sys.stdin.readline()
            clear_pending(chunk_ids)  # type: ignore[arg-type]

        writer.catalog.clear_pending = wait_and_clear  # type: ignore[method-assign]
        write(writer, many_chunks(path, int(count)))
    say("done")


def ask(store: Store, question: str) -> None:
    """Print the texts of the best hits, best first, or the error."""
    with store.reading() as reader:
        retrieved = retrieve(reader, FakeEmbedder(), question, limit=3)
        if not retrieved.hits:
            raise StoreError("no hits", code="no_hits")
        say(" | ".join(hit.chunk.text for hit in retrieved.hits))


def ask_around(store: Store, command: str, *words: str) -> None:
    """Print an open reader's hits before and after running a command on the writable mount of the same store."""
    assert isinstance(store.place, Path)
    writable = store_at(str(store.place.parents[1] / "rw" / "store"))
    with store.reading() as reader:
        for changes in (False, True):
            if changes:
                with redirect_stdout(io.StringIO()):
                    COMMANDS[command](writable, *words)
            retrieved = retrieve(reader, FakeEmbedder(), "lions have manes", limit=3)
            say(" | ".join(hit.chunk.text for hit in retrieved.hits))


def check(store: Store) -> None:
    """Print whether a search with each vector in the store finds that vector."""
    with store.reading() as reader:
        hits = by_vector(reader)
        say("all found" if hits == texts(reader) else f"{len(hits)} of {reader.counts()} found")


def vector_ids(store: Store) -> None:
    say(" ".join(sorted(store.vector_ids())))


def run(_: Store, *words: str) -> None:
    """Run any command in this process's namespaces."""
    subprocess.run(words, check=True)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


COMMANDS: dict[str, Callable[..., None]] = {
    "put": put,
    "rebuild": rebuild,
    "rebuild-limited": rebuild_limited,
    "status": status,
    "put-batches": put_batches,
    "put-slowly": put_slowly,
    "put-and-die": put_and_die,
    "remove-and-die": remove_and_die,
    "ask-around": ask_around,
    "remove": remove,
    "hold": hold,
    "ask": ask,
    "check": check,
    "vector-ids": vector_ids,
    "run": run,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
