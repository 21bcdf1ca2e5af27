"""An engine's memory does not grow with the number of questions and collections."""

import os
import subprocess
import sys
from pathlib import Path

from streamrag_cli.retrieval.embedder import BUILTIN
from streamrag_cli.retrieval.embeddings import make_embedder
from streamrag_cli.store.interface import EmbeddedPassages
from streamrag_cli.store.registry import open_store
from tests.support.stores import document

COLLECTIONS = 20
QUESTIONS = 1000
OPEN_COLLECTION_MB = 5
MOST_OPEN = 8


def test_memory_stays_bounded_over_a_thousand_questions(tmp_path: Path) -> None:
    embedder = make_embedder("builtin", base_url=None, api_key=None, timeout_s=1)
    written = document("a.md", "The ferry takes an hour.", "Ada Brandt built the lighthouse.", "The fee is nine euros.")
    vectors = embedder.embed_documents([chunk.text_to_embed for chunk in written[1]])
    for number in range(COLLECTIONS):
        with open_store(tmp_path).writer(f"number{number}", embedding=BUILTIN) as writer:
            writer.write([written], EmbeddedPassages(vectors))
    output = subprocess.run(
        [sys.executable, "-m", "tests.support.many_collections", tmp_path, str(COLLECTIONS), str(QUESTIONS)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},  # as in an engine
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    fresh_mb, most_mb = map(float, output.split())

    assert most_mb <= 1.5 * fresh_mb + MOST_OPEN * OPEN_COLLECTION_MB
