"""Events from the kernel."""

import os
import resource
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from streamrag_cli.watch.inotify import Changed, Inotify, NoWatchesLeftError


@pytest.fixture
def inotify() -> Iterator[Inotify]:
    with closing(Inotify()) as inotify:
        yield inotify


def changed_in(inotify: Inotify) -> set[str]:
    return {each.path for each in inotify.read()}


def test_changes_are_reported_below_the_path_that_was_given(inotify: Inotify, tmp_path: Path) -> None:
    inotify.watch_directory("/shown", str(tmp_path))
    assert changed_in(inotify) == set()

    (tmp_path / "a.md").write_text("one", encoding="utf-8")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.md").write_text("not watched", encoding="utf-8")

    assert changed_in(inotify) == {"/shown/a.md", "/shown/sub"}


def test_a_watched_file_is_reported_when_replaced_but_its_siblings_are_not(inotify: Inotify, tmp_path: Path) -> None:
    inotify.watch_entry(str(tmp_path / "a.md"), "/link.md")

    (tmp_path / "b.md").write_text("another file", encoding="utf-8")
    assert changed_in(inotify) == set()

    (tmp_path / "b.md").replace(tmp_path / "a.md")
    assert changed_in(inotify) == {"/link.md"}


def test_a_renamed_directory_is_no_longer_reported_under_its_former_path(inotify: Inotify, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    for each in (tmp_path, old):
        inotify.watch_directory(str(each), str(each))
    old.rename(new)
    assert changed_in(inotify) == {str(old), str(new)}

    (new / "a.md").touch()
    assert changed_in(inotify) == set()

    inotify.watch_directory(str(new), str(new))
    (new / "b.md").touch()
    assert changed_in(inotify) == {str(new / "b.md")}


@pytest.mark.fault("watch-overflow")
def test_lost_events_are_reported_as_an_uncertain_change_of_everything(inotify: Inotify, tmp_path: Path) -> None:
    inotify.watch_directory(str(tmp_path), str(tmp_path))
    files = [tmp_path / "a.md", tmp_path / "b.md"]
    for each in files:
        each.touch()
    queued = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text(encoding="ascii"))
    for number in range(queued + 10):
        os.utime(files[number % 2])  # the kernel merges equal events in a row

    assert Changed("/", is_uncertain=True) in set(inotify.read())


@pytest.mark.fault("watch-no-inotify")
def test_inotify_without_free_descriptors_raises_an_error_with_the_reason() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(NoWatchesLeftError, match="too many open files"):
            Inotify()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
