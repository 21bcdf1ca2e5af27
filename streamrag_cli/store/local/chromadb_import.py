"""Where chromadb may be imported."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def away_from_the_working_directory() -> Iterator[None]:
    """chromadb reads `.env` from the working directory while it is imported; nobody asked for that file."""
    try:
        home = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # the working directory is gone, so there is no file in it either
        yield
        return
    try:
        os.chdir("/")
        yield
    finally:
        os.fchdir(home)
        os.close(home)
