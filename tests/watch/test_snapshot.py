"""Detecting changes without events."""

from pathlib import Path

from streamrag_cli.watch.snapshot import Snapshot


def test_changes_to_documents_and_directories_are_detected_once(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("one", encoding="utf-8")
    snapshot = Snapshot()
    snapshot.take(str(tmp_path))
    assert snapshot.changed() == []

    (tmp_path / "a.md").write_text("two", encoding="utf-8")
    assert [snapshot.changed(), snapshot.changed()] == [[str(tmp_path)], []]

    (tmp_path / "a.md").chmod(0o600)
    assert snapshot.changed() == [str(tmp_path)]

    (tmp_path / "new").mkdir()
    assert snapshot.changed() == [str(tmp_path)]

    (tmp_path / ".gitignore").write_text("drafts/\n", encoding="utf-8")
    assert snapshot.changed() == [str(tmp_path)]


def test_changes_to_files_that_are_never_read_are_ignored(tmp_path: Path) -> None:
    snapshot = Snapshot()
    snapshot.take(str(tmp_path))

    (tmp_path / "picture.xyz").write_bytes(b"\0")
    (tmp_path / ".a.md.swp").write_bytes(b"\0")

    assert snapshot.changed() == []


def test_an_identity_changes_if_a_folder_is_replaced_or_disappears(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    snapshot = Snapshot()
    snapshot.take_identity(str(folder))
    (folder / "a.md").touch()
    assert snapshot.changed() == []

    folder.rename(tmp_path / "kept")
    assert snapshot.changed() == [str(folder)]

    folder.mkdir()
    assert snapshot.changed() == [str(folder)]
