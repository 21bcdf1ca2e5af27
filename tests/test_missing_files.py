"""Source files are compared with the ingested version, without waiting for a disk that does not respond."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamrag_cli import missing_files
from streamrag_cli.missing_files import LIMIT_S, FileCheck, find_missing_files, state_of_file
from streamrag_cli.model import DocumentRecord

pytestmark = pytest.mark.fault("source-changed")


def record_of(file: Path) -> DocumentRecord:
    status = file.stat()
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest() if status.st_size < 1_000_000 else "0" * 64
    return DocumentRecord(
        path=str(file),
        source=file.name,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        read_at_ns=time.time_ns(),
        sha256=sha256,
        recipe="",
    )


@pytest.fixture
def disk_that_hangs(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of files whose `stat` does not return before the end of the test, as on a lost network share."""
    original, released = Path.stat, threading.Event()

    def stat(path: Path, **options: Any) -> os.stat_result:
        if path.name == "lost.md":
            released.wait()
        return original(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    yield "lost.md"
    released.set()
    for thread in threading.enumerate():
        if thread.name == "check-files":
            thread.join()


def test_a_file_counts_as_changed_only_if_its_content_changes(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text("one")
    record = record_of(file)
    states = [state_of_file(record)]
    os.utime(file, ns=(0, 0))
    states.append(state_of_file(record))
    file.write_text("two")
    states.append(state_of_file(record))
    file.write_text("more")
    states.append(state_of_file(record))
    file.unlink()
    states.append(state_of_file(record))

    assert states == [None, None, "changed", "changed", "gone"]


def test_a_huge_file_with_another_time_stamp_is_not_read_completely(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    with file.open("wb") as opened:
        opened.truncate(1 << 40)
    record = record_of(file)
    os.utime(file, ns=(0, 0))
    began_s = time.monotonic()
    check = FileCheck({"a": record})

    assert check.states(60.0) == {}
    assert LIMIT_S <= time.monotonic() - began_s < 10
    assert check.is_done


def test_files_checked_before_a_hanging_disk_are_reported(tmp_path: Path, disk_that_hangs: str) -> None:
    changed, lost = tmp_path / "a.md", tmp_path / disk_that_hangs
    for file in (changed, lost):
        file.write_text("before")
    records = {"a": record_of(changed), "b": DocumentRecord(**_fields(record_of(changed)) | {"path": str(lost)})}
    changed.write_text("afterwards")
    check = FileCheck(records)

    assert check.states(60.0) == {"a": "changed"}
    assert check.is_done


def test_checks_that_hang_do_not_accumulate(tmp_path: Path, disk_that_hangs: str) -> None:
    lost = str(tmp_path / disk_that_hangs)
    for _ in range(missing_files._MAX_BLOCKED + 3):
        assert find_missing_files([lost]) == frozenset()
    began_s = time.monotonic()

    assert find_missing_files([lost]) == frozenset()
    assert time.monotonic() - began_s < LIMIT_S
    assert sum(thread.name == "check-files" for thread in threading.enumerate()) == missing_files._MAX_BLOCKED


def _fields(record: DocumentRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}
