"""Private copies of a store that is read-only for this process, on a file system mounted read-only."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamrag_cli.store.local.private_copy import PrivateCopy, copy_database
from tests.support.fork_server import ForkServer
from tests.support.mount_namespace import mount_command


class Mount:
    """A store, and a second, read-only mount of it, as a container has of its host."""

    def __init__(self, directory: Path, server: ForkServer) -> None:
        self.directory = directory
        self._server = server

    def run(self, command: str, *words: str, through: str = "rw") -> str:
        ended = self._server.run(str(self.directory / through / "store"), command, *words)
        assert ended.status == 0, f"{command} ended with {ended}"
        return ended.stdout.strip()

    def shell(self, line: str) -> None:
        self.run("run", "sh", "-ec", line, str(self.directory))


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    with ForkServer("tests.support.second_process", mounting=mount_command(tmp_path)) as server:
        it = Mount(tmp_path, server)
        it.shell('cd "$0"; mkdir rw ro; mount --bind rw ro; mount -o remount,bind,ro ro')
        yield it


@pytest.mark.parametrize("batches", ["1", "24"], ids=["an index in memory", "an index that is saved"])
def test_a_store_on_a_read_only_mount_finds_every_vector(mount: Mount, batches: str) -> None:
    assert mount.run("put-batches", batches) == "done"

    assert mount.run("check", through="ro") == "all found"
    assert mount.run("ask", "0.md number 7 word7x7", through="ro").startswith("0.md number 7 word7x7")
    assert mount.run("put", "more.md", "more of it", through="ro").startswith("store_not_writable hint=")


@pytest.mark.fault("store-read-only")
def test_a_reader_of_a_read_only_mount_sees_changes_at_the_next_question(mount: Mount) -> None:
    assert mount.run("put", "zebras.md", "zebras have stripes") == "done"

    assert mount.run("ask-around", "put", "lions.md", "lions have manes", through="ro").splitlines() == [
        "zebras have stripes",
        "lions have manes | zebras have stripes",
    ]


def test_a_read_only_store_left_by_a_killed_writer_can_be_read(mount: Mount) -> None:
    assert mount.run("put", "zebras.md", "zebras have stripes") == "done"
    mount.run("put-and-die", "lions.md", "lions have manes")
    mount.shell('ls "$0"/rw/store/collections/default/epoch-*/catalog.sqlite3-wal')

    assert "lions have manes" in mount.run("ask", "lions have manes", through="ro")


def test_a_store_with_a_wal_but_no_wal_index_can_be_read(mount: Mount) -> None:
    assert mount.run("put", "zebras.md", "zebras have stripes") == "done"
    mount.run("put-and-die", "lions.md", "lions have manes")
    mount.shell('rm "$0"/rw/store/collections/default/epoch-*/catalog.sqlite3-shm')

    assert "lions have manes" in mount.run("ask", "lions have manes", through="ro")


def test_private_copies_are_removed_after_use(mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mount.run("put", "zebras.md", "zebras have stripes") == "done"
    before = set(Path(tempfile.gettempdir()).glob("streamrag-copy-*"))

    assert mount.run("ask", "zebras have stripes", through="ro") == "zebras have stripes"
    assert set(Path(tempfile.gettempdir()).glob("streamrag-copy-*")) <= before


def test_only_private_copies_of_dead_processes_are_cleaned_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tempfile.mkdtemp(".scratch", "streamrag-copy-")
    living = PrivateCopy()
    another = PrivateCopy()

    assert set(tmp_path.iterdir()) == {living.directory, another.directory}
    living.close()
    another.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("store-read-only")
def test_concurrent_processes_do_not_remove_each_others_private_copies(tmp_path: Path) -> None:
    make_copies = (
        "from streamrag_cli.store.local.private_copy import PrivateCopy\n"
        "for _ in range(400):\n"
        "    copy = PrivateCopy()\n"
        "    (copy.directory / 'a').touch()\n"
        "    copy.close()\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", make_copies], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]

    assert [each.communicate()[1] for each in processes] == [""] * 4
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_changes_during_a_copy_is_copied_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.sqlite3"
    file.write_bytes(b"first")
    add = PrivateCopy.add
    states = iter((b"second, half", b"second, whole"))

    def add_slowly(copy: PrivateCopy, *files: Path) -> None:
        add(copy, *files)
        if (state := next(states, None)) is not None:
            file.write_bytes(state)

    monkeypatch.setattr(PrivateCopy, "add", add_slowly)
    copy, _ = copy_database(file)

    assert (copy.directory / file.name).read_bytes() == b"second, whole"
    copy.close()
