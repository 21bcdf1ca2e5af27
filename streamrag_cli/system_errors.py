"""Converts operating system errors to messages: permissions, file descriptors, memory, disk failures.

These errors do not mean that a file is damaged, and rebuilding the collection does not fix them. Callers must handle
missing files and paths of the wrong type (ENOENT, ENOTDIR, EISDIR) themselves.
"""

import errno
import os
import resource
import shlex
from pathlib import Path
from typing import Final

from streamrag_cli.errors import ResourceError, StoreError, StreamragError

_CONTENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL})
_PERMISSION: Final = frozenset({errno.EACCES, errno.EPERM})
_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE})
_MEMORY: Final = frozenset({errno.ENOMEM})
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_SPARE_DESCRIPTORS: Final = 16
"""The number of descriptors that SQLite or Chroma needs to open its files."""
_SPARE_FILE_BYTES: Final = 1_000_000
"""The maximum number of bytes by which SQLite extends a file in one step."""
_SPARE_BYTES: Final = 256_000_000
_DESCRIPTOR_WORDS: Final = ("too many open files", "os error 24", "os error 23")
_NATIVE_EXCEPTIONS: Final = ("PanicException", "RuntimeException", "Fail")
"""The class names of exceptions from Rust and onnxruntime, whose classes cannot be imported."""
_MEMORY_WORDS: Final = (
    "cannot allocate memory",
    "failed to map segment",
    "bad_alloc",
    "bad allocation",
    "out of memory",
    "os error 12",
    "can't start new thread",
    "memory allocation of",
    "unable to allocate",
    "insufficient memory",
)


def refusal(path: Path, error: OSError, *, writing: bool = False, keeper: str = "the store") -> StreamragError | None:
    """Return the error for a `path` that cannot be opened, read or written; None if it is missing or of the wrong type.

    `keeper` names what the file belongs to, such as "the store", and is used in the message.
    """
    if (exhausted := exhausted_resource(error)) is not None:
        return exhausted
    if error.errno in _PERMISSION:
        return _no_permission(path, writing=writing, keeper=keeper)
    if error.errno in _NO_SPACE:
        return StoreError(
            f"{keeper} at {path} cannot be written to: {error.strerror}",
            code="store_not_writable",
            hint="streamrag ingest --store DIR PATH",
        )
    if error.errno == errno.ENAMETOOLONG:
        return StoreError(
            f"{keeper} at {path} cannot be opened: {error.strerror}",
            code="path_too_long",
            hint="choose a shorter path: streamrag ingest --store DIR PATH",
        )
    if error.errno is None or error.errno in _CONTENT:
        return None
    return StoreError(
        f"{path} cannot be {'written to' if writing else 'read'}: {error.strerror}",
        code="store_io_error",
        hint="check the disk or network share: dmesg | tail",
        retryable=True,
    )


def exhausted_resource(error: BaseException) -> ResourceError | None:
    """Return the error for exhausted memory or file descriptors, if `error` or one of its causes reports this."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        number = current.errno if isinstance(current, OSError) else None
        has_message = (
            isinstance(current, OSError | ImportError | RuntimeError) or type(current).__name__ in _NATIVE_EXCEPTIONS
        )
        message = str(current).lower() if has_message else ""
        if isinstance(current, MemoryError) or number in _MEMORY or any(word in message for word in _MEMORY_WORDS):
            return out_of_memory()
        if number == errno.EFBIG:
            return file_size_limit()
        if number in _DESCRIPTORS or any(word in message for word in _DESCRIPTOR_WORDS):
            return too_many_open_files(for_all=number == errno.ENFILE)
        current = current.__cause__ or current.__context__
    return None


def exhausted_resource_in(message: str) -> ResourceError | None:
    """Like `exhausted_resource`, for a library's error message. Also checks for a lack of file descriptors."""
    lowered = message.lower()
    if any(word in lowered for word in _MEMORY_WORDS):
        return out_of_memory()
    if any(word in lowered for word in _DESCRIPTOR_WORDS) or not has_spare_descriptors():
        return too_many_open_files()
    return None


def cannot_open(file: Path, store: Path, *, writing: bool = False) -> StreamragError | None:
    """Find the reason why a library cannot open `file` of `store`, because the library's error does not contain it.

    Returns None if this function can open the same files.
    """
    if not has_spare_descriptors():
        return too_many_open_files()
    files_next_to_it = [file.with_name(f"{file.name}{suffix}") for suffix in ("-wal", "-shm", "-journal")]
    try:
        for path in (file, *(each for each in files_next_to_it if each.exists())):
            flags = (os.O_RDWR if writing else os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK
            os.close(os.open(path, flags))
    except OSError as error:
        return refusal(store, error, writing=writing)
    return None


def has_spare_descriptors() -> bool:
    opened: list[int] = []
    try:
        while len(opened) < _SPARE_DESCRIPTORS:
            opened += [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)]
    except OSError as error:
        return error.errno not in _DESCRIPTORS
    finally:
        for each in opened:
            os.close(each)
    return True


