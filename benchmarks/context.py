"""Measures how often the known answer is in the text that is sent to the model, for several values of `--context`.

    python -m benchmarks.context DATA [--questions 400] [--chars 2300 1900]

DATA is a data set in BEIR layout with known answers. Prints the share of the questions whose answer is in the text that
is sent, the mean length of that text and of the whole prompt, in characters, and the processor time to choose the text,
in milliseconds per question.
"""

import argparse
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Final

from benchmarks.corpora import ingest_all, read_lines
from streamrag_cli.answer.focus import CHARS, PASSAGES, focus
from streamrag_cli.answer.prompt import messages
from streamrag_cli.evaluation import contains_answer, write_corpus
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.settings import Settings

WHOLE: Final = 5


@dataclass(slots=True)
class Sent:
    """One value per question."""

    has_answer: list[bool] = field(default_factory=list)
    chars: list[int] = field(default_factory=list)
    prompt_chars: list[int] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--chars", type=int, nargs="+", default=[CHARS])
    arguments = parser.parse_args()
    questions = [each for each in read_lines(arguments.data / "queries.jsonl") if each.get("answers")]
    questions = questions[:: max(1, len(questions) // arguments.questions)][: arguments.questions]
    lengths = [10**9, *arguments.chars]  # the first is longer than five whole passages
    results = {chars: Sent() for chars in lengths}
    with tempfile.TemporaryDirectory() as scratch:
        pages = Path(scratch, "pages")
        write_corpus(arguments.data / "corpus.jsonl", pages)
        settings = Settings(store=Path(scratch, "store"))
        ingest_all(pages, settings)
        with closing(Retriever.open(settings)) as retriever:
            for question in questions:
                retrieved = retriever.retrieve(question["text"], limit=PASSAGES, min_score=0)
                for chars in lengths:
                    started = time.thread_time()
                    chosen, texts = focus(retrieved, retriever.embedder, chars=chars, whole=WHOLE)
                    sent = results[chars]
                    sent.cpu_ms.append((time.thread_time() - started) * 1000)
                    sent.has_answer.append(contains_answer(" ".join(texts), question["answers"]))
                    sent.chars.append(sum(map(len, texts)))
                    prompt = messages(question["text"], chosen.hits, texts)
                    sent.prompt_chars.append(sum(len(text) for _, text in prompt))
    for chars, sent in results.items():
        name = f"{WHOLE} whole passages" if chars == lengths[0] else f"focused, {chars}"
        print(
            f"{name:<20} answer {fmean(sent.has_answer):.4f}  characters {fmean(sent.chars):,.0f}"
            f"  prompt {fmean(sent.prompt_chars):,.0f}  processor {median(sent.cpu_ms):.1f} ms"
        )


if __name__ == "__main__":
    main()
