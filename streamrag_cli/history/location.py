"""The location of the log, and whether questions are logged.

$XDG_STATE_HOME/streamrag/log.db     the log (0600), in a private directory that the user owns (0700)
$XDG_STATE_HOME/streamrag/shown.json the sources that the last search showed (shown_sources.py)
$XDG_STATE_HOME/streamrag/log.off    exists if the user has run `streamrag log off`
"""

import os
from collections.abc import Mapping
from pathlib import Path

from streamrag_cli.errors import StoreError
from streamrag_cli.settings import Settings


class LogError(StoreError):
    """The log cannot be opened, read or written. It never prevents an answer."""


def log_file(environment: Mapping[str, str]) -> Path:
    """The path of the log.

    Raises LogError `no_log_directory` if neither XDG_STATE_HOME nor HOME is an absolute path.
    """
    state = Path(environment.get("XDG_STATE_HOME", ""))
    home = Path(environment.get("HOME", ""))
    if not state.is_absolute() and not home.is_absolute():
        raise LogError(
            "there is no directory for the log, because HOME is not set",
            code="no_log_directory",
            hint='export HOME="$(getent passwd "$(id -u)" | cut -d: -f6)"',
        )
    return (state if state.is_absolute() else home / ".local/state") / "streamrag" / "log.db"


def why_not_logged(settings: Settings, environment: Mapping[str, str], *, in_ci: bool) -> str:
    """The reason why questions are not logged, for messages; "" if they are."""
    if settings.log_questions == "off":
        return "the setting log_questions is off"
    if in_ci:
        return "the environment variable CI is set"
    try:
        return "logging was switched off with: streamrag log off" if _off_file(environment).exists() else ""
    except (OSError, LogError):
        return ""  # reported when an answer is recorded


def switch_log(environment: Mapping[str, str], *, on: bool) -> None:
    """Switch logging on or off for all of this user's later questions. Raises LogError."""
    file = _off_file(environment)
    try:
        if on:
            file.unlink(missing_ok=True)
        else:
            make_private_directory(file.parent)
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600))
    except OSError as error:
        raise not_writable(file, error.strerror or str(error)) from error


def make_private_directory(directory: Path) -> None:
    """Create the directory. If this user already has it, deny access to other users. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.stat()
    if status.st_uid == os.getuid() and status.st_mode & 0o077:
        directory.chmod(0o700)


def why_not_writable(file: Path) -> str:
    """The reason why the log cannot be written, for messages; "" if it can. Creates nothing."""
    folder = next(each for each in file.parents if each.exists() or each == each.parent)
    if not folder.is_dir():
        return f"{folder} is not a folder"
    for path, mode in ((folder, os.W_OK | os.X_OK), (file, os.W_OK)):
        if path.exists() and not os.access(path, mode):
            return f"{path} is not writable"
    return ""


def not_writable(file: Path, reason: str) -> LogError:
    return LogError(
        f"the log {file} cannot be written: {reason}",
        code="log_not_writable",
        hint="check the folder and its permissions, or switch the log off: export STREAMRAG_LOG_QUESTIONS=off",
    )


def _off_file(environment: Mapping[str, str]) -> Path:
    return log_file(environment).with_name("log.off")
