"""What holds for every test."""

import atexit
import os
import signal
import tempfile

import pytest

from tests.support.schedule import TESTS, marks_of, place_in_schedule

# A shell that runs the tests in the background has Ctrl-C ignored, and every process of a test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test meets an engine of this machine's user. Below /tmp, since a socket's path must be short.
_RUNTIME = tempfile.TemporaryDirectory(prefix="rt-", dir="/tmp")
atexit.register(_RUNTIME.cleanup)
os.environ["XDG_RUNTIME_DIR"] = _RUNTIME.name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests, and let those that take longest begin first, so that no worker is left alone at the end."""
    for item in items:
        for mark in marks_of(item):
            item.add_marker(mark)
    items.sort(key=lambda item: place_in_schedule(item.path.relative_to(TESTS).as_posix()))
