"""`ingest --watch` in a process of its own, with real files: what it notices, reports and survives."""

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import CommandLine, Outcome
from tests.support.watching import RunningWatcher, watching


def wait_until(condition: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.05)


def status_of(cli: CommandLine) -> dict[str, Any]:
    outcome = cli.run("status", "--json")
    [collection] = json.loads(outcome.stdout)["collections"]
    return dict(collection)


def documents_of(cli: CommandLine) -> dict[str, int]:
    """The number of passages in each document."""
    listed = json.loads(cli.run("ls", "--json").stdout)["documents"]
    return {each["source"]: each["chunks"] for each in listed if each["state"] == "stored"}


def findings_of(cli: CommandLine, code: str) -> list[dict[str, Any]]:
    outcome: Outcome = cli.run("doctor", "--json")
    return [each for each in json.loads(outcome.stdout)["checks"] if each["code"] == code]


def test_the_first_sync_and_each_batch_are_reported_as_events(cli: CommandLine, folder: Path) -> None:
    with watching(cli, "docs") as watcher:
        first = watcher.until("watching")
        assert [event["type"] for event in first] == ["started", "document", "batch", "watching"]
        assert first[-1] == {"type": "watching", "roots": ["docs"], "method": "inotify"}
        (folder / ".notes.swp").write_text("a hidden file\n", encoding="utf-8")
        (folder / "4913").write_bytes(b"\0")
        assert watcher.is_silent(1.5)

        (folder / "deposit.md").write_text("The deposit is two months' rent.\n", encoding="utf-8")
        document, batch = watcher.until("batch")

        assert document == {
            "type": "document",
            "source": "docs/deposit.md",
            "action": "added",
            "chunks": 1,
            "reason": "",
            "code": "",
        }
        counts = {"added": 1, "changed": 0, "unchanged": 0, "deleted": 0, "skipped": 0, "failed": 0}
        assert {**batch, "elapsed_ms": 0} == {"type": "batch", "counts": counts, "chunks": 2, "elapsed_ms": 0}
        assert watcher.end() == 130
        assert [event["type"] for event in watcher.events[-1:]] == ["done"]


@pytest.mark.fault("watch-editors")
def test_editor_saves_renames_and_deletions_are_noticed(cli: CommandLine, folder: Path) -> None:
    with watching(cli, "docs") as watcher:
        watcher.until("watching")

        (folder / ".rent.md.tmp").write_text("The rent is 710 euros a month.\n", encoding="utf-8")
        (folder / ".rent.md.tmp").replace(folder / "rent.md")
        assert watcher.batch() == {"docs/rent.md": "changed"}

        (folder / "flat" / "keys").mkdir(parents=True)
        (folder / "flat" / "keys" / "list.md").write_text("There are three keys.\n", encoding="utf-8")
        assert watcher.batch() == {"docs/flat/keys/list.md": "added"}

        (folder / "flat").rename(folder / "home")
        assert watcher.batch() == {"docs/home/keys/list.md": "added", "docs/flat/keys/list.md": "deleted"}

        with (folder / "home" / "keys" / "list.md").open("a", encoding="utf-8") as growing:
            growing.write("One of them is for the cellar.\n")
            growing.flush()  # the file stays open, as a log does
            assert watcher.batch() == {"docs/home/keys/list.md": "changed"}

        shutil.rmtree(folder / "home")
        (folder / "rent.md").unlink()
        assert watcher.batch() == {"docs/home/keys/list.md": "deleted", "docs/rent.md": "deleted"}


@pytest.mark.fault("watch-ignored")
def test_a_failed_file_that_is_repaired_or_deleted_is_reported(cli: CommandLine, folder: Path) -> None:
    (folder / "flat.ipynb").write_text('{"cells": []}', encoding="utf-8")
    with watching(cli, "docs") as watcher:
        watcher.until("watching")
        for name in ("flat.ipynb", "lease.ipynb"):
            (folder / name).write_text("{", encoding="utf-8")
            assert watcher.batch() == {f"docs/{name}": "failed"}

        (folder / "lease.ipynb").unlink()
        assert watcher.batch() == {"docs/lease.ipynb": "deleted"}
        (folder / "flat.ipynb").write_text('{"cells": []}', encoding="utf-8")
        assert watcher.batch() == {"docs/flat.ipynb": "unchanged"}


