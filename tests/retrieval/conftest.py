"""One collection for all tests in this folder, which do not change it."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from streamrag_cli.retrieval.retriever import Retriever
from tests.support.collection import make_collection


@pytest.fixture(scope="package")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    with closing(Retriever.open(make_collection(tmp_path_factory.mktemp("harbour")))) as opened:
        yield opened
