"""Another process on a store: `python -m tests.store.second_process STORE COMMAND [WORD...]`.

It says a line for each step on stdout; where a step needs a go-ahead it waits for a line on stdin.
"""

import sys
from contextlib import closing
from pathlib import Path

from streamrag_cli.errors import StoreError, StreamragError
from streamrag_cli.retrieval.search import retrieve
from streamrag_cli.store.layout import Layout
from streamrag_cli.store.vectors import Vectors
from tests.fake_embedder import FakeEmbedder
from tests.store.stores import LocalStore, document, many_chunks, write


def main(directory: str, command: str, *words: str) -> None:
    store = LocalStore(Path(directory))
    try:
        match command:
            case "put" | "rebuild":  # PATH TEXT...
                store.put(document(words[0], *words[1:]), rebuild=command == "rebuild")
                say("done")
            case "put-many":  # PATH COUNT
                store.put(many_chunks(words[0], int(words[1])))
                say("done")
            case "remove":  # PATH
                with store.writing() as writer:
                    writer.remove([f"/docs/{words[0]}"])
                say("done")
            case "hold":
                with store.writing():
                    say("holding")
                    sys.stdin.readline()
            case "put-slowly":  # PATH COUNT: waits between the vectors and the catalog
                put_slowly(store, words[0], int(words[1]))
            case "counts":
                with store.reading() as reader:
                    say(str(reader.counts()))
            case "ask":  # QUESTION
                ask(store, words[0])
            case "vector-ids":
                layout = Layout(store.directory, store.collection)
                current = layout.current()
                assert current is not None
                with closing(Vectors(layout.vectors(current.epoch), "default")) as vectors:
                    say(" ".join(sorted(vectors.ids())))
            case _:
                raise SystemExit(f"no such command: {command}")
    except StreamragError as error:
        say(f"{error.code} hint={error.hint}")


def put_slowly(store: LocalStore, path: str, count: int) -> None:
    with store.writing() as writer:
        settle = writer.catalog.settle

        def wait_and_settle(chunk_ids: object) -> None:
            say("vectors written")
            sys.stdin.readline()
            settle(chunk_ids)  # type: ignore[arg-type]

        writer.catalog.settle = wait_and_settle  # type: ignore[method-assign]
        write(writer, many_chunks(path, count))
    say("done")


def ask(store: LocalStore, question: str) -> None:
    """Say the best hits' texts, best first, or the error."""
    with store.reading() as reader:
        found = retrieve(reader, FakeEmbedder(), question, top_k=3)
        if not found.hits:
            raise StoreError("no hits", code="no_hits")
        say(" | ".join(hit.chunk.text for hit in found.hits))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
