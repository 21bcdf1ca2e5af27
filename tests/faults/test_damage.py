"""A store damaged file by file: the right answer, or an error whose hint mends it; never a wrong one.

Every file that a store has is damaged, found by looking. What is asked and what the hint says are typed as a person
would type them.
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
LONGEST_S = 20.0  # 0.5 on a machine that has nothing else to do
AT_ONCE = 2
LOCKS = {".lock", ".turnstile"}
UUID_LETTERS = 36
SCRIBBLES = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionRuns:
    """What came of a question to a damaged store, and of the same question after following the hint."""

    first: Outcome
    then: Outcome | None
    longest_s: float


@pytest.fixture(scope="module")
def cli_copies(cold_cli_with_store: CommandLine) -> Iterator[list[WarmCommandLine]]:
    with ExitStack() as stack:
        yield [stack.enter_context(warm(cold_cli_with_store)) for _ in range(AT_ONCE)]


@pytest.fixture(scope="module")
def large(cold_cli_with_store: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A user with more chunks than Chroma keeps without an index; another service makes the vectors."""
    home, work = tmp_path_factory.mktemp("large"), tmp_path_factory.mktemp("many")
    with OpenAIServer() as server:
        variables = {"STREAMRAG_BASE_URL": server.base_url, "STREAMRAG_EMBEDDING": "openai:words"}
        user = replace(cold_cli_with_store, home=home, directory=work, variables=variables)
        parts = "".join(f"# Part {number}\n\nword{number} {'x' * 900}\n\n" for number in range(1100))
        (work / "docs").mkdir()
        (work / "docs" / "harbour.md").write_text("# Harbour\n\nA berth costs 18 euros for the night.\n")
        (work / "docs" / "many.md").write_text(parts)
        with warm(user) as soon:
            ingested = soon.run("ingest", "docs")
        assert ingested.code == 0, ingested
        yield user


def files_of(user: CommandLine) -> list[Path]:
    return sorted(file.relative_to(user.home) for file in user.store.rglob("*") if file.is_file())


def as_user(machine: WarmCommandLine, user: CommandLine) -> WarmCommandLine:
    return replace(machine, home=user.home, directory=user.directory, variables=user.variables)


def ask(machine: WarmCommandLine) -> tuple[Outcome, float]:
    ran = machine.measured("search", QUESTION, "-k", "2")
    return ran.outcome, ran.took_s


def run_question(machine: WarmCommandLine, damaged: Path, *, follow: bool) -> QuestionRuns:
    """Ask; if there is an error, and it is wanted, do what its hint says and ask again."""
    first, took_s = ask(machine)
    then = None
    if first.code and follow:
        hint = first.stderr.splitlines()[-1]
        assert hint.startswith("hint: streamrag "), (damaged, first)
        command = hint.removeprefix("hint: streamrag ").replace("PATH", "docs")
        mended = machine.run(*command.split())
        assert mended.code == 0, (damaged, first, mended)
        then, again_s = ask(machine)
        took_s = max(took_s, again_s)
    return QuestionRuns(first=first, then=then, longest_s=took_s)


def outcomes(
    cli_copies: list[WarmCommandLine],
    user: CommandLine,
    files: list[Path],
    damage: Callable[[Path], None],
    room: Path,
    *,
    followed: int = 1_000,
) -> dict[str, QuestionRuns]:
    def one(number: int) -> QuestionRuns:
        home = room / str(number)
        shutil.copytree(user.home, home)
        damage(home / files[number])
        try:
            machine = as_user(cli_copies[number % AT_ONCE], replace(user, home=home))
            return run_question(machine, files[number], follow=number < followed)
        finally:
            shutil.rmtree(home)

    def share(start: int) -> list[QuestionRuns]:
        return [one(number) for number in range(start, len(files), AT_ONCE)]

    found: dict[str, QuestionRuns] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for start, came in enumerate(pool.map(share, range(AT_ONCE))):
            for place, each in enumerate(came):
                found[f"{start + place * AT_ONCE} {files[start + place * AT_ONCE].name}"] = each
    return found


def assert_sound(found: dict[str, QuestionRuns], is_right: Callable[[Outcome], bool]) -> None:
    for file, came in found.items():
        answered = came.first.code == 0 and is_right(came.first)
        said = came.first.code == 5 and came.first.stdout == b"" and "Traceback" not in came.first.stderr
        assert answered or said, (file, came)
        assert came.then is None or is_right(came.then), (file, came)
        assert came.longest_s < LONGEST_S, (file, came)


