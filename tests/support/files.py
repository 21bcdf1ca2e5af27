"""Writes the files that a test starts from."""

from collections.abc import Mapping
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Write a text file, and create the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_files(folder: Path, texts: Mapping[str, str]) -> None:
    """Write a text file for each name below `folder`."""
    for name, text in texts.items():
        write(folder / name, text)
