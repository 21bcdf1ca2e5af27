import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamrag_cli.documents.discover import Found, FoundFile, SkippedPath, UnreadableDirectory, discover
from streamrag_cli.errors import UsageError


def test_files_are_found_depth_first_by_name(tmp_path: Path) -> None:
    write(tmp_path, "b.md", "c/a.txt", "c/d/x.rst", "a.md", "z.csv")

    assert found(tmp_path) == ["a.md", "b.md", "c/a.txt", "c/d/x.rst", "z.csv"]


def test_a_found_file_carries_what_its_listing_knows(tmp_path: Path) -> None:
    write(tmp_path, "a.md")
    os.utime(tmp_path / "a.md", ns=(5, 1_700_000_000_123_456_789))

    assert list(discover([tmp_path])) == [
        FoundFile(path=tmp_path / "a.md", root=tmp_path, size=4, mtime_ns=1_700_000_000_123_456_789)
    ]


def test_what_is_left_out_is_reported_with_its_reason(tmp_path: Path) -> None:
    write(tmp_path, "a.png", ".hidden.md", ".git/config", ".ssh/a.md", "id_rsa.txt", "server.PEM", ".env.local.md")
    write(tmp_path, "credentials.json", "credentials.md", ".cache/a.md")

    assert found(tmp_path) == ["credentials.md"]
    assert skipped(tmp_path) == {
        "a.png": ("unsupported", True),
        ".hidden.md": ("hidden", True),
        ".cache": ("hidden", True),
        ".git": ("secret", True),
        ".ssh": ("secret", True),
        ".env.local.md": ("secret", True),
        "id_rsa.txt": ("secret", True),
        "server.PEM": ("secret", True),
        "credentials.json": ("secret", True),
    }


def test_hidden_files_are_found_if_asked_for_and_secrets_are_not(tmp_path: Path) -> None:
    write(tmp_path, ".github/guide.md", ".git/description.md", ".env.md", ".aws/notes.md")

    names = [str(item.path.relative_to(tmp_path)) for item in files(discover([tmp_path], include_hidden=True))]

    assert names == [".github/guide.md"]


@pytest.mark.parametrize("name", [".env", ".hidden.md", "id_rsa", "tls.key", "data.unknown", ".git/config"])
def test_a_file_that_is_named_is_taken_whatever_its_name(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)

    assert found(tmp_path / name) == ["."]


def test_overlapping_paths_give_each_file_once(tmp_path: Path) -> None:
    write(tmp_path, "a/b.md", "a/c/d.md", "e.md")
    (tmp_path / "same").symlink_to("a")
    paths = [
        tmp_path / "a" / "c",
        tmp_path,
        tmp_path / "a",
        tmp_path / "e.md",
        tmp_path / "a" / ".." / "a",
        tmp_path / "same",
    ]

    assert [(str(item.path.relative_to(tmp_path)), item.root) for item in files(discover(paths))] == [
        ("a/c/d.md", tmp_path / "a" / "c"),
        ("a/b.md", tmp_path),
        ("e.md", tmp_path),
    ]


def test_a_secret_that_was_named_is_not_reported_again_by_its_directory(tmp_path: Path) -> None:
    write(tmp_path, ".env")

    assert list(discover([tmp_path / ".env", tmp_path])) == list(discover([tmp_path / ".env"]))


def test_what_is_named_below_another_path_is_not_left_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, "a.md", ".env", "data.unknown", "ignored/b.md", ".hidden/c.md", ".hidden/.d.md", "../outside.md")
    (root / ".gitignore").write_text("ignored\n")
    (root / "link.md").symlink_to("../outside.md")
    named = [root / name for name in (".env", "data.unknown", "ignored", ".hidden/.d.md", "link.md")]

    assert [
        (str(item.path.relative_to(root)), str(item.root.relative_to(root))) for item in files(discover([root, *named]))
    ] == [
        (".env", "."),
        ("a.md", "."),
        ("data.unknown", "."),
        ("ignored/b.md", "."),
        (".hidden/.d.md", ".hidden/.d.md"),
        ("link.md", "link.md"),
    ]
    assert set(skipped(root, *named)) == {".gitignore", ".hidden"}


def test_a_path_that_is_a_link_to_a_directory_is_a_root(tmp_path: Path) -> None:
    write(tmp_path, "real/a.md")
    (tmp_path / "link").symlink_to("real")

    assert [(item.path, item.root) for item in files(discover([tmp_path / "link"]))] == [
        (tmp_path / "link" / "a.md", tmp_path / "link")
    ]


def test_links_inside_the_root_lead_to_what_has_no_place_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, "z.md", ".store/v2/guide.md", ".store/page.md")
    (tmp_path / "a.md").symlink_to("z.md")
    (tmp_path / "current").symlink_to(".store/v2")
    (tmp_path / "page.md").symlink_to(".store/page.md")

    assert found(tmp_path) == ["z.md", "current/guide.md", "page.md"]
    assert skipped(tmp_path) == {".store": ("hidden", True), "a.md": ("duplicate", True)}


def test_link_loops_end(tmp_path: Path) -> None:
    write(tmp_path, "a/b/x.md")
    (tmp_path / "a" / "b" / "up").symlink_to("..")
    (tmp_path / "a" / "top").symlink_to(tmp_path)
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")

    assert found(tmp_path) == ["a/b/x.md"]
    assert skipped(tmp_path) == {
        "a/b/up": ("duplicate", True),
        "a/top": ("duplicate", True),
        "one": ("broken_link", False),
        "two": ("broken_link", False),
    }


