"""Clients may use only the collections, models and limits that the operator allows."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.events import IngestDone
from streamrag_cli.ingest.pipeline import IngestRequest, ingest
from streamrag_cli.server.app import create_app
from streamrag_cli.settings import ServerSettings, Settings
from tests.support.collection import make_collection
from tests.support.http_client import QUESTION, Reply, ask_url, post_json, request
from tests.support.openai_replies import answer
from tests.support.openai_server import OpenAIServer
from tests.support.postgres_server import fresh_schema
from tests.support.running_server import RunningServer, running_server, served

PLENTY = ServerSettings(rate_limit="1000000/minute", grace_s=3.0)
SECRET = "The harbour master earns 5120 crowns a month."


def add_collection(settings: Settings, folder: Path, name: str, text: str) -> None:
    documents = folder / name
    documents.mkdir()
    (documents / "note.md").write_text(text, encoding="utf-8")
    *_, end = ingest(IngestRequest(paths=(documents,), working_directory=folder), replace(settings, collection=name))
    assert isinstance(end, IngestDone)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A store with the collections `default`, `payroll`, `guests` and the empty `hollow`, whose only file failed."""
    folder = Path(tmp_path_factory.mktemp("several"))
    settings = make_collection(folder)
    add_collection(settings, folder, "payroll", f"# Pay\n\n{SECRET}\n")
    add_collection(settings, folder, "guests", "# Guests\n\nGuests moor at the eastern quay.\n")
    (folder / "hollow").mkdir()
    (folder / "hollow" / "broken.pdf").write_bytes(b"%PDF-1.7 without a body")
    [*_] = ingest(
        IngestRequest(paths=(folder / "hollow",), working_directory=folder), replace(settings, collection="hollow")
    )
    return settings


def replies_about(server: RunningServer, collection: str) -> list[Reply]:
    """The replies from every route that takes a collection."""
    question = {"query": "What does the harbour master earn?", "collection": collection}
    conversation = {
        "model": f"streamrag/{collection}",
        "messages": [{"role": "user", "content": "What does the harbour master earn?"}],
    }
    address = f"{ask_url(server.url, question['query'], '/search')}&collection={collection}"
    return [
        request(address),
        request(address.replace("/search", "/rag/stream")),
        request(address.replace("/search", "/rag/stream-with-sources")),
        post_json(f"{server.url}/rag/stream", question),
        post_json(f"{server.url}/rag/stream-with-sources", question),
        post_json(f"{server.url}/v1/chat/completions", conversation),
        post_json(f"{server.url}/v1/chat/completions", conversation | {"stream": True}),
    ]


@pytest.mark.fault("collection-not-served")
@pytest.mark.parametrize(
    "server_settings", [PLENTY, replace(PLENTY, collections=("default", "guests"))], ids=["default", "two named"]
)
def test_an_unserved_collection_is_reported_as_missing(server_settings: ServerSettings, store: Settings) -> None:
    with running_server(store, server_settings) as server:
        there = replies_about(server, "payroll")
        absent = replies_about(server, "zzzzzzz")

    assert [reply.status for reply in there] == [404] * 7
    assert [reply.body.replace(b"payroll", b"zzzzzzz") for reply in there] == [reply.body for reply in absent]
    assert not any(SECRET.encode() in reply.body for reply in there)


@pytest.mark.fault("collection-not-served")
@pytest.mark.parametrize(
    ("server_settings", "names"),
    [
        (PLENTY, ["default"]),
        (replace(PLENTY, collections=("default", "guests")), ["default", "guests"]),
        (replace(PLENTY, collections=("default", "hollow", "absent")), ["default"]),
        (replace(PLENTY, all_collections=True), ["default", "guests", "payroll"]),
    ],
    ids=["default", "two named", "empty and missing collections", "all"],
)
def test_only_served_collections_with_documents_are_listed(
    server_settings: ServerSettings, names: list[str], store: Settings
) -> None:
    with running_server(store, server_settings) as server:
        listed = request(f"{server.url}/collections").json
        models = [each["id"] for each in request(f"{server.url}/v1/models").json["data"]]

    assert listed == {"collections": names, "default": "default"}
    assert models == ["streamrag", *(f"streamrag/{name}" for name in names)]


def test_questions_to_served_collections_are_answered(store: Settings) -> None:
    with running_server(store, replace(PLENTY, collections=("default", "payroll"))) as server:
        replies = replies_about(server, "payroll")

    assert [reply.status for reply in replies] == [200] * 7
    assert SECRET.encode() in replies[0].body


