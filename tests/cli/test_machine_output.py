"""`--json` and `--jsonl` for `ask`: exact keys, the order of events, and exactly one final event."""

import json
import re
from functools import partial
from itertools import groupby
from typing import Any

import pytest

from streamrag_cli.settings import defaults
from tests.support.collection import QUESTION
from tests.support.command_line import CommandLine, Outcome, run_concurrently
from tests.support.openai_replies import Cut, answer, failure, stream, token
from tests.support.openai_server import Script

NONSENSE = "zxqv wvkj qqqq"
SOURCE_KEYS = ["n", "source", "page", "line_start", "line_end", "title", "content", "score", "chunk_id"]
TIMING_KEYS = [
    "startup_ms",
    "retrieval_ms",
    "context_ms",
    "request_ms",
    "first_token_ms",
    "total_ms",
    "tokens_per_second",
]
OBJECT_KEYS = [
    "version",
    "answer",
    "complete",
    "sources",
    "citations",
    "unknown_citations",
    "unsupported_citations",
    "notices",
    "finish_reason",
    "model",
    "usage",
    "timings",
    "error",
]
EVENT_KEYS = {
    "status": ["type", "status"],
    "sources": ["type", "sources"],
    "token": ["type", "token"],
    "citations": ["type", "citations", "unknown", "unsupported"],
    "notice": ["type", "message", "code"],
    "done": ["type", "done", "finish_reason", "model", "usage", "timings"],
    "error": ["type", "error", "code", "hint", "retryable"],
}
CITING = answer("It is [1]", " and [9].", finish_reason="length")
CUT_OFF = stream(token("Half"), token(" an"), Cut(reset=True))


BUSY = failure(429, "slow down", headers={"Retry-After": "0.01"})
RUNS: dict[str, tuple[Script, str, tuple[str, ...]]] = {
    "success --json": (CITING, QUESTION, ("--json", "-k", "2")),
    "success --jsonl": (CITING, QUESTION, ("--jsonl", "-k", "2")),
    "cut off --json": (CUT_OFF, QUESTION, ("--json",)),
    "cut off --jsonl": (CUT_OFF, QUESTION, ("--jsonl",)),
    "retried": ([BUSY, answer("At last [1].")], QUESTION, ("--jsonl", "-m", "m")),
    "nothing --json": (CITING, NONSENSE, ("--json",)),
    "nothing --jsonl": (CITING, NONSENSE, ("--jsonl",)),
}


@pytest.fixture(scope="module")
def outcomes(cli_with_store: CommandLine) -> dict[str, Outcome]:
    """The outcomes of `RUNS`."""
    return run_concurrently(
        {name: partial(cli_with_store.ask, chat, question, *flags) for name, (chat, question, flags) in RUNS.items()}
    )


def events_of(outcome: Outcome) -> list[dict[str, Any]]:
    """The events on stdout, one per line. The last line must end in a newline."""
    assert outcome.stdout.endswith(b"\n")
    return [json.loads(line) for line in outcome.stdout.decode().split("\n")[:-1]]


def kinds_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def answer_of(events: list[dict[str, Any]]) -> str:
    """The text in all token events. Tokens that arrive together are one event."""
    return "".join(event["token"] for event in events if event["type"] == "token")


def assert_exact_keys(events: list[dict[str, Any]]) -> None:
    for event in events:
        assert list(event) == EVENT_KEYS[event["type"]]
        assert len(event.keys() & {"status", "sources", "token", "done", "error"}) <= 1
    assert [kind in {"done", "error"} for kind in kinds_of(events)] == [False] * (len(events) - 1) + [True]


