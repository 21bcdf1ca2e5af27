"""Any other program, run where a warm command line runs."""

import subprocess


def main(*words: str) -> None:
    subprocess.run(words, check=True)
