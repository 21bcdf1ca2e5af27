"""`collections` in a request: one question to several served collections."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from streamrag_cli.events import IngestDone
from streamrag_cli.ingest.pipeline import IngestRequest, ingest
from streamrag_cli.settings import ServerSettings
from tests.support.collection import make_collection
from tests.support.files import write_files
from tests.support.http_client import Reply, post_json, request, streaming
from tests.support.running_server import RunningServer, running_server

WAREHOUSE = {"docks.md": "# Docks\n\nThe fuel dock belongs to the Petersen family.\n"}
DOCK = "When does the fuel dock open, and to whom does it belong?"
BOTH = {("default", "docs/harbour.md"), ("owners", "owners/docks.md")}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server for the collections `default` and `owners`; the store also has `private`."""
    folder = tmp_path_factory.mktemp("served")
    settings = make_collection(folder)
    for name in ("owners", "private"):
        write_files(folder / name, WAREHOUSE)
        *_, end = ingest(
            IngestRequest(paths=(folder / name,), working_directory=folder), replace(settings, collection=name)
        )
        assert isinstance(end, IngestDone)
    with running_server(
        replace(settings, min_score=0.0, top_k=10), ServerSettings(collections=("default", "owners"))
    ) as server:
        yield server


def places(reply: Reply) -> set[tuple[str | None, str]]:
    assert reply.status == 200, reply
    return {(hit.get("collection"), hit["source"]) for hit in reply.json["hits"]}


def test_search_finds_hits_in_all_collections_and_names_them(server: RunningServer) -> None:
    posted = post_json(f"{server.url}/search", {"query": DOCK, "collections": ["default", "owners"]})
    by_url = request(f"{server.url}/search?query=fuel+dock&collections=default&collections=owners")
    one = post_json(f"{server.url}/search", {"query": DOCK, "collections": ["owners"]})

    assert places(posted) >= BOTH
    assert places(by_url) >= BOTH
    assert places(one) == {(None, "owners/docks.md")}


def test_the_answer_routes_use_all_collections(server: RunningServer) -> None:
    body = json.dumps({"query": DOCK, "collections": ["default", "owners"]}).encode()
    for path in ("/rag/stream-with-sources", "/rag/stream"):
        with streaming(f"{server.url}{path}", "POST", body=body, headers={"Content-Type": "application/json"}) as reply:
            events = list(reply.events())
        answer = "".join(each["token"] for each in events if each["type"] == "token")
        assert ("seven" in answer, "Petersen" in answer, events[-1]["type"]) == (True, True, "done")


def test_the_passage_of_a_source_is_read_from_its_collection(server: RunningServer) -> None:
    hits = post_json(f"{server.url}/search", {"query": DOCK, "collections": ["default", "owners"]}).json["hits"]
    [owner] = [each for each in hits if each["collection"] == "owners"]

    passage = request(f"{server.url}/passage?chunk_id={owner['chunk_id']}&collection={owner['collection']}")

    assert passage.json["text"] == owner["text"]


def test_collections_in_the_body_replace_all_collections_in_the_url(server: RunningServer) -> None:
    one = post_json(
        f"{server.url}/search?collections=default&collections=owners", {"query": DOCK, "collection": "owners"}
    )
    both = post_json(f"{server.url}/search?collection=owners", {"query": DOCK, "collections": ["default", "owners"]})

    assert places(one) == {(None, "owners/docks.md")}
    assert places(both) >= BOTH


@pytest.mark.parametrize(
    ("fields", "status", "code", "message"),
    [
        (
            {"collections": ["owners", "private"]},
            404,
            "no_such_collection",
            "this server does not serve the collection 'private'",
        ),
        ({"collections": ["owners,private"]}, 422, "bad_request", None),
        ({"collection": "owners,default"}, 422, "bad_request", None),
        (
            {"collection": "owners", "collections": ["default"]},
            422,
            "bad_request",
            "collection and collections cannot be combined",
        ),
        ({"collections": []}, 422, "bad_request", "collections: must have at least 1 entry"),
        ({"collections": ["owners"] * 9}, 422, "bad_request", "collections: must have at most 8 entries"),
        ({"collections": [7]}, 422, "bad_request", "collections.0: must be a string"),
    ],
)
def test_unserved_collections_and_invalid_lists_are_refused(
    fields: dict[str, Any], status: int, code: str, message: str | None, server: RunningServer
) -> None:
    reply = post_json(f"{server.url}/search", {"query": DOCK, **fields})

    assert (reply.status, reply.json["code"]) == (status, code)
    assert message in {None, reply.json["error"]}
