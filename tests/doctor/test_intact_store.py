"""What is in order, empty, interrupted or being written is not called damaged."""

import shutil
import signal
from pathlib import Path

import pytest

from streamrag_cli.store.local.integrity import UNFOUND_TOLERATED, Inspection, inspect
from tests.support.command_line import CommandLine, read_until
from tests.support.doctor import bad, copy_of, doctor, follow, of_check
from tests.support.fake_embedder import FakeEmbedder
from tests.support.stores import LocalStore, document, many_chunks


def test_every_chunk_of_a_small_collection_is_searched_for(small: CommandLine, tmp_path: Path) -> None:
    code, findings = doctor(copy_of(small, tmp_path))

    (store,) = of_check(findings, "store")
    assert (code, bad(findings)) == (0, [])
    assert store["figures"] == {
        "documents": 3,
        "chunks": 3,
        "vectors": 3,
        "searched": 3,
        "unfound": 0,
        "generation": 1,
    }


def test_of_a_large_collection_a_sample_is_searched_for_unless_all_are_to_be(
    large: CommandLine, tmp_path: Path
) -> None:
    user = copy_of(large, tmp_path)
    (sample,), (full,) = (of_check(doctor(user, *flags)[1], "store") for flags in ((), ("--full",)))

    chunks = sample["figures"]["chunks"]
    assert chunks > 1000
    assert (sample["figures"]["searched"], full["figures"]["searched"]) == (1000, chunks)
    assert "a sample of 1,000 found by their own vectors" in sample["found"]
    assert full["figures"]["unfound"] <= chunks * UNFOUND_TOLERATED
    assert "a sample" not in full["found"]
    assert "found by their own vectors" in full["found"]


def test_copies_of_a_text_are_found_in_each_others_stead(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put(document("a.md", "one text"), *(document(f"{number}.md", "another") for number in range(30)))

    found = inspect(store.directory, "default", searches=100)

    assert (found.searched, found.unfound, found.problems) == (31, 0, ())


def test_a_store_where_nothing_was_ingested_is_mended_by_an_ingest(small: CommandLine, tmp_path: Path) -> None:
    user = copy_of(small, tmp_path)
    shutil.rmtree(user.store)

    code, findings = doctor(user)
    assert (code, bad(findings)) == (5, [("failed", "store", "store_missing", "streamrag ingest PATH")])
    assert follow(user, "streamrag ingest PATH").code == 0
    assert doctor(user)[0] == 0


def test_an_empty_collection_is_mended_by_an_ingest(small: CommandLine, tmp_path: Path) -> None:
    user = copy_of(small, tmp_path)
    assert user.run("ingest", "--remove", "library").code == 0

    code, findings = doctor(user)
    assert (code, bad(findings)) == (5, [("failed", "store", "store_empty", "streamrag ingest PATH")])
    assert follow(user, "streamrag ingest PATH").code == 0
    assert doctor(user)[0] == 0


def test_an_interrupted_ingest_is_a_warning_and_the_next_one_ends_it(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put(document("a.md", "one", "two"))
    with store.other_process("put-slowly", "b.md", "5") as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        during = inspect(store.directory, "default", searches=100)
        writer.send_signal(signal.SIGKILL)

    after = inspect(store.directory, "default", searches=100)
    with store.writing() as mending:
        mending.repair(FakeEmbedder().embed_documents)
    mended = inspect(store.directory, "default", searches=100)

    assert [(each.problems, each.interrupted, each.changing) for each in (during, after, mended)] == [
        ((), False, False),
        ((), True, False),
        ((), False, False),
    ]


def test_a_store_that_is_being_written_is_never_called_damaged(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put(many_chunks("0.md", 50))
    found: list[Inspection] = []
    with store.other_process("put-batches", "60") as writer:
        while writer.poll() is None:
            found.append(inspect(store.directory, "default", searches=200))
        assert writer.returncode == 0

    assert len(found) > 3
    assert {(each.problems, each.interrupted) for each in found} == {((), False)}
    assert len({each.generation for each in found}) > 1


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_a_doctor_can_be_sent_away(small: CommandLine, tmp_path: Path, with_signal: signal.Signals) -> None:
    user = copy_of(small, tmp_path)
    with user.running("doctor") as process:
        read_until(process.stdout, b"embedding")
        process.send_signal(with_signal)

        assert process.wait(timeout=30) == 128 + with_signal
