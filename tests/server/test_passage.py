"""`/passage` returns the whole text of a source, from served collections only."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from urllib.parse import quote

import pytest

from streamrag_cli.events import IngestDone
from streamrag_cli.ingest.pipeline import IngestRequest, ingest
from streamrag_cli.settings import ServerSettings, Settings
from tests.support.collection import DOCUMENTS, make_collection
from tests.support.files import write_files
from tests.support.http_client import Reply, request
from tests.support.postgres_server import fresh_schema
from tests.support.running_server import RunningServer, running_server

LEDGER = "# Ledger\n\nThe harbour owes the chandler 612 crowns.\n\x1b[2J\u202eend"
ALL = ServerSettings(rate_limit="1000000/minute", grace_s=3.0, all_collections=True)
OWN = replace(ALL, all_collections=False)


@pytest.fixture(scope="module", params=["directory", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A store with the collections `default`, and `ledger`, which was ingested from another working directory."""
    folder = tmp_path_factory.mktemp("passages")
    with fresh_schema() if request.param == "postgres" else nullcontext() as place:
        settings = make_collection(folder, store=place)
        write_files(folder / "private" / "books", {"ledger.md": LEDGER})
        *_, end = ingest(
            IngestRequest(paths=(folder / "private" / "books",), working_directory=folder / "docs"),
            replace(settings, collection="ledger"),
        )
        assert isinstance(end, IngestDone)
        yield settings


def first_hit(server: RunningServer, query: str, collection: str = "default") -> dict[str, object]:
    reply = request(f"{server.url}/search?query={quote(query)}&collection={collection}").json
    hit: dict[str, object] = reply["hits"][0]
    return hit


def passage(server: RunningServer, parameters: str) -> Reply:
    return request(f"{server.url}/passage?{parameters}")


def test_a_passage_is_the_whole_text_of_a_source(store: Settings) -> None:
    with running_server(store, ALL) as server:
        hit = first_hit(server, "Who built the lighthouse?")
        reply = passage(server, f"chunk_id={hit['chunk_id']}")

    assert (reply.status, reply.headers["content-type"], reply.headers["cache-control"]) == (
        200,
        "application/json",
        "no-store",
    )
    assert reply.json == {
        "source": "docs/lighthouse.md",
        "title": "The lighthouse",
        "page": None,
        "line_start": 1,
        "line_end": 5,
        "text": DOCUMENTS["lighthouse.md"].strip(),
        "chunk_id": hit["chunk_id"],
    }


def test_a_passage_has_no_absolute_path_and_no_control_characters(store: Settings) -> None:
    with running_server(store, ALL) as server:
        hit = first_hit(server, "What does the harbour owe the chandler?", "ledger")
        reply = passage(server, f"chunk_id={hit['chunk_id']}&collection=ledger")

    assert reply.json["source"] == "books/ledger.md"
    assert (
        reply.json["text"] == "# Ledger\n\nThe harbour owes the chandler 612 crowns.\n\N{REPLACEMENT CHARACTER}[2Jend"
    )
    assert b"private" not in reply.body


def test_a_passage_in_an_unserved_collection_is_reported_as_missing(store: Settings) -> None:
    with running_server(store, ALL) as server:
        chunk_id = first_hit(server, "What does the harbour owe the chandler?", "ledger")["chunk_id"]
    with running_server(store, OWN) as server:
        there = passage(server, f"chunk_id={chunk_id}&collection=ledger")
        absent = passage(server, f"chunk_id={chunk_id}&collection=nowhere")
        in_default = passage(server, f"chunk_id={chunk_id}")

    assert (there.status, there.code) == (404, "no_such_collection")
    assert there.body.replace(b"ledger", b"nowhere") == absent.body
    assert (in_default.status, in_default.code) == (404, "no_such_passage")


@pytest.mark.parametrize(
    ("parameters", "status", "error"),
    [
        (
            "chunk_id=0000",
            404,
            {
                "error": "no passage has the id '0000'",
                "code": "no_such_passage",
                "hint": "search again: the documents may have changed",
            },
        ),
        (
            "",
            422,
            {
                "error": "chunk_id is required",
                "code": "bad_request",
                "hint": "send the chunk_id of a source or hit",
            },
        ),
        (
            "chunk_id=1&chunk=2",
            422,
            {
                "error": "unknown field 'chunk'",
                "code": "bad_request",
                "hint": "did you mean chunk_id? The fields are chunk_id and collection",
            },
        ),
        (
            "chunk_id=%00",
            422,
            {
                "error": "chunk_id contains NUL or surrogate characters",
                "code": "bad_request",
                "hint": "send plain text",
            },
        ),
        (
            "chunk_id=",
            422,
            {
                "error": "chunk_id: must have at least 1 character",
                "code": "bad_request",
                "hint": "send the chunk_id of a source or hit",
            },
        ),
        (
            "chunk_id=" + "f" * 201,
            422,
            {
                "error": "chunk_id: must have at most 200 characters",
                "code": "bad_request",
                "hint": "send the chunk_id of a source or hit",
            },
        ),
    ],
)
def test_an_unusable_id_is_refused_with_a_message(
    parameters: str, status: int, error: dict[str, str], settings: Settings
) -> None:
    with running_server(settings, ALL) as server:
        reply = passage(server, parameters)

    assert (reply.status, reply.json) == (status, error)


def test_a_page_of_another_site_cannot_open_a_passage(settings: Settings) -> None:
    with running_server(settings, ALL) as server:
        chunk_id = first_hit(server, "Who built the lighthouse?")["chunk_id"]
        address = f"{server.url}/passage?chunk_id={chunk_id}"
        foreign = [
            request(address, headers={"Origin": "https://evil.example"}),
            request(address, headers={"Referer": "http://evil.example/"}),
            request(address, headers={"Accept": "text/html,*/*"}),
        ]
        head = request(address, "HEAD")

    assert [(reply.status, reply.code) for reply in foreign] == [(403, "foreign_origin")] * 3
    assert (head.status, head.body) == (200, b"")


def test_a_passage_does_not_count_as_a_question_for_the_rate_limit(settings: Settings) -> None:
    with running_server(settings, replace(ALL, rate_limit="1/minute")) as server:
        chunk_id = first_hit(server, "Who built the lighthouse?")["chunk_id"]
        replies = [passage(server, f"chunk_id={chunk_id}") for _ in range(3)]

    assert [reply.status for reply in replies] == [200] * 3