def test_a_changed_gitignore_removes_and_adds_documents(cli: CommandLine, folder: Path) -> None:
    (folder.parent / ".git").mkdir()
    (folder / "drafts").mkdir()
    (folder / "drafts" / "plan.md").write_text("Move in May.\n", encoding="utf-8")
    with watching(cli, "docs", "--yes") as watcher:
        watcher.until("watching")

        (folder / ".gitignore").write_text("drafts/\n", encoding="utf-8")
        assert watcher.batch() == {"docs/drafts/plan.md": "deleted"}

        (folder / "drafts" / "more.md").write_text("Not yet.\n", encoding="utf-8")
        assert watcher.is_silent(1.5)

        (folder / ".gitignore").unlink()
        assert watcher.batch() == {"docs/drafts/more.md": "added", "docs/drafts/plan.md": "added"}

        (folder.parent / ".gitignore").write_text("more.md\n", encoding="utf-8")  # above the watched folder
        assert watcher.batch() == {"docs/drafts/more.md": "deleted"}


def test_a_refused_ingest_is_repeated_after_the_next_change(cli: CommandLine, folder: Path) -> None:
    with watching(cli, "docs") as watcher:
        watcher.until("watching")
        (folder / ".streamragignore").write_text("rent.md\n", encoding="utf-8")
        assert "would remove 1 document" in watcher.notice("watch_failing")["message"]  # the last one of the folder

        (folder / "deposit.md").write_text("The deposit is two months' rent.\n", encoding="utf-8")

        assert watcher.batch() == {"docs/deposit.md": "added"}
        assert watcher.batch() == {"docs/rent.md": "deleted"}
        wait_until(lambda: status_of(cli)["watchers"][0]["problem"] == "")


@pytest.mark.fault("watch-many")
def test_hundreds_of_files_are_one_batch(cli: CommandLine, folder: Path) -> None:
    with watching(cli, "docs") as watcher:
        watcher.until("watching")
        (folder.parent / "new").mkdir()
        for number in range(300):
            (folder.parent / "new" / f"{number}.md").write_text(f"Page {number}.\n", encoding="utf-8")
        for number in range(150):
            (folder.parent / "new" / f"{number}.md").rename(folder / f"{number}.md")
        (folder.parent / "new").rename(folder / "new")

        batch = watcher.batch()

        assert (len(batch), set(batch.values())) == (300, {"added"})


@pytest.mark.fault("watch-root-gone")
def test_documents_of_a_missing_folder_stay_and_are_updated_when_it_is_back(cli: CommandLine, folder: Path) -> None:
    with watching(cli, "docs") as watcher:
        watcher.until("watching")

        folder.rename(folder.with_name("elsewhere"))
        notice = watcher.notice("root_gone")
        assert "docs no longer exists; its documents are kept" in notice["message"]
        assert documents_of(cli) == {"docs/rent.md": 1}

        (folder.with_name("elsewhere") / "rent.md").write_text("The rent is 720 euros.\n", encoding="utf-8")
        folder.with_name("elsewhere").rename(folder)
        assert watcher.batch() == {"docs/rent.md": "changed"}

        (folder / "later.md").write_text("It is watched again.\n", encoding="utf-8")
        assert watcher.batch() == {"docs/later.md": "added"}


@pytest.mark.fault("watch-crash")
def test_a_killed_ingest_is_repeated_and_nothing_is_lost_or_stored_twice(cli: CommandLine, folder: Path) -> None:
    with watching(cli, "docs") as watcher:
        watcher.until("watching")
        for number in range(300):
            (folder / f"page-{number}.md").write_text(f"Page {number}.\n", encoding="utf-8")
        watcher.until("document")  # it has written some of them
        os.kill(child_of(watcher), signal.SIGKILL)

        assert watcher.notice("watch_failing")["message"].startswith(
            "the changes are not in the store yet: the ingest process was killed by signal 9"
        )
        watcher.until("batch")

        stored = documents_of(cli)
        assert (len(stored), {stored[f"docs/page-{number}.md"] for number in range(300)}) == (301, {1})
        assert status_of(cli)["chunks"] == 301


def child_of(watcher: RunningWatcher) -> int:
    pid = watcher.process.pid
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])


