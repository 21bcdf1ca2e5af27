"""Many concurrent answers: each client gets its own complete answer, and nothing leaks."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import pytest

from streamrag_cli.settings import Settings
from tests.support.http_client import ask_url, streaming, wait_until
from tests.support.openai_connection import LoggedRequest
from tests.support.openai_replies import DONE, Hold, Reply, answer, finish, stream, token
from tests.support.openai_server import OpenAIServer
from tests.support.running_server import running_server

STREAMS = 50


def words_for(number: int) -> list[str]:
    return [f"lamp {number} word {index}. " for index in range(40)]


def answer_by_number(request: LoggedRequest) -> Reply:
    """Each question contains a number, which every piece of its answer repeats."""
    number = int(re.findall(rb"lighthouse number (\d+)", request.body)[-1])
    return answer(*words_for(number))


def answered(url: str) -> tuple[str, str]:
    """The answer and the type of its last event."""
    with streaming(url) as reply:
        events = list(reply.events())
    return "".join(event["token"] for event in events if event["type"] == "token"), events[-1]["type"]


@pytest.mark.fault("too-many-streams")
def test_each_of_many_streams_gets_its_own_complete_answer(settings: Settings) -> None:
    with (
        OpenAIServer(chat=answer_by_number) as model,
        running_server(replace(settings, base_url=model.base_url, model="m", min_score=0.0)) as server,
        ThreadPoolExecutor(STREAMS) as pool,
    ):
        urls = [ask_url(server.url, f"Who lit lighthouse number {number}?") for number in range(STREAMS)]
        answers = list(pool.map(answered, urls))
        all_ended = wait_until(lambda: not server.open_streams)

    assert answers == [("".join(words_for(number)), "done") for number in range(STREAMS)]
    assert all_ended


def test_no_stream_waits_for_the_end_of_another(settings: Settings) -> None:
    """HTTP libraries open at most a hundred connections by default."""
    release = threading.Event()
    chat = stream(Hold(release), token("Hello"), finish(), DONE)
    with (
        OpenAIServer(chat=chat) as model,
        running_server(replace(settings, base_url=model.base_url, model="m")) as server,
        ExitStack() as open_streams,
    ):
        replies = [open_streams.enter_context(streaming(ask_url(server.url))) for _ in range(110)]
        model.wait_for_requests(len(replies), timeout_s=60.0)
        release.set()
        ends = [list(reply.events())[-1]["type"] for reply in replies]

    assert ends == ["done"] * len(replies)