def test_the_first_collection_named_on_the_command_line_is_the_default(store: Settings) -> None:
    with served(store, "-c", "guests", "-c", "payroll") as server:
        listed = request(f"{server.url}/collections").json
        others = request(f"{server.url}/search?query=x&collection=default")

    assert listed == {"collections": ["guests", "payroll"], "default": "guests"}
    assert (others.status, others.code) == (404, "no_such_collection")


def test_collections_from_the_command_line_override_the_environment(store: Settings) -> None:
    with served(store, "-c", "guests", STREAMRAG_COLLECTIONS="default,payroll") as server:
        assert request(f"{server.url}/collections").json == {"collections": ["guests"], "default": "guests"}


@pytest.mark.postgres
def test_an_empty_collection_in_postgres_is_not_listed(tmp_path: Path) -> None:
    with fresh_schema() as place:
        settings = make_collection(tmp_path, {"a.md": "The ferry leaves at nine.\n"}, store=place)
        (tmp_path / "hollow").mkdir()
        (tmp_path / "hollow" / "broken.pdf").write_bytes(b"%PDF-1.7 without a body")
        hollow = replace(settings, collection="hollow")
        [*_] = ingest(IngestRequest(paths=(tmp_path / "hollow",), working_directory=tmp_path), hollow)
        app = create_app(settings, replace(PLENTY, all_collections=True))

        assert asyncio.run(app.state.serving.collections()) == ["default"]


@pytest.fixture(scope="module")
def with_models(store: Settings) -> Iterator[tuple[OpenAIServer, RunningServer]]:
    allowing = replace(PLENTY, allow_model=("Acme/large:7b",))
    with OpenAIServer(chat=lambda _: answer("x")) as model:
        model_settings = replace(store, base_url=model.base_url, model="small", top_k=3, min_score=0.2)
        with running_server(model_settings, allowing) as server:
            yield model, server


@pytest.mark.parametrize("name", [None, "small", "Acme/large:7b"])
def test_a_client_may_choose_the_servers_model_and_allowed_models(
    name: str | None, with_models: tuple[OpenAIServer, RunningServer]
) -> None:
    model, server = with_models
    reply = post_json(f"{server.url}/rag/stream", {"query": QUESTION, "model": name})

    assert (reply.status, model.requests[-1].json["model"]) == (200, name or "small")


@pytest.mark.fault("request-beyond-server-settings")
@pytest.mark.parametrize("name", ["dearest", "acme/large:7b", "small ", "SMALL", ""])
def test_models_that_are_not_allowed_are_refused_without_a_model_call(
    name: str, with_models: tuple[OpenAIServer, RunningServer]
) -> None:
    model, server = with_models
    before = len(model.requests)
    replies = [
        post_json(f"{server.url}/rag/stream", {"query": QUESTION, "model": name}),
        request(ask_url(server.url) + f"&model={name.replace(' ', '%20')}"),
        request(ask_url(server.url, path="/search") + f"&model={name.replace(' ', '%20')}"),
    ]

    assert [(reply.status, reply.code) for reply in replies] == [(403, "model_not_allowed")] * 3
    assert len(model.requests) == before


@pytest.mark.fault("request-beyond-server-settings")
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"k": 4}, "k: this server returns at most 3 sources"),
        ({"k": 100, "model": "small"}, "k: this server returns at most 3 sources"),
        ({"min_score": 0}, "min_score: this server requires at least 0.2"),
        ({"min_score": 0.19}, "min_score: this server requires at least 0.2"),
    ],
)
def test_requests_beyond_the_servers_limits_are_refused(
    parameters: dict[str, object], message: str, with_models: tuple[OpenAIServer, RunningServer]
) -> None:
    model, server = with_models
    before = len(model.requests)
    reply = post_json(f"{server.url}/rag/stream", {"query": QUESTION, **parameters})

    assert (reply.status, reply.code, reply.json["error"]) == (422, "bad_request", message)
    assert len(model.requests) == before


def test_requests_within_the_servers_limits_are_answered(with_models: tuple[OpenAIServer, RunningServer]) -> None:
    _, server = with_models

    assert post_json(f"{server.url}/rag/stream", {"query": QUESTION, "k": 3, "min_score": 0.2}).status == 200
    assert post_json(f"{server.url}/rag/stream", {"query": QUESTION, "k": 1, "min_score": 0.25}).status == 200
