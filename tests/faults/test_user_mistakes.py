"""Mistakes with `ingest`: an empty variable, one folder too high, a share that is not mounted."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamrag_cli.ingest.safeguards import LARGE_FILES, MANY_DOCUMENTS
from tests.support.command_line import CommandLine, Outcome
from tests.support.files import write
from tests.support.pseudo_terminal import on_terminal
from tests.support.warm_command_line import WarmCommandLine, warm, warm_apart

MANY = MANY_DOCUMENTS + 1
STAYS_S = 0.4
"""A progress line would be redrawn several times within this time, and overwrite a question."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmCommandLine]:
    """A warm process; each test gives it a different home."""
    home = tmp_path_factory.mktemp("unused")
    with warm(CommandLine(home=home, directory=home)) as machine:
        yield machine


@pytest.fixture(scope="module")
def ingested_notes(tmp_path_factory: pytest.TempPathFactory, server: WarmCommandLine) -> tuple[WarmCommandLine, Path]:
    """A store with more notes than can be removed without confirmation, and one letter; and a copy of its home."""
    home, copy = tmp_path_factory.mktemp("notes"), tmp_path_factory.mktemp("copy") / "home"
    work = home / "work"
    for number in range(MANY):
        write(work / "notes" / f"{number}.txt", f"bed{number} has beans in it")
    write(work / "letters" / "aunt.md", "The greenhouse needs a new pane.")
    user = WarmCommandLine(home=home, directory=work, server=server.server)
    assert user.run("ingest", "notes", "letters").code == 0
    shutil.copytree(home, copy)
    return user, copy


@pytest.fixture
def cli_with_notes(ingested_notes: tuple[WarmCommandLine, Path]) -> WarmCommandLine:
    """A command line with the store from `ingested_notes`, restored at its original path."""
    user, copy = ingested_notes
    shutil.rmtree(user.home)
    shutil.copytree(copy, user.home)
    return user


def documents(user: CommandLine, *flags: str) -> int:
    outcome = user.run("status", "--json", *flags)
    return sum(each["documents"] for each in json.loads(outcome.stdout)["collections"]) if not outcome.code else 0


def refused(outcome: Outcome) -> tuple[int, bytes, list[str]]:
    return outcome.code, outcome.stdout, outcome.stderr.splitlines()


EMPTY_PATH = (2, b"", ["streamrag: a PATH is empty", "hint: pass the path of a folder, or . for the working directory"])


@pytest.mark.fault("ingest-large-or-empty-path")
@pytest.mark.parametrize("arguments", [("",), ("letters", " "), ("--remove", ""), ("--remove", "--yes", "\t")])
def test_an_empty_path_is_a_usage_error(cli_with_notes: WarmCommandLine, arguments: tuple[str, ...]) -> None:
    assert refused(cli_with_notes.run("ingest", *arguments)) == EMPTY_PATH
    assert documents(cli_with_notes) == MANY + 1


@pytest.mark.fault("remove-too-much")
def test_without_a_terminal_removing_many_documents_requires_the_yes_flag(cli_with_notes: WarmCommandLine) -> None:
    work = cli_with_notes.directory
    dry = cli_with_notes.run("ingest", "--remove", ".", "--dry-run", "--jsonl")
    *events, end = [json.loads(line) for line in dry.stdout.splitlines()]
    would = {(event["source"], event["action"]) for event in events if event["type"] == "document"}
    tried = cli_with_notes.run("ingest", "--remove", ".")

    assert would == {("letters/aunt.md", "deleted"), *((f"notes/{each}.txt", "deleted") for each in range(MANY))}
    assert (dry.code, end["dry_run"], end["counts"]["deleted"], end["chunks"]) == (0, True, MANY + 1, MANY + 1)
    assert refused(tried) == (
        2,
        b"",
        [
            f"streamrag: the command would remove {MANY + 1} documents below {work} from the collection 'default':"
            " this requires --yes",
            "hint: list the documents first, then confirm with --yes: streamrag ingest --remove . --dry-run -v",
        ],
    )
    assert documents(cli_with_notes) == MANY + 1
    assert cli_with_notes.run("ingest", "--remove", ".", "--yes").code == 0
    assert documents(cli_with_notes) == 0
    assert len(list((work / "notes").iterdir())) == MANY


