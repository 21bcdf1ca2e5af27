"""`/rag/*`: the same events as on the terminal, over HTTP."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.server.limits import Limits
from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.http_client import QUESTION, ask_url, post_json, request, streaming
from tests.support.openai_replies import Hold, Stall, answer, finish, stream, token
from tests.support.openai_server import OpenAIServer
from tests.support.running_server import running_server


def with_model(settings: Settings, server: OpenAIServer) -> Settings:
    return replace(settings, base_url=server.base_url, model="m")


def test_an_answer_consists_of_the_documented_events_in_order(settings: Settings) -> None:
    with (
        OpenAIServer(chat=answer("Ada Brandt ", "built it [1].")) as model,
        running_server(with_model(settings, model)) as server,
        streaming(ask_url(server.url)) as answered,
    ):
        events = list(answered.events())

    assert [event["type"] for event in events][:3] == ["status", "sources", "status"]
    assert "".join(event["token"] for event in events if event["type"] == "token") == "Ada Brandt built it [1]."
    assert [event["type"] for event in events][-2:] == ["citations", "done"]
    assert events[1]["sources"][0]["source"] == "docs/lighthouse.md"
    assert "path" not in events[1]["sources"][0]


def test_the_headers_prevent_buffering_of_the_stream(settings: Settings) -> None:
    with running_server(settings) as server, streaming(ask_url(server.url)) as answered:
        headers = {
            name: answered.headers.get(name)
            for name in ("content-type", "cache-control", "connection", "x-accel-buffering", "content-length")
        }

    assert (answered.status, headers) == (
        200,
        {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache, no-transform",
            "connection": "keep-alive",
            "x-accel-buffering": "no",
            "content-length": None,
        },
    )


def test_events_are_numbered_and_follow_a_first_ping(settings: Settings) -> None:
    with running_server(settings) as server, streaming(ask_url(server.url)) as answered:
        lines = list(answered.lines())

    assert lines[0] == ": ping"
    ids = [line for line in lines if line.startswith("id: ")]
    assert ids == [f"id: {n}" for n in range(1, len(ids) + 1)]
    assert not [line for line in lines if line.startswith("event:")]


def test_the_stream_without_sources_has_no_sources_or_citations(settings: Settings) -> None:
    with OpenAIServer(chat=answer("Ada [1].")) as model, running_server(with_model(settings, model)) as server:
        with streaming(ask_url(server.url, path="/rag/stream")) as answered:
            kinds = [event["type"] for event in answered.events()]

    assert kinds == ["status", "status", "token", "done"]


def test_a_token_arrives_before_the_model_sends_the_next(settings: Settings) -> None:
    release = threading.Event()
    script = stream(token("First"), Hold(release), token(" second"), finish())
    with OpenAIServer(chat=script) as model, running_server(with_model(settings, model)) as server:
        with streaming(ask_url(server.url)) as answered:
            assert answered.next_of("token")["token"] == "First"
            assert not release.is_set()
            release.set()
            assert answered.next_of("token")["token"] == " second"
            assert answered.next_of("done")["done"] is True


@pytest.mark.parametrize("where", ["body", "url"])
def test_a_question_may_be_sent_by_post(where: str, settings: Settings) -> None:
    with running_server(settings) as server:
        if where == "body":
            body = {"query": QUESTION, "k": 1, "min_score": 0.3}
            reply = post_json(f"{server.url}/rag/stream-with-sources", body)
        else:
            reply = request(ask_url(server.url) + "&k=1", "POST")

    events = [json.loads(line[6:]) for line in reply.body.decode().splitlines() if line.startswith("data: ")]
    assert len(events[1]["sources"]) == 1
    assert events[-1]["done"] is True


def test_a_request_cannot_set_the_base_url(settings: Settings) -> None:
    with OpenAIServer(chat=answer("x")) as model, running_server(with_model(settings, model)) as server:
        refused = post_json(f"{server.url}/rag/stream", {"query": QUESTION, "base_url": "http://evil.example/v1"})

        assert model.requests == []
    assert (refused.status, refused.code) == (422, "bad_request")


def test_an_automatic_reconnect_asks_no_question(settings: Settings) -> None:
    with OpenAIServer(chat=answer("x")) as model, running_server(with_model(settings, model)) as server:
        reply = request(ask_url(server.url), headers={"Last-Event-ID": "7"})

        assert (reply.status, reply.body, model.requests) == (204, b"", [])


def test_an_idle_stream_sends_pings(settings: Settings) -> None:
    with (
        OpenAIServer(chat=stream(token("a"), Stall())) as model,
        running_server(with_model(settings, model), limits=Limits(ping_s=0.05)) as server,
        streaming(ask_url(server.url)) as answered,
    ):
        answered.next_of("token")
        lines = answered.lines()
        pings = [next(line for line in lines if line) for _ in range(3)]

    assert pings == [": ping"] * 3


def test_a_failure_of_the_model_ends_the_stream_with_one_error(settings: Settings) -> None:
    with running_server(replace(settings, base_url="http://127.0.0.1:1/v1", model="m")) as server:
        with streaming(ask_url(server.url)) as answered:
            events = list(answered.events())

    assert answered.status == 200
    assert [event["type"] for event in events][-1] == "error"
    assert (events[-1]["code"], events[-1]["error"]) == ("unreachable", "the model server cannot be reached")


def test_a_missing_collection_is_an_error_event(settings: Settings) -> None:
    missing = replace(settings, collection="nothing")
    with running_server(missing) as server, streaming(ask_url(server.url)) as answered:
        events = list(answered.events())

    assert [(event["type"], event["code"]) for event in events] == [("error", "store_missing")]


def test_search_returns_hits_or_an_empty_list_as_json(settings: Settings) -> None:
    with running_server(settings) as server:
        hits = request(f"{server.url}/search?query=who+built+the+lighthouse&k=1").json
        nothing = request(f"{server.url}/search?query=quantum+chromodynamics&min_score=0.9").json

    assert (hits["version"], hits["query"], len(hits["hits"])) == (1, "who built the lighthouse", 1)
    assert hits["hits"][0]["source"] == "docs/lighthouse.md"
    assert nothing["hits"] == []


@pytest.mark.fault("read-during-ingest")
def test_the_next_question_sees_documents_ingested_by_another_process(tmp_path: Path) -> None:
    settings = make_collection(tmp_path, {"one.md": "# One\n\nThe ferry leaves at nine.\n"})
    with running_server(replace(settings, min_score=0.0)) as server:
        before = request(f"{server.url}/search?query=capital+of+Peru").json["hits"]
        (tmp_path / "docs" / "two.md").write_text("# Two\n\nThe capital of Peru is Lima.\n", encoding="utf-8")
        _ingest_in_another_process(settings, tmp_path / "docs")
        after = request(f"{server.url}/search?query=capital+of+Peru").json["hits"]

    assert [hit["source"] for hit in before] == ["docs/one.md"]
    assert after[0]["source"] == "docs/two.md"


def _ingest_in_another_process(settings: Settings, folder: Path) -> None:
    import subprocess
    import sys

    command = "from streamrag_cli.cli.main import main; main()"
    subprocess.run(
        [sys.executable, "-c", command, "ingest", "-q", "--store", str(settings.store), str(folder)], check=True
    )
