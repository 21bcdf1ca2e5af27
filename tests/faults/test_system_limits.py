"""A lack of descriptors, memory or permission is reported as such, never as damage, and without the hint to rebuild."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.support.collection import DOCUMENTS
from tests.support.command_line import PROGRAM, CommandLine, Outcome, run_concurrently
from tests.support.files import write_files
from tests.support.warm_command_line import WarmCommandLine, warm_apart

QUESTION = "What does a berth cost for the night?"
WITHOUT_PRIVILEGE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
MISLEADING = ("--rebuild", "damaged", "nothing has been ingested", "internal error", "Traceback")


def limited(user: CommandLine, *limits: str) -> CommandLine:
    if not shutil.which("prlimit"):
        pytest.skip("no prlimit here")
    return replace(user, program=("prlimit", *limits, *PROGRAM))


def outcomes_at(user: CommandLine, limit: str, values: Sequence[int], *command: str) -> dict[int, Outcome]:
    """The outcome of the command at each value of the `prlimit` limit."""
    return run_concurrently({value: partial(limited(user, f"--{limit}={value}").run, *command) for value in values})


@pytest.mark.fault("system-limits")
@pytest.mark.parametrize(
    "command", [("ask", "-q", QUESTION), ("search", QUESTION), ("ingest", "docs", "--store", "another")]
)
def test_too_few_file_descriptors_are_reported(cold_cli_with_store: CommandLine, command: tuple[str, ...]) -> None:
    outcomes = outcomes_at(cold_cli_with_store, "nofile", (8, 12, 20), *command)

    for number, outcome in outcomes.items():
        expected = [
            f"streamrag: too many open files: the limit of this process is {number}",
            "hint: raise the limit and retry: ulimit -n 1024",
        ]
        assert (outcome.code, outcome.stdout, outcome.stderr.splitlines()[-2:]) == (5, b"", expected)
        assert not any(words in outcome.stderr for words in MISLEADING)


@pytest.mark.fault("system-limits")
def test_a_low_descriptor_limit_causes_at_most_a_clear_error(cold_cli_with_store: CommandLine) -> None:
    outcomes = outcomes_at(cold_cli_with_store, "nofile", range(22, 31, 2), "ask", "-q", QUESTION)

    for outcome in outcomes.values():
        assert outcome.code in {0, 5}, outcome
        if outcome.code:
            assert outcome.stderr.startswith("streamrag: too many open files: ")
        else:
            assert "18 euros" in outcome.stdout.decode()


@pytest.mark.fault("system-limits")
def test_too_little_memory_is_reported(cold_cli_with_store: CommandLine) -> None:
    limits = (230_000_000, 260_000_000, 290_000_000, 320_000_000)
    outcomes = outcomes_at(cold_cli_with_store, "as", limits, "ask", "-q", QUESTION)

    reported = 0
    for limit, outcome in outcomes.items():
        expected = [
            f"streamrag: not enough memory: this process is limited to {limit / 1e6:.0f} MB of address space",
            "hint: raise the limit: ulimit -v unlimited",
        ]
        reported += (outcome.code, outcome.stderr.splitlines()[-2:]) == (5, expected)
        # Native libraries may abort the process if their threads cannot allocate memory.
        assert (outcome.code != 0, outcome.stdout) == (True, b"")
        assert not any(words in outcome.stderr for words in MISLEADING)
    assert reported >= len(limits) / 2


@pytest.fixture(scope="module")
def unprivileged_cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmCommandLine]:
    """A command line with its own store, for which file permissions are enforced even if the tests run as root."""
    within: tuple[str, ...] = ()
    if os.geteuid() == 0:
        within = WITHOUT_PRIVILEGE
        if subprocess.run([*within, "true"], capture_output=True, check=False).returncode:
            pytest.skip("root's rights cannot be given up here")
    home = tmp_path_factory.mktemp("unprivileged")
    user = CommandLine(home=home, directory=home)
    write_files(user.directory / "docs", DOCUMENTS)
    with warm_apart(user, within=within) as machine:
        assert machine.run("ingest", "docs").code == 0
        yield machine


@pytest.fixture
def locked(unprivileged_cli: WarmCommandLine) -> Iterator[Path]:
    """The store, without permission to list or enter it."""
    unprivileged_cli.store.chmod(0)
    yield unprivileged_cli.store
    unprivileged_cli.store.chmod(0o700)


@pytest.mark.fault("store-no-permission")
@pytest.mark.parametrize(
    "command",
    [("ask", QUESTION), ("search", QUESTION), ("status",), ("ingest", "docs"), ("ingest", "--dry-run", "docs")],
)
def test_a_store_without_read_permission_is_reported(
    unprivileged_cli: WarmCommandLine, locked: Path, command: tuple[str, ...]
) -> None:
    outcome = unprivileged_cli.run(*command)

    first, hint = outcome.stderr.splitlines()
    assert (outcome.code, outcome.stdout) == (5, b"")
    assert first.startswith(f"streamrag: the store at {locked} cannot be read: ")
    assert hint == f"hint: chmod -R u+rX {locked}"


@pytest.mark.fault("store-no-permission")
def test_doctor_reports_missing_permission_instead_of_an_empty_store(
    unprivileged_cli: WarmCommandLine, locked: Path
) -> None:
    outcome = unprivileged_cli.run("doctor")

    failed = [line for line in outcome.stdout.decode().splitlines() if line.startswith("failed")]
    assert outcome.code == 5
    assert [line.split()[1] for line in failed] == ["store", "disk"]
    shown = str(locked).replace(str(unprivileged_cli.home), "~")
    assert all(f"the store at {shown} cannot be read: " in line for line in failed)


@pytest.mark.fault("store-no-permission")
@pytest.mark.parametrize("part", ["current.json", "catalog.sqlite3", "vectors", "chroma.sqlite3", "epoch-*"])
def test_an_unreadable_file_of_a_store_is_not_reported_as_damage(unprivileged_cli: WarmCommandLine, part: str) -> None:
    (path,) = unprivileged_cli.store.rglob(part)
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        outcomes = [unprivileged_cli.run("ask", "-q", QUESTION), unprivileged_cli.run("doctor")]
    finally:
        path.chmod(mode)

    assert [each.code for each in outcomes] == [5, 5]
    outputs = [(each.stdout.decode() + each.stderr) for each in outcomes]
    assert all("cannot be read: " in each for each in outputs), outputs
    assert not any(words in each for each in outputs for words in MISLEADING), outputs


@pytest.fixture
def read_only(unprivileged_cli: WarmCommandLine) -> Iterator[Path]:
    """The store, without permission to write any part of it."""
    paths = [unprivileged_cli.store, *unprivileged_cli.store.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(modes[path] & ~0o222)
    yield unprivileged_cli.store
    for path in paths:
        path.chmod(modes[path])


@pytest.mark.fault("store-read-only")
def test_a_store_without_write_permission_answers_and_refuses_an_ingest(
    unprivileged_cli: WarmCommandLine, read_only: Path
) -> None:
    answered, searched, status, doctor, ingested = (
        unprivileged_cli.run(*command)
        for command in (("ask", "-q", QUESTION), ("search", QUESTION), ("status",), ("doctor",), ("ingest", "docs"))
    )

    assert (answered.code, "18 euros" in answered.stdout.decode()) == (0, True)
    assert (searched.code, searched.stdout.startswith(b"docs/harbour.md:")) == (0, True)
    assert (status.code, doctor.code) == (0, 0)
    shown = str(read_only).replace(str(unprivileged_cli.home), "~")
    assert f"warning  disk       {shown}: read-only for this user" in doctor.stdout.decode()
    assert refusal(ingested) == (5, "cannot be written to: ")


def refusal(outcome: Outcome) -> tuple[int, str]:
    first, _ = outcome.stderr.splitlines()
    return outcome.code, "cannot be written to: " if "cannot be written to: " in first else first
