"""Writes the files that a test starts from."""

from collections.abc import Mapping
from pathlib import Path


def write(path: Path, content: str | bytes) -> None:
    """Write a file, and create the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def write_files(folder: Path, contents: Mapping[str, str] | Mapping[str, bytes]) -> None:
    """Write a file for each name below `folder`."""
    for name, content in contents.items():
        write(folder / name, content)