def test_links_out_of_the_root_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "outside/a.md", "root-sibling/b.md", "root/c.md")
    (tmp_path / "root" / "directory").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "file.md").symlink_to("../outside/a.md")
    (tmp_path / "root" / "sibling.md").symlink_to("../root-sibling/b.md")
    (tmp_path / "root" / "by-detour.md").symlink_to("../outside/back.md")
    (tmp_path / "outside" / "back.md").symlink_to("../root/c.md")

    assert found(tmp_path / "root") == ["c.md"]
    assert skipped(tmp_path / "root") == {
        "by-detour.md": ("duplicate", True),
        "directory": ("outside_root", False),
        "file.md": ("outside_root", False),
        "sibling.md": ("outside_root", False),
    }


def test_no_link_makes_a_secret_readable(tmp_path: Path) -> None:
    write(tmp_path, ".env", ".ssh/notes.md")
    (tmp_path / "notes.md").symlink_to(".env")
    (tmp_path / "keys.md").symlink_to(".ssh/notes.md")
    (tmp_path / "home").symlink_to(".ssh")

    assert found(tmp_path) == []
    assert {name: code for name, (code, _) in skipped(tmp_path).items()} == dict.fromkeys(
        [".env", ".ssh", "notes.md", "keys.md", "home"], "secret"
    )


def test_what_is_no_regular_file_is_skipped_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.md")
    with socket.socket(socket.AF_UNIX) as listener:
        os_path = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
        try:  # a socket's path is short: bind through the directory's descriptor
            listener.bind(f"/proc/self/fd/{os_path}/socket.md")
        finally:
            os.close(os_path)
    (tmp_path / "device.md").symlink_to("/dev/null")
    (tmp_path / "fifo-link.md").symlink_to("fifo.md")

    assert found(tmp_path) == []
    assert skipped(tmp_path) == {
        "fifo.md": ("not_a_regular_file", False),
        "socket.md": ("not_a_regular_file", False),
        "device.md": ("outside_root", False),
        "fifo-link.md": ("not_a_regular_file", False),
    }
    assert [type(item) for item in discover([tmp_path / "fifo.md"])] == [SkippedPath]


def test_a_path_that_does_not_exist_is_refused_before_anything_is_found(tmp_path: Path) -> None:
    write(tmp_path, "a.md")

    with pytest.raises(UsageError) as caught:
        discover([tmp_path, tmp_path / "it is" / "not here"])

    assert (caught.value.code, caught.value.hint) == ("no_such_path", f"ls {tmp_path}")
    assert str(tmp_path / "it is" / "not here") in caught.value.message


@pytest.mark.skipif(os.geteuid() == 0, reason="permission bits do not stop root")
def test_a_directory_without_permission_is_reported_and_the_rest_found(tmp_path: Path) -> None:
    write(tmp_path, "a/x.md", "b/x.md")
    (tmp_path / "a").chmod(0)
    try:
        unreadable, rest = discover([tmp_path])

        assert unreadable == UnreadableDirectory(path=tmp_path / "a", reason="permission denied")
        assert rest.path == tmp_path / "b" / "x.md"
    finally:
        (tmp_path / "a").chmod(0o700)


def test_a_directory_that_cannot_be_listed_is_reported_and_the_rest_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a/x.md", "b/x.md")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if path == str(tmp_path / "a"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)

    assert [item for item in discover([tmp_path]) if isinstance(item, UnreadableDirectory)] == [
        UnreadableDirectory(path=tmp_path / "a", reason="permission denied")
    ]
    assert found(tmp_path) == ["b/x.md"]


def test_a_path_too_long_to_list_is_reported(tmp_path: Path) -> None:
    """Nesting deeper than a path can be long, and than Python's stack is deep."""
    directory = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("dddd", dir_fd=directory)
        above, directory = directory, os.open("dddd", os.O_RDONLY, dir_fd=directory)
        os.close(above)
    os.close(directory)
    try:
        unreadable = [item for item in discover([tmp_path]) if isinstance(item, UnreadableDirectory)]

        assert [item.reason for item in unreadable] == [".gitignore: cannot be read: File name too long"]
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "dddd")], check=True)


def test_names_that_are_not_utf8_are_found(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.md")
    write(tmp_path, name)

    assert found(tmp_path) == [name]


def test_finding_is_lazy(tmp_path: Path) -> None:
    write(tmp_path, "a/x.md", "b/x.md")
    finding = discover([tmp_path])

    assert next(files(finding)).path == tmp_path / "a" / "x.md"
    write(tmp_path, "b/later.md")

    assert [item.path.name for item in files(finding)] == ["later.md", "x.md"]


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")


def files(items: Iterator[Found]) -> Iterator[FoundFile]:
    return (item for item in items if isinstance(item, FoundFile))


def found(root: Path) -> list[str]:
    return [str(item.path.relative_to(root)) for item in files(discover([root]))]


def skipped(root: Path, *named: Path) -> dict[str, tuple[str, bool]]:
    items = (item for item in discover([root, *named]) if isinstance(item, SkippedPath))
    return {str(item.path.relative_to(root)): (item.code, item.expected) for item in items}