def test_the_hint_for_a_removal_repeats_the_collection_flag(cli_with_notes: WarmCommandLine) -> None:
    assert cli_with_notes.run("ingest", "-c", "herbs", "notes").code == 0
    tried = cli_with_notes.run("ingest", "--remove", "notes", "-c", "herbs")

    assert tried.stderr.endswith("with --yes: streamrag ingest --remove notes --dry-run -v -c herbs\n")


def test_few_documents_are_removed_without_confirmation(cli_with_notes: WarmCommandLine) -> None:
    removed = cli_with_notes.run("ingest", "--remove", "letters")

    assert (removed.code, documents(cli_with_notes)) == (0, MANY)


@pytest.mark.fault("remove-too-much")
@pytest.mark.parametrize(("answer", "code", "left"), [(b"\n", 2, MANY + 1), (b"no\n", 2, MANY + 1), (b"y\n", 0, 1)])
def test_a_removal_on_a_terminal_is_confirmed_and_defaults_to_no(
    cli_with_notes: WarmCommandLine, answer: bytes, code: int, left: int
) -> None:
    with on_terminal(cli_with_notes, "ingest", "--remove", "notes", columns=200) as (terminal, process):
        terminal.wait_for("[y/N]")
        assert not terminal.read(STAYS_S)
        terminal.type(answer)
        ended = terminal.wait_for_end(process)

    assert f"Remove {MANY} documents below {cli_with_notes.directory}/notes from the collection 'default'? [y/N]" in (
        re.sub(r"\s+", " ", " ".join(terminal.lines))
    )
    assert (ended, documents(cli_with_notes)) == (code, left)


@pytest.mark.fault("remove-too-much")
def test_removing_a_whole_collection_requires_the_yes_flag(cli_with_notes: WarmCommandLine) -> None:
    assert cli_with_notes.run("ingest", "-c", "mail", "letters").code == 0
    tried, dry = (
        cli_with_notes.run("ingest", "--remove", "--all"),
        cli_with_notes.run("ingest", "--remove", "--all", "--dry-run"),
    )

    assert (tried.code, tried.stderr.splitlines()[0]) == (
        2,
        f"streamrag: the command would remove {MANY + 1} documents and the collection 'default' itself:"
        " this requires --yes",
    )
    assert (dry.code, documents(cli_with_notes, "-c", "default")) == (0, MANY + 1)
    assert cli_with_notes.run("ingest", "--remove", "--all", "--yes").code == 0
    names = [each["collection"] for each in json.loads(cli_with_notes.run("status", "--json").stdout)["collections"]]
    assert names == ["mail"]
    assert cli_with_notes.run("ask", "beans?").code == 5
    assert [each.name for each in (cli_with_notes.store / "collections").iterdir()] == ["mail"]
    assert cli_with_notes.run("ingest", "--remove", "--all", "-c", "mail").code == 0
    assert cli_with_notes.run("ingest", "letters").code == 0


@pytest.mark.parametrize("arguments", [("--all",), ("--remove", "--all", "notes"), ("--remove", "--all", "--rebuild")])
def test_the_all_flag_requires_remove_and_takes_no_path(
    cli_with_notes: WarmCommandLine, arguments: tuple[str, ...]
) -> None:
    assert (cli_with_notes.run("ingest", *arguments, "--yes").code, documents(cli_with_notes)) == (2, MANY + 1)


def test_a_damaged_collection_can_be_removed_with_the_yes_flag(cli_with_notes: WarmCommandLine) -> None:
    (catalog,) = cli_with_notes.store.glob("collections/default/epoch-*/catalog.sqlite3")
    catalog.write_bytes(b"no database at all" * 1000)
    tried = cli_with_notes.run("ingest", "--remove", "--all")

    beginning = "streamrag: the command would remove all documents and the collection"
    assert (tried.code, tried.stderr.startswith(beginning)) == (2, True)
    assert cli_with_notes.run("ingest", "--remove", "--all", "--yes").code == 0
    assert list((cli_with_notes.store / "collections").iterdir()) == []


