"""Parses dates, ages and durations that users type."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from streamrag_cli.errors import UsageError

_AGE: Final = re.compile(r"([0-9]{1,6})([hdw])")
_HOURS: Final = {"h": 1, "d": 24, "w": 24 * 7}
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) *(ms|s|m|min|h|d)?")
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, None: 1}


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


def seconds_of(text: str, *, flag: str, least_s: float, most_s: float) -> float:
    """Parse a duration; return it in seconds. Raises UsageError `bad_flag`.

    >>> [seconds_of(text, flag="--every", least_s=0, most_s=1e9) for text in ("500ms", "2", "1.5 min", "2h")]
    [0.5, 2.0, 90.0, 7200.0]
    """
    match = _DURATION.fullmatch(text.strip().lower())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else -1.0
    if not least_s <= seconds <= most_s:
        limits = f"from {_shown(least_s)} to {_shown(most_s)}"
        raise UsageError(
            f"{flag}: {text[:80]!r} must be a duration {limits}, such as 500ms, 2s, 15min or 1h",
            code="bad_flag",
            hint="streamrag --help",
        )
    return seconds


def _shown(seconds: float) -> str:
    unit, size = next(
        (unit, size) for unit, size in (("d", 86_400), ("h", 3600), ("s", 1), ("ms", 0.001)) if seconds >= size
    )
    return f"{seconds / size:g}{unit}"
