"""What the operating system refuses, in words: permission, descriptors, memory, a disk that fails.

None of these says anything about the content of a file, so none is damage and no rebuild repairs it. A file that is
missing, or is of another kind (ENOENT, ENOTDIR, EISDIR), is left to the caller, who knows what that means.
"""

import errno
import os
import resource
import shlex
from pathlib import Path
from typing import Final

from streamrag_cli.errors import ResourceError, StoreError, StreamragError

_CONTENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL, errno.ENAMETOOLONG})
_PERMISSION: Final = frozenset({errno.EACCES, errno.EPERM})
_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE})
_MEMORY: Final = frozenset({errno.ENOMEM})
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_SPARE_DESCRIPTORS: Final = 16
"""As many as SQLite or Chroma want at once to open their files."""
_SPARE_BYTES: Final = 256_000_000
_DESCRIPTOR_WORDS: Final = ("too many open files", "os error 24", "os error 23")
_FOREIGN: Final = ("PanicException", "RuntimeException", "Fail")
"""Exceptions of Rust and of onnxruntime, which have no importable names."""
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
    """Why the system would not let `path` be opened, read or written; None if the file is missing or of another kind.

    `keeper` is what the file belongs to, as a message calls it.
    """
    if (lack := exhausted_resource(error)) is not None:
        return lack
    if error.errno in _PERMISSION:
        return _no_permission(path, writing=writing, keeper=keeper)
    if error.errno in _NO_ROOM:
        return StoreError(
            f"{keeper} at {path} cannot be written: {error.strerror}",
            code="store_not_writable",
            hint="streamrag ingest --store DIR PATH",
        )
    if error.errno is None or error.errno in _CONTENT:
        return None
    return StoreError(
        f"{path} cannot be {'written' if writing else 'read'}: {error.strerror}",
        code="store_io_error",
        hint="check the disk or network share that it is on: dmesg | tail",
        retryable=True,
    )


def exhausted_resource(error: BaseException) -> ResourceError | None:
    """What the process has run out of, if that is what `error`, or an error behind it, says."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        number = current.errno if isinstance(current, OSError) else None
        speaks = isinstance(current, OSError | ImportError | RuntimeError) or type(current).__name__ in _FOREIGN
        said = str(current).lower() if speaks else ""
        if isinstance(current, MemoryError) or number in _MEMORY or any(word in said for word in _MEMORY_WORDS):
            return out_of_memory()
        if number in _DESCRIPTORS or any(word in said for word in _DESCRIPTOR_WORDS):
            return too_many_open_files(for_all=number == errno.ENFILE)
        current = current.__cause__ or current.__context__
    return None


def exhausted_resource_in(message: str) -> ResourceError | None:
    """The same, of a foreign library's message; a library that names no cause is checked for lack of descriptors."""
    said = message.lower()
    if any(word in said for word in _MEMORY_WORDS):
        return out_of_memory()
    if any(word in said for word in _DESCRIPTOR_WORDS) or not has_spare_descriptors():
        return too_many_open_files()
    return None


def cannot_open(file: Path, store: Path, *, writing: bool = False) -> StreamragError | None:
    """Why a library cannot open `file` of `store`, which it does not say: found by opening what it opens.

    None if nothing refuses it now.
    """
    if not has_spare_descriptors():
        return too_many_open_files()
    beside = [file.with_name(f"{file.name}{suffix}") for suffix in ("-wal", "-shm", "-journal")]
    try:
        for path in (file, *(each for each in beside if each.exists())):
            os.close(os.open(path, (os.O_RDWR if writing else os.O_RDONLY) | os.O_CLOEXEC))
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
    """Raise ResourceError if there is not enough for a library that ends the process when it runs out."""
    if not has_spare_descriptors():
        raise too_many_open_files()
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit - memory_bytes()[0] < _SPARE_BYTES:
        raise out_of_memory()


def memory_bytes() -> tuple[int, int]:
    """This process's address space, and what of it is in memory; zeros if the system does not say."""
    try:
        in_all, ingested_cli, *_ = map(int, Path("/proc/self/statm").read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return 0, 0
    return in_all * resource.getpagesize(), ingested_cli * resource.getpagesize()


def too_many_open_files(*, for_all: bool = False) -> ResourceError:
    if for_all:
        return ResourceError(
            "too many files are open on this machine",
            code="too_many_open_files",
            hint="raise the limit of the system: sudo sysctl fs.file-max=1000000",
            retryable=True,
        )
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ResourceError(
        f"too many open files: this process may have {limit}",
        code="too_many_open_files",
        hint="raise the limit and run it again: ulimit -n 1024",
        retryable=True,
    )


def out_of_memory() -> ResourceError:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    is_limited = limit != resource.RLIM_INFINITY
    limited = f": this process may have {limit / 1e6:,.0f} MB of address space" if is_limited else ""
    return ResourceError(
        f"not enough memory{limited}",
        code="out_of_memory",
        hint="raise the limit: ulimit -v unlimited" if limited else "end other programs, and run it again",
        retryable=True,
    )


def _no_permission(path: Path, *, writing: bool, keeper: str) -> StoreError:
    blocked = _blocked_folder(path)
    owner, me = _owner_of(blocked or path), _name_of(os.geteuid())
    belongs = f"it belongs to {owner}, and this process runs as {me}" if owner else f"this process runs as {me}"
    what = "written" if writing else "read"
    where = f": {blocked} cannot be entered;" if blocked else ": permission denied;"
    return StoreError(
        f"{keeper} at {path} cannot be {what}{where} {belongs}",
        code="store_not_writable" if writing else "store_not_readable",
        hint=_permission_hint(blocked or path, writing=writing, owner=owner, me=me),
    )


def _permission_hint(path: Path, *, writing: bool, owner: str, me: str) -> str:
    quoted = shlex.quote(str(path))
    if owner == me:
        return f"chmod -R u+{'rwX' if writing else 'rX'} {quoted}"
    as_owner = f"run it as {owner} (sudo -u {owner} streamrag ...), or" if owner else "run it as the owner, or"
    if writing:
        return f"{as_owner} write to another store: streamrag ingest --store DIR PATH"
    group = _group()
    return f"{as_owner} let the group {group} read it: sudo chgrp -R {group} {quoted} && sudo chmod -R g+rX {quoted}"


def _blocked_folder(path: Path) -> Path | None:
    """The first folder on the way to `path` that this process may not enter."""
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
    import grp  # nothing else needs it

    try:
        return grp.getgrgid(os.getegid()).gr_name
    except (KeyError, OSError):
        return str(os.getegid())


def _name_of(uid: int) -> str:
    import pwd  # nothing else needs it

    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError):
        return f"user {uid}"
