"""Creates a `Process` for tests, with its own arguments, environment and streams."""

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
    """A process with these arguments. Streams that are not passed are kept in memory."""
    return Process(
        arguments=arguments,
        environment=environment or {},
        stdin=stdin or io.StringIO(),
        out=out or io.StringIO(),
        err=err or io.StringIO(),
        working_directory=working_directory,
        started_at=0.0,
    )
