"""Identifies the terminal that a command runs in."""

import os
from pathlib import Path


def current_terminal() -> str:
    """This process's session and controlling terminal, such as `812:34816:20931`.

    The last part is the start time of the session's first process, because process IDs are reused. Parts that the
    system does not report are empty.
    """
    session = os.getsid(0)
    _, device = _status_of("self")
    started, _ = _status_of(str(session))
    return f"{session}:{device}:{started}"


def _status_of(process: str) -> tuple[str, str]:
    """A process's start time in clock ticks since boot, and its terminal's device number."""
    try:
        fields = Path("/proc", process, "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return "", ""
    return (fields[19], fields[4]) if len(fields) > 19 else ("", "")
