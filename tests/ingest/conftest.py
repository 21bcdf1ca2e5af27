"""An empty working directory, and an embedder that costs nothing."""

from pathlib import Path

import pytest

from streamrag_cli.ingest import pipeline
from streamrag_cli.settings import Settings
from tests.fake_embedder import FakeEmbedder
from tests.ingest.ingests import Ingests


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> FakeEmbedder:
    """The embedder of every ingest of the test."""
    embedder = FakeEmbedder()
    monkeypatch.setattr(pipeline, "embedder_for", lambda *_, **__: embedder)
    return embedder


@pytest.fixture
def ingests(tmp_path: Path, embedder: FakeEmbedder) -> Ingests:
    home = tmp_path / "home"
    home.mkdir()
    return Ingests(home=home, settings=Settings(store=tmp_path / "store"))
