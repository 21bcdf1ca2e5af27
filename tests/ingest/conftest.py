"""Fixtures with an empty working directory and a fake embedder."""

from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.ingest.limits import IngestLimits
from streamrag_cli.settings import Settings
from tests.support.fake_embedder import FakeEmbedder
from tests.support.ingests import Ingests


@pytest.fixture
def embedder() -> FakeEmbedder:
    """The default embedder for all ingests in a test."""
    return FakeEmbedder()


@pytest.fixture
def ingests(tmp_path: Path, embedder: FakeEmbedder) -> Ingests:
    home = tmp_path / "home"
    home.mkdir()
    return Ingests(home=home, settings=Settings(store=tmp_path / "store"), embedder=embedder)


@pytest.fixture
def in_pairs(ingests: Ingests) -> Ingests:
    """Like `ingests`, with two chunks per batch."""
    return replace(ingests, limits=IngestLimits(batch_chunks=2))
