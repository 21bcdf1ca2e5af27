"""Damage to each file of a store: the answer is correct, or an error has a hint that repairs the store.

The files are listed from a real store. Questions and hints are run as a user would type them.
"""

import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine, Outcome
from tests.support.file_damage import DAMAGES, noise, removed, scribbled, truncated
from tests.support.openai_server import OpenAIServer
from tests.support.warm_command_line import WarmCommandLine, warm

QUESTION = "What does a berth cost for the night?"
MAX_S = 20.0  # takes 0.5 s on an idle machine
CONCURRENT = 2
LOCKS = {".lock", ".turnstile"}
UUID_LETTERS = 36
SCRIBBLES = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionRuns:
    """The outcomes of a question to a damaged store, and of the same question after following the hint."""

    first: Outcome
    repaired: Outcome | None
    max_s: float


@pytest.fixture(scope="module")
def cli_copies(cold_cli_with_store: CommandLine) -> Iterator[list[WarmCommandLine]]:
    with ExitStack() as stack:
        yield [stack.enter_context(warm(cold_cli_with_store)) for _ in range(CONCURRENT)]


@pytest.fixture(scope="module")
def large(cold_cli_with_store: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A store with so many chunks that Chroma writes an index; the vectors come from an embedding service."""
    home, work = tmp_path_factory.mktemp("large"), tmp_path_factory.mktemp("many")
    with OpenAIServer() as server:
        variables = {"STREAMRAG_BASE_URL": server.base_url, "STREAMRAG_EMBEDDING": "openai:words"}
        user = replace(cold_cli_with_store, home=home, directory=work, variables=variables)
        parts = "".join(f"# Part {number}\n\nword{number} {'x' * 900}\n\n" for number in range(1100))
        (work / "docs").mkdir()
        (work / "docs" / "harbour.md").write_text("# Harbour\n\nA berth costs 18 euros for the night.\n")
        (work / "docs" / "many.md").write_text(parts)
        with warm(user) as machine:
            ingested = machine.run("ingest", "docs")
        assert ingested.code == 0, ingested
        yield user


def files_of(user: CommandLine) -> list[Path]:
    return sorted(file.relative_to(user.home) for file in user.store.rglob("*") if file.is_file())


def as_user(machine: WarmCommandLine, user: CommandLine) -> WarmCommandLine:
    return replace(machine, home=user.home, directory=user.directory, variables=user.variables)


def ask(machine: WarmCommandLine) -> tuple[Outcome, float]:
    run = machine.measured("search", QUESTION, "-k", "2")
    return run.outcome, run.took_s


def run_question(machine: WarmCommandLine, damaged: Path, *, follow: bool) -> QuestionRuns:
    """Ask; if it fails and `follow` is set, run the command in its hint and ask again."""
    first, took_s = ask(machine)
    repaired = None
    if first.code and follow:
        hint = first.stderr.splitlines()[-1]
        assert hint.startswith("hint: streamrag "), (damaged, first)
        command = hint.removeprefix("hint: streamrag ").replace("PATH", "docs")
        repair = machine.run(*command.split())
        assert repair.code == 0, (damaged, first, repair)
        repaired, again_s = ask(machine)
        took_s = max(took_s, again_s)
    return QuestionRuns(first=first, repaired=repaired, max_s=took_s)


def outcomes(
    cli_copies: list[WarmCommandLine],
    user: CommandLine,
    files: list[Path],
    damage: Callable[[Path], None],
    scratch: Path,
    *,
    followed: int = 1_000,
) -> dict[str, QuestionRuns]:
    def one(number: int) -> QuestionRuns:
        home = scratch / str(number)
        shutil.copytree(user.home, home)
        damage(home / files[number])
        try:
            machine = as_user(cli_copies[number % CONCURRENT], replace(user, home=home))
            return run_question(machine, files[number], follow=number < followed)
        finally:
            shutil.rmtree(home)

    def share(start: int) -> list[QuestionRuns]:
        return [one(number) for number in range(start, len(files), CONCURRENT)]

    results: dict[str, QuestionRuns] = {}
    with ThreadPoolExecutor(CONCURRENT) as pool:
        for start, shared in enumerate(pool.map(share, range(CONCURRENT))):
            for index, runs in enumerate(shared):
                results[f"{start + index * CONCURRENT} {files[start + index * CONCURRENT].name}"] = runs
    return results


def assert_no_wrong_answer(results: dict[str, QuestionRuns], is_correct: Callable[[Outcome], bool]) -> None:
    for file, runs in results.items():
        answered = runs.first.code == 0 and is_correct(runs.first)
        reported = runs.first.code == 5 and runs.first.stdout == b"" and "Traceback" not in runs.first.stderr
        assert answered or reported, (file, runs)
        assert runs.repaired is None or is_correct(runs.repaired), (file, runs)
        assert runs.max_s < MAX_S, (file, runs)


@pytest.mark.fault("store-damaged")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_store_with_a_damaged_file_answers_correctly_or_names_the_repair(
    cli_copies: list[WarmCommandLine], cold_cli_with_store: CommandLine, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    right, _ = ask(cli_copies[0])
    assert right.stdout.startswith(b"docs/harbour.md:"), right
    files = [file for file in files_of(cold_cli_with_store) if not (is_of_index(file) or file.suffix in LOCKS)]

    assert {file.name for file in files} >= {"current.json", "catalog.sqlite3", "chroma.sqlite3"}
    assert_no_wrong_answer(outcomes(cli_copies, cold_cli_with_store, files, damage, tmp_path), right.__eq__)


@pytest.mark.parametrize("damage", [removed, noise])
def test_a_store_with_damaged_lock_files_answers_correctly(
    cli_copies: list[WarmCommandLine], cold_cli_with_store: CommandLine, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    right, _ = ask(cli_copies[0])
    locks = [file for file in files_of(cold_cli_with_store) if file.suffix in LOCKS]

    results = outcomes(cli_copies, cold_cli_with_store, locks, damage, tmp_path)
    assert [runs.first for runs in results.values()] == [right] * len(locks)


@pytest.mark.fault("store-damaged")
@pytest.mark.parametrize("damage", [truncated, removed, noise])
def test_a_store_with_a_damaged_index_answers_correctly_or_names_the_repair(
    cli_copies: list[WarmCommandLine], large: CommandLine, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    right, _ = ask(as_user(cli_copies[0], large))
    assert right.stdout.startswith(b"docs/harbour.md:"), right
    files = [file for file in files_of(large) if is_of_index(file)]

    assert len(files) == 5
    assert_no_wrong_answer(outcomes(cli_copies, large, files, damage, tmp_path, followed=1), right.__eq__)


@pytest.mark.fault("store-damaged")
def test_changed_bytes_of_the_catalog_are_never_shown(
    cli_copies: list[WarmCommandLine], cold_cli_with_store: CommandLine, tmp_path: Path
) -> None:
    document = " ".join((cold_cli_with_store.directory / "docs" / "harbour.md").read_text().split())

    def shows_the_document(
        outcome: Outcome,
    ) -> bool:  # the full-text index has no checksum, so another part may match best
        excerpts = [line.split("\t")[2].removesuffix("...") for line in outcome.stdout.decode().splitlines()]
        return len(excerpts) == 1 and all(sentence in document for sentence in excerpts[0].split(". "))

    catalog = next(file for file in files_of(cold_cli_with_store) if file.name == "catalog.sqlite3")
    seeds = iter(range(SCRIBBLES))

    for _ in range(SCRIBBLES // 6):
        results = outcomes(
            cli_copies,
            cold_cli_with_store,
            [catalog] * 6,
            lambda file: scribbled(file, seed=next(seeds)),
            tmp_path,
            followed=0,
        )
        assert_no_wrong_answer(results, shows_the_document)


def is_of_index(file: Path) -> bool:
    return len(file.parent.name) == UUID_LETTERS


@pytest.mark.parametrize(
    "command",
    [("search",), ("ask",), ("ask", "--json"), ("ask", "--jsonl")],
    ids=" ".join,
)
def test_a_hint_repeats_the_collection_and_store_flags(
    cli_copies: list[WarmCommandLine], tmp_path: Path, command: tuple[str, ...]
) -> None:
    machine = replace(cli_copies[0], home=tmp_path)
    flags = ("-c", "notes", "--store", str(tmp_path / "else where"))
    assert machine.run("ingest", "docs", *flags).code == 0
    for file in tmp_path.glob("else where/collections/notes/*/catalog.sqlite3"):
        truncated(file)
    damaged = machine.run(*command, QUESTION, *flags)
    hint = damaged.stderr.splitlines()[-1].removeprefix("hint: ")

    assert (damaged.code, hint) == (5, f"streamrag ingest --rebuild -c notes --store '{tmp_path}/else where'")
    if damaged.stdout:
        value = json.loads(damaged.stdout.splitlines()[-1])
        assert (value["error"] if "--json" in command else value)["hint"] == hint
    assert machine.run(*shlex.split(hint)[1:]).code == 0
    assert machine.run(*command, QUESTION, *flags).code == 0