def test_jsonl_has_all_events_in_order_with_exact_keys(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["success --jsonl"]
    events = events_of(outcome)

    kinds = ["status", "sources", "status", "token", "notice", "citations", "done"]
    assert [kind for kind, _ in groupby(kinds_of(events))] == kinds
    assert_exact_keys(events)
    sources, notice, citations, done = events[1], *events[-3:]
    assert [list(source) for source in sources["sources"]] == [SOURCE_KEYS] * 2
    assert answer_of(events) == "It is [1] and [9]."
    assert (notice["code"], citations["unknown"], done["finish_reason"]) == ("finish_length", [9], "length")
    cited = {key: sources["sources"][0][key] for key in ("n", "source", "chunk_id")}
    assert citations["citations"] == [cited]
    assert done["usage"] == {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9}
    assert (outcome.code, outcome.stderr) == (0, "")


def test_timings_and_sources_have_plausible_values(outcomes: dict[str, Outcome]) -> None:
    events = events_of(outcomes["success --jsonl"])
    timings = events[-1]["timings"]

    assert list(timings) == TIMING_KEYS
    stages = [timings[name] for name in TIMING_KEYS[1:6]]
    assert stages == sorted(stages)
    assert timings["startup_ms"] > 0
    for n, source in enumerate(events[1]["sources"], start=1):
        assert source["n"] == n
        assert float(str(defaults()["min_score"])) <= source["score"] <= 1
        assert len(source["content"]) <= 153
        assert not source["source"].startswith("/")


def test_timings_are_printed_on_stderr_and_in_json(cold_cli_with_store: CommandLine) -> None:
    shown = cold_cli_with_store.ask(answer("Because."), QUESTION, "--timings")
    in_json = cold_cli_with_store.ask(answer("Because."), QUESTION, "--timings", "--json").stdout
    stages_ms = json.loads(in_json)["timings"]["stages"]
    stages = ["interpreter", "imports", "settings", "engine", "open the collection", "retrieval", "context"]

    assert [stage for stage in stages_ms if ": " not in stage] == [
        *stages,
        "connect",
        "send",
        "first token",
        "rest of the answer",
    ]
    assert [stage for stage in stages_ms if ": " in stage] == [
        f"retrieval: {step}" for step in ("embed", "terms", "full text", "vectors", "fuse", "focus")
    ]
    assert all(spent_ms >= 0 for spent_ms in stages_ms.values())
    assert re.search(r"^retrieval: embed \d+\.\d ms$", shown.stderr, re.MULTILINE)
    assert shown.stdout == b"Because.\n"


def test_json_is_one_object_with_exact_keys(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["success --json"]
    (result,) = events_of(outcome)

    assert list(result) == OBJECT_KEYS
    assert [list(source) for source in result.pop("sources")] == [[*SOURCE_KEYS, "text", "path"]] * 2
    assert list(result.pop("timings")) == TIMING_KEYS
    assert [cited["n"] for cited in result.pop("citations")] == [1]
    assert result == {
        "version": 1,
        "answer": "It is [1] and [9].",
        "complete": True,
        "unknown_citations": [9],
        "unsupported_citations": [],
        "notices": [
            {"message": "the model reached its token limit, so the answer is cut off", "code": "finish_length"}
        ],
        "finish_reason": "length",
        "model": "test-model",
        "usage": {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9},
        "error": None,
    }
    assert (outcome.code, outcome.stderr) == (0, "")


@pytest.mark.fault("answer-cut-off")
def test_jsonl_keeps_the_partial_answer_and_ends_with_one_error(
    outcomes: dict[str, Outcome],
) -> None:
    outcome = outcomes["cut off --jsonl"]
    events = events_of(outcome)

    assert [kind for kind, _ in groupby(kinds_of(events))] == ["status", "sources", "status", "token", "error"]
    assert_exact_keys(events)
    assert answer_of(events) == "Half an"
    assert (events[-1]["code"], events[-1]["retryable"], outcome.code) == ("cut_off", True, 4)
    assert outcome.stderr == f"streamrag: {events[-1]['error']}\nhint: {events[-1]['hint']}\n"


def test_json_keeps_the_partial_answer_and_the_error(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["cut off --json"]
    (result,) = events_of(outcome)

    assert list(result) == OBJECT_KEYS
    assert (result["answer"], result["complete"], result["timings"]) == ("Half an", False, None)
    assert list(result["error"]) == ["message", "code", "hint", "retryable"]
    assert result["error"]["code"] == "cut_off"
    assert outcome.stderr == f"streamrag: {result['error']['message']}\nhint: {result['error']['hint']}\n"


@pytest.mark.fault("model-busy")
def test_each_retry_is_reported_as_an_event_before_the_answer(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["retried"]
    events = events_of(outcome)

    assert kinds_of(events) == ["status", "sources", "status", "status", "notice", "token", "citations", "done"]
    assert_exact_keys(events)
    assert [event["status"] for event in events if event["type"] == "status"] == [
        "retrieving",
        "generating",
        "retrying",
    ]
    assert (events[4]["code"], outcome.code) == ("retrying", 0)


@pytest.mark.parametrize("flag", ["--json", "--jsonl"])
def test_an_irrelevant_question_yields_an_error_and_no_sources(outcomes: dict[str, Outcome], flag: str) -> None:
    outcome = outcomes[f"nothing {flag}"]
    events = events_of(outcome)

    error = events[-1]["error"] if flag == "--json" else {"message": events[-1]["error"], **events[-1]}
    assert (error["code"], error["retryable"], outcome.code) == ("nothing_relevant", False, 7)
    assert outcome.stderr == f"streamrag: {error['message']}\nhint: {error['hint']}\n"
    if flag == "--jsonl":
        assert kinds_of(events) == ["status", "error"]
        assert_exact_keys(events)
    else:
        assert (list(events[0]), events[0]["answer"], events[0]["sources"]) == (OBJECT_KEYS, "", [])


def test_absolute_paths_appear_only_under_the_key_path(
    cold_cli_with_store: CommandLine, outcomes: dict[str, Outcome]
) -> None:
    for outcome in outcomes.values():
        named = re.sub(rb'"path":"[^"]*"', b"", outcome.stdout)
        assert str(cold_cli_with_store.home).encode() not in named
        assert named == outcome.stdout or outcome.stdout.count(b"\n") == 1  # one JSON object, not events


EARLY_FAILURES = {
    ("search", "volcanoes of Iceland"): (5, ["version", "query", "hits", "error"]),
    ("search", "q", "-k", "none"): (2, ["version", "query", "hits", "error"]),
    ("ask", "q", "--no-such-flag"): (2, OBJECT_KEYS),
    ("ask", "q", "--min-score", "7"): (2, OBJECT_KEYS),
    ("status",): (5, ["version", "collections", "error"]),
    ("copy", "--from", "a", "--to", "a"): (2, ["version", "error"]),
    ("ingest", "nowhere"): (2, ["version", "failed", "error"]),
}


@pytest.mark.parametrize("arguments", EARLY_FAILURES, ids=" ".join)
def test_json_is_one_object_even_if_the_command_fails_early(cli: CommandLine, arguments: tuple[str, ...]) -> None:
    code, keys = EARLY_FAILURES[arguments]
    outcome = cli.run(*arguments, "--json")
    result = json.loads(outcome.stdout)

    assert (outcome.code, list(result)) == (code, keys)
    assert outcome.stderr == f"streamrag: {result['error']['message']}\nhint: {result['error']['hint']}\n"


def test_a_search_without_hits_prints_a_json_object_and_a_search_hint(cli_with_store: CommandLine) -> None:
    outcome = cli_with_store.run("search", NONSENSE, "--json")
    result = json.loads(outcome.stdout)

    assert (outcome.code, result["query"], result["hits"]) == (7, NONSENSE, [])
    assert result["error"]["code"] == "nothing_relevant"
    assert result["error"]["hint"].endswith(f": streamrag search --min-score 0 '{NONSENSE}'")
