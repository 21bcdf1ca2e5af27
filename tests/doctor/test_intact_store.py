"""Intact, empty, interrupted and changing stores are not reported as damaged."""

import shutil
import signal
from pathlib import Path

import pytest

from streamrag_cli.store.local.integrity import UNFOUND_TOLERATED, Inspection, inspect
from tests.support.command_line import CommandLine
from tests.support.doctor import bad, copy_of, doctor, follow, of_check
from tests.support.fake_embedder import FakeEmbedder
from tests.support.files import write
from tests.support.http_client import wait_until
from tests.support.stores import LocalStore, document, many_chunks


def test_doctor_tests_all_chunks_of_a_small_collection(small: CommandLine, tmp_path: Path) -> None:
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


def test_doctor_tests_only_a_sample_of_a_large_collection_by_default(large: CommandLine, tmp_path: Path) -> None:
    user = copy_of(large, tmp_path)
    (sample,), (full,) = (of_check(doctor(user, *flags)[1], "store") for flags in ((), ("--full",)))

    chunks = sample["figures"]["chunks"]
    assert chunks > 1000
    assert (sample["figures"]["searched"], full["figures"]["searched"]) == (1000, chunks)
    assert "vector search finds all 1,000 sampled passages" in sample["found"]
    assert full["figures"]["unfound"] <= chunks * UNFOUND_TOLERATED
    assert "a sample" not in full["found"]
    assert "vector search finds" in full["found"]


def test_chunks_with_duplicate_texts_count_as_found(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put(document("a.md", "one text"), *(document(f"{number}.md", "another") for number in range(30)))

    report = inspect(store.directory, "default", searches=100)

    assert (report.searched, report.unfound, report.problems) == (31, 0, ())


def test_the_hint_for_a_missing_store_fixes_it(small: CommandLine, tmp_path: Path) -> None:
    user = copy_of(small, tmp_path)
    shutil.rmtree(user.store)

    code, findings = doctor(user)
    assert (code, bad(findings)) == (5, [("failed", "store", "store_missing", "streamrag ingest PATH")])
    assert follow(user, "streamrag ingest PATH").code == 0
    assert doctor(user)[0] == 0


def test_the_hint_for_an_empty_collection_fixes_it(small: CommandLine, tmp_path: Path) -> None:
    user = copy_of(small, tmp_path)
    assert user.run("ingest", "--remove", "library").code == 0

    code, findings = doctor(user)
    assert (code, bad(findings)) == (5, [("failed", "store", "store_empty", "streamrag ingest PATH")])
    assert follow(user, "streamrag ingest PATH").code == 0
    assert doctor(user)[0] == 0


def test_an_empty_collection_that_is_not_selected_is_only_a_warning(small: CommandLine, tmp_path: Path) -> None:
    user = copy_of(small, tmp_path)
    write(user.directory / "shed.md", "# Shed\n\nIt is locked at night.\n")
    assert user.run("ingest", "shed.md", "-c", "shed").code == 0
    assert of_check(doctor(user)[1], "store")[-1]["found"].startswith("shed: 1 passage of 1 document; ")
    assert user.run("ingest", "--remove", "shed.md", "-c", "shed").code == 0

    code, findings = doctor(user)
    assert (code, bad(findings)) == (0, [("warning", "store", "store_empty", "streamrag ingest PATH -c shed")])
    assert doctor(user, "-c", "shed")[0] == 5


def test_a_killed_ingest_is_reported_as_interrupted_until_the_repair(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put(document("a.md", "one", "two"))
    with store.other_process("put-slowly", "b.md", "5") as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        during = inspect(store.directory, "default", searches=100)
        writer.send_signal(signal.SIGKILL)

    after = inspect(store.directory, "default", searches=100)
    with store.writing() as writer_after_crash:
        writer_after_crash.repair(FakeEmbedder().embed_documents)
    repaired = inspect(store.directory, "default", searches=100)

    assert [(each.problems, each.interrupted, each.changing) for each in (during, after, repaired)] == [
        ((), False, False),
        ((), True, False),
        ((), False, False),
    ]


def test_a_store_during_an_ingest_is_not_reported_as_damaged(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put(many_chunks("0.md", 50))
    reports: list[Inspection] = []
    with store.other_process("put-batches", "60") as writer:
        while writer.poll() is None:
            reports.append(inspect(store.directory, "default", searches=200))
        assert writer.returncode == 0

    assert len(reports) > 3
    assert {(each.problems, each.interrupted) for each in reports} == {((), False)}
    assert len({each.generation for each in reports}) > 1


def handles_sigterm(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_doctor_can_be_interrupted(small: CommandLine, tmp_path: Path, with_signal: signal.Signals) -> None:
    user = copy_of(small, tmp_path)
    with user.running("doctor") as process:
        assert wait_until(lambda: handles_sigterm(process.pid))
        process.send_signal(with_signal)

        assert process.wait(timeout=30) == 128 + with_signal
