"""Random bytes are accepted if valid, or refused with a named error. Findings of `tests.support.fuzz` are added as
examples.
"""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streamrag_cli.codec import event_line
from streamrag_cli.events import Done, Error, Sources, Token
from streamrag_cli.model import Timings
from tests.support import fuzz_targets

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = (
    "event text sources citations unknown usage timings question settings wants store choices delta content error"
    " finish_reason reasoning_content refusal"
).split()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
MESSAGES = [
    event_line(event)
    for event in (
        Token(text="x"),
        Sources(sources=()),
        Error(message="m", code="c", hint="h", retryable=False, exit_code=4),
        Done(finish_reason="stop", model="m", usage=None, timings=Timings()),
    )
]


def mutated(line: bytes, at: int, byte: int) -> bytes:
    index = at % len(line)
    return line[:index] + bytes([byte]) + line[index + 1 :]


@QUICK
@given(st.binary(max_size=300))
def test_random_bytes_are_safe_to_show_after_sanitising(data: bytes) -> None:
    fuzz_targets.sanitiser(data)


@pytest.mark.fault("random-bytes")
@QUICK
@given(
    st.sampled_from(range(len(fuzz_targets.SUFFIXES))), st.binary(max_size=400) | st.text(max_size=300).map(str.encode)
)
@example(
    fuzz_targets.SUFFIXES.index(".rst"), b"K\x1e]\n\xa6\x1e]"
)  # docutils treats additional characters as line ends
def test_loading_random_bytes_returns_a_document_or_raises_a_named_error(suffix: int, data: bytes) -> None:
    fuzz_targets.documents(bytes([suffix]) + data)


@QUICK
@given(st.binary(max_size=300))
def test_decoding_random_bytes_returns_text_or_raises_a_named_error(data: bytes) -> None:
    fuzz_targets.encodings(data)


@pytest.mark.fault("random-bytes")
@QUICK
@given(
    st.binary(max_size=200)
    | VALUES.map(lambda value: json.dumps(value).encode())
    | st.builds(mutated, st.sampled_from(MESSAGES), st.integers(0), st.integers(0, 255))
)
def test_decoding_a_random_line_returns_a_message_or_raises_a_decode_error(line: bytes) -> None:
    fuzz_targets.messages(line)


@pytest.mark.fault("random-bytes")
@QUICK
@given(st.lists(st.sampled_from([b"data: x", b"data:", b"\n", b"\r", b"\r\n", b":", b"id: 1", b"\xff"]), max_size=30))
@example([b"data: x", b"\n", b"\r", b"data: x"])  # a last event that ended with CR was lost
def test_a_random_model_stream_produces_events_or_a_named_error(parts: list[bytes]) -> None:
    fuzz_targets.event_streams(b"".join(parts))


@QUICK
@given(VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
def test_a_random_model_event_produces_a_piece_or_a_named_error(data: bytes) -> None:
    fuzz_targets.model_chunks(data)


@pytest.mark.fault("random-bytes")
@QUICK
@given(
    st.text(st.characters(min_codepoint=10, max_codepoint=900), max_size=120).map(str.encode) | st.binary(max_size=80)
)
@example(b"top_k = 1\n[x]\n")
@example(b"top_k = 99999999999999999999")
@example(b"top_k = 1979-05-27")
def test_a_random_settings_file_is_valid_or_refused_with_a_named_error(data: bytes) -> None:
    fuzz_targets.settings(data)
