"""Checks that no library can send telemetry, and that no telemetry files from earlier versions exist."""

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
    """Check this process's telemetry variables, and the user's directories according to `environment`.

    Raises ConfigurationError `not_silenced`.
    """
    if variables := active_telemetry(os.environ):
        names, verb = ", ".join(variables), "is" if len(variables) == 1 else "are"
        message = f"a library may send telemetry: {names} {verb} not set to the value that disables it"
        hint = " ".join(["unset", *variables, "  (then: streamrag doctor)"])
        raise ConfigurationError(message, code="not_silenced", hint=hint)
    directories = onnxruntime_files(environment)
    if directories:
        message = (
            f"onnxruntime stored a device id and unsent telemetry in {' and '.join(map(str, directories))}; an"
            " earlier release candidate of streamrag or another program created these files"
        )
        hint = f"rm -r {shlex.join(map(str, (*directories, *_session_files(environment))))}"
        yield warning("telemetry", message, hint=hint, code="telemetry_files")
    else:
        yield ok("telemetry", "disabled in all libraries; onnxruntime has left no telemetry files")


def onnxruntime_files(environment: Mapping[str, str]) -> list[Path]:
    """Return the existing directories with telemetry files from onnxruntime.

    onnxruntime writes these files below `XDG_CACHE_HOME` if it is an absolute path, else below the home directory. Both
    are searched, because the engine runs without this variable.
    """
    caches = [Path(environment.get("HOME") or Path.home(), ".cache")]
    if environment.get("XDG_CACHE_HOME", "").startswith("/"):
        caches.insert(0, Path(environment["XDG_CACHE_HOME"]))
    return [cache / _ONNXRUNTIME for cache in dict.fromkeys(caches) if (cache / _ONNXRUNTIME).is_dir()]


def _session_files(environment: Mapping[str, str]) -> list[Path]:
    """Return the onnxruntime session files that this user has in the directories for temporary files."""
    folders = dict.fromkeys((environment.get("TMPDIR") or "/tmp", "/tmp"))  # noqa: S108 - only read
    files = [Path(folder, ".ses") for folder in folders]
    return [each for each in files if each.is_file() and each.lstat().st_uid == os.getuid()]
