"""Feeds rubbish to one reader, led by the paths that it takes through the code.

    pip install atheris
    python -m tests.support.fuzz documents -max_total_time=300

What follows the name is for libFuzzer. An input that breaks a reader is written to a file; it becomes a case of
`test_fuzz`.
"""

import sys

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

with atheris.instrument_imports(include=["streamrag_cli"]):
    from tests.support.fuzz_targets import READERS


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in READERS:
        sys.exit(f"which reader? {', '.join(READERS)}")
    reader = READERS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, reader)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
