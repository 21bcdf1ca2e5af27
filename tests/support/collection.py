"""A small ingested collection for tests that ask questions."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from streamrag_cli.errors import StreamragError
from streamrag_cli.events import Error, IngestDone
from streamrag_cli.ingest.pipeline import IngestRequest, ingest
from streamrag_cli.retrieval.builtin_embedding import shared_embedder
from streamrag_cli.retrieval.local_embedding import LocalEmbedder
from streamrag_cli.settings import Settings
from streamrag_cli.store.address import StoreAddress
from tests.support.files import write_files

DOCUMENTS: Mapping[str, str] = {
    "harbour.md": (
        "# Harbour rules\n\n## Berths\n\nA berth is let for 24 hours. "
        "The fee is 18 euros a night, electricity included.\n\n"
        "## Fuel\n\nThe fuel dock opens at seven. Filling jerry cans on a pontoon is forbidden.\n"
    ),
    "lighthouse.md": (
        "# The lighthouse\n\nThe lighthouse was built in 1874 by Ada Brandt. Its lamp burned colza oil until 1921, "
        "when it was changed to electric light.\n\nIt stands 41 metres above the sea.\n"
    ),
    "tides.txt": (
        "Tides here are semidiurnal: two high waters and two low waters each lunar day.\n\n"
        "At springs the range is 4.1 metres, at neaps 1.9 metres.\n"
    ),
    "recipes.md": "# Galley\n\n## Chowder\n\nSimmer the clams with potatoes and thyme for twenty minutes.\n",
}


QUESTION = "When do I get my deposit back?"
"""A question that `sample_docs` answers."""


def make_collection(
    folder: Path, documents: Mapping[str, str] | Mapping[str, bytes] = DOCUMENTS, *, store: StoreAddress | None = None
) -> Settings:
    """Write the documents under `folder`, ingest them with the built-in embedder, and return the settings."""
    _kept_embedder()
    write_files(folder / "docs", documents)
    settings = Settings(store=store or folder / "store")
    *_, end = ingest(IngestRequest(paths=(folder / "docs",), working_directory=folder), settings)
    if isinstance(end, Error):
        raise StreamragError(end.message, code=end.code)
    assert isinstance(end, IngestDone)
    assert end.counts["added"] + end.counts["changed"] == len(documents)
    return settings


@cache
def _kept_embedder() -> LocalEmbedder:
    """The embedder that all collections and servers in this process share, so that the model is loaded only once."""
    return shared_embedder()
