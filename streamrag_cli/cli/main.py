"""The entry point: the one place that reads the process's arguments and environment and ends the process."""

import sys
import time
from typing import Final, NoReturn

STARTED_AT: Final = time.perf_counter()


def main() -> NoReturn:
    """Run `streamrag` as the process's arguments say, and exit."""
    if sys.argv[1:] == ["--version"]:
        from streamrag_cli import __version__

        sys.stdout.write(f"streamrag {__version__}\n")
        sys.exit(0)

    from streamrag_cli.cli.interruption import Interrupted, raise_on_signals, stop_catching

    try:
        raise_on_signals()
        from streamrag_cli.cli.process import run  # typer: 50 ms, which `--version` does not need

        code = run(sys.argv[1:])
        stop_catching()
    except Interrupted as interruption:
        code = interruption.code
    sys.exit(code)