@pytest.mark.fault("watch-busy")
def test_changes_stay_pending_while_the_store_is_busy(cli: CommandLine, folder: Path) -> None:
    with watching(cli, "docs") as watcher:
        watcher.until("watching")
        lock = cli.store / "collections" / "default" / "writer.lock"
        with subprocess.Popen(["flock", "--close", str(lock), "sleep", "60"]) as holder:
            (folder / "rent.md").write_text("The rent is 730 euros.\n", encoding="utf-8")
            notice = watcher.notice("watch_failing")
            assert notice["message"].endswith("trying again")
            assert "another ingest is writing to" in notice["message"]
            holder.terminate()

        assert watcher.batch() == {"docs/rent.md": "changed"}
        assert cli.run("ingest", "docs").code == 0  # it does not keep the lock


@pytest.mark.fault("watch-stale")
def test_a_killed_watcher_is_reported_until_a_new_one_replaces_it(cli: CommandLine, folder: Path) -> None:
    with watching(cli, "docs") as watcher:
        watcher.until("watching")
        wait_until(lambda: "watchers" in status_of(cli))
        [record] = status_of(cli)["watchers"]
        assert (record["roots"], record["method"], record["silence"]) == ([str(folder)], "inotify", "")
        assert findings_of(cli, "watch_stale") == []
        assert (
            "docs is watched (inotify); last event none, last full comparison 20" in cli.run("status").stdout.decode()
        )

    [finding] = findings_of(cli, "watch_stale")
    assert finding["found"].endswith("is no longer running, so changes are not ingested")
    assert finding["hint"] == f"streamrag ingest --watch {folder}"
    status = cli.run("status").stdout.decode()
    assert f", which is no longer running; to watch again: streamrag ingest --watch {folder}" in " ".join(
        status.split()
    )

    with watching(cli) as watcher:  # without PATH, all known roots
        assert watcher.until("watching")[-1]["roots"] == ["docs"]
        wait_until(lambda: [each["pid"] for each in status_of(cli)["watchers"]] == [watcher.process.pid])
        assert watcher.end(signal.SIGTERM) == 143

    assert "watchers" not in status_of(cli)


@pytest.mark.fault("watch-two")
def test_a_second_watcher_waits_until_the_first_one_exits(cli: CommandLine, folder: Path, stack: ExitStack) -> None:
    with watching(cli, "docs") as first:
        first.until("watching")
        second = stack.enter_context(watching(cli, "docs"))
        assert second.notice("watch_standby")["message"] == (
            "another process is already watching docs; this one will take over when the other stops"
        )
        first.process.kill()
        second.until("watching")
        (folder / "rent.md").write_text("The rent is 740 euros.\n", encoding="utf-8")
        assert second.batch() == {"docs/rent.md": "changed"}


@pytest.mark.fault("watch-no-inotify")
def test_without_inotify_changes_are_found_by_polling(cli: CommandLine, folder: Path) -> None:
    with watching(cli, "docs", "--poll", "--settle", "100ms") as watcher:
        assert watcher.until("watching")[-1]["method"] == "polling"

        (folder / "rent.md").write_text("The rent is 750 euros.\n", encoding="utf-8")
        assert watcher.batch() == {"docs/rent.md": "changed"}

        (folder / "new").mkdir()
        (folder / "new" / "a.md").write_text("New.\n", encoding="utf-8")
        assert watcher.batch() == {"docs/new/a.md": "added"}


@pytest.mark.fault("watch-no-inotify")
def test_exhausted_inotify_watches_cause_polling_and_a_notice(cli: CommandLine, folder: Path) -> None:
    for name in "abcd":
        (folder / name).mkdir()
    limited = 'echo 2 > /proc/sys/user/max_inotify_watches && exec "$@"'
    program = ("unshare", "--user", "--map-root-user", "sh", "-c", limited, "sh", *cli.program)
    if subprocess.run((*program, "--version"), env=cli.environment, capture_output=True, check=False).returncode:
        pytest.skip("needs user namespaces: unshare from the package util-linux")
    with watching(replace(cli, program=program), "docs") as watcher:
        *_, notice, started = watcher.until("started")
        assert (notice["code"], started["type"]) == ("watch_polling", "started")
        assert notice["message"] == (
            "the system cannot report changes (no inotify watches are left), so the files are compared at intervals"
            " instead; to allow more: sudo sysctl fs.inotify.max_user_watches=524288"
        )
        assert watcher.until("watching")[-1]["method"] == "polling"

        (folder / "d" / "a.md").write_text("New.\n", encoding="utf-8")
        assert watcher.batch() == {"docs/d/a.md": "added"}


