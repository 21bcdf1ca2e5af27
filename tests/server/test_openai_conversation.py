"""Multi-turn conversations over the OpenAI-compatible API, with OpenAI's own client."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import openai
import pytest

from streamrag_cli.settings import Settings
from tests.support.openai_replies import answer, failure
from tests.support.openai_server import OpenAIServer, Script
from tests.support.running_server import running_server

TURNS = [
    ("Who built the lighthouse?", "docs/lighthouse.md"),
    ("And how high above the sea is it?", "docs/lighthouse.md"),
    ("What is the fee for a berth for a night?", "docs/harbour.md"),
    ("Is electricity included?", "docs/harbour.md"),
    ("How long are the clams simmered?", "docs/recipes.md"),
    ("And with which herbs?", "docs/recipes.md"),
]


@contextmanager
def client_of(settings: Settings, script: Script | None = None) -> Iterator[tuple[openai.OpenAI, OpenAIServer]]:
    with (
        OpenAIServer(chat=script or answer("So it is [1].")) as model,
        running_server(replace(settings, base_url=model.base_url, model="m")) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client,
    ):
        yield client, model


def message(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def ask(client: openai.OpenAI, messages: Any, *, as_stream: bool = False) -> tuple[str, list[str]]:
    """The answer, and its sources' files."""
    reply: Any = client.chat.completions.create(model="streamrag", messages=messages, stream=as_stream)
    if not as_stream:
        return reply.choices[0].message.content, [each["source"] for each in reply.sources]
    first, *rest = list(reply)
    return "".join(each.choices[0].delta.content or "" for each in rest), [each["source"] for each in first.sources]


def sent(model: OpenAIServer) -> list[tuple[str, str]]:
    """The messages in the last request to the model."""
    return [(each["role"], each["content"]) for each in model.requests[-1].json["messages"]]


@pytest.mark.parametrize("as_stream", [True, False])
def test_every_turn_of_a_conversation_gets_the_right_sources(as_stream: bool, settings: Settings) -> None:
    messages: list[dict[str, Any]] = []
    best: list[str] = []
    with client_of(settings) as (client, model):
        for question, _ in TURNS:
            messages.append(message("user", question))
            text, sources = ask(client, messages, as_stream=as_stream)
            messages.append(message("assistant", text))
            best.append(sources[0])
        last = sent(model)

    assert best == [source for _, source in TURNS]
    assert last[1:-1] == [
        (each["role"], each["content"].replace(" [1]", "")) for each in messages[: 2 * len(TURNS) - 2]
    ]
    assert last[-1][1].endswith("Question: And with which herbs?")


@pytest.mark.fault("conversation-too-long")
def test_hundreds_of_long_messages_are_answered_with_the_newest_ones(settings: Settings) -> None:
    earlier = [
        each
        for n in range(200)
        for each in (message("user", f"What of part {n}?"), message("assistant", f"Part {n}. ".ljust(2000, "w")))
    ]
    with client_of(settings) as (client, model):
        _, sources = ask(client, [message("system", "Be brief."), *earlier, message("user", TURNS[0][0])])
        prompt = sent(model)

    assert sources[0] == "docs/lighthouse.md"
    assert sum(len(text) for _, text in prompt[1:-1]) <= settings.history_chars
    assert prompt[-3][1] == "What of part 199?"
    assert "Be brief." in prompt[0][1]


@pytest.mark.fault("conversation-too-long")
def test_a_huge_earlier_message_does_not_displace_the_question(settings: Settings) -> None:
    earlier = [message("user", "clams " * 20_000), message("assistant", "thyme " * 20_000)]
    with client_of(settings) as (client, model):
        _, sources = ask(client, [*earlier, message("user", TURNS[0][0])])
        prompt = sent(model)

    assert sources[0] == "docs/lighthouse.md"
    assert [role for role, _ in prompt] == ["system", "user", "assistant", "user"]
    assert sum(len(text) for _, text in prompt[1:-1]) <= settings.history_chars


@pytest.mark.fault("messages-out-of-order")
@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (
            [message("assistant", "Welcome."), message("user", TURNS[0][0])],
            [("user", "(no question)"), ("assistant", "Welcome.")],
        ),
        (
            [message("user", "What is a fjord?"), message("user", TURNS[0][0]), message("assistant", "Ada")],
            [("user", "What is a fjord?"), ("assistant", "(no answer)")],
        ),
        (
            [
                message("user", "What is a fjord?"),
                message("assistant", "An inlet"),
                message("system", "Be brief."),
                message("assistant", "of the sea."),
                message("user", TURNS[0][0]),
            ],
            [("user", "What is a fjord?"), ("assistant", "An inlet\n\nof the sea.")],
        ),
        (
            [message("user", ""), message("assistant", None), message("user", " "), message("user", TURNS[0][0])],
            [],
        ),
    ],
)
def test_messages_in_an_unusual_order_reach_the_model_as_questions_and_answers(
    messages: Any, expected: list[tuple[str, str]], settings: Settings
) -> None:
    with client_of(settings) as (client, model):
        _, sources = ask(client, messages)
        prompt = sent(model)

    assert sources[0] == "docs/lighthouse.md"
    assert prompt[1:-1] == expected
    assert prompt[-1][1].endswith(f"Question: {TURNS[0][0]}")


def test_a_conversation_beyond_the_models_context_is_answered_without_it(settings: Settings) -> None:
    too_long = failure(400, "maximum context length exceeded", code="context_length_exceeded")
    conversation = [
        message("user", "What is a fjord?"),
        message("assistant", "An inlet."),
        message("user", TURNS[0][0]),
    ]
    with client_of(settings, [too_long, answer("Ada [1].")]) as (client, model):
        text, sources = ask(client, conversation)
        roles = [role for role, _ in sent(model)]

    assert (text, sources[0], roles) == ("Ada [1].", "docs/lighthouse.md", ["system", "user"])