@pytest.mark.fault("removal-interrupted")
def test_the_yes_flag_completes_an_interrupted_removal(cli_with_notes: WarmCommandLine) -> None:
    collections = cli_with_notes.store / "collections"
    (collections / "default" / "current.json").unlink()
    codes = [cli_with_notes.run("ingest", "--remove", "--all", *flags).code for flags in ((), ("--yes",), ("--yes",))]

    assert codes == [2, 0, 5]
    assert list(collections.iterdir()) == []


@pytest.mark.fault("folder-not-mounted")
def test_ingesting_an_unmounted_folder_removes_no_documents(cli_with_notes: WarmCommandLine) -> None:
    notes = cli_with_notes.directory / "notes"
    notes.rename(cli_with_notes.home / "unmounted")
    notes.mkdir()
    write(cli_with_notes.directory / "letters" / "new.md", "The new pane has come.")
    outcomes = [cli_with_notes.run("ingest", "notes"), cli_with_notes.run("ingest", "letters", "notes")]

    assert [refused(each) for each in outcomes] == [
        (
            2,
            b"",
            [
                f"streamrag: {notes} has no readable files, but the store has {MANY} documents from it",
                "hint: mount the disk or network share, or remove the documents:"
                f" streamrag ingest --allow-empty {notes}",
            ],
        )
    ] * 2
    assert documents(cli_with_notes) == MANY + 1
    assert cli_with_notes.run("ingest", "--allow-empty", "notes").code == 0
    assert documents(cli_with_notes) == 1


def test_unmounting_a_share_below_a_folder_removes_no_documents(tmp_path: Path) -> None:
    trial = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    if subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system is not allowed here")
    write(tmp_path / "work" / "docs" / "own.md", "The shed is locked at night.")
    share = tmp_path / "work" / "docs" / "the share"
    share.mkdir()
    with warm_apart(CommandLine(home=tmp_path, directory=tmp_path / "work"), mounting=("true",)) as user:
        shell(user, f"mount -t tmpfs tmpfs '{share}' && echo 'The key hangs on a nail.' > '{share}/key.md'")
        assert user.run("ingest", "docs").code == 0
        shell(user, f"umount '{share}'")
        missed = user.run("ingest", "docs")
        shell(user, f"mount -t tmpfs tmpfs '{share}' && echo 'The key hangs on a nail.' > '{share}/key.md'")
        again = user.run("ingest", "docs")
        shell(user, f"umount '{share}'")
        allowed = user.run("ingest", "docs", "--allow-empty")

    assert (missed.code, missed.stderr.splitlines()[0]) == (
        2,
        f"streamrag: {share} has no readable files, but the store has 1 document from it",
    )
    assert (again.code, allowed.code, "1 deleted" in allowed.stderr) == (0, 0, True)


def shell(user: WarmCommandLine, line: str) -> None:
    """Run a line of shell in the command line's mount namespace."""
    assert user.measured("sh", "-ec", line, module="tests.support.other_program").outcome.code == 0


@pytest.mark.fault("folder-not-mounted")
def test_an_unmounted_folder_with_a_stray_file_removes_no_documents(cli_with_notes: WarmCommandLine) -> None:
    notes = cli_with_notes.directory / "notes"
    notes.rename(cli_with_notes.home / "unmounted")
    write(notes / "stray.md", "The disk is not mounted.")

    assert refused(cli_with_notes.run("ingest", "notes")) == (
        2,
        b"",
        [
            f"streamrag: {notes} no longer contains any of its {MANY} stored documents",
            f"hint: mount the disk or network share, or remove the documents: streamrag ingest --allow-empty {notes}",
        ],
    )
    assert documents(cli_with_notes) == MANY + 1
    assert cli_with_notes.run("ingest", "--allow-empty", "notes").code == 0
    assert documents(cli_with_notes) == 2


def test_a_folder_whose_files_were_all_renamed_is_synced(cli_with_notes: WarmCommandLine) -> None:
    notes = cli_with_notes.directory / "notes"
    notes.rename(cli_with_notes.home / "old")
    notes.mkdir()
    (cli_with_notes.home / "old").rename(notes / "2026")

    assert cli_with_notes.run("ingest", "notes").code == 0
    assert documents(cli_with_notes) == MANY + 1


