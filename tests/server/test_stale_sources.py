"""A server's clients learn only the name of a source that has changed."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.http_client import QUESTION, ask_url, post_json, request, streaming
from tests.support.openai_replies import answer
from tests.support.openai_server import OpenAIServer
from tests.support.running_server import RunningServer, running_server

pytestmark = pytest.mark.fault("source-changed")
CHANGED = {"message": "docs/lighthouse.md has changed since it was ingested", "code": "source_changed"}
GONE = {"message": "docs/lighthouse.md no longer exists", "code": "source_gone"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "at localhost"


@pytest.fixture
def server(folder: Path) -> Iterator[RunningServer]:
    """A server with a model, for a collection with one changed document."""
    folder.mkdir()
    settings: Settings = make_collection(folder)
    with (folder / "docs" / "lighthouse.md").open("a", encoding="utf-8") as file:
        file.write("\nIt was repainted.\n")
    with (
        OpenAIServer(chat=answer("Ada Brandt ", "built it [1].")) as model,
        running_server(replace(settings, base_url=model.base_url, model="m")) as server,
    ):
        yield server


def test_an_event_stream_has_the_notice_about_changed_files_after_the_sources(
    server: RunningServer, folder: Path
) -> None:
    with streaming(ask_url(server.url)) as answered:
        lines = list(answered.lines())
    with streaming(ask_url(server.url)) as answered:
        events = list(answered.events())

    assert [event["type"] for event in events[:4]] == ["status", "sources", "notice", "status"]
    assert events[2] == {"type": "notice", **CHANGED}
    assert not [line for line in lines if str(folder) in line]


def test_search_and_openai_replies_have_the_notice_about_changed_files(server: RunningServer) -> None:
    searched = request(f"{server.url}/search?query={quote(QUESTION)}").json
    body = {"model": "streamrag", "messages": [{"role": "user", "content": QUESTION}]}
    whole = post_json(f"{server.url}/v1/chat/completions", body).json
    headers = {"Content-Type": "application/json"}
    streamed = json.dumps({**body, "stream": True}).encode()
    with streaming(f"{server.url}/v1/chat/completions", "POST", body=streamed, headers=headers) as answered:
        chunks = [line for line in answered.lines() if '"notices"' in line]

    assert searched["notices"] == whole["notices"] == [CHANGED]
    assert [('"finish_reason":"stop"' in chunk, CHANGED["message"] in chunk) for chunk in chunks] == [(True, True)]


def test_a_missing_file_is_reported_and_its_document_is_still_used(server: RunningServer, folder: Path) -> None:
    (folder / "docs" / "lighthouse.md").unlink()
    searched = request(f"{server.url}/search?query={quote(QUESTION)}").json

    assert searched["notices"] == [GONE]
    assert searched["hits"][0]["source"] == "docs/lighthouse.md"
