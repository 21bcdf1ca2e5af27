"""Operating system errors: their codes and hints."""

import errno
import os
from pathlib import Path

import pytest

from streamrag_cli.errors import ExitCode
from streamrag_cli.system_errors import exhausted_resource, refusal

STORE = Path("/nowhere/store")


def refused(number: int, *, writing: bool = False) -> tuple[str, bool]:
    """The error code, and whether the message or hint suggests a rebuild."""
    error = refusal(STORE, OSError(number, os.strerror(number)), writing=writing)
    return (error.code, "rebuild" in error.message + error.hint) if error else ("", False)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP])
def test_missing_paths_and_wrong_file_types_are_left_to_the_caller(number: int) -> None:
    assert refused(number) == ("", False)


@pytest.mark.parametrize(
    ("number", "reading", "writing"),
    [
        (errno.EACCES, "store_not_readable", "store_not_writable"),
        (errno.EPERM, "store_not_readable", "store_not_writable"),
        (errno.EMFILE, "too_many_open_files", "too_many_open_files"),
        (errno.ENFILE, "too_many_open_files", "too_many_open_files"),
        (errno.ENOMEM, "out_of_memory", "out_of_memory"),
        (errno.EIO, "store_io_error", "store_io_error"),
        (errno.ESTALE, "store_io_error", "store_io_error"),
        (errno.EROFS, "store_not_writable", "store_not_writable"),
        (errno.ENOSPC, "store_not_writable", "store_not_writable"),
        (errno.EDQUOT, "store_not_writable", "store_not_writable"),
    ],
)
def test_system_errors_are_never_reported_as_damage(number: int, reading: str, writing: str) -> None:
    assert refused(number) == (reading, False)
    assert refused(number, writing=True) == (writing, False)


def test_a_permission_error_names_the_owner_of_the_store(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    store = tmp_path / "store"
    store.mkdir()
    os.chown(store, 65534, 65534)
    reading = refusal(store, PermissionError(errno.EACCES, "Permission denied"))
    writing = refusal(store, PermissionError(errno.EACCES, "Permission denied"), writing=True)

    assert reading
    assert writing
    assert reading.message == (
        f"the store at {store} cannot be read: permission denied; it belongs to nobody, but this process runs as root"
    )
    assert reading.hint == (
        "run the command as nobody (sudo -u nobody streamrag ...), or give the group root read access:"
        f" sudo chgrp -R root {store} && sudo chmod -R g+rX {store}"
    )
    assert writing.hint == (
        "run the command as nobody (sudo -u nobody streamrag ...), or write to another store:"
        " streamrag ingest --store DIR PATH"
    )


class PanicException(BaseException):
    """An exception with the same name as the one that Rust libraries raise."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "out_of_memory"),
        (ImportError("libx.so: cannot open shared object file: Too many open files"), "too_many_open_files"),
        (ImportError("libx.so: failed to map segment from shared object"), "out_of_memory"),
        (RuntimeError("can't start new thread"), "out_of_memory"),
        (PanicException("called `Result::unwrap()`: Os { code: 24, message: \"Too many open files\" }"),
         "too_many_open_files"),
        (ValueError("Too many open files"), ""),
        (RuntimeError("a bug"), ""),
    ],
)  # fmt: skip
def test_exhausted_resources_are_recognised_in_errors_from_other_libraries(error: BaseException, code: str) -> None:
    exhausted = exhausted_resource(error)

    assert (exhausted.code if exhausted else "") == code
    assert exhausted is None or exhausted.exit_code == ExitCode.STORE


def test_exhausted_resources_are_recognised_in_the_cause_of_an_error() -> None:
    try:
        try:
            raise OSError(errno.EMFILE, "Too many open files")
        except OSError as cause:
            raise ValueError("no model") from cause
    except ValueError as error:
        exhausted = exhausted_resource(error)

    assert exhausted
    assert exhausted.code == "too_many_open_files"