@pytest.mark.fault("folder-not-mounted")
def test_ingesting_a_missing_folder_removes_no_documents(cli_with_notes: WarmCommandLine) -> None:
    (cli_with_notes.directory / "notes").rename(cli_with_notes.home / "unplugged")

    assert (cli_with_notes.run("ingest", "notes").code, documents(cli_with_notes)) == (2, MANY + 1)


@pytest.mark.fault("folder-not-mounted")
def test_a_rebuild_is_refused_if_a_folder_with_documents_is_missing(cli_with_notes: WarmCommandLine) -> None:
    notes = cli_with_notes.directory / "notes"
    notes.rename(cli_with_notes.home / "unplugged")

    assert refused(cli_with_notes.run("ingest", "--rebuild")) == (
        2,
        b"",
        [
            f"streamrag: {notes} no longer exists, and a rebuild would remove its {MANY} documents from the store",
            "hint: mount the disk or network share, or remove the documents: streamrag ingest --rebuild --allow-empty",
        ],
    )
    assert documents(cli_with_notes) == MANY + 1


@pytest.mark.fault("folder-not-mounted")
def test_a_rebuild_that_drops_a_missing_folder_shows_how_to_ingest_it_again(cli_with_notes: WarmCommandLine) -> None:
    notes = cli_with_notes.directory / "notes"
    notes.rename(cli_with_notes.home / "unplugged")
    outcome = cli_with_notes.run("ingest", "--rebuild", "--allow-empty")
    (cli_with_notes.home / "unplugged").rename(notes)

    again = f"so its documents were not ingested; to add them once it exists again: streamrag ingest {notes}"
    assert (outcome.code, documents(cli_with_notes), again in outcome.stderr) == (0, 1, True)
    assert (cli_with_notes.run("ingest", str(notes)).code, documents(cli_with_notes)) == (0, MANY + 1)


@pytest.mark.fault("rebuild-drops-roots")
def test_a_rebuild_that_drops_other_folders_requires_the_yes_flag(cli_with_notes: WarmCommandLine) -> None:
    work = cli_with_notes.directory
    tried = cli_with_notes.run("ingest", "--rebuild", "letters")

    assert refused(tried) == (
        2,
        b"",
        [
            f"streamrag: a rebuild with only letters would remove {MANY} documents from {work}/notes"
            " from the collection: this requires --yes",
            "hint: leave out PATH to rebuild from all folders, or confirm: streamrag ingest --rebuild letters --yes",
        ],
    )
    assert documents(cli_with_notes) == MANY + 1
    assert [cli_with_notes.run("ingest", "--rebuild", *paths).code for paths in ((), ("letters", "notes"), (".",))] == [
        0
    ] * 3
    assert documents(cli_with_notes) == MANY + 1
    assert cli_with_notes.run("ingest", "--rebuild", "letters", "--yes").code == 0
    assert documents(cli_with_notes) == 1


@pytest.mark.fault("rebuild-drops-roots")
@pytest.mark.parametrize(("answer", "code", "left"), [(b"\n", 2, MANY + 1), (b"y\n", 0, MANY)])
def test_a_rebuild_that_drops_other_folders_is_confirmed_on_a_terminal(
    cli_with_notes: WarmCommandLine, answer: bytes, code: int, left: int
) -> None:
    with on_terminal(cli_with_notes, "ingest", "--rebuild", "notes", columns=200) as (terminal, process):
        terminal.wait_for("[y/N]")
        assert not terminal.read(STAYS_S)
        terminal.type(answer)
        ended = terminal.wait_for_end(process)

    letters = cli_with_notes.directory / "letters"
    question = f"A rebuild with only notes would remove 1 document from {letters} from the collection. Continue? [y/N]"
    assert question in re.sub(r"\s+", " ", " ".join(terminal.lines))
    assert (ended, documents(cli_with_notes)) == (code, left)


def test_a_damaged_collection_is_rebuilt_from_one_folder_without_confirmation(cli_with_notes: WarmCommandLine) -> None:
    (catalog,) = cli_with_notes.store.glob("collections/default/epoch-*/catalog.sqlite3")
    catalog.write_bytes(b"no database at all" * 1000)

    assert (cli_with_notes.run("ingest", "--rebuild", "letters").code, documents(cli_with_notes)) == (0, 1)


