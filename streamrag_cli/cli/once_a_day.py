"""Records when a message was last shown, so that it is shown at most once a day."""

import contextlib
import time
from pathlib import Path
from typing import Final

_DAY_S: Final = 86_400


def is_first_today(state_directory: str, name: str) -> bool:
    """Whether this is the first call with `name` within 24 hours; always True if the directory cannot be used."""
    if not state_directory:
        return True
    marker = Path(state_directory) / f"{name}.shown"
    with contextlib.suppress(OSError):
        if 0 <= time.time() - marker.stat().st_mtime < _DAY_S:
            return False
    with contextlib.suppress(OSError):
        marker.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        marker.touch(mode=0o600)
    return True