def require_resources() -> None:
    """Raise ResourceError if memory or descriptors are low, before calling a library that would abort the process."""
    if not has_spare_descriptors():
        raise too_many_open_files()
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit - memory_bytes()[0] < _SPARE_BYTES:
        raise out_of_memory()


def memory_bytes() -> tuple[int, int]:
    """Return the size of this process's address space and its resident memory, in bytes; zeros if unknown."""
    try:
        total_pages, resident_pages, *_ = map(int, Path("/proc/self/statm").read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return 0, 0
    return total_pages * resource.getpagesize(), resident_pages * resource.getpagesize()


def reached_file_size_limit(directory: Path) -> ResourceError | None:
    """Return the error for the limit on file sizes if a file in `directory` has almost reached the limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        sizes = [each.stat().st_size for each in os.scandir(directory) if each.is_file()]
    except OSError:
        return None
    return file_size_limit() if max(sizes, default=0) + _SPARE_FILE_BYTES >= limit else None


def file_size_limit() -> ResourceError:
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return ResourceError(
        f"a file in the store cannot grow: this process may write files of at most {limit / 1e6:,.1f} MB",
        code="file_size_limit",
        hint="raise the limit and retry: ulimit -f unlimited",
        retryable=True,
    )


def too_many_open_files(*, for_all: bool = False) -> ResourceError:
    if for_all:
        return ResourceError(
            "too many files are open on this machine",
            code="too_many_open_files",
            hint="raise the system's limit: sudo sysctl fs.file-max=1000000",
            retryable=True,
        )
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ResourceError(
        f"too many open files: the limit of this process is {limit}",
        code="too_many_open_files",
        hint=f"raise the limit and retry: ulimit -n {max(1024, 4 * limit)}",
        retryable=True,
    )


def out_of_memory() -> ResourceError:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    is_limited = limit != resource.RLIM_INFINITY
    limited = f": this process is limited to {limit / 1e6:,.0f} MB of address space" if is_limited else ""
    return ResourceError(
        f"not enough memory{limited}",
        code="out_of_memory",
        hint="raise the limit: ulimit -v unlimited" if limited else "close other programs and retry",
        retryable=True,
    )


def _no_permission(path: Path, *, writing: bool, keeper: str) -> StoreError:
    unreadable = _first_unreadable_folder(path)
    owner, me = _owner_of(unreadable or path), _name_of(os.geteuid())
    belongs = f"it belongs to {owner}, but this process runs as {me}" if owner else f"this process runs as {me}"
    action = "written to" if writing else "read"
    reason = f": permission denied for the folder {unreadable};" if unreadable else ": permission denied;"
    return StoreError(
        f"{keeper} at {path} cannot be {action}{reason} {belongs}",
        code="store_not_writable" if writing else "store_not_readable",
        hint=_permission_hint(unreadable or path, writing=writing, owner=owner, me=me),
    )


def _permission_hint(path: Path, *, writing: bool, owner: str, me: str) -> str:
    quoted = shlex.quote(str(path))
    if owner == me:
        return f"chmod -R u+{'rwX' if writing else 'rX'} {quoted}"
    as_owner = (
        f"run the command as {owner} (sudo -u {owner} streamrag ...), or"
        if owner
        else "run the command as the owner, or"
    )
    if writing:
        return f"{as_owner} write to another store: streamrag ingest --store DIR PATH"
    group = _group()
    return (
        f"{as_owner} give the group {group} read access: sudo chgrp -R {group} {quoted} && sudo chmod -R g+rX {quoted}"
    )


def _first_unreadable_folder(path: Path) -> Path | None:
    """Return the topmost folder above `path` that this process may not enter, or None."""
    above = reversed(path.absolute().parents)
    return next((each for each in above if os.access(each, os.F_OK) and not os.access(each, os.X_OK)), None)


def _owner_of(path: Path) -> str:
    for each in (path, *path.parents):
        try:
            return _name_of(each.stat().st_uid)
        except OSError:
            continue
    return ""


def _group() -> str:
    import grp  # rarely needed

    try:
        return grp.getgrgid(os.getegid()).gr_name
    except (KeyError, OSError):
        return str(os.getegid())


def _name_of(uid: int) -> str:
    import pwd  # rarely needed

    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError):
        return f"user {uid}"
