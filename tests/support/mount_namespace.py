"""File systems that only a test's processes see."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest


def mount_command(directory: Path, *options: str) -> Sequence[str]:
    """The command that mounts an empty file system at `directory`. Skips the test if mounting is not allowed."""
    command = ("mount", "-t", "tmpfs", *options, "tmpfs", str(directory))
    if subprocess.run(["unshare", "-m", *command], capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system is not allowed here")
    return command
