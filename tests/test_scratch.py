"""Temporary directories, and what is removed from the temporary directory."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from streamrag_cli.scratch import ScratchDirectory

_KILLED = """
import os
from streamrag_cli.scratch import ScratchDirectory
(ScratchDirectory("streamrag-copy-").path / "catalog.sqlite3").touch()
os.kill(os.getpid(), 9)
"""


@pytest.mark.fault("temporary-leftovers")
def test_the_directory_of_a_killed_process_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    subprocess.run([sys.executable, "-c", _KILLED], env={"TMPDIR": str(tmp_path)}, check=False)
    assert len(list(tmp_path.iterdir())) == 1

    with ScratchDirectory("streamrag-copy-") as scratch:
        assert list(tmp_path.iterdir()) == [scratch.path]


@pytest.mark.fault("temporary-leftovers")
@pytest.mark.parametrize("name", ["streamrag-copy-backup", "streamrag-copy-of_mine", "streamrag-copy-backup.scratch"])
def test_a_users_directory_with_a_similar_name_is_kept(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / name).mkdir()
    (tmp_path / name / "catalog.sqlite3").write_text("a store")

    ScratchDirectory("streamrag-copy-").close()

    assert (tmp_path / name / "catalog.sqlite3").read_text() == "a store"
