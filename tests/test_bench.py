"""`bench`: the measured waiting times and the output of the command."""

import asyncio
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamrag_cli.bench import BenchEvent, BenchProgress, Report, Spread, measure
from streamrag_cli.events import Error
from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.command_line import SOON_S, CommandLine, ended_within
from tests.support.openai_replies import Stall, answer, failure, stream, token
from tests.support.openai_server import OpenAIServer
from tests.support.pseudo_terminal import shown
from tests.support.warm_command_line import warm

QUESTION = "What does a berth cost for a night?"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return make_collection(tmp_path_factory.mktemp("harbour"))


@pytest.fixture
def user(settings: Settings, tmp_path: Path) -> Iterator[CommandLine]:
    """A user whose store contains the collection."""
    variables = {"STREAMRAG_STORE": str(settings.store)}
    with warm(CommandLine(home=tmp_path, directory=tmp_path, variables=variables)) as user:
        yield user


def with_model(settings: Settings, base_url: str) -> Settings:
    return Settings(store=settings.store, base_url=base_url, model="m")


def measured(settings: Settings, *, runs: int) -> list[BenchEvent]:
    async def collect() -> list[BenchEvent]:
        return [event async for event in measure(QUESTION, settings, runs=runs)]

    return asyncio.run(collect())


def report(*, whole_ms: float, streamed_ms: float, model: str = "m") -> Report:
    def always(value_ms: float) -> Spread:
        return Spread(p50_ms=value_ms, p95_ms=value_ms)

    return Report(
        runs=1,
        model=model,
        whole=always(whole_ms),
        streamed=always(streamed_ms),
        retrieval=always(1.0),
        total=always(whole_ms),
    )


@pytest.mark.parametrize(
    ("values_ms", "p50_ms", "p95_ms"),
    [([4.0], 4.0, 4.0), ([4.0, 2.0], 2.0, 4.0), ([*map(float, range(1, 101))], 50.0, 95.0)],
)
def test_each_percentile_is_one_of_the_measured_values(values_ms: list[float], p50_ms: float, p95_ms: float) -> None:
    assert Spread.of(values_ms) == Spread(p50_ms=p50_ms, p95_ms=p95_ms)


def test_saved_percent_is_the_share_of_waiting_time_that_streaming_saves() -> None:
    assert report(whole_ms=18_900, streamed_ms=400).saved_percent == pytest.approx(97.9, abs=0.05)


def test_each_run_asks_twice_after_one_warm_up_question(settings: Settings) -> None:
    with OpenAIServer(chat=answer("Eighteen", " euros", ".")) as server:
        *progress, report = measured(with_model(settings, server.base_url), runs=2)

    assert isinstance(report, Report)
    assert (report.runs, report.model, report.quotes) == (2, "test-model", False)
    assert [QUESTION in request.json["messages"][-1]["content"] for request in server.requests] == [True] * 5
    assert progress == [BenchProgress(answers=count, total=5) for count in range(1, 6)]


def test_the_first_token_comes_after_retrieval_and_before_the_end(settings: Settings) -> None:
    with OpenAIServer(chat=answer("Eighteen", " euros", ".")) as server:
        report = measured(with_model(settings, server.base_url), runs=1)[-1]

    assert isinstance(report, Report)
    assert 0 < report.retrieval.p50_ms < report.streamed.p50_ms < report.total.p50_ms


def test_the_first_failure_ends_the_benchmark(settings: Settings) -> None:
    with OpenAIServer(chat=[answer("Fine."), failure(401, "no such key")]) as server:
        error = measured(with_model(settings, server.base_url), runs=3)[-1]

    assert isinstance(error, Error)
    assert (error.code, len(server.requests)) == ("key_missing", 2)


def test_piped_output_has_one_line_per_figure(user: CommandLine) -> None:
    with OpenAIServer(chat=answer("Eighteen", " euros", ".")) as server:
        outcome = user.run("bench", "-n", "1", "--base-url", server.base_url, QUESTION)

    assert (outcome.code, outcome.stderr) == (0, "")
    assert without_figures(outcome.stdout.decode()) == (
        "not streamed: complete answer  p50 TIME, p95 TIME\n"
        "streamed: first token          p50 TIME, p95 TIME\n"
        "retrieval                      p50 TIME, p95 TIME\n"
        "streamed: complete answer      p50 TIME, p95 TIME\n"
        "test-model, 1 run per mode: first output after TIME, not TIME (SHARE % less)\n"
    )


def test_terminal_output_is_a_table_without_the_progress_bar(user: CommandLine) -> None:
    with OpenAIServer(chat=answer("Eighteen", " euros", ".")) as server:
        terminal = shown(user, "bench", "-n", "1", "--base-url", server.base_url, QUESTION)

    assert [without_figures(line).split() for line in terminal.lines if "─" not in line and line] == [
        ["p50", "p95"],
        ["not", "streamed:", "complete", "answer", "TIME", "TIME"],
        ["streamed:", "first", "token", "TIME", "TIME"],
        ["retrieval", "TIME", "TIME"],
        ["streamed:", "complete", "answer", "TIME", "TIME"],
        "test-model, 1 run per mode: first output after TIME, not TIME (SHARE % less)".split(),
    ]


def test_without_a_model_quotes_are_measured_and_reported_as_such(user: CommandLine) -> None:
    outcome = user.run("bench", "-n", "1", QUESTION)

    assert outcome.code == 0
    assert outcome.stdout.decode().splitlines()[-1] == (
        "no model is connected, so these are the times for quotes, which are not streamed; to measure a model:"
        " streamrag bench --base-url URL QUESTION"
    )


def test_json_output_has_exactly_the_expected_keys_in_order(user: CommandLine) -> None:
    outcome = user.run("bench", "-n", "1", "--json", QUESTION)

    result: dict[str, Any] = json.loads(outcome.stdout)
    keys = ["version", "question", "model", "quotes", "runs", "whole", "streamed", "retrieval", "total"]
    assert list(result) == [*keys, "saved_percent"]
    assert [result[key] for key in keys[:5]] == [1, QUESTION, "quotes", True, 1]
    assert [list(result[key]) for key in keys[5:]] == [["p50_ms", "p95_ms"]] * 4


def test_a_failure_is_printed_as_in_other_commands(user: CommandLine) -> None:
    outcome = user.run("bench", "zxqv wvkj qqqq")

    first, second = outcome.stderr.splitlines()
    assert (outcome.code, outcome.stdout) == (7, b"")
    assert first.startswith("streamrag: nothing relevant in the documents")
    assert second.startswith("hint: ")


def test_ctrl_c_closes_the_connection_to_the_model(user: CommandLine) -> None:
    with OpenAIServer(chat=stream(token("Half"), Stall())) as server:
        with user.running("bench", "--base-url", server.base_url, QUESTION) as process:
            (request,) = server.wait_for_requests(1)
            process.send_signal(signal.SIGINT)
            assert ended_within(process, SOON_S) == 130
        assert request.closed_by_client.wait(timeout=10.0)


def without_figures(text: str) -> str:
    return re.sub(r"-?[\d.]+ %", "SHARE %", re.sub(r"\b[\d.]+ (ms|s)\b", "TIME", text))
