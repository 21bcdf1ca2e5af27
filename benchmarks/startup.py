"""Measures the time that `streamrag --version` and `--help` take, compared with `python -c pass`.

    python -m benchmarks.startup

The commands take turns, so that a busy machine slows all of them; the figure is the median of the ratios per round.
"""

import argparse
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    program = str(Path(sysconfig.get_path("scripts"), "streamrag"))
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "streamrag --version": [program, "--version"],
        "streamrag --help": [program, "--help"],
        "streamrag ask --help": [program, "ask", "--help"],
    }
    for command in commands.values():
        _timed(command)
    times = [{name: _timed(command) for name, command in commands.items()} for _ in range(rounds)]
    for name in commands:
        milliseconds = statistics.median(each[name] for each in times) * 1000
        ratio = statistics.median(each[name] / each["python -c pass"] for each in times)
        print(f"{name:<22} {milliseconds:6.0f} ms {ratio:6.1f} x")


def _timed(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
