"""Full and read-only disks: reported in one line, and the existing data stays intact.

The disks are file systems of a few megabytes in a separate mount namespace.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.collection import DOCUMENTS
from tests.support.command_line import CommandLine, Outcome
from tests.support.files import write_files
from tests.support.mount_namespace import mount_command
from tests.support.warm_command_line import WarmCommandLine, warm_apart

QUESTION = "What does a berth cost for the night?"
FREE_KIB = (0, 16, 60, 120, 250, 400, 700)


@pytest.fixture(scope="module")
def cli_on_a_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmCommandLine]:
    """A command line with a disk of six megabytes that only its own processes see."""
    home = tmp_path_factory.mktemp("machine")
    mount_point = home / "disk"
    mount_point.mkdir()
    user = CommandLine(home=home, directory=home, variables={"STREAMRAG_STORE": str(mount_point / "store")})
    with warm_apart(user, mounting=mount_command(mount_point, "-o", "size=6m")) as machine:
        yield machine


@pytest.fixture
def cli_with_small_disk(cli_on_a_disk: WarmCommandLine, tmp_path: Path) -> Iterator[WarmCommandLine]:
    """A command line whose store is on the small disk, which is empty at first."""
    user = replace(cli_on_a_disk, home=tmp_path, directory=tmp_path)
    write_files(user.directory / "docs", DOCUMENTS)
    yield user
    disk = Path(cli_on_a_disk.variables["STREAMRAG_STORE"]).parent
    shell(cli_on_a_disk, f"rm -rf {disk}/*")


def shell(cli_on_a_disk: WarmCommandLine, line: str) -> None:
    """Run a line of shell in the disk's namespace."""
    run = cli_on_a_disk.measured("sh", "-c", line, module="tests.support.other_program")
    assert run.outcome.code == 0, run


def fill(cli_on_a_disk: WarmCommandLine, *, free_kib: int) -> None:
    disk = Path(cli_on_a_disk.variables["STREAMRAG_STORE"]).parent
    shell(cli_on_a_disk, f"set -- $(df --output=avail {disk} | tail -1);"
                   f" head -c $((($1 - {free_kib}) * 1024)) /dev/zero > {disk}/ballast")  # fmt: skip


def free(cli_on_a_disk: WarmCommandLine) -> None:
    disk = Path(cli_on_a_disk.variables["STREAMRAG_STORE"]).parent
    shell(cli_on_a_disk, f"rm -f {disk}/ballast")


def search(cli_on_a_disk: WarmCommandLine) -> list[dict[str, object]]:
    outcome = cli_on_a_disk.run("search", QUESTION, "--jsonl")
    assert outcome.code == 0, outcome
    return [json.loads(line) for line in outcome.stdout.splitlines()]


def refusal(outcome: Outcome) -> tuple[int, bytes, bool, str]:
    """Exit code, stdout, whether the first line reports that the store cannot be written, and the hint."""
    *_, first, hint = outcome.stderr.splitlines()
    return outcome.code, outcome.stdout, "cannot be written to: " in first, hint


REFUSED = (5, b"", True, "hint: streamrag ingest --store DIR PATH")


@pytest.mark.fault("disk-full")
def test_a_disk_that_fills_up_during_an_ingest_loses_no_data(
    cli_with_small_disk: WarmCommandLine,
) -> None:
    assert cli_with_small_disk.run("ingest", "docs").code == 0
    before = search(cli_with_small_disk)
    parts = "".join(f"# Part {number}\n\nword{number} {'x' * 900}\n\n" for number in range(600))
    (cli_with_small_disk.directory / "docs" / "many.md").write_text(parts, encoding="utf-8")

    outcomes = []
    for free_kib in FREE_KIB:
        fill(cli_with_small_disk, free_kib=free_kib)
        outcomes.append(cli_with_small_disk.run("ingest", "docs"))
        free(cli_with_small_disk)
        assert search(cli_with_small_disk)[0] == before[0]
    (cli_with_small_disk.directory / "docs" / "many.md").unlink()
    last = cli_with_small_disk.run("ingest", "docs")

    assert [refusal(each) for each in outcomes] == [REFUSED] * len(FREE_KIB)
    assert not any("error returned from database" in each.stderr for each in outcomes)
    assert (last.code, search(cli_with_small_disk)) == (0, before)


def test_a_first_ingest_to_a_full_disk_works_once_there_is_space(
    cli_with_small_disk: WarmCommandLine,
) -> None:
    outcomes = []
    for free_kib in (0, 40, 100):
        fill(cli_with_small_disk, free_kib=free_kib)
        outcomes.append(cli_with_small_disk.run("ingest", "docs"))
        free(cli_with_small_disk)

    assert [refusal(each) for each in outcomes] == [REFUSED] * 3
    assert cli_with_small_disk.run("ingest", "docs").code == 0
    assert search(cli_with_small_disk)[0]["source"] == "docs/harbour.md"


