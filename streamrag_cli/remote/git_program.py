"""Runs the `git` program for repositories that are not trusted.

It ignores the user's and the system's configuration, runs no hooks, never asks for a password, uses only the address's
protocol, and follows no redirects. It is stopped if it exceeds a time or size limit. Passwords come from `~/.netrc`.
"""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from streamrag_cli.errors import DocumentError
from streamrag_cli.text import sanitise_line

MAX_BYTES: Final = 2_000_000_000
"""The maximum size of a repository with one commit."""
_MAX_OUTPUT_BYTES: Final = 256_000_000
_POLL_S: Final = 0.05
_CHECK_SIZE_EVERY_S: Final = 1.0
_INHERITED: Final = re.compile(
    r"PATH|HOME|TMPDIR|SSH_AUTH_SOCK|SSL_CERT_(?:FILE|DIR)|GIT_SSL_CAINFO|(?:https?|all|no)_proxy|(?:HTTPS?|ALL|NO)_PROXY"
)
_CONFIG: Final = (
    "http.followRedirects=false", "http.lowSpeedLimit=1000", "http.lowSpeedTime=30", "credential.helper=",
    "core.askPass=", "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.symlinks=false", "gc.auto=0",
    "maintenance.auto=false", "fetch.unpackLimit=1", "fetch.recurseSubmodules=false", "submodule.recurse=false",
)  # fmt: skip
_ERRORS: Final = (
    (r"(?m)^(?:fatal|error): .*No space left on device", "copy_not_writable",
     "the copy of the repository cannot be written: no space left on device"),
    (r"could not read (?:Username|Password)|Authentication failed|terminal prompts disabled|returned error: 40[13]",
     "login_required", "the server requires a login; put the user name and password into ~/.netrc"),
    (r"Permission denied \(|Host key verification failed",
     "login_required", "ssh cannot log in without prompting for input"),
    (r"returned error: 30\d|redirect", "redirected", "the server redirects to another address; ingest that address"),
    (r"returned error: 404|not found|does not (?:appear to be a git repository|exist)|No such file",
     "no_such_repository", "there is no repository at this address"),
    (r"not our ref|find remote ref", "no_such_ref", "the repository has no such branch, tag or commit"),
    (r"Could not resolve host|Name or service not known", "unreachable", "the host name cannot be resolved"),
    (r"Connection refused|Failed to connect|No route to host|Connection reset|Network is unreachable",
     "unreachable", "cannot connect to the host"),
    (r"timed? ?out|Operation too slow|less than \d+ bytes/sec", "timed_out", "the server did not answer in time"),
    (r"dubious ownership", "not_owned", "the repository belongs to another user"),
)  # fmt: skip


def git_command(*arguments: str) -> list[str]:
    return ["git", *(word for each in _CONFIG for word in ("-c", each)), *arguments]


def git_environment(environment: Mapping[str, str], protocol: str = "") -> dict[str, str]:
    """The environment in which `git` may use only one protocol, such as `https`."""
    inherited = {name: value for name, value in environment.items() if _INHERITED.fullmatch(name)}
    return {
        **inherited,
        "PATH": inherited.get("PATH") or os.defpath,
        "LC_ALL": "C",
        "GIT_ALLOW_PROTOCOL": protocol,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "false",
        "SSH_ASKPASS": "false",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=15",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_LAZY_FETCH": "1",
    }


def run_git(arguments: Sequence[str], directory: Path, environment: Mapping[str, str], *, limit_s: float) -> bytes:
    """Run `git` in `directory`, and return its output.

    Raises DocumentError `git_missing`, `git_failed`, `timed_out`, `too_large` or a code in `_ERRORS`; OSError.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                git_command(*arguments),
                cwd=directory,
                env={**environment, "GIT_CEILING_DIRECTORIES": str(directory.parent)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise DocumentError("the program git is not installed", code="git_missing") from None
        try:
            _wait(process, directory, output, errors, limit_s=limit_s)
        finally:
            _stop(process)
        if process.returncode:
            raise _failure(_content(errors, 8192).decode("utf-8", "replace"))
        return _content(output, _MAX_OUTPUT_BYTES)


def _wait(
    process: "subprocess.Popen[bytes]", directory: Path, output: IO[bytes], errors: IO[bytes], *, limit_s: float
) -> None:
    ends_at = time.monotonic() + limit_s
    check_size_at = time.monotonic() + _CHECK_SIZE_EVERY_S
    while process.poll() is None:
        now = time.monotonic()
        if now > ends_at:
            raise DocumentError(f"the server did not answer within {limit_s:.0f} s", code="timed_out", retryable=True)
        if max(os.fstat(output.fileno()).st_size, os.fstat(errors.fileno()).st_size) > _MAX_OUTPUT_BYTES:
            raise DocumentError("the server sent too much data", code="too_large")
        if now > check_size_at:
            if _size_bytes(directory) > MAX_BYTES:
                raise DocumentError(f"the repository is larger than {MAX_BYTES / 1e9:g} GB", code="too_large")
            check_size_at = now + _CHECK_SIZE_EVERY_S
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_S)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Stop the process and its child processes."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _content(file: IO[bytes], limit_bytes: int) -> bytes:
    file.seek(0)
    return file.read(min(limit_bytes, os.fstat(file.fileno()).st_size))  # a read allocates memory for all of its bytes


def _failure(message: str) -> DocumentError:
    for pattern, code, reason in _ERRORS:
        if re.search(pattern, message):
            return DocumentError(reason, code=code, retryable=code in {"unreachable", "timed_out"})
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    fatal = next((line for line in reversed(lines) if line.startswith(("fatal:", "error:"))), "git failed")
    return DocumentError(sanitise_line(fatal.partition(": ")[2] or fatal)[:200], code="git_failed")


def _size_bytes(directory: Path) -> int:
    size = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                size += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - called often
    return size
