import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamrag_cli.documents.discover import discover
from streamrag_cli.documents.discovery_results import DiscoveryResult, FoundFile, SkippedPath, UnreadableDirectory
from streamrag_cli.errors import UsageError
from tests.support.files import write_files


def test_files_are_found_depth_first_ordered_by_name(tmp_path: Path) -> None:
    write(tmp_path, "b.md", "c/a.txt", "c/d/x.rst", "a.md", "z.csv")

    assert found_paths(tmp_path) == ["a.md", "b.md", "c/a.txt", "c/d/x.rst", "z.csv"]


def test_a_discovered_file_has_a_name_a_root_and_a_real_path(tmp_path: Path) -> None:
    write(tmp_path, "a.md")

    assert list(discover([tmp_path])) == [
        FoundFile(
            name=str(tmp_path / "a.md"),
            root=tmp_path,
            real=str(tmp_path / "a.md"),
        )
    ]


def test_skipped_paths_are_reported_with_their_reason(tmp_path: Path) -> None:
    write(tmp_path, "a.png", ".hidden.md", ".git/config", ".ssh/a.md", "id_rsa.txt", "server.PEM", ".env.local.md")
    write(tmp_path, "credentials.json", "credentials.md", ".cache/a.md")

    assert found_paths(tmp_path) == [".env.local.md", "credentials.md"]
    assert skipped(tmp_path) == {
        "a.png": "unsupported",
        ".hidden.md": "hidden",
        ".cache": "hidden",
        ".git": "hidden",
        ".ssh": "secret",
        "id_rsa.txt": "secret",
        "server.PEM": "secret",
        "credentials.json": "secret",
    }


def test_files_in_a_named_hidden_folder_are_found_but_secrets_are_not(tmp_path: Path) -> None:
    write(tmp_path, ".kit/guide.md", ".kit/.git/description.md", ".kit/.env.json", ".kit/.aws/notes.md")

    assert found_paths(tmp_path / ".kit") == ["guide.md"]


@pytest.mark.parametrize("name", [".env", ".hidden.md", "id_rsa", "tls.key", "data.unknown", ".git/config"])
def test_an_explicitly_named_file_is_found_even_if_hidden_secret_or_unsupported(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)

    assert found_paths(tmp_path / name) == ["."]


def test_overlapping_paths_yield_each_file_once(tmp_path: Path) -> None:
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

    assert [(str(Path(item.name).relative_to(tmp_path)), item.root) for item in files(discover(paths))] == [
        ("a/c/d.md", tmp_path / "a" / "c"),
        ("a/b.md", tmp_path),
        ("e.md", tmp_path),
    ]


def test_a_named_secret_is_not_also_reported_as_skipped(tmp_path: Path) -> None:
    write(tmp_path, ".env")

    assert list(discover([tmp_path / ".env", tmp_path])) == list(discover([tmp_path / ".env"]))


def test_a_named_path_below_another_named_path_is_not_skipped(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, "a.md", ".env", "data.unknown", "ignored/b.md", ".hidden/c.md", ".hidden/.d.md", "../outside.md")
    (root / ".gitignore").write_text("ignored\n")
    (root / "link.md").symlink_to("../outside.md")
    named = [root / name for name in (".env", "data.unknown", "ignored", ".hidden/.d.md", "link.md")]

    assert [
        (str(Path(item.name).relative_to(root)), str(Path(str(item.root)).relative_to(root)))
        for item in files(discover([root, *named]))
    ] == [
        (".env", "."),
        ("a.md", "."),
        ("data.unknown", "."),
        ("ignored/b.md", "."),
        (".hidden/.d.md", ".hidden/.d.md"),
        ("link.md", "link.md"),
    ]
    assert set(skipped(root, *named)) == {".gitignore", ".hidden"}


def test_a_named_link_to_a_directory_is_walked(tmp_path: Path) -> None:
    write(tmp_path, "real/a.md")
    (tmp_path / "link").symlink_to("real")

    assert [(item.path, item.root) for item in files(discover([tmp_path / "link"]))] == [
        (tmp_path / "link" / "a.md", tmp_path / "link")
    ]


def test_links_inside_the_root_are_followed_unless_they_lead_to_duplicates(tmp_path: Path) -> None:
    write(tmp_path, "z.md", ".store/v2/guide.md", ".store/page.md")
    (tmp_path / "a.md").symlink_to("z.md")
    (tmp_path / "current").symlink_to(".store/v2")
    (tmp_path / "page.md").symlink_to(".store/page.md")

    assert found_paths(tmp_path) == ["z.md", "current/guide.md", "page.md"]
    assert skipped(tmp_path) == {".store": "hidden", "a.md": "duplicate"}


