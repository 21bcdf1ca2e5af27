"""Coverage-guided fuzzing of one parser with atheris.

    pip install atheris
    python -m tests.support.fuzz documents -max_total_time=300

Arguments after the name are passed to libFuzzer. An input that causes a failure is written to a file; add it as an
example to `tests/faults/test_fuzz.py`.
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
