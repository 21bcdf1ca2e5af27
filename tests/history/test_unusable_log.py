"""A log that cannot be used never stops an answer, and its problem is reported."""

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from streamrag_cli.events import Done, Notice
from streamrag_cli.history.conversation_log import ConversationLog
from streamrag_cli.history.deletion import delete, delete_everything
from streamrag_cli.history.location import LogError, log_file
from tests.support.logs import answer_events, bytes_of, record

WORDS = ("pelican", "Quokka", "axolotl")


@pytest.fixture
def log(tmp_path: Path) -> ConversationLog:
    """A log that contains two answers."""
    log = ConversationLog.open({"XDG_STATE_HOME": str(tmp_path / "state")})
    record(log, "Where is the pelican?", answer_events("With the Quokka, ", "near Zürich."), thread="aaaaaaaa")
    record(log, "Where is the axolotl?", thread="bbbbbbbb")
    return log


def replaced_by(log: ConversationLog, make: Callable[[Path], object]) -> None:
    for each in log.file.parent.glob("log.db*"):
        each.unlink()
    make(log.file)


def write_garbage(file: Path) -> None:
    file.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)


def write_newer(file: Path) -> None:
    record(ConversationLog(file), "What?")
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA user_version = 2")


def write_foreign(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE recipes (name)")


def link_elsewhere(file: Path) -> None:
    (file.parent / "elsewhere").touch()
    file.symlink_to(file.parent / "elsewhere")


@pytest.mark.fault("log-unusable")
@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (write_garbage, "log_damaged", "is damaged"),
        (write_newer, "log_newer", "newer version"),
        (write_foreign, "log_damaged", "another program's database"),
        (Path.mkdir, "log_not_a_file", "is not a regular file"),
        (os.mkfifo, "log_not_a_file", "is not a regular file"),
        (link_elsewhere, "log_not_a_file", "is not a regular file"),
    ],
)
def test_an_unusable_log_fails_log_commands_but_not_answers(
    log: ConversationLog, make: Callable[[Path], object], code: str, words: str
) -> None:
    replaced_by(log, make)
    events = record(ConversationLog(log.file), "What?")
    *answer, notice, done = events
    with pytest.raises(LogError) as raised:
        log.find()

    assert [*answer, done] == list(answer_events("An ", "answer."))
    assert isinstance(notice, Notice)
    assert (notice.code, words in notice.message) == ("not_logged", True)
    assert (raised.value.code, raised.value.exit_code, bool(raised.value.hint)) == (code, 5, True)


@pytest.mark.fault("log-unusable")
def test_a_file_instead_of_the_state_folder_causes_a_notice(tmp_path: Path) -> None:
    (tmp_path / "streamrag").touch()
    *_, notice, _ = record(ConversationLog.open({"XDG_STATE_HOME": str(tmp_path)}), "What?")

    assert isinstance(notice, Notice)
    assert notice.code == "not_logged"


def test_without_a_home_directory_there_is_no_log() -> None:
    with pytest.raises(LogError) as raised:
        log_file({"HOME": "", "XDG_STATE_HOME": "relative"})

    assert raised.value.code == "no_log_directory"
    assert str(log_file({"HOME": "/home/ada"})) == "/home/ada/.local/state/streamrag/log.db"


