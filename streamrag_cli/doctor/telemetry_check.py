"""Whether any library could report home, and whether one has left files with which an earlier version did."""

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from streamrag_cli.doctor.findings import Finding, ok, warning
from streamrag_cli.errors import ConfigurationError
from streamrag_cli.telemetry import active_telemetry

_ONNXRUNTIME: Final = Path("Microsoft", "DeveloperTools", ".onnxruntime")


def check_telemetry(environment: Mapping[str, str]) -> Iterator[Finding]:
    """`environment` names the user's folders; the switches are read from this process's own.

    Raises ConfigurationError `active_telemetry`.
    """
    if loud := active_telemetry(os.environ):
        message = f"a library may report home: {', '.join(loud)} not as streamrag sets it"
        hint = " ".join(["unset", *loud, "  (then: streamrag doctor)"])
        raise ConfigurationError(message, code="not_silenced", hint=hint)
    left = onnxruntime_files(environment)
    if left:
        said = (
            f"onnxruntime keeps an id of this device and reports not sent yet in {' and '.join(map(str, left))}:"
            " made by an earlier release candidate of streamrag, or by another program"
        )
        hint = f"rm -r {shlex.join(map(str, (*left, *_sessions(environment))))}"
        yield warning("telemetry", said, hint=hint, code="telemetry_files")
    else:
        yield ok("telemetry", "switched off in every library; onnxruntime has left no files")


def onnxruntime_files(environment: Mapping[str, str]) -> list[Path]:
    """The directories in which onnxruntime's telemetry keeps its files, as far as they exist.

    It takes `XDG_CACHE_HOME` if that is absolute. The engine has no such variable and took the home directory.
    """
    caches = [Path(environment.get("HOME") or Path.home(), ".cache")]
    if environment.get("XDG_CACHE_HOME", "").startswith("/"):
        caches.insert(0, Path(environment["XDG_CACHE_HOME"]))
    return [cache / _ONNXRUNTIME for cache in dict.fromkeys(caches) if (cache / _ONNXRUNTIME).is_dir()]


def _sessions(environment: Mapping[str, str]) -> list[Path]:
    """The files beside them that number a session, in the folder for temporary files; those of this user."""
    folders = dict.fromkeys((environment.get("TMPDIR") or "/tmp", "/tmp"))  # noqa: S108 - looked for, not written
    files = [Path(folder, ".ses") for folder in folders]
    return [each for each in files if each.is_file() and each.lstat().st_uid == os.getuid()]