@pytest.mark.fault("store-flag-empty")
@pytest.mark.parametrize("empty", ["", " "])
@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (("ingest", "letters", "--store"), "--store"),
        (("ingest", "--remove", "--all", "--yes", "--store"), "--store"),
        (("search", "beans", "--store"), "--store"),
        (("copy", "--from", "elsewhere", "--to"), "--to"),
        (("copy", "--to", "elsewhere", "--from"), "--from"),
    ],
)
def test_an_empty_store_address_is_a_usage_error(
    cli_with_notes: WarmCommandLine, arguments: tuple[str, ...], flag: str, empty: str
) -> None:
    before = sorted(cli_with_notes.directory.rglob("*"))

    assert refused(cli_with_notes.run(*arguments, empty)) == (
        2,
        b"",
        [
            f"streamrag: {flag}: {empty!r} must not be empty; use . for the working directory",
            f"hint: streamrag {arguments[0]} --help",
        ],
    )
    assert sorted(cli_with_notes.directory.rglob("*")) == before


def _write_rule(user: CommandLine, rule: str, pattern: str) -> tuple[str, ...]:
    """Skip files in the notes with this kind of rule; return the flags for the ingest."""
    if rule == "--exclude":
        return ("--exclude", pattern)
    write(user.directory / "notes" / rule, f"{pattern}\n")
    return ()


@pytest.mark.fault("rules-skip-too-much")
@pytest.mark.parametrize(
    ("rule", "because"),
    [
        ("--exclude", "excluded"),
        (".streamragignore", "ignored by .streamragignore"),
        (".gitignore", "ignored by git"),
    ],
)
def test_without_a_terminal_a_rule_removes_many_documents_only_with_yes(
    cli_with_notes: WarmCommandLine, rule: str, because: str
) -> None:
    flags = _write_rule(cli_with_notes, rule, "*")
    repeated = " --exclude '*'" if flags else ""
    tried, dry = (cli_with_notes.run("ingest", *flags, "notes", *dry) for dry in ((), ("--dry-run", "--json")))

    assert refused(tried) == (
        2,
        b"",
        [
            f"streamrag: the command would remove {MANY} documents below {cli_with_notes.directory}/notes that"
            f" are now {because}: this requires --yes",
            f"hint: list the documents first, then confirm with --yes: streamrag ingest{repeated} notes --dry-run -v",
        ],
    )
    assert (dry.code, json.loads(dry.stdout)["counts"]["deleted"], documents(cli_with_notes)) == (0, MANY, MANY + 1)
    assert cli_with_notes.run("ingest", *flags, "notes", "--yes").code == 0
    assert documents(cli_with_notes) == 1


@pytest.mark.fault("rules-skip-too-much")
@pytest.mark.parametrize(("answer", "code", "left"), [(b"\n", 2, MANY + 1), (b"y\n", 0, 1)])
def test_a_rule_that_removes_many_documents_is_confirmed_on_a_terminal(
    cli_with_notes: WarmCommandLine, answer: bytes, code: int, left: int
) -> None:
    with on_terminal(cli_with_notes, "ingest", "--exclude", "notes/", ".", columns=200) as (terminal, process):
        terminal.wait_for("[y/N]")
        assert not terminal.read(STAYS_S)
        terminal.type(answer)
        ended = terminal.wait_for_end(process)

    here = cli_with_notes.directory
    question = f"Remove {MANY} documents below {here} that are now excluded? [y/N]"
    assert question in re.sub(r"\s+", " ", " ".join(terminal.lines))
    assert (ended, documents(cli_with_notes)) == (code, left)


@pytest.mark.fault("rules-skip-too-much")
@pytest.mark.parametrize("flag", ["--yes", "--allow-empty"])
def test_a_rule_that_empties_a_folder_requires_yes_or_allow_empty(cli_with_notes: WarmCommandLine, flag: str) -> None:
    excluding = ("ingest", "--exclude", "*.md", "letters")
    tried = cli_with_notes.run(*excluding)

    assert (tried.code, tried.stderr.splitlines()[0]) == (
        2,
        f"streamrag: the command would remove 1 document below {cli_with_notes.directory}/letters that is now"
        " excluded: this requires --yes",
    )
    assert documents(cli_with_notes) == MANY + 1
    assert (cli_with_notes.run(*excluding, flag).code, documents(cli_with_notes)) == (0, MANY)


