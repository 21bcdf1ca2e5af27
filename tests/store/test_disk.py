"""Full and read-only disks: real file systems of a few megabytes in a separate mount namespace."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fork_server import ForkServer
from tests.support.mount_namespace import mount_command

ANSWER = "zebras have stripes"
REFUSED = "store_not_writable hint=streamrag ingest --store DIR PATH"


class Disk:
    """A store on its own file system, and the processes that can access it."""

    def __init__(self, mount_point: Path, server: ForkServer) -> None:
        self._mount_point = mount_point
        self._server = server

    def run(self, command: str, *words: str) -> str:
        ended = self._server.run(str(self._mount_point / "store"), command, *words)
        assert ended.status == 0, f"{command} ended with {ended}"
        return ended.stdout.strip()

    def remount(self, options: str) -> None:
        self.run("run", "mount", "-o", f"remount,{options}", str(self._mount_point))

    def fill(self, *, free_kib: int) -> None:
        filled = (
            'set -- $(df --output=avail "$0" | tail -1); head -c $((($1 - ' + str(free_kib) + ") * 1024)) /dev/zero"
        )
        self.run("run", "sh", "-c", filled + ' > "$0/ballast"', str(self._mount_point))

    def free(self) -> None:
        self.run("run", "rm", str(self._mount_point / "ballast"))
        self.remount("size=100m")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with ForkServer("tests.support.second_process", mounting=mount_command(tmp_path, "-o", "size=4m")) as server:
        yield Disk(tmp_path, server)


@pytest.mark.fault("disk-full")
@pytest.mark.parametrize("free_kib", [0, 150, 450])
def test_a_full_disk_is_reported_and_the_store_stays_intact(disk: Disk, free_kib: int) -> None:
    assert disk.run("put", "zebras.md", ANSWER) == "done"
    disk.fill(free_kib=free_kib)

    assert disk.run("put-batches", "30") == REFUSED
    assert disk.run("ask", ANSWER).partition(" | ")[0] in {ANSWER, REFUSED}
    disk.free()

    assert disk.run("ask", ANSWER).startswith(ANSWER)
    assert disk.run("put-batches", "24") == "done"
    assert disk.run("check") == "all found"


def test_a_store_on_a_read_only_disk_rejects_writes_and_answers_questions(disk: Disk) -> None:
    assert disk.run("put", "zebras.md", ANSWER) == "done"
    disk.remount("ro")
    assert disk.run("put", "more.md", "more of it") == REFUSED
    assert disk.run("ask", ANSWER) == ANSWER
    disk.remount("rw")

    assert disk.run("put", "more.md", "more of it") == "done"
    assert disk.run("ask", ANSWER).startswith(ANSWER)


def test_a_store_cannot_be_created_on_a_full_disk(disk: Disk) -> None:
    disk.fill(free_kib=0)

    assert disk.run("put", "zebras.md", ANSWER) == REFUSED
    assert disk.run("ask", ANSWER) == "store_missing hint=streamrag ingest PATH"
    disk.free()
    assert disk.run("put", "zebras.md", ANSWER) == "done"
    assert disk.run("ask", ANSWER) == ANSWER
