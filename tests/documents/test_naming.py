from pathlib import Path

import pytest

from streamrag_cli.documents.naming import title_from_name


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/n/Hot iron.md", "Hot iron"),
        ("/n/Smithing/Hot iron.md", "Smithing/Hot iron"),
        ("/n/daily/2031-02-03.md", "daily/2031-02-03"),
        ("/n/projects/forge/README.md", "forge"),
        ("/n/README.md", "n"),
        ("/n/docs/setup.md", "setup"),
        ("/n/0007/0000012.md", ""),
        ("/n/Makefile", "Makefile"),
        ("/n/3f2504e0-4f89-11d3-9a0c-0305e82c3301.txt", ""),
    ],
)
def test_the_title_comes_from_meaningful_file_and_folder_names(path: str, expected: str) -> None:
    assert title_from_name(Path(path), Path("/n")) == expected


def test_the_folder_is_the_title_only_if_the_file_name_is_generic() -> None:
    assert title_from_name(Path("/n/forge/index.html"), Path("/n/forge/index.html")) == "forge"
    assert title_from_name(Path("/n/forge/fire.md"), Path("/n/forge/fire.md")) == "fire"