def test_a_watched_file_may_be_replaced_or_deleted_and_restored(cli: CommandLine, folder: Path) -> None:
    (folder / "other.md").write_text("Not watched.\n", encoding="utf-8")
    with watching(cli, "docs/rent.md") as watcher:
        watcher.until("watching")
        (folder / "other.md").write_text("Still not watched.\n", encoding="utf-8")

        (folder / "saved").write_text("The rent is 760 euros.\n", encoding="utf-8")
        (folder / "saved").replace(folder / "rent.md")
        assert watcher.batch() == {"docs/rent.md": "changed"}

        (folder / "rent.md").unlink()
        watcher.notice("root_gone")
        (folder / "rent.md").write_text("The rent is 770 euros.\n", encoding="utf-8")
        assert watcher.batch() == {"docs/rent.md": "changed"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("docs", "--settle", "1s"), "--settle requires --watch\nhint: streamrag ingest --watch --settle 1s PATH"),
        (("docs", "--poll"), "--poll requires --watch\nhint: streamrag ingest --watch --poll PATH"),
        (("docs", "--watch", "--dry-run"), "--watch cannot be combined with --dry-run"),
        (("docs", "--watch", "--settle", "1min"), "--settle: '1min' must be a duration from 10ms to 5s"),
        (("docs", "--watch", "--every", "soon"), "--every: 'soon' must be a duration from 100ms to 7d"),
        (("missing", "--watch"), "no such file or directory"),
    ],
)
def test_invalid_watch_flags_are_usage_errors(cli: CommandLine, arguments: tuple[str, ...], message: str) -> None:
    outcome = cli.run("ingest", *arguments)

    assert (outcome.code, message in outcome.stderr) == (2, True), outcome.stderr


@pytest.mark.fault("watch-own-output")
def test_the_store_and_the_output_in_the_watched_folder_cause_no_batches(cli: CommandLine, folder: Path) -> None:
    output = folder / "events.jsonl"
    with output.open("wb") as stdout:
        process = subprocess.Popen(
            (*cli.program, "ingest", "--watch", "--jsonl", "docs", "--store", str(folder / "store")),
            cwd=cli.directory,
            env=cli.environment,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
        )
    try:
        wait_until(lambda: b'"watching"' in output.read_bytes())
        (folder / "rent.md").write_text("The rent is 780 euros.\n", encoding="utf-8")
        wait_until(lambda: output.read_bytes().count(b'"batch"') == 2)
        size = output.stat().st_size
        time.sleep(2)  # a loop would cause a batch immediately

        assert output.stat().st_size == size
    finally:
        process.kill()
        process.wait()


@pytest.mark.fault("watch-removed")
@pytest.mark.parametrize("removed", ["store", "collection", "root"])
def test_the_next_change_restores_documents_removed_from_the_store(
    cli: CommandLine, folder: Path, removed: str
) -> None:
    store = folder.parent / "store"
    with watching(cli, "docs", "--store", str(store)) as watcher:
        watcher.until("watching")
        if removed == "store":
            shutil.rmtree(store.rename(folder.parent / "former"))
        else:
            what = ["-c", "default"] if removed == "collection" else ["docs"]
            assert cli.run("ingest", "--remove", "--yes", *what, "--store", str(store)).code == 0

        (folder / "deposit.md").write_text("The deposit is two months' rent.\n", encoding="utf-8")

        assert watcher.batch() == {"docs/deposit.md": "added", "docs/rent.md": "added"}


def test_commands_in_notices_and_in_status_name_the_watched_collection(cli: CommandLine, folder: Path) -> None:
    (folder.parent / "letters").mkdir()
    (folder / "old").mkdir()
    for number in range(25):
        (folder / "old" / f"{number}.md").write_text(f"Old rent {number}.\n", encoding="utf-8")
    with watching(cli, "docs", "letters", "-c", "flat") as watcher:
        watcher.until("watching")
        wait_until(lambda: "watchers" in status_of(cli))
        status = cli.run("status").stdout.decode()
        assert "docs, letters are watched (inotify)" in status

        (folder / ".streamragignore").write_text("old/\n", encoding="utf-8")
        refused = watcher.notice("watch_failing")["message"]
        assert refused.endswith(f"streamrag ingest {folder} {folder.parent / 'letters'} --dry-run -v -c flat"), refused

    command = f"streamrag ingest --watch {folder} {folder.parent / 'letters'} -c flat"
    assert any(line.endswith(command) for line in cli.run("status").stdout.decode().splitlines())
