"""What goes over the socket comes out as it went in, and what is no message is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrag_cli.engine.messages import (
    GarbledError,
    Request,
    event_line,
    read_event,
    read_request,
    request_line,
)
from streamrag_cli.events import AskEvent, Citations, Done, Error, Notice, Sources, Status, Token
from streamrag_cli.model import ChatMessage, Citation, Question, Source, Timings, Usage
from streamrag_cli.settings import Settings

SOURCE = Source(
    n=1,
    source="a.md",
    page=None,
    line_start=1,
    line_end=2,
    title="A > B",
    content="words",
    score=0.123456789,
    chunk_id="c1",
    path="/home/x/\udcffa.md",
)
EVENTS: list[AskEvent] = [
    Status(status="retrieving", detail="searching 7 chunks"),
    Sources(sources=(SOURCE,)),
    Token(text="a\n\u2028\U0001f600\ud800"),
    Citations(citations=(Citation(n=1, source="a.md", chunk_id="c1"),), unknown=(7, 9)),
    Notice(message="m", code="c"),
    Done(
        finish_reason="stop",
        model="m",
        usage=Usage(input_tokens=1, output_tokens=2, total_tokens=3),
        timings=Timings(total_ms=1.23456789),
    ),
    Done(finish_reason="stop", model="m", usage=None, timings=Timings()),
    Error(message="m", code="c", hint="h", retryable=True, exit_code=4),
    Error(message="m", code="c", hint="h", retryable=True, exit_code=4, retry_after_s=7.5),
]


@pytest.mark.parametrize("event", EVENTS, ids=[type(event).__name__ for event in EVENTS])
def test_an_event_arrives_with_all_it_holds_on_one_line(event: AskEvent) -> None:
    line = event_line(event)

    assert read_event(line) == event
    assert line.count(b"\n") == 1


def test_a_request_arrives_with_question_and_settings() -> None:
    request = Request(
        wants="ask",
        question=Question(
            text="Why?\udcff",
            accepted_at=1.5,
            extra="x",
            startup_ms=None,
            conversation=(ChatMessage(role="system", text="Be brief."), ChatMessage(role="user", text="Why?")),
            options={"temperature": 0.5, "stop": ["."]},
            max_tokens=7,
        ),
        settings=Settings(store=Path("/s/\udcff"), api_key="k", top_k=7, exclude=("a/", "*.csv")),
    )

    assert read_request(request_line(request)) == request


@given(
    st.one_of(st.binary(), st.text().map(str.encode), st.just(b"[" * 100_000), st.sampled_from([b"{}", b"[]", b"1"]))
)
def test_what_is_no_message_is_refused_and_nothing_worse(line: bytes) -> None:
    for read in (read_event, read_request):
        with pytest.raises(GarbledError):
            read(line)