@pytest.mark.fault("special-files")
def test_discovery_does_not_loop_forever_through_links(tmp_path: Path) -> None:
    write(tmp_path, "a/b/x.md")
    (tmp_path / "a" / "b" / "up").symlink_to("..")
    (tmp_path / "a" / "top").symlink_to(tmp_path)
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")

    assert found_paths(tmp_path) == ["a/b/x.md"]
    assert skipped(tmp_path) == {
        "a/b/up": "duplicate",
        "a/top": "duplicate",
        "one": "broken_link",
        "two": "broken_link",
    }


@pytest.mark.fault("special-files")
def test_links_out_of_the_root_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "outside/a.md", "root-sibling/b.md", "root/c.md")
    (tmp_path / "root" / "directory").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "file.md").symlink_to("../outside/a.md")
    (tmp_path / "root" / "sibling.md").symlink_to("../root-sibling/b.md")
    (tmp_path / "root" / "by-detour.md").symlink_to("../outside/back.md")
    (tmp_path / "outside" / "back.md").symlink_to("../root/c.md")

    assert found_paths(tmp_path / "root") == ["c.md"]
    assert skipped(tmp_path / "root") == {
        "by-detour.md": "duplicate",
        "directory": "outside_root",
        "file.md": "outside_root",
        "sibling.md": "outside_root",
    }


def test_a_secret_is_skipped_even_if_a_link_leads_to_it(tmp_path: Path) -> None:
    write(tmp_path, ".env", ".ssh/notes.md")
    (tmp_path / "notes.md").symlink_to(".env")
    (tmp_path / "keys.md").symlink_to(".ssh/notes.md")
    (tmp_path / "home").symlink_to(".ssh")

    assert found_paths(tmp_path) == []
    assert skipped(tmp_path) == dict.fromkeys([".env", ".ssh", "notes.md", "keys.md", "home"], "secret")


@pytest.mark.fault("special-files")
def test_devices_and_pipes_are_skipped_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.md")
    with socket.socket(socket.AF_UNIX) as listener:
        os_path = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
        try:  # socket paths must be short, so bind through the directory's descriptor
            listener.bind(f"/proc/self/fd/{os_path}/socket.md")
        finally:
            os.close(os_path)
    (tmp_path / "device.md").symlink_to("/dev/null")
    (tmp_path / "fifo-link.md").symlink_to("fifo.md")

    assert found_paths(tmp_path) == []
    assert skipped(tmp_path) == {
        "fifo.md": "not_a_regular_file",
        "socket.md": "not_a_regular_file",
        "device.md": "outside_root",
        "fifo-link.md": "not_a_regular_file",
    }
    assert [type(item) for item in discover([tmp_path / "fifo.md"])] == [SkippedPath]


def test_a_nonexistent_path_is_rejected_before_discovery_starts(tmp_path: Path) -> None:
    write(tmp_path, "a.md")

    with pytest.raises(UsageError) as caught:
        discover([tmp_path, tmp_path / "it is" / "not here"])

    assert (caught.value.code, caught.value.hint) == ("no_such_path", f"ls {tmp_path}")
    assert str(tmp_path / "it is" / "not here") in caught.value.message


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("docs.example.org/guide", "https://docs.example.org/guide"),
        ("github.com/birds/heron", "git+https://github.com/birds/heron"),
        ("git@example.org:birds/heron.git", "git+ssh://git@example.org/birds/heron.git"),
    ],
)
def test_the_hint_for_a_missing_path_suggests_the_address_it_resembles(
    tmp_path: Path, typed: str, address: str
) -> None:
    with pytest.raises(UsageError) as caught:
        discover([tmp_path / typed])

    assert caught.value.hint == f"ls {tmp_path}, or if it is an address: streamrag ingest {address}"


@pytest.mark.skipif(os.geteuid() == 0, reason="permission bits do not stop root")
def test_a_directory_without_permission_is_reported_and_the_rest_is_found(tmp_path: Path) -> None:
    write(tmp_path, "a/x.md", "b/x.md")
    (tmp_path / "a").chmod(0)
    try:
        unreadable, rest = discover([tmp_path])

        assert unreadable == UnreadableDirectory(path=tmp_path / "a", reason="permission denied")
        assert rest.path == tmp_path / "b" / "x.md"
    finally:
        (tmp_path / "a").chmod(0o700)


