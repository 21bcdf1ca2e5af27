"""A process that a test makes up, in place of the one it runs in."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from streamrag_cli.cli.process import Process


def process(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    stdin: TextIO | None = None,
    out: TextIO | None = None,
    err: TextIO | None = None,
    working_directory: Path | None = None,
) -> Process:
    """One that was started with these arguments; its streams are in memory unless they are given."""
    return Process(
        arguments=arguments,
        environment=environment or {},
        stdin=stdin or io.StringIO(),
        out=out or io.StringIO(),
        err=err or io.StringIO(),
        working_directory=working_directory,
        started_at=0.0,
    )