@pytest.mark.fault("rules-skip-too-much")
def test_a_rebuild_removes_many_documents_by_a_rule_only_with_yes(cli_with_notes: WarmCommandLine) -> None:
    rebuild = ("ingest", "--rebuild", "--exclude", "*.txt")

    assert (cli_with_notes.run(*rebuild).code, documents(cli_with_notes)) == (2, MANY + 1)
    assert (cli_with_notes.run(*rebuild, "--yes").code, documents(cli_with_notes)) == (0, 1)


@pytest.mark.fault("ignored-files")
@pytest.mark.parametrize("rule", ["--exclude", ".streamragignore", ".gitignore"])
def test_a_rule_that_removes_few_of_many_documents_needs_no_confirmation(
    cli_with_notes: WarmCommandLine, rule: str
) -> None:
    flags = _write_rule(cli_with_notes, rule, "1*.txt")
    few = 11  # 1.txt and 10.txt to 19.txt
    Path(os.fsdecode(os.fsencode(cli_with_notes.directory / "notes") + b"/1\xff.txt")).touch()

    assert cli_with_notes.run("ingest", *flags, "notes").code == 0
    assert documents(cli_with_notes) == MANY + 1 - few


def test_deleted_files_do_not_count_as_skipped_by_a_rule(cli_with_notes: WarmCommandLine) -> None:
    notes = cli_with_notes.directory / "notes"
    flags = _write_rule(cli_with_notes, ".gitignore", "1.txt")
    for number in range(2, MANY):
        (notes / f"{number}.txt").unlink()

    assert cli_with_notes.run("ingest", *flags, "notes").code == 0
    assert documents(cli_with_notes) == 2  # notes/0.txt and the letter


@pytest.mark.fault("secrets-withheld")
def test_a_possible_secret_is_removed_without_confirmation(
    cli_with_notes: WarmCommandLine,
) -> None:
    vault = cli_with_notes.directory / "vault"
    write(vault / "passwords.csv", "name,word")
    write(vault / ".gitignore", "*.txt")
    write(vault / "notes.txt", "beans")

    assert (cli_with_notes.run("ingest", "vault/passwords.csv").code, documents(cli_with_notes)) == (0, MANY + 2)
    assert (cli_with_notes.run("ingest", "vault").code, documents(cli_with_notes)) == (0, MANY + 1)


def test_an_empty_folder_without_stored_documents_is_accepted(cli_with_notes: WarmCommandLine) -> None:
    (cli_with_notes.directory / "blank").mkdir()

    assert cli_with_notes.run("ingest", "blank").code == 0


@pytest.fixture
def cli_with_many_files(tmp_path: Path, server: WarmCommandLine) -> WarmCommandLine:
    """A command line whose home has very many files, none of them ingested."""
    (tmp_path / "heap").mkdir()
    for number in range(LARGE_FILES + 1):
        (tmp_path / "heap" / f"{number}.txt").touch()
    return WarmCommandLine(home=tmp_path, directory=tmp_path, server=server.server)


@pytest.mark.fault("ingest-large-or-empty-path")
@pytest.mark.parametrize("above", [False, True])
def test_ingesting_very_many_files_of_a_home_directory_requires_the_yes_flag(
    cli_with_many_files: WarmCommandLine, above: bool
) -> None:
    home = cli_with_many_files.home.parent if above else cli_with_many_files.home
    tried = cli_with_many_files.run("ingest", str(home))

    assert refused(tried) == (
        2,
        b"",
        [
            f"streamrag: the command would ingest more than 5,000 files from {home}: this requires --yes",
            f"hint: name the folders to ingest, or confirm: streamrag ingest --yes {home}",
        ],
    )
    assert not cli_with_many_files.store.exists()


@pytest.mark.fault("ingest-large-or-empty-path")
def test_a_new_folder_with_very_many_files_needs_confirmation_on_a_terminal(
    cli_with_many_files: WarmCommandLine,
) -> None:
    with on_terminal(cli_with_many_files, "ingest", "heap", columns=200) as (terminal, process):
        terminal.wait_for("Ingest them all? [y/N]")
        assert not terminal.read(STAYS_S)
        terminal.type(b"\n")
        assert terminal.wait_for_end(process) == 2

    assert not cli_with_many_files.store.exists()
