"""When a batch is due."""

import os
import time
from pathlib import Path

from streamrag_cli.watch.pending import LONGEST_WAIT_S, Pending


def test_a_batch_is_due_when_nothing_has_changed_for_a_while() -> None:
    pending = Pending(0.3)
    due = [pending.due_at]
    for name, now in (("a.md", 10.0), ("b.md", 10.2)):
        pending.add(f"/docs/{name}", now)
        due.append(pending.due_at)

    assert (due, pending.take()) == ([None, 10.3, 10.5], ({"/docs/a.md", "/docs/b.md"}, False))
    assert pending.due_at is None


def test_a_batch_is_due_after_five_seconds_even_if_files_keep_changing() -> None:
    pending = Pending(0.3)
    for tenth in range(100):
        pending.add("/docs/log.txt", 10.0 + tenth / 10)

    assert pending.due_at == 10.0 + LONGEST_WAIT_S


def test_the_changes_of_a_failed_batch_are_pending_again() -> None:
    pending = Pending(0.3)
    pending.add("/docs/new.md", 10.0)

    pending.put_back(["/docs/old.md"], is_whole=True, now=11.0)

    assert pending.take() == ({"/docs/new.md", "/docs/old.md"}, True)


def test_a_batch_waits_while_git_changes_the_work_tree_but_not_for_an_old_lock(tmp_path: Path) -> None:
    lock = tmp_path / ".git" / "index.lock"
    lock.parent.mkdir()
    lock.touch()
    pending = Pending(0.3)
    pending.add(str(tmp_path / "docs" / "deep" / "a.md"), 10.0)
    assert pending.waits_for_git(11.0)

    os.utime(lock, (time.time() - 100, time.time() - 100))
    assert not pending.waits_for_git(11.0)

    lock.touch()
    assert not pending.waits_for_git(80.0)

    lock.unlink()
    assert not pending.waits_for_git(11.0)
