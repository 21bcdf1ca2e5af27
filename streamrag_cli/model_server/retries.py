"""The retry policy: the number of retries and the delays between them."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

BACKOFF_S: Final = (0.5, 1.0)
LONGEST_RETRY_AFTER_S: Final = 5.0


def wait_before_retry_s(retries_made: int, *, server_delay_s: float | None) -> float | None:
    """Seconds to wait before the next retry; None if the request must not be retried.

    `server_delay_s` is the delay that the server requested. If it exceeds 5 s, the request is not retried.

    >>> [wait_before_retry_s(0, server_delay_s=delay_s) for delay_s in (None, 2.0, 60.0)]
    [0.5, 2.0, None]
    """
    if retries_made >= len(BACKOFF_S) or (server_delay_s or 0.0) > LONGEST_RETRY_AFTER_S:
        return None
    return server_delay_s or BACKOFF_S[retries_made]


def retry_after_s(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """The delay in seconds that the server requests, or None if it requests none.

    `Retry-After` may be a number of seconds or a date.
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait_s = float(headers.get(name, "")) * unit_s
        except ValueError:
            continue
        return None if math.isnan(wait_s) else max(0.0, wait_s)
    try:
        then = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - (now or datetime.now(UTC))).total_seconds())
