"""Decoding of server-sent events does not depend on how the bytes are split or on line endings."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrag_cli.model_server.event_stream import EventStreamDecoder


def decoded(*pieces: bytes) -> list[bytes]:
    decoder = EventStreamDecoder()
    return [data for piece in pieces for data in decoder.feed(piece)] + decoder.finish()


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_all_three_line_endings_are_recognised(line_end: bytes) -> None:
    stream = b"data: one\n\n: a comment\nid: 7\ndata:two\ndata: lines\n\n".replace(b"\n", line_end)

    assert decoded(stream) == [b"one", b"two\nlines"]


@pytest.mark.fault("model-dialects")
@given(cuts=st.sets(st.integers(1, 60)), line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_events_do_not_depend_on_how_the_bytes_are_split(cuts: set[int], line_end: bytes) -> None:
    stream = b": ping\n\ndata: one\n\nevent: x\ndata: two\ndata: more\n\ndata: end\n\n".replace(b"\n", line_end)
    places = [0, *sorted(cuts), len(stream)]

    assert decoded(*(stream[a:b] for a, b in pairwise(places))) == decoded(stream)


def test_an_event_is_complete_only_after_its_empty_line() -> None:
    assert decoded(b"data: one\n\ndata: half") == [b"one"]


def test_events_that_arrive_together_are_returned_together() -> None:
    decoder = EventStreamDecoder()

    assert decoder.feed(b"data: 1\n\ndata: 2\n\ndata: 3") == [b"1", b"2"]
    assert decoder.feed(b"\n\n") == [b"3"]


def test_an_oversized_event_is_refused() -> None:
    decoder = EventStreamDecoder()

    with pytest.raises(ValueError, match="too long"):
        for _ in range(100):
            decoder.feed(b"x" * 1_000_000)
