"""The entry point: the one place that ends the process."""

import sys
import time
from typing import NoReturn


def main() -> NoReturn:
    """Run `streamrag` as the process's arguments say, and exit."""
    started_at = time.perf_counter()
    if sys.argv[1:] == ["--version"]:
        from streamrag_cli import __version__

        sys.stdout.write(f"streamrag {__version__}\n")
        sys.exit(0)

    from streamrag_cli.cli.signals import Interrupted, Signals

    signals = Signals()
    try:
        signals.raise_on_signal()
        from streamrag_cli.cli.process import Process

        process = Process.of_this(started_at, signals)
        from streamrag_cli.cli.program import run_program  # typer: 50 ms, which `--version` does not need

        code = run_program(process)
        signals.restore_default_handlers()
    except Interrupted as interruption:
        code = interruption.code
    sys.exit(code)
