"""Runs another program in the namespaces of a warm command line."""

import subprocess


def main(*words: str) -> None:
    subprocess.run(words, check=True)
