"""Errors and notices shown to clients contain no details about the server's machine."""

import inspect
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.errors import ExitCode
from streamrag_cli.events import Error, Notice
from streamrag_cli.model_server import errors
from streamrag_cli.server.public import is_public, public_error, public_notice
from streamrag_cli.settings import ServerSettings, Settings
from streamrag_cli.store.registry import store_address
from tests.support.collection import make_collection
from tests.support.http_client import QUESTION, ask_url, post_json, request, streaming
from tests.support.openai_replies import Reply, answer, failure
from tests.support.openai_server import OpenAIServer
from tests.support.running_server import RunningServer, running_server

SECRETS = re.compile(
    r"/(?:tmp|home|root|srv)\b|127\.0\.0\.1|localhost|postgres|reader@|streamrag \w+ |export |--\w|[A-Z]_KEY"
)
NOWHERE = "postgresql://reader@127.0.0.1:1/none"


@contextmanager
def serving(settings: Settings, reply: Reply | None = None) -> Iterator[RunningServer]:
    if reply is None:
        with running_server(settings) as server:
            yield server
        return
    with OpenAIServer(chat=reply) as model:
        with running_server(replace(settings, base_url=model.base_url, model="m")) as server:
            yield server


def replies_of_all_routes(server: RunningServer, question: str = QUESTION, collection: str = "") -> str:
    """The text of the replies from every route."""
    more = f"&collection={collection}" if collection else ""
    chat_request = {"messages": [{"role": "user", "content": question}]} | (
        {"model": f"streamrag/{collection}"} if more else {}
    )
    search = ask_url(server.url, question, "/search") + more
    chat = f"{server.url}/v1/chat/completions"
    replies = [request(ask_url(server.url, question) + more), request(search), post_json(chat, chat_request)]
    replies += [post_json(chat, chat_request | {"stream": True}), request(f"{server.url}/collections")]
    text = "".join(reply.body.decode() for reply in replies)
    return re.sub(r'"(?:path|source|content|text|token)":"[^"]*"', "", text)


@pytest.mark.fault("public-error-text")
@pytest.mark.parametrize("collection", ["", "nothing"])
def test_a_missing_store_is_reported_without_its_path(collection: str, tmp_path: Path) -> None:
    with serving(Settings(store=tmp_path / "store")) as server:
        text = replies_of_all_routes(server, collection=collection)

    assert ("no_such_collection" if collection else "store_missing") in text
    assert SECRETS.search(text) is None


@pytest.mark.fault("public-error-text")
def test_a_damaged_store_is_reported_without_path_or_command(tmp_path: Path) -> None:
    settings = make_collection(tmp_path)
    assert isinstance(settings.store, Path)
    for file in settings.store.rglob("current.json"):
        file.write_text("{")
    with serving(settings) as server:
        text = replies_of_all_routes(server)

    assert "store_damaged" in text
    assert SECRETS.search(text) is None


@pytest.mark.fault("public-error-text")
def test_an_unreachable_database_is_reported_without_its_address() -> None:
    with serving(Settings(store=store_address(NOWHERE))) as server:
        text = replies_of_all_routes(server)

    assert "store_unreachable" in text
    assert SECRETS.search(text) is None


@pytest.mark.fault("public-error-text")
@pytest.mark.parametrize(
    "reply",
    [
        failure(401, "no key for http://10.1.2.3:8000"),
        failure(404, "no model at /srv/models"),
        failure(400, "look into /home/operator/vllm.log"),
        failure(429, "ask admin@localhost", headers={"Retry-After": "60"}),
        failure(500, "boom at /srv/app.py"),
        answer("Half", finish_reason="length"),
        answer("Half", finish_reason="out of memory at 10.1.2.3"),
        answer("Half", finish_reason="broken: /srv/models"),
    ],
    ids=["401", "404", "400", "429", "500", "length", "unknown", "unknown with a path"],
)
def test_a_failing_model_is_reported_without_its_address_or_text(reply: Reply, settings: Settings) -> None:
    with serving(settings, reply) as server:
        text = replies_of_all_routes(server)

    assert SECRETS.search(text) is None
    assert "10.1.2.3" not in text


