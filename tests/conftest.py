"""Settings and fixtures for all tests."""

import atexit
import gc
import os
import signal
import tempfile
from pathlib import Path

import pytest

from tests.support.schedule import TESTS, file_marks, marks_of, place_in_schedule

gc.disable()  # until all tests are collected; it would visit the same growing number of objects again and again

# A shell ignores Ctrl-C in background jobs, and every child process of a test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests must not reach the user's own engine. Below /tmp, because a socket's path must be short.
_RUNTIME = tempfile.TemporaryDirectory(prefix="rt-", dir="/tmp")
atexit.register(_RUNTIME.cleanup)
os.environ["XDG_RUNTIME_DIR"] = _RUNTIME.name


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip files whose tests are all deselected by `-m "not slow"` or another such mark, without importing them."""
    if not collection_path.is_relative_to(TESTS):
        return None
    marks = file_marks(collection_path.relative_to(TESTS).as_posix())
    return any(f"not {mark}" in config.option.markexpr.split(" and ") for mark in marks) or None


def pytest_collection_finish() -> None:
    """Exclude the libraries and the tests from garbage collection, because they live until the process ends."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests, and run the slowest first, so that all workers finish at about the same time."""
    for item in items:
        for mark in marks_of(item):
            item.add_marker(mark)
    items.sort(key=lambda item: place_in_schedule(item.path.relative_to(TESTS).as_posix()))
