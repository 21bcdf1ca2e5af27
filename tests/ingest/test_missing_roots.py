"""Missing ingested folders are reported, and the suggested command removes their documents."""

import shutil
from pathlib import Path

from streamrag_cli.events import Notice
from tests.support.ingests import Ingests


def notices(ingests: Ingests) -> list[str]:
    return [event.message for event in ingests.events if isinstance(event, Notice) and event.code == "root_gone"]


def test_any_ingest_reports_a_missing_folder_and_how_to_remove_its_documents(ingests: Ingests) -> None:
    for name in ("old name/a.md", "old name/deep/b.md", "other/c.md"):
        ingests.put(name, f"text of {name}")
    ingests.run("old name")
    (ingests.home / "old name").rename(ingests.home / "new")

    for path in ("new", "other"):
        ingests.run(path)
        assert notices(ingests) == [
            "old name no longer exists, but the store still has 2 documents from it; to remove them:"
            " streamrag ingest --remove 'old name'"
        ]
    assert ingests.remove("old name") == {"old name/a.md": "deleted", "old name/deep/b.md": "deleted"}
    ingests.run("new")
    assert notices(ingests) == []


def test_a_missing_folder_without_documents_is_not_reported(ingests: Ingests) -> None:
    ingests.put("docs/deep/a.md", "deep")
    ingests.put("docs/b.md", "text")
    ingests.run("docs/deep")
    shutil.rmtree(ingests.home / "docs" / "deep")

    ingests.run("docs")

    assert (notices(ingests), ingests.stored()) == ([], {"docs/b.md": "text"})


def test_documents_below_a_missing_folder_can_be_removed_separately(ingests: Ingests) -> None:
    ingests.put("docs/deep/a.md", "deep")
    ingests.put("docs/b.md", "text")
    ingests.run("docs")
    shutil.rmtree(ingests.home / "docs")

    assert ingests.remove("docs/deep") == {"docs/deep/a.md": "deleted"}
    assert ingests.remove("docs/b.md") == {"docs/b.md": "deleted"}
    assert ingests.remove("docs") == {}  # the root itself is removed from the store
    assert ingests.done.counts["deleted"] == 0
    ingests.remove("docs")
    assert ingests.error.code == "not_ingested"


def test_ingesting_a_missing_path_shows_the_removal_command(ingests: Ingests, tmp_path: Path) -> None:
    ingests.put("docs/a.md", "text")
    ingests.run("docs")
    shutil.rmtree(ingests.home / "docs")

    ingests.run("docs/a.md")

    assert (ingests.error.exit_code, ingests.error.code) == (2, "no_such_path")
    assert ingests.error.hint == (
        "if the file or folder was moved or deleted, remove its documents from the store:"
        " streamrag ingest --remove docs/a.md"
    )
    ingests.run(str(tmp_path / "never"))
    assert ingests.error.hint == f"ls {tmp_path}"
