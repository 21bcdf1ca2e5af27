"""Functions that damage a file."""

import random
from pathlib import Path
from typing import Final


def truncated(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def removed(file: Path) -> None:
    file.unlink()


def noise(file: Path) -> None:
    file.write_bytes(random.Random(1).randbytes(file.stat().st_size))


def noise_in_the_middle(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 2)
        opened.write(random.Random(1).randbytes(min(4096, file.stat().st_size // 4)))


DAMAGES: Final = (truncated, emptied, removed, noise, noise_in_the_middle)


def scribbled(file: Path, *, seed: int) -> None:
    """Overwrite up to 64 bytes, starting at a random byte that is not NUL."""
    chance = random.Random(seed)
    data = bytearray(file.read_bytes())
    start = chance.choice([index for index, byte in enumerate(data) if byte])
    count = chance.choice([1, 4, 16, 64])
    data[start : start + count] = chance.choices(b"abcdefgh 123\x00\xf6", k=count)
    file.write_bytes(data)
