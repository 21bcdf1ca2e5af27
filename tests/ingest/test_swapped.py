"""What is put in the place of a file or folder after it was found does not lead an ingest out of the folder.

The order is fixed: everything is found, then something is replaced, and only then is the first file read.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamrag_cli.documents.discover import FoundFile, UnreadableDirectory, discover
from streamrag_cli.ingest import run
from tests.support.ingests import Ingests


@pytest.fixture
def after_finding(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Have something done between the finding of the last file and the reading of the first."""

    def arrange(change: Callable[[], None]) -> None:
        def finding(*paths: Any, **options: Any) -> Iterator[object]:
            items = list(discover(*paths, **options))
            change()
            return iter(items)

        monkeypatch.setattr(run, "discover", finding)

    return arrange


def replace_by_link(path: Path, target: Path) -> None:
    path.rename(path.with_name(f"{path.name}.before"))
    path.symlink_to(target)


@pytest.mark.fault("swapped-for-link")
@pytest.mark.parametrize("replaced", ["docs/deep/a.md", "docs/deep", "docs"])
def test_a_link_in_the_place_of_a_file_or_a_folder_above_it_is_not_followed(
    ingests: Ingests, after_finding: Callable[[Callable[[], None]], None], replaced: str
) -> None:
    ingests.put("docs/deep/a.md", "harmless")
    ingests.put("outside/a.md", "private")
    ingests.put("outside/deep/a.md", "private")
    target = {"docs/deep/a.md": "outside/a.md", "docs/deep": "outside", "docs": "outside"}[replaced]
    after_finding(lambda: replace_by_link(ingests.home / replaced, ingests.home / target))

    assert ingests.run("docs") == {"docs/deep/a.md": "failed"}
    assert ingests.reasons == {"docs/deep/a.md": "replaced by a link after it was found"}
    assert ingests.stored() == {}


@pytest.mark.fault("swapped-for-link")
def test_a_link_that_was_followed_is_read_where_it_led_when_it_was_found(
    ingests: Ingests, after_finding: Callable[[Callable[[], None]], None]
) -> None:
    ingests.put("docs/.store/a.md", "harmless")
    ingests.put("outside/a.md", "private")
    (ingests.home / "docs/current").symlink_to(".store")
    after_finding(lambda: replace_by_link(ingests.home / "docs/current", ingests.home / "outside"))

    assert ingests.run("docs")["docs/current/a.md"] == "added"
    assert ingests.stored() == {"docs/current/a.md": "harmless"}


def test_a_named_file_that_becomes_a_link_is_not_followed(
    ingests: Ingests, after_finding: Callable[[Callable[[], None]], None]
) -> None:
    ingests.put("docs/a.md", "harmless")
    ingests.put("outside/a.md", "private")
    after_finding(lambda: replace_by_link(ingests.home / "docs/a.md", ingests.home / "outside/a.md"))

    assert (ingests.run("docs/a.md"), ingests.stored()) == ({"docs/a.md": "failed"}, {})


def test_a_file_that_is_saved_under_its_name_once_more_is_read(
    ingests: Ingests, after_finding: Callable[[Callable[[], None]], None]
) -> None:
    ingests.put("docs/a.md", "before")
    saved = ingests.put("docs/.a.md.new", "after it")
    after_finding(lambda: os.replace(saved, ingests.home / "docs/a.md"))  # noqa: PTH105

    assert ingests.run("docs")["docs/a.md"] == "added"
    assert ingests.stored() == {"docs/a.md": "after it"}


@pytest.mark.fault("swapped-for-link")
def test_a_folder_that_becomes_a_link_while_the_walk_is_elsewhere_is_not_listed(tmp_path: Path) -> None:
    for name in ("root/a/x.md", "root/b/y.md", "outside/private.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    (tmp_path / "outside" / ".gitignore").write_text("x" * (2 << 20))
    finding = discover([tmp_path / "root"])
    first = next(finding)
    replace_by_link(tmp_path / "root" / "b", tmp_path / "outside")

    assert isinstance(first, FoundFile)
    assert (first.path.name, list(finding)) == (
        "x.md",
        [UnreadableDirectory(path=tmp_path / "root" / "b", reason="replaced by a link after it was found")],
    )
