"""The delay before a retry follows the server's request, up to a limit."""

from datetime import UTC, datetime

import pytest

from streamrag_cli.model_server.retries import retry_after_s, wait_before_retry_s

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:04 GMT"}, 4.0),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:04"}, 4.0),
        ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0.0),
    ],
)
def test_the_retry_after_header_may_be_a_number_or_a_date(headers: dict[str, str], wait_s: float | None) -> None:
    assert retry_after_s(headers, now=NOW) == wait_s


@pytest.mark.parametrize(
    ("retries_made", "server_delay_s", "wait_s"),
    [
        (0, None, 0.5),
        (1, None, 1.0),
        (2, None, None),
        (0, 0.0, 0.5),
        (1, 4.5, 4.5),
        (0, 5.1, None),
        (0, float("inf"), None),
        (2, 1.0, None),
    ],
)
def test_at_most_two_retries_are_made_and_none_after_a_long_delay(
    retries_made: int, server_delay_s: float | None, wait_s: float | None
) -> None:
    assert wait_before_retry_s(retries_made, server_delay_s=server_delay_s) == wait_s
