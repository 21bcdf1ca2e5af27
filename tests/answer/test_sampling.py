"""The temperature, the stop sequences and the instructions that are sent to the model."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.errors import ConfigurationError, UsageError
from streamrag_cli.events import AskEvent, Token
from streamrag_cli.model import Question
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings, read_settings
from tests.support.collection import make_collection
from tests.support.openai_connection import LoggedRequest
from tests.support.openai_replies import Reply, answer, failure, stream, token
from tests.support.openai_server import OpenAIServer, Script


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return replace(make_collection(tmp_path_factory.mktemp("sampling")), timeout_s=5.0, model="m")


def ask(
    script: Script, settings: Settings, *, options: Mapping[str, object] | None = None, instructions: str = ""
) -> tuple[str, list[LoggedRequest]]:
    """The answer, and the chat requests that the server received."""

    async def collect(settings: Settings) -> list[AskEvent]:
        question = Question(
            text="Who built the lighthouse?",
            accepted_at=time.perf_counter(),
            options=options or {},
            instructions=instructions,
        )
        return [event async for event in LocalService().ask(question, settings)]

    with OpenAIServer(chat=script) as server:
        events = asyncio.run(collect(replace(settings, base_url=server.base_url)))
        requests = [each for each in server.requests if each.path.endswith("/chat/completions")]
    return "".join(each.text for each in events if isinstance(each, Token)), requests


def mark_of(request: LoggedRequest) -> str:
    return str(request.json["messages"][-1]["content"]).split()[1]


def test_a_server_with_a_base_url_gets_a_low_default_temperature(settings: Settings) -> None:
    _, (default,) = ask(answer("Ada [1]."), settings)
    _, (configured,) = ask(answer("Ada [1]."), replace(settings, temperature=0.7))
    _, (requested,) = ask(answer("Ada [1]."), replace(settings, temperature=0.7), options={"temperature": 1.5})

    assert [each.json["temperature"] for each in (default, configured, requested)] == [0.1, 0.7, 1.5]


@pytest.mark.fault("temperature-refused")
def test_a_refused_temperature_is_left_out_and_not_sent_again(settings: Settings, tmp_path: Path) -> None:
    def reply(request: LoggedRequest) -> Reply:
        if "temperature" in request.json:
            return failure(400, "Unsupported value: 'temperature' does not support 0.1. Only the default is supported.")
        return answer("Ada [1].")

    async def twice() -> list[bool]:
        with OpenAIServer(chat=reply) as server:
            for _ in range(2):
                question = Question(text="Who built the lighthouse?", accepted_at=time.perf_counter())
                used = replace(settings, base_url=server.base_url, state_directory=str(tmp_path))
                answers.append([event async for event in LocalService().ask(question, used)])
            return ["temperature" in each.json for each in server.requests if each.path.endswith("/chat/completions")]

    answers: list[list[AskEvent]] = []
    assert asyncio.run(twice()) == [True, False, False]
    assert ["".join(each.text for each in events if isinstance(each, Token)) for events in answers] == ["Ada [1]."] * 2


def test_the_mark_is_a_stop_sequence_if_the_limit_of_four_allows_it(settings: Settings) -> None:
    _, (single,) = ask(answer("Ada [1]."), settings)
    _, (with_others,) = ask(answer("Ada [1]."), settings, options={"stop": ["END", "###"]})
    _, (full,) = ask(answer("Ada [1]."), settings, options={"stop": ["a1", "b2", "c3", "d4"]})

    assert single.json["stop"] == [mark_of(single)]
    assert with_others.json["stop"] == ["END", "###", mark_of(with_others)]
    assert full.json["stop"] == ["a1", "b2", "c3", "d4"]


def test_a_server_that_refuses_stop_sequences_is_asked_without_them(settings: Settings) -> None:
    def reply(request: LoggedRequest) -> Reply:
        return failure(400, "Unsupported parameter: 'stop'") if "stop" in request.json else answer("Ada [1].")

    text, requests = ask(reply, settings)

    assert (text, ["stop" in each.json for each in requests]) == ("Ada [1].", [True, False])


@pytest.mark.fault("mark-leaks")
def test_a_leaked_mark_is_cut_out_of_the_answer(settings: Settings) -> None:
    def reply(request: LoggedRequest) -> Reply:
        mark = mark_of(request)
        return stream(*map(token, ("Ada ", mark[:5], mark[5:], "Brandt ", f"{mark} [1].")))

    assert ask(reply, settings)[0] == "Ada Brandt  [1]."


def test_instructions_are_in_the_prompt_prefix_that_all_questions_share(settings: Settings) -> None:
    _, (own,) = ask(answer("Ada [1]."), replace(settings, instructions="Answer like a sailor."))
    _, (both,) = ask(
        answer("Ada [1]."), replace(settings, instructions="Answer like a sailor."), instructions="Be brief."
    )
    first, second = (str(each.json["messages"][0]["content"]) for each in (own, both))

    assert first.endswith("Answer like a sailor.")
    assert second == f"{first}\n\nBe brief."


def test_instructions_are_read_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tone.txt").write_text("Answer in verse.\n")
    monkeypatch.chdir(tmp_path)
    environment = {"HOME": str(tmp_path)}

    by_flag = read_settings({"instructions": "@tone.txt"}, environment)
    by_variable = read_settings({}, environment | {"STREAMRAG_INSTRUCTIONS": f"@{tmp_path}/tone.txt"})

    assert (by_flag.instructions, by_variable.instructions) == ("Answer in verse.", "Answer in verse.")
    with pytest.raises(ConfigurationError, match="absolute path"):
        read_settings({}, environment | {"STREAMRAG_INSTRUCTIONS": "@tone.txt"})
    with pytest.raises(UsageError, match="cannot be read"):
        read_settings({"instructions": "@missing.txt"}, environment)
    with pytest.raises(UsageError, match="at most 8000 characters"):
        read_settings({"instructions": "x" * 8001}, environment)
