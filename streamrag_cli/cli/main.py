"""The program's entry point."""

import os
import sys
import time
from typing import NoReturn


def main() -> NoReturn:
    """Run the command in `sys.argv` and exit with its exit code."""
    started_at = time.perf_counter()
    # The matrices for one question are small: more BLAS threads would double the CPU time without saving any time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if sys.argv[1:] == ["--version"]:
        from streamrag_cli import __version__

        sys.stdout.write(f"streamrag {__version__}\n")
        sys.exit(0)

    from streamrag_cli.cli.signals import Interrupted, Signals

    signals = Signals()
    try:
        signals.raise_on_signal()
        from streamrag_cli.cli.process import Process

        process = Process.current(started_at, signals)
        from streamrag_cli.cli.program import run_program  # imports typer, 50 ms

        code = run_program(process)
        signals.restore_default_handlers()
    except Interrupted as interruption:
        code = interruption.code
    sys.exit(code)