@pytest.mark.fault("store-damaged")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_store_with_any_file_damaged_answers_rightly_or_says_what_mends_it(
    cli_copies: list[WarmCommandLine], cold_cli_with_store: CommandLine, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    right, _ = ask(cli_copies[0])
    assert right.stdout.startswith(b"docs/harbour.md:"), right
    files = [file for file in files_of(cold_cli_with_store) if not (is_of_index(file) or file.suffix in LOCKS)]

    assert {file.name for file in files} >= {"current.json", "catalog.sqlite3", "chroma.sqlite3"}
    assert_sound(outcomes(cli_copies, cold_cli_with_store, files, damage, tmp_path), right.__eq__)


@pytest.mark.parametrize("damage", [removed, noise])
def test_a_store_with_its_locks_damaged_answers_rightly(
    cli_copies: list[WarmCommandLine], cold_cli_with_store: CommandLine, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    right, _ = ask(cli_copies[0])
    locks = [file for file in files_of(cold_cli_with_store) if file.suffix in LOCKS]

    found = outcomes(cli_copies, cold_cli_with_store, locks, damage, tmp_path)
    assert [came.first for came in found.values()] == [right] * len(locks)


@pytest.mark.fault("store-damaged")
@pytest.mark.parametrize("damage", [truncated, removed, noise])
def test_a_large_store_with_any_file_of_its_index_damaged_answers_rightly_or_says_what_mends_it(
    cli_copies: list[WarmCommandLine], large: CommandLine, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    right, _ = ask(as_user(cli_copies[0], large))
    assert right.stdout.startswith(b"docs/harbour.md:"), right
    files = [file for file in files_of(large) if is_of_index(file)]

    assert len(files) == 5
    assert_sound(outcomes(cli_copies, large, files, damage, tmp_path, followed=1), right.__eq__)


@pytest.mark.fault("store-damaged")
def test_a_few_letters_changed_anywhere_in_the_catalog_are_never_shown(
    cli_copies: list[WarmCommandLine], cold_cli_with_store: CommandLine, tmp_path: Path
) -> None:
    document = " ".join((cold_cli_with_store.directory / "docs" / "harbour.md").read_text().split())

    def shows_the_document(outcome: Outcome) -> bool:  # the index of words has no checksum: another part may fit best
        excerpts = [line.split("\t")[2].removesuffix("...") for line in outcome.stdout.decode().splitlines()]
        return len(excerpts) == 1 and all(sentence in document for sentence in excerpts[0].split(". "))

    catalog = next(file for file in files_of(cold_cli_with_store) if file.name == "catalog.sqlite3")
    seeds = iter(range(SCRIBBLES))

    for _ in range(SCRIBBLES // 6):
        found = outcomes(
            cli_copies,
            cold_cli_with_store,
            [catalog] * 6,
            lambda file: scribbled(file, seed=next(seeds)),
            tmp_path,
            followed=0,
        )
        assert_sound(found, shows_the_document)


def is_of_index(file: Path) -> bool:
    return len(file.parent.name) == UUID_LETTERS


@pytest.mark.parametrize(
    "command",
    [("search",), ("ask",), ("ask", "--json"), ("ask", "--jsonl")],
    ids=" ".join,
)
def test_a_hint_goes_for_the_collection_and_the_store_that_flags_name(
    cli_copies: list[WarmCommandLine], tmp_path: Path, command: tuple[str, ...]
) -> None:
    machine = replace(cli_copies[0], home=tmp_path)
    where = ("-c", "notes", "--store", str(tmp_path / "else where"))
    assert machine.run("ingest", "docs", *where).code == 0
    for file in tmp_path.glob("else where/collections/notes/*/catalog.sqlite3"):
        truncated(file)
    damaged = machine.run(*command, QUESTION, *where)
    hint = damaged.stderr.splitlines()[-1].removeprefix("hint: ")

    assert (damaged.code, hint) == (5, f"streamrag ingest --rebuild -c notes --store '{tmp_path}/else where'")
    if damaged.stdout:
        said = json.loads(damaged.stdout.splitlines()[-1])
        assert (said["error"] if "--json" in command else said)["hint"] == hint
    assert machine.run(*shlex.split(hint)[1:]).code == 0
    assert machine.run(*command, QUESTION, *where).code == 0