@pytest.mark.fault("full-disk-question")
@pytest.mark.parametrize("free_kib", [0, 20, 200])
def test_a_store_on_a_full_disk_answers_and_refuses_writes(cli_with_small_disk: WarmCommandLine, free_kib: int) -> None:
    assert cli_with_small_disk.run("ingest", "docs").code == 0
    before = search(cli_with_small_disk)
    store = cli_with_small_disk.variables["STREAMRAG_STORE"]
    fill(cli_with_small_disk, free_kib=free_kib)
    served = [
        cli_with_small_disk.run(*each) for each in (("ask", QUESTION), ("ask", "--no-engine", QUESTION), ("status",))
    ]
    results = search(cli_with_small_disk)
    rebuilt = cli_with_small_disk.run("ingest", "--rebuild")
    copied = cli_with_small_disk.run("copy", "--from", store, "--to", f"{Path(store).parent}/other")
    free(cli_with_small_disk)

    assert [each.code for each in served] == [0, 0, 0]
    assert results == before
    assert (refusal(rebuilt), copied.code, copied.stderr.count("streamrag: ")) == (REFUSED, 5, 1)
    assert (search(cli_with_small_disk), cli_with_small_disk.run("ingest", "--rebuild").code) == (before, 0)


@pytest.mark.fault("store-read-only")
def test_a_read_only_store_answers_and_refuses_an_ingest(
    cli_with_small_disk: WarmCommandLine,
) -> None:
    assert cli_with_small_disk.run("ingest", "docs").code == 0
    before = search(cli_with_small_disk)
    disk = Path(cli_with_small_disk.variables["STREAMRAG_STORE"]).parent
    shell(cli_with_small_disk, f"mount -o remount,ro {disk}")
    refused = [cli_with_small_disk.run("ingest", *each) for each in (("docs",), ("--rebuild",), ("--remove", "docs"))]
    served = [cli_with_small_disk.run(*each) for each in (("ask", QUESTION), ("status",), ("doctor",))]
    results = search(cli_with_small_disk)
    shell(cli_with_small_disk, f"mount -o remount,rw {disk}")

    assert [refusal(each) for each in refused] == [REFUSED] * 3
    assert [each.code for each in served] == [0, 0, 0]
    assert results == search(cli_with_small_disk) == before


@pytest.mark.fault("log-unusable")
@pytest.mark.parametrize("free_kib", [0, 60, 100])
def test_a_log_on_a_full_disk_does_not_stop_an_answer(
    cli_with_small_disk: WarmCommandLine, tmp_path: Path, free_kib: int
) -> None:
    disk = Path(cli_with_small_disk.variables["STREAMRAG_STORE"]).parent
    user = cli_with_small_disk.having(
        STREAMRAG_STORE=str(tmp_path / "store"), STREAMRAG_LOG_QUESTIONS="on", XDG_STATE_HOME=str(disk)
    )
    assert user.run("ingest", "docs").code == 0
    expected = user.run("ask", "--no-log", QUESTION)
    fill(cli_with_small_disk, free_kib=free_kib)
    outcome = user.run("ask", QUESTION, "-q")
    notices = json.loads(user.run("ask", QUESTION, "--json").stdout)["notices"]
    free(cli_with_small_disk)
    later = user.run("ask", QUESTION, "--json")

    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, expected.stdout, "")
    assert [each["code"] for each in notices] == ["quotes_only", "not_logged"]
    assert [each["code"] for each in json.loads(later.stdout)["notices"]] == ["quotes_only"]
    assert user.run("log", "show").code == 0


@pytest.mark.fault("log-unusable")
def test_a_read_only_log_can_be_read_and_does_not_stop_answers(
    cli_with_small_disk: WarmCommandLine, tmp_path: Path
) -> None:
    disk = Path(cli_with_small_disk.variables["STREAMRAG_STORE"]).parent
    user = cli_with_small_disk.having(
        STREAMRAG_STORE=str(tmp_path / "store"), STREAMRAG_LOG_QUESTIONS="on", XDG_STATE_HOME=str(disk)
    )
    assert user.run("ingest", "docs").code == 0
    assert user.run("ask", QUESTION).code == 0
    shell(cli_with_small_disk, f"mount -o remount,ro {disk}")
    outcome = user.run("ask", QUESTION)
    listed = user.run("log", "-q", "berth")
    deleted = user.run("log", "rm", "1")
    shell(cli_with_small_disk, f"mount -o remount,rw {disk}")

    assert (outcome.code, "note: this answer was not logged" in outcome.stderr) == (0, True)
    assert (listed.code, listed.stdout.count(b"\n"), listed.stderr) == (0, 1, "")
    assert (deleted.code, "cannot be written" in deleted.stderr) == (5, True)
