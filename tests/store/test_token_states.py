"""Token states are stored and removed with their chunks, in every backend."""

from streamrag_cli.store.interface import EmbeddedPassages
from tests.support.fake_embedder import FakeEmbedder
from tests.support.stores import Store, document


def test_every_backend_stores_and_removes_token_states_with_their_chunks(store: Store) -> None:
    record, chunks = document("a.md", "apples are red", "pears are green", "plums are blue")
    vectors = FakeEmbedder().embed_documents([chunk.text_to_embed for chunk in chunks])
    ids = [chunk.id for chunk in chunks]
    with store.writing() as writer:
        writer.write([(record, chunks)], EmbeddedPassages(vectors, [b"\1" * 48, b"", b"\3" * 96]))
        assert writer.catalog.token_states(ids[:1]) == {ids[0]: b"\1" * 48}
    with store.reading() as reader:
        assert reader.catalog.token_states([*ids, "unknown"]) == {ids[0]: b"\1" * 48, ids[2]: b"\3" * 96}
    with store.writing() as writer:
        writer.remove([record.path])
    with store.reading() as reader:
        assert reader.catalog.token_states(ids) == {}