@pytest.mark.fault("log-locked")
def test_a_lock_that_is_never_released_causes_a_notice(log: ConversationLog) -> None:
    with closing(sqlite3.connect(log.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        *answer, notice, done = record(ConversationLog(log.file), "What?")

    assert [*answer, done] == list(answer_events("An ", "answer."))
    assert isinstance(notice, Notice)
    assert notice.code == "not_logged"
    assert len(log.find()) == 2


def test_a_log_removed_between_two_questions_is_created_again(log: ConversationLog) -> None:
    shutil.rmtree(log.file.parent)
    record(log, "Still there?")

    assert [each.question for each in log.find()] == ["Still there?"]


def test_a_thread_that_cannot_start_causes_a_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ConversationLog(tmp_path / "log.db")

    def refuse(_thread: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    *_, notice, _ = record(log, "What?")
    monkeypatch.undo()
    *_, last = record(log, "And now?")

    assert [each.question for each in log.find()] == ["And now?"]
    assert isinstance(last, Done)
    assert isinstance(notice, Notice)
    assert (notice.code, "can't start new thread" in notice.message) == ("not_logged", True)


def spread(log: ConversationLog) -> bytes:
    """All bytes of the log, in lower case, because the full-text index has words in lower case."""
    return bytes_of(log).lower()


@pytest.mark.fault("log-deletion")
def test_deleted_turns_are_removed_from_all_files_of_the_log(log: ConversationLog) -> None:
    assert all(word.lower().encode() in spread(log) for word in WORDS)
    deleted = delete(log.file, "thread = ?", ("aaaaaaaa",))

    assert deleted == 1
    assert {word: word.lower().encode() in spread(log) for word in (*WORDS, "rich")} == {
        "pelican": False,
        "Quokka": False,
        "axolotl": True,
        "rich": False,
    }
    assert [each.thread for each in log.find()] == ["bbbbbbbb"]


@pytest.mark.fault("log-deletion")
def test_a_killed_deletion_is_completed_by_the_next(log: ConversationLog) -> None:
    from streamrag_cli.history.database import open_to_write, transaction
    from streamrag_cli.history.rows import delete_turns

    db = open_to_write(log.file)
    with transaction(db):
        delete_turns(db, "thread = 'aaaaaaaa'", ())
    db.close()
    before = b"pelican" in spread(log)
    delete(log.file, "0")

    assert (before, b"pelican" in spread(log)) == (True, False)


def test_deleting_everything_leaves_an_empty_log(log: ConversationLog) -> None:
    assert delete_everything(log.file) == 2
    assert log.find() == []
    assert not any(word.lower().encode() in spread(log) for word in WORDS)


def test_deleting_everything_removes_a_damaged_log(log: ConversationLog) -> None:
    replaced_by(log, write_garbage)

    assert delete_everything(log.file) is None
    assert list(log.file.parent.glob("log.db*")) == []


@pytest.mark.fault("log-turn-damaged")
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("sources", "[{"), ("sources", "5"), ("sources", "[{}]"), ("sources", "[" * 100_000), ("sources", "[[]]"),
        ("cited", "[[]]"), ("timings", "[]"), ("timings", '{"total_ms": NaN}'), ("timings", '{"total_ms": "1"}'),
        ("started_at", "yesterday"), ("started_at", b"\xff"), ("started_at", "0001-01-01T00:00:00+00:00"),
        ("state", b"\xff"), ("answer", b"\xff"), ("extra_chars", "many"), ("n", 1 << 62),
        ("thread", b"bbbbbbbb"), ("question", 'not text'.encode("utf-16")),
    ],
)  # fmt: skip
def test_a_damaged_turn_is_left_out_and_the_others_are_found(log: ConversationLog, column: str, value: object) -> None:
    with closing(sqlite3.connect(log.file)) as db:
        db.execute(f"UPDATE turns SET {column} = ? WHERE id = 2", (value,))
        db.commit()

    assert [each.id for each in log.find(limit=1)] == [1]
    assert log.damaged == {2}
    assert [each.id for each in log.find(words="pelican")] == [1]
    assert log.last_thread("") in {"aaaaaaaa", "bbbbbbbb"}
    assert log.counts()["turns"] == 2
    assert not any(isinstance(each, Notice) for each in record(log, "What?"))


@pytest.mark.fault("log-turn-damaged")
@pytest.mark.parametrize("column", ["thread", "question", "started_at", "collection"])
def test_a_text_that_is_not_utf_8_affects_only_its_turn(log: ConversationLog, column: str) -> None:
    with closing(sqlite3.connect(log.file)) as db:
        db.execute(f"UPDATE turns SET is_indexed = 0, {column} = CAST(x'62ff' AS TEXT) WHERE id = 2")
        db.commit()

    assert [each.id for each in log.find()] == [each.id for each in log.find(words="pelican")] == [1]
    assert (log.find_thread("a"), log.damaged) == ("aaaaaaaa", {2})
    assert log.last_thread("") == ("aaaaaaaa" if column == "thread" else "bbbbbbbb")
    assert log.last_time("") >= log.find()[0].started_at