def test_a_directory_that_cannot_be_listed_is_reported_and_the_rest_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a/x.md", "b/x.md")
    scandir = os.scandir

    def refusing(directory: int | Path) -> object:
        if isinstance(directory, int) and os.path.samestat(os.fstat(directory), (tmp_path / "a").stat()):
            raise PermissionError(13, "Permission denied")
        return scandir(directory)

    monkeypatch.setattr(os, "scandir", refusing)

    assert [item for item in discover([tmp_path]) if isinstance(item, UnreadableDirectory)] == [
        UnreadableDirectory(path=tmp_path / "a", reason="permission denied")
    ]
    assert found_paths(tmp_path) == ["b/x.md"]


def test_a_path_too_long_to_list_is_reported(tmp_path: Path) -> None:
    """The directories are nested deeper than the longest possible path and Python's recursion limit."""
    directory = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("dddd", dir_fd=directory)
        above, directory = directory, os.open("dddd", os.O_RDONLY, dir_fd=directory)
        os.close(above)
    os.close(directory)
    try:
        unreadable = [item for item in discover([tmp_path]) if isinstance(item, UnreadableDirectory)]

        assert [item.reason for item in unreadable] == ["file name too long"]
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "dddd")], check=True)


def test_files_with_names_that_are_not_utf_8_are_found(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.md")
    write(tmp_path, name)

    assert found_paths(tmp_path) == [name]


def test_discovery_is_lazy(tmp_path: Path) -> None:
    write(tmp_path, "a/x.md", "b/x.md")
    finding = discover([tmp_path])

    assert next(files(finding)).path == tmp_path / "a" / "x.md"
    write(tmp_path, "b/later.md")

    assert [item.path.name for item in files(finding)] == ["later.md", "x.md"]


def write(root: Path, *names: str) -> None:
    write_files(root, dict.fromkeys(names, "text"))


def files(items: Iterator[DiscoveryResult]) -> Iterator[FoundFile]:
    return (item for item in items if isinstance(item, FoundFile))


def found_paths(root: Path) -> list[str]:
    return [str(Path(item.name).relative_to(root)) for item in files(discover([root]))]


def skipped(root: Path, *named: Path) -> dict[str, str]:
    items = (item for item in discover([root, *named]) if isinstance(item, SkippedPath))
    return {str(Path(item.name).relative_to(root)): item.code for item in items}


SECRET_NAMES = (
    "prod-credentials.json", "clientSecret.json", "DB_PASSWORDS.csv", "api-keys.toml", "apikey.ini", "private-key.json",
    "backup_codes.csv", "vault.yaml", "deploy/access_token.json", "my.kubeconfig.yaml", "prod.tfstate.json",
    "ssh_key.yaml", "keepass-export.csv", "htpasswd", "secrets/anything.yaml", "secrets/deep/b.csv", "wp-config.php",
    "sa/service-account-prod.json", "wg1.conf", "Kennwörter.csv", "tls.key.txt",
)  # fmt: skip
PROSE_NAMES = (
    "secrets-management.md", "id_rsa_howto.txt", ".env.md", "password-policy.md", "tokens.rst", "vault-guide.txt",
    "tokenizer.json", "design-tokens.json", "tokens.css", "password_reset.py", "secretary.csv", "secretariat.csv",
    "secrets.py", "credentials.go", "secrets/readme.md", "secrets/rotate.py", "compass.csv", "keyboard.json",
    "password-reset.json", "secret.html", "passenger.csv", "monkey.json", "hockey.csv",
)  # fmt: skip


@pytest.mark.fault("secrets-withheld")
@pytest.mark.parametrize("name", SECRET_NAMES)
def test_data_files_with_secret_names_are_skipped_unless_named_explicitly(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)

    assert found_paths(tmp_path) == []
    assert skipped(tmp_path) == {name: "secret"}
    assert found_paths(tmp_path / name) == ["."]


@pytest.mark.fault("pages-about-secrets")
@pytest.mark.parametrize("name", PROSE_NAMES)
def test_files_whose_names_only_resemble_secrets_are_found(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)

    assert found_paths(tmp_path) == [name]


def test_files_with_suspicious_names_are_found_and_marked_as_suspicious(tmp_path: Path) -> None:
    write(tmp_path, "passwords.txt", "settings.xml", "token.json", "guide.md", "secrets/notes.txt")

    assert {item.path.name: item.suspicion for item in files(discover([tmp_path]))} == {
        "guide.md": "",
        "passwords.txt": "unless_prose",
        "settings.xml": "if_hinted",
        "token.json": "if_hinted",
        "notes.txt": "unless_prose",
    }


def test_a_link_to_a_secret_is_skipped_regardless_of_the_links_name(tmp_path: Path) -> None:
    write(tmp_path, ".store/db-secret.yaml")
    (tmp_path / "config.yaml").symlink_to(".store/db-secret.yaml")

    assert skipped(tmp_path) == {".store": "hidden", "config.yaml": "secret"}


@pytest.mark.fault("generated-files")
def test_generated_and_vendored_files_are_skipped_unless_named_explicitly(tmp_path: Path) -> None:
    write(tmp_path, "package-lock.json", "web/app.min.js", "web/app.js.map", "web/app.js", "go.sum", "schema_pb2.py")
    write(tmp_path, "node_modules/a/readme.md", "env/pyvenv.cfg", "env/a.md", "rust/Cargo.toml", "rust/target/doc/a.md")
    write(tmp_path, "target/guide.md", "vendor/guide.md", "go/vendor/modules.txt", "go/vendor/a/a.go", "lock.md")
    write(tmp_path, "cache/a.md", "not-a-cache/CACHEDIR.TAG", "not-a-cache/a.md", "venv-howto.md")
    write(tmp_path, "store/collections/default/current.json", "store/collections/default/writer.lock")
    (tmp_path / "cache" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")

    assert found_paths(tmp_path) == [
        "lock.md",
        "not-a-cache/a.md",
        "rust/Cargo.toml",
        "target/guide.md",
        "vendor/guide.md",
        "venv-howto.md",
        "web/app.js",
    ]
    left_out = {name for name, code in skipped(tmp_path).items() if code == "generated"}
    assert left_out == {
        "cache", "env", "go.sum", "go/vendor", "node_modules", "package-lock.json", "rust/target", "schema_pb2.py",
        "store/collections/default", "web/app.js.map", "web/app.min.js",
    }  # fmt: skip
    assert found_paths(tmp_path / "node_modules") == ["a/readme.md"]
    assert found_paths(tmp_path / "cache") == ["a.md"]
    assert found_paths(tmp_path / "package-lock.json") == ["."]


def test_exclude_patterns_are_gitignore_patterns_relative_to_each_path(tmp_path: Path) -> None:
    write(tmp_path, "a/x.md", "a/x.csv", "a/drafts/y.md", "a/deep/drafts/z.md", "b/x.csv", "b/drafts.md", "a/#1.md")
    exclude = ["*.csv", "/drafts/", "!b/x.csv", "#1.md"]

    items = list(discover([tmp_path / "a", tmp_path / "b", tmp_path / "b" / "x.csv"], exclude=exclude))
    assert [str(Path(item.name).relative_to(tmp_path)) for item in items if isinstance(item, FoundFile)] == [
        "a/deep/drafts/z.md",
        "a/x.md",
        "b/drafts.md",
    ]
    excluded = [item for item in items if isinstance(item, SkippedPath)]
    assert {(str(Path(item.name).relative_to(tmp_path)), item.code) for item in excluded} == {
        ("a/#1.md", "excluded"),
        ("a/drafts", "excluded"),
        ("a/x.csv", "excluded"),
        ("b/x.csv", "excluded"),
    }


def test_excludes_apply_to_named_files_and_nested_paths_but_not_to_named_folders(tmp_path: Path) -> None:
    write(tmp_path, "docs/a.md", "docs/drafts/b.md")
    both = [tmp_path / "docs", tmp_path / "docs" / "drafts"]

    assert [item.path.name for item in files(discover(both, exclude=["drafts"]))] == ["a.md"]
    assert [item.path.name for item in files(discover(both[1:], exclude=["drafts"]))] == ["b.md"]
    assert [item.path.name for item in files(discover([tmp_path / "docs" / "a.md"], exclude=["*.md"]))] == []


@pytest.mark.parametrize("pattern", ["/", "[", "!", "\\"])
def test_a_pattern_that_matches_nothing_is_rejected_before_discovery_starts(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(UsageError) as caught:
        discover([tmp_path], exclude=[pattern])

    assert caught.value.code == "bad_pattern"
