"""Files and folders that are replaced or deleted after their discovery.

A replacement must not lead an ingest out of the folder. The order is fixed: everything is discovered, then something is
replaced, and only then is the first file read.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from streamrag_cli.documents.discover import discover
from streamrag_cli.documents.discovery_results import FoundFile, UnreadableDirectory
from streamrag_cli.events import DocumentSeen
from streamrag_cli.ingest import safeguards
from streamrag_cli.ingest.pipeline import ingest
from tests.support.files import write_files
from tests.support.ingests import LONG_AGO_NS, Ingests

AfterFinding: TypeAlias = Callable[[Callable[[], object]], None]


@pytest.fixture
def after_finding(monkeypatch: pytest.MonkeyPatch) -> AfterFinding:
    """Run an action after the last file is discovered and before the first one is read."""

    def arrange(change: Callable[[], object]) -> None:
        def finding(*paths: Any, **options: Any) -> Iterator[object]:
            items = list(discover(*paths, **options))
            change()
            return iter(items)

        monkeypatch.setattr(safeguards, "discover", finding)

    return arrange


def replace_by_link(path: Path, target: Path) -> None:
    path.rename(path.with_name(f"{path.name}.before"))
    path.symlink_to(target)


@pytest.mark.fault("swapped-for-link")
@pytest.mark.parametrize("replaced", ["docs/deep/a.md", "docs/deep", "docs"])
def test_a_link_that_replaces_a_file_or_parent_folder_is_not_followed(
    ingests: Ingests, after_finding: AfterFinding, replaced: str
) -> None:
    ingests.put("docs/deep/a.md", "harmless")
    ingests.put("outside/a.md", "private")
    ingests.put("outside/deep/a.md", "private")
    target = {"docs/deep/a.md": "outside/a.md", "docs/deep": "outside", "docs": "outside"}[replaced]
    after_finding(lambda: replace_by_link(ingests.home / replaced, ingests.home / target))

    assert ingests.run("docs") == {"docs/deep/a.md": "failed"}
    assert ingests.reasons == {"docs/deep/a.md": "the path was replaced by a symbolic link after discovery"}
    assert ingests.stored() == {}


@pytest.mark.fault("swapped-for-link")
def test_a_link_that_is_retargeted_after_discovery_is_read_at_its_old_target(
    ingests: Ingests, after_finding: AfterFinding
) -> None:
    ingests.put("docs/.store/a.md", "harmless")
    ingests.put("outside/a.md", "private")
    (ingests.home / "docs/current").symlink_to(".store")
    after_finding(lambda: replace_by_link(ingests.home / "docs/current", ingests.home / "outside"))

    assert ingests.run("docs")["docs/current/a.md"] == "added"
    assert ingests.stored() == {"docs/current/a.md": "harmless"}


def test_a_named_file_that_becomes_a_link_is_not_followed(ingests: Ingests, after_finding: AfterFinding) -> None:
    ingests.put("docs/a.md", "harmless")
    ingests.put("outside/a.md", "private")
    after_finding(lambda: replace_by_link(ingests.home / "docs/a.md", ingests.home / "outside/a.md"))

    assert (ingests.run("docs/a.md"), ingests.stored()) == ({"docs/a.md": "failed"}, {})


def test_a_file_that_is_replaced_by_a_new_version_is_read(ingests: Ingests, after_finding: AfterFinding) -> None:
    ingests.put("docs/a.md", "before")
    saved = ingests.put("docs/.a.md.new", "after it")
    after_finding(lambda: os.replace(saved, ingests.home / "docs/a.md"))  # noqa: PTH105

    assert ingests.run("docs")["docs/a.md"] == "added"
    assert ingests.stored() == {"docs/a.md": "after it"}


@pytest.mark.fault("deleted-during-ingest")
def test_a_file_deleted_after_discovery_counts_as_deleted(ingests: Ingests, after_finding: AfterFinding) -> None:
    for name in ("docs/keep.md", "docs/known.md", "docs/deep/known.md", "docs/deep/changed.md"):
        ingests.put(name, "before")
    ingests.run("docs")
    ingests.put("docs/deep/changed.md", "after")
    ingests.put("docs/new.md", "never read")

    def delete() -> None:
        shutil.rmtree(ingests.home / "docs/deep")
        for name in ("docs/known.md", "docs/new.md"):
            (ingests.home / name).unlink()

    after_finding(delete)

    assert ingests.run("docs") == {
        "docs/keep.md": "unchanged",
        "docs/known.md": "deleted",
        "docs/deep/known.md": "deleted",
        "docs/deep/changed.md": "deleted",
    }
    assert (ingests.done.counts["failed"], ingests.stored()) == (0, {"docs/keep.md": "before"})


@pytest.mark.fault("deleted-during-ingest")
@pytest.mark.parametrize(("is_left_empty", "may_be_empty"), [(False, True), (False, False), (True, False)])
def test_documents_stay_if_their_whole_root_disappears_after_discovery(
    ingests: Ingests, after_finding: AfterFinding, is_left_empty: bool, may_be_empty: bool
) -> None:
    ingests.put("docs/a.md", "text")
    ingests.run("docs")

    def take_away() -> None:
        (ingests.home / "docs").rename(ingests.home / "elsewhere")
        if is_left_empty:
            (ingests.home / "docs").mkdir()

    after_finding(take_away)
    request = replace(ingests.request("docs"), allow_empty=may_be_empty)

    seen = [event for event in ingest(request, ingests.settings, ingests.embedder) if isinstance(event, DocumentSeen)]
    assert seen == [DocumentSeen(source="docs/a.md", action="failed", reason="no longer exists")]
    assert ingests.stored() == {"docs/a.md": "text"}


def test_the_last_document_of_a_folder_is_removed_with_allow_empty(
    ingests: Ingests, after_finding: AfterFinding
) -> None:
    last = ingests.put("docs/a.md", "text")
    ingests.run("docs")
    after_finding(last.unlink)

    assert (ingests.run("docs"), ingests.stored()) == ({"docs/a.md": "deleted"}, {})


def test_a_file_changed_after_discovery_is_not_reported_as_unchanged(
    ingests: Ingests, after_finding: AfterFinding
) -> None:
    ingests.put("docs/a.md", "before")
    ingests.run("docs")
    after_finding(lambda: ingests.put("docs/a.md", "after it", mtime_ns=LONG_AGO_NS + 1))

    assert (ingests.run("docs"), ingests.stored()) == ({"docs/a.md": "changed"}, {"docs/a.md": "after it"})


def test_an_ingest_walks_its_folders_once(ingests: Ingests, after_finding: AfterFinding) -> None:
    walks: list[None] = []
    ingests.put("docs/a.md", "text")
    after_finding(lambda: walks.append(None))

    assert (ingests.run("docs"), walks) == ({"docs/a.md": "added"}, [None])


@pytest.mark.fault("swapped-for-link")
def test_a_folder_replaced_by_a_link_during_the_walk_is_not_listed(tmp_path: Path) -> None:
    write_files(tmp_path, dict.fromkeys(("root/a/x.md", "root/b/y.md", "outside/private.md"), "text"))
    (tmp_path / "outside" / ".gitignore").write_text("x" * (2 << 20))
    finding = discover([tmp_path / "root"])
    first = next(finding)
    replace_by_link(tmp_path / "root" / "b", tmp_path / "outside")

    assert isinstance(first, FoundFile)
    assert (first.path.name, list(finding)) == (
        "x.md",
        [
            UnreadableDirectory(
                path=tmp_path / "root" / "b", reason="the path was replaced by a symbolic link after discovery"
            )
        ],
    )
