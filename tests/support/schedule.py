"""Marks tests as slow, browser or postgres by their file, and decides which files run first."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]

FIRST: Final = (
    "faults/test_network_silence.py",  # waits 40 s while other processes work
    "ingest/test_kill.py",
    "faults",
    "engine",
    "doctor",
    "cli",
    "chat",
    "server",
    "browser",
    "store",
    "render",
    "ingest",
    "watch",
    "deploy",
)
"""The slowest files and folders, slowest first. All other files run after them."""

SLOW: Final = (
    "answer/test_answer_limits.py",
    "chat",
    "cli",
    "deploy",
    "doctor",
    "documents/test_chunking.py",
    "documents/test_sandbox.py",
    "engine",
    "faults",
    "ingest/test_kill.py",
    "ingest/test_concurrency.py",
    "render/test_exactness.py",
    "render/test_linear.py",
    "render/test_resize.py",
    "render/test_robust.py",
    "render/test_unchanged_rows.py",
    "server",
    "store/test_compaction.py",
    "store/test_copying.py",
    "store/test_damage.py",
    "store/test_directory.py",
    "store/test_disk.py",
    "store/test_private_copy.py",
    "store/test_vectors.py",
    "test_bench.py",
    "watch/test_watcher.py",
)
"""Files and folders with tests that start processes or wait: seconds each, or many seconds in total."""


def place_in_schedule(file: str) -> int:
    """A file's position in the run, lowest first; `file` is relative to `tests`."""
    return next((position for position, first in enumerate(FIRST) if is_in(file, first)), len(FIRST))


def marks_of(item: pytest.Item) -> Iterator[str]:
    """A test's marks, derived from its file and from the store in its parameters."""
    yield from file_marks(item.path.relative_to(TESTS).as_posix())
    if isinstance(item, pytest.Function) and _is_given_postgres(item):
        yield "postgres"


def file_marks(file: str) -> Iterator[str]:
    """The marks of all tests in a file or folder; `file` is relative to `tests`."""
    if any(is_in(file, slow) for slow in SLOW):
        yield "slow"
    if is_in(file, "browser"):
        yield "browser"
    if is_in(file, "store/postgres"):
        yield "postgres"


def is_in(file: str, path: str) -> bool:
    """Whether `path` is the file, or a folder that contains it."""
    return file == path or file.startswith(f"{path}/")


def _is_given_postgres(test: pytest.Function) -> bool:
    return hasattr(test, "callspec") and "postgres" in test.callspec.id.split("-")
