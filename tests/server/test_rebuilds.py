"""A server follows other processes' rebuilds of its collection."""

from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.events import IngestDone
from streamrag_cli.ingest.pipeline import IngestRequest, ingest
from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.http_client import ask_url, request
from tests.support.openai_server import OpenAIServer
from tests.support.running_server import running_server


def rebuild(settings: Settings, folder: Path) -> None:
    *_, end = ingest(IngestRequest(paths=(), working_directory=folder, rebuild=True), settings)
    assert isinstance(end, IngestDone)


@pytest.mark.fault("embedder-changed-back")
def test_a_server_answers_again_after_a_change_of_the_embedder_is_undone(tmp_path: Path) -> None:
    settings = make_collection(tmp_path)
    with OpenAIServer() as embedding, running_server(settings) as server:

        def status() -> int:
            return request(ask_url(server.url, "Who built the lighthouse?", "/search")).status

        first = status()
        rebuild(replace(settings, embedding="openai:words", base_url=embedding.base_url), tmp_path)
        without_key = status()
        rebuild(replace(settings, embedding="builtin"), tmp_path)

        assert (first, without_key, status()) == (200, 500, 200)
