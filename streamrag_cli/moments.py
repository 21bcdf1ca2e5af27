"""Dates and ages that users type, as moments."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from streamrag_cli.errors import UsageError

_AGE: Final = re.compile(r"([0-9]{1,6})([hdw])")
_HOURS: Final = {"h": 1, "d": 24, "w": 24 * 7}


def start_of(text: str, now_s: float, *, flag: str) -> str:
    """Convert a local date or time, or an age such as `30d`, to a time in ISO 8601 (UTC).

    `now_s` is a Unix time. Raises UsageError `bad_flag`.

    >>> start_of("36h", 1_700_000_000.0, flag="--since"), start_of("2026-01-31T08:00Z", 0.0, flag="--since")
    ('2023-11-13T10:13:20.000+00:00', '2026-01-31T08:00:00.000+00:00')
    """
    age = _AGE.fullmatch(text.strip().lower())
    try:
        if age:
            moment = datetime.fromtimestamp(now_s, UTC) - timedelta(hours=int(age[1]) * _HOURS[age[2]])
        else:
            moment = datetime.fromisoformat(text.strip()).astimezone(UTC)
    except OverflowError:
        moment = datetime.min.replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(
            f"{flag}: {text[:80]!r} must be a date such as 2026-01-31, or an age such as 12h, 30d or 8w",
            code="bad_flag",
            hint="streamrag --help",
        ) from None
    return moment.isoformat(timespec="milliseconds")
