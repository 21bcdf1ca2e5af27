"""A store with damaged files gives either the right answer or `store_damaged`, nothing else.

Each question runs in its own process, because a damaged index can crash the interpreter.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.file_damage import emptied, noise, noise_in_the_middle, removed, truncated
from tests.support.stores import LocalStore, document, many_chunks

QUESTION = "zebras have stripes"
ANSWER = "zebras have stripes"
DAMAGED = "store_damaged hint=streamrag ingest --rebuild"
SIZES = {"small": 40, "large": 1500}  # Chroma saves an index from its thousandth vector on


@pytest.fixture(scope="module")
def sound_stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LocalStore]:
    made = {name: LocalStore(tmp_path_factory.mktemp(name) / "store") for name in SIZES}
    for name, store in made.items():
        store.put(many_chunks("many.md", SIZES[name]), document("zebras.md", ANSWER))
        assert ask(store) == ANSWER
    return made


def ask(store: LocalStore) -> str:
    return store.run_other_process("ask", QUESTION).partition(" | ")[0]


def kinds_of_file(store: LocalStore) -> list[str]:
    """The paths of the store's files, with the random names of Chroma and of epochs as `*`."""
    files = (file.relative_to(store.directory) for file in store.directory.rglob("*") if file.is_file())
    shown = ("/".join("*" if len(part) in {18, 36} else part for part in file.parts) for file in files)
    return sorted(path for path in shown if not path.endswith((".lock", ".turnstile")))


def test_all_files_of_a_store_are_covered_by_the_damage_tests(sound_stores: dict[str, LocalStore]) -> None:
    of_the_large = {f"collections/default/{each}" for each in FILES}
    assert set(kinds_of_file(sound_stores["large"])) == of_the_large
    assert set(kinds_of_file(sound_stores["small"])) == {each for each in of_the_large if "pickle" not in each}


FILES = [
    "current.json",
    "*/catalog.sqlite3",
    "*/vectors/chroma.sqlite3",
    "*/vectors/*/data_level0.bin",
    "*/vectors/*/header.bin",
    "*/vectors/*/length.bin",
    "*/vectors/*/link_lists.bin",
    "*/vectors/*/index_metadata.pickle",
]


def outcomes() -> Iterator[tuple[tuple[str, Callable[[Path], None], str], str]]:
    """Cases whose outcome is not `store_damaged`."""
    for damage in (truncated, emptied, removed, noise, noise_in_the_middle):
        for size in SIZES:
            lost = "store_missing hint=streamrag ingest PATH" if damage is removed else f"{DAMAGED} PATH"
            yield ("current.json", damage, size), lost
        for file in FILES[3:]:
            yield (file, damage, "small"), ANSWER  # empty files that Chroma does not read
    for size in SIZES:
        # SQLite may not detect it; the vectors for this question are elsewhere.
        yield ("*/vectors/chroma.sqlite3", noise_in_the_middle, size), ANSWER


EXPECTED = dict(outcomes())


@pytest.mark.fault("store-damaged")
@pytest.mark.parametrize("damage", [truncated, emptied, removed, noise, noise_in_the_middle])
@pytest.mark.parametrize("size", SIZES)
def test_a_damaged_file_never_causes_a_wrong_answer_and_a_rebuild_repairs_it(
    sound_stores: dict[str, LocalStore], tmp_path: Path, size: str, damage: Callable[[Path], None]
) -> None:
    files = FILES if size == "large" else FILES[:4]  # all index files in the small store are empty
    answers: dict[str, str] = {}
    for number, file in enumerate(files):
        store = copy_of(sound_stores[size], tmp_path / str(number))
        for each in (store.directory / "collections/default").glob(file):
            damage(each)
        answers[file] = ask(store)
        if answers[file] != ANSWER:
            assert store.run_other_process("rebuild", "zebras.md", ANSWER) == "done"
            assert ask(store) == ANSWER

    expected = {file: EXPECTED.get((file, damage, size), DAMAGED) for file in files}
    if damage is noise_in_the_middle and answers["*/catalog.sqlite3"] == ANSWER:
        expected["*/catalog.sqlite3"] = ANSWER  # the middle of the file is not read for every question
    assert answers == expected


@pytest.mark.fault("store-damaged")
@pytest.mark.parametrize("file", ["header.bin", "data_level0.bin"])
def test_a_changed_index_file_is_detected_even_with_its_old_timestamps(
    sound_stores: dict[str, LocalStore], tmp_path: Path, file: str
) -> None:
    store = copy_of(sound_stores["large"], tmp_path / "copy")
    (index,) = store.directory.glob(f"collections/default/*/vectors/*/{file}")
    before = index.stat()

    with index.open("r+b") as opened:
        opened.seek(20)
        opened.write(b"\xff" * 8)
    os.utime(index, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert ask(store) == DAMAGED


@pytest.mark.parametrize(
    ("size", "damage"), [("large", truncated), ("large", noise), ("large", noise_in_the_middle), ("small", emptied)]
)
def test_a_damaged_store_causes_no_wrong_answer_after_an_ingest(
    sound_stores: dict[str, LocalStore], tmp_path: Path, size: str, damage: Callable[[Path], None]
) -> None:
    for number, file in enumerate(FILES[1:]):
        store = copy_of(sound_stores[size], tmp_path / str(number))
        for each in (store.directory / "collections/default").glob(file):
            damage(each)
        wrote = store.run_other_process("put", "more.md", "more of it")
        assert (file, wrote) in {(file, "done"), (file, DAMAGED)}
        assert (file, ask(store)) in {(file, ANSWER), (file, DAMAGED)}


def test_a_copied_store_directory_is_intact(sound_stores: dict[str, LocalStore], tmp_path: Path) -> None:
    shutil.copytree(sound_stores["large"].directory, tmp_path / "copy", copy_function=shutil.copyfile)

    assert ask(LocalStore(tmp_path / "copy")) == ANSWER


def copy_of(store: LocalStore, directory: Path) -> LocalStore:
    return LocalStore(shutil.copytree(store.directory, directory))
