"""Several worker processes at one address."""

import os
import pty
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn

from streamrag_cli.errors import StreamragError
from streamrag_cli.server.workers import START_TIMEOUT_S, run_workers
from streamrag_cli.settings import Settings
from streamrag_cli.store.address import StoreAddress
from tests.support.collection import make_collection
from tests.support.failing_app import cannot_start
from tests.support.http_client import ask_url, request, streaming, wait_until
from tests.support.openai_replies import Stall, stream, token
from tests.support.openai_server import OpenAIServer
from tests.support.postgres_server import fresh_schema
from tests.support.running_server import ServedProcess, running_server, served, served_from

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find processes")

START_S = 60
"""Time allowed for starting and stopping processes on a busy machine."""


@contextmanager
def two_workers(settings: Settings, *flags: str, **variables: str) -> Iterator[ServedProcess]:
    with served(settings, "--workers", "2", *flags, **variables) as server:
        assert request(f"{server.url}/readyz").status == 200
        assert wait_until(lambda: len(server.workers()) == 2, within_s=START_S)
        yield server


def metrics_of(server: ServedProcess) -> set[str]:
    lines = request(f"{server.url}/metrics").body.decode().splitlines()
    return {line for line in lines if line.startswith(("streamrag_questions_total", "streamrag_open_streams"))}


def test_workers_have_separate_limits_and_shared_metrics(settings: Settings) -> None:
    with OpenAIServer(chat=stream(token("a"), Stall())) as model, ExitStack() as left_open:
        variables = {"STREAMRAG_MAX_STREAMS": "1", "STREAMRAG_BASE_URL": model.base_url, "STREAMRAG_MODEL": "m"}
        with two_workers(settings, **variables) as server:
            statuses: list[int] = []
            while statuses.count(200) < 2 and len(statuses) < 300:
                answered = left_open.enter_context(streaming(ask_url(server.url)))
                statuses.append(answered.status)
            assert statuses.count(200) == 2
            assert set(statuses) <= {200, 503}
            assert wait_until(lambda: "streamrag_open_streams 2.0" in metrics_of(server), within_s=START_S)


@pytest.mark.fault("worker-dies")
def test_a_dead_worker_is_replaced_and_its_metrics_are_kept(settings: Settings) -> None:
    with two_workers(settings) as server:
        for _ in range(5):
            assert request(ask_url(server.url)).status == 200
        before = server.workers()
        for pid in before:
            os.kill(pid, signal.SIGKILL)

        assert wait_until(lambda: len(server.workers() - before) == 2, within_s=START_S)
        assert request(ask_url(server.url)).status == 200
        assert metrics_of(server) == {"streamrag_questions_total 6.0", "streamrag_open_streams 0.0"}


def test_the_default_is_one_worker_per_core_and_at_most_four(settings: Settings) -> None:
    cores = len(os.sched_getaffinity(0))
    expected = 0 if cores == 1 else min(cores, 4)  # a single process starts no worker

    with served(settings, STREAMRAG_WORKERS="0") as server:
        assert wait_until(lambda: len(server.workers()) == expected, within_s=START_S)


def test_sighup_restarts_workers_but_stops_a_server_with_a_terminal(settings: Settings) -> None:
    with two_workers(settings) as server:
        before = server.workers()
        server.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: len(server.workers() - before) == 2, within_s=START_S)

    controller, terminal = pty.openpty()
    try:
        with served_from(terminal, settings, ("--workers", "2"), {}) as server:
            assert request(f"{server.url}/readyz").status == 200
            workers = server.workers()
            server.process.send_signal(signal.SIGHUP)
            assert server.process.wait(timeout=START_S) == -signal.SIGHUP
            assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    finally:
        os.close(controller)
        os.close(terminal)


@pytest.mark.fault("signal-to-workers")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_all_workers_and_ends_their_streams(
    number: signal.Signals, code: int, settings: Settings
) -> None:
    with OpenAIServer(chat=stream(token("a"), Stall())) as model:
        with two_workers(settings, "--base-url", model.base_url, "-m", "m") as server:
            workers = server.workers()
            with streaming(ask_url(server.url)) as answered:
                answered.next_of("token")
                if number == signal.SIGINT:  # a terminal sends it to all processes
                    os.killpg(server.process.pid, number)
                else:
                    server.process.send_signal(number)
                events = list(answered.events())
            return_code = server.process.wait(timeout=START_S)
            assert not any(Path(f"/proc/{pid}").exists() for pid in workers)

    assert [(event["type"], event["code"]) for event in events] == [("error", "server_shutdown")]
    assert return_code == code
    assert "Traceback" not in server.stderr


@pytest.mark.fault("signal-to-workers")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_workers_that_are_still_starting(number: signal.Signals, code: int, settings: Settings) -> None:
    with served(settings, "--workers", "2") as server:
        assert wait_until(lambda: len(server.workers()) == 2, within_s=START_S)
        for pid in server.workers():
            os.kill(pid, signal.SIGSTOP)
        time.sleep(1.5)  # until the supervisor checks the workers, which cannot be observed
        os.killpg(server.process.pid, number)
        os.killpg(server.process.pid, signal.SIGCONT)
        return_code = server.process.wait(timeout=3 * START_TIMEOUT_S)  # workers handle Ctrl-C once they have started

    assert (return_code, server.stderr) == (code, "")


@pytest.mark.fault("worker-cannot-start")
def test_workers_that_cannot_start_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))  # `run_workers` sets it; this restores it
    config = uvicorn.Config(cannot_start, workers=2, log_config=None, timeout_worker_healthcheck=START_TIMEOUT_S)
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(StreamragError) as raised:
        run_workers(config, listening, str(tmp_path))

    assert (raised.value.code, raised.value.exit_code) == ("worker_failed", 1)


@pytest.mark.fault("parent-killed")
def test_workers_exit_when_their_parent_is_killed(settings: Settings) -> None:
    with two_workers(settings) as server:
        workers = server.workers()
        server.process.kill()

        assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), within_s=START_S)


@pytest.mark.fault("parent-killed")
def test_the_metrics_of_a_killed_server_are_removed_by_the_next_one(settings: Settings, tmp_path: Path) -> None:
    with two_workers(settings, TMPDIR=str(tmp_path)) as server:
        server.process.kill()
    (left,) = tmp_path.glob("streamrag-*")
    with two_workers(settings, TMPDIR=str(tmp_path)) as server:
        assert not left.exists()
        server.process.terminate()
        server.process.wait(START_S)

    assert list(tmp_path.glob("streamrag-*")) == []


@pytest.mark.parametrize("kind", ["directory", "postgres"])
def test_every_worker_sees_new_documents_at_the_next_question(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        store: StoreAddress = stack.enter_context(fresh_schema()) if kind == "postgres" else tmp_path / "store"
        settings = make_collection(tmp_path, {"a.md": "The ferry leaves at number 0.\n"}, store=store)
        first = stack.enter_context(two_workers(settings))
        second = stack.enter_context(running_server(replace(settings)))
        for number in range(1, 4):
            make_collection(tmp_path, {"a.md": f"The ferry leaves at number {number}.\n"}, store=store)
            for url in [first.url] * 6 + [second.url]:
                reply = request(f"{url}/search?query=When+does+the+ferry+leave")
                assert [hit["content"] for hit in reply.json["hits"]] == [f"The ferry leaves at number {number}."]