def test_the_notice_about_quotes_contains_no_command(settings: Settings) -> None:
    with serving(settings) as server, streaming(ask_url(server.url)) as answered:
        notice = answered.next_of("notice")

    assert notice["message"] == "no model is connected, so these are quotes from the documents"


def test_a_question_never_probes_the_machine_for_models(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    probes: list[bool] = []

    def look() -> tuple[()]:
        probes.append(True)
        return ()

    monkeypatch.setattr("streamrag_cli.answer.pipeline.find_local_servers", look)
    with serving(settings) as server, streaming(ask_url(server.url)) as answered:
        assert answered.next_of("done")

    assert probes == []


def test_an_off_topic_question_gets_no_min_score_hint(settings: Settings) -> None:
    with serving(settings) as server, streaming(ask_url(server.url, "Which language has macros?")) as answered:
        end = answered.next_of("error")

    assert (end["error"], end["hint"]) == (
        "nothing in the documents is relevant to the question",
        "rephrase the question",
    )


def test_the_hint_for_a_filtered_question_suggests_leaving_out_the_filter(settings: Settings) -> None:
    with serving(settings) as server:
        url = ask_url(server.url, "Which language has macros?") + "&in=docs/tides.txt"
        with streaming(url) as answered:
            end = answered.next_of("error")

    assert end["hint"] == "rephrase the question or leave out the filter"


def test_refusals_contain_no_command(settings: Settings) -> None:
    key = "0123456789abcdef"
    with running_server(settings, ServerSettings(server_key=key)) as server:
        no_key = request(f"{server.url}/collections")
        wrong = request(f"{server.url}/collections", headers={"Authorization": "Bearer nonsense"})
        name = request(f"{server.url}/collections", headers={"Host": "evil.example"})
        page = request(f"{server.url}/collections", headers={"Origin": "https://evil.example"})

    assert [reply.status for reply in (no_key, wrong, name, page)] == [401, 401, 421, 403]
    assert all(
        is_public(reply.json["error"]) and is_public(reply.json["hint"]) for reply in (no_key, wrong, name, page)
    )


@pytest.mark.fault("public-error-text")
@pytest.mark.parametrize("exit_code", [code for code in ExitCode if code not in {ExitCode.OK, ExitCode.USAGE}])
def test_an_unknown_error_code_gets_the_message_of_its_class(exit_code: ExitCode) -> None:
    error = Error(message="secret", code="never_seen", hint="secret", retryable=True, exit_code=exit_code)
    shown = public_error(error)

    assert "secret" not in shown.message + shown.hint
    assert replace(shown, message="", hint="") == replace(error, message="", hint="")


@pytest.mark.parametrize(
    "message", ["see /var/log/x", "ask db.internal:5432", "set STREAMRAG_TOP_K", "streamrag ask -k 3", "C:\\docs"]
)
def test_notices_and_usage_errors_with_private_details_are_replaced(message: str) -> None:
    error = Error(message=message, code="never_seen", hint=message, retryable=False, exit_code=ExitCode.USAGE)

    assert message not in public_notice(Notice(message=message, code="never_seen")).message
    assert message not in json.dumps([public_error(error).message, public_error(error).hint])


def test_every_model_server_error_has_its_own_public_message() -> None:
    codes = set(re.findall(r'code="(\w+)"', inspect.getsource(errors))) - {"unusable_environment"}
    shown = {
        public_error(Error(message="", code=code, hint="", retryable=False, exit_code=ExitCode.MODEL_SERVER)).message
        for code in codes
    }

    assert len(shown) == len(codes)


def test_readyz_shows_the_command_but_not_the_path(tmp_path: Path) -> None:
    with serving(Settings(store=tmp_path / "store")) as server:
        ready = request(f"{server.url}/readyz")

    assert (ready.status, ready.json["hint"]) == (503, "streamrag ingest PATH")
    assert str(tmp_path) not in ready.body.decode()
