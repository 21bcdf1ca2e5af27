"""Routes for operators: liveness, readiness, collections, metrics."""

import resource
import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from streamrag_cli.ingest.pipeline import IngestRequest, ingest
from streamrag_cli.settings import Settings
from tests.support.http_client import ask_url, request, wait_until
from tests.support.openai_replies import answer, failure
from tests.support.openai_server import OpenAIServer
from tests.support.running_server import running_server, served


def test_a_server_with_documents_is_ready(settings: Settings) -> None:
    with running_server(settings) as server:
        reply = request(f"{server.url}/readyz")

    assert (reply.status, reply.json) == (
        200,
        {
            "status": "ready",
            "collection": "default",
            "documents": 4,
            "chunks": reply.json["chunks"],
            "embedding": "builtin:all-MiniLM-L6-v2",
            "open_streams": 0,
        },
    )


@pytest.mark.fault("database-silent")
def test_readyz_answers_while_all_question_threads_are_busy(settings: Settings) -> None:
    release = threading.Event()
    with running_server(settings) as server:
        assert request(f"{server.url}/readyz").status == 200
        serving = server.server.config.app.state.serving  # type: ignore[union-attr]
        try:
            (entry,) = serving.resources._retrievers._entries.values()
            threads = entry.value._threads
            blocked = [threads.submit(release.wait, 30) for _ in range(threads._max_workers + 1)]
            reply = request(f"{server.url}/readyz")
        finally:
            release.set()

    assert reply.status == 200
    assert not any(each.exception() for each in blocked)


def is_idle(pid: int) -> bool:
    """Whether the process used no processor time and opened no files for half a second."""

    def activity() -> tuple[list[str], list[str]]:
        times = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:13]
        return times, sorted(each.name for each in Path(f"/proc/{pid}/fd").iterdir())

    before = activity()
    time.sleep(0.5)
    return activity() == before


@pytest.mark.fault("few-descriptors")
def test_a_server_short_of_file_descriptors_is_not_ready(settings: Settings) -> None:
    with served(settings) as server:
        assert wait_until(lambda: request(f"{server.url}/readyz").status == 200, within_s=60)
        pid = server.process.pid
        assert wait_until(lambda: is_idle(pid), within_s=60)  # it loads the embedder in a thread, which opens files
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        highest = max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir())
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 6, before[1]))
        short = request(f"{server.url}/readyz")
        alive = request(f"{server.url}/healthz")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        again = request(f"{server.url}/readyz")
        server.process.terminate()
        server.process.wait(timeout=30)

    assert (short.status, short.json) == (
        503,
        {
            "error": "the server has too many files and connections open",
            "code": "too_many_open_files",
            "hint": "raise the limit and retry: ulimit -n 1024",
        },
    )
    assert (alive.status, again.status) == (200, 200)
    assert f"too many open files: the limit of this process is {highest + 6}" in server.stderr


@pytest.mark.fault("few-descriptors")
def test_clients_that_use_all_descriptors_do_not_fill_the_log(settings: Settings) -> None:
    with served(settings) as server, ExitStack() as clients:
        assert wait_until(lambda: request(f"{server.url}/readyz").status == 200, within_s=60)
        pid = server.process.pid
        assert wait_until(lambda: is_idle(pid), within_s=60)
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        highest = max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir())
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 3, before[1]))
        for _ in range(20):
            clients.enter_context(socket.create_connection(("127.0.0.1", urlsplit(server.url).port)))
        time.sleep(2.5)  # the server tries to accept them each second
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        assert wait_until(lambda: request(f"{server.url}/healthz").status == 200, within_s=60)
        server.process.terminate()
        server.process.wait(timeout=30)

    assert server.stderr.count("no more connections are accepted: too many open files") == 1
    assert "Traceback" not in server.stderr
    assert len(server.stderr.splitlines()) < 20


def test_a_server_without_a_store_is_alive_but_not_ready(tmp_path: Path) -> None:
    with running_server(Settings(store=tmp_path / "nothing")) as server:
        alive = request(f"{server.url}/healthz")
        ready = request(f"{server.url}/readyz")
        listed = request(f"{server.url}/collections")

    assert alive.status == 200
    assert (ready.status, ready.code, ready.json["hint"]) == (503, "store_missing", "streamrag ingest PATH")
    assert listed.json == {"collections": [], "default": "default"}


def test_a_server_with_unusable_settings_is_not_ready(settings: Settings) -> None:
    with running_server(replace(settings, embedding="unheard-of")) as server:
        ready = request(f"{server.url}/readyz")

    assert (ready.status, ready.code) == (503, "unknown_embedding")


def test_the_collections_are_listed_with_the_default(settings: Settings) -> None:
    with running_server(settings) as server:
        assert request(f"{server.url}/collections").json == {"collections": ["default"], "default": "default"}


def test_metrics_count_questions_errors_and_refusals(settings: Settings) -> None:
    with OpenAIServer(chat=[answer("a"), failure(401, "no")]) as model:
        with running_server(replace(settings, base_url=model.base_url, model="m")) as server:
            request(ask_url(server.url))
            request(ask_url(server.url))
            request(f"{server.url}/healthz", headers={"Host": "evil.example"})
            reply = request(f"{server.url}/metrics")

    lines = reply.body.decode().splitlines()
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in (
        "streamrag_questions_total 2.0",
        "streamrag_retrieval_seconds_count 2.0",
        "streamrag_first_token_seconds_count 1.0",
        'streamrag_errors_total{code="key_missing"} 1.0',
        'streamrag_refused_total{code="unknown_host"} 1.0',
        "streamrag_open_streams 0.0",
        "streamrag_abandoned_total 0.0",
    ):
        assert line in lines


def test_an_empty_collection_is_not_ready_and_the_hint_names_it(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    empty = Settings(store=tmp_path / "store", collection="fresh")
    list(ingest(IngestRequest(paths=(tmp_path / "docs",), working_directory=tmp_path), empty))
    with running_server(empty) as server:
        ready, search = request(f"{server.url}/readyz"), request(f"{server.url}/search?query=boats")

    assert (ready.status, ready.json["code"], ready.json["hint"]) == (
        503,
        "store_empty",
        "streamrag ingest PATH -c fresh",
    )
    assert (search.status, search.json["code"]) == (503, "store_empty")
