"""Measures how well the score separates questions about the documents from other questions.

    python -m benchmarks.relevance DOCUMENTS OTHER [--embedding openai:MODEL]

Both are folders in BEIR format. The documents in the first folder are ingested. The questions in this folder should get
an answer; the questions in the second folder and 20 questions about daily life should not. For several values of
`--min-score`, prints the share of each group that gets an answer. The other questions end with exit code 7.
"""

import argparse
import os
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks.corpora import ingest_all, read_lines
from streamrag_cli.evaluation import write_corpus
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.settings import Settings

MIN_SCORES: Final = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
DAILY_LIFE: Final = (
    "How do I bake sourdough bread?",
    "Who won the football world cup in 1998?",
    "What is the best way to prune roses in winter?",
    "When did the Roman Empire fall?",
    "How tall is Mount Everest?",
    "What are the symptoms of vitamin D deficiency?",
    "How long should I boil an egg?",
    "Who painted the Mona Lisa?",
    "What is the plot of Hamlet?",
    "How do I knit a scarf?",
    "What causes thunder?",
    "How do whales sleep?",
    "Which planet has the most moons?",
    "How can I train a puppy not to bite?",
    "What is a good recipe for lasagne?",
    "How do I change a bicycle tyre?",
    "Where do penguins live?",
    "Can cats eat chocolate?",
    "How do I get rid of moths in my wardrobe?",
    "What should I wear to a wedding?",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("documents", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--embedding", help="`openai:MODEL`, at OPENAI_BASE_URL with OPENAI_API_KEY")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        pages = Path(scratch, "pages")
        write_corpus(arguments.documents / "corpus.jsonl", pages)
        settings = Settings(
            store=Path(scratch, "store"),
            embedding=arguments.embedding,
            base_url=os.environ.get("OPENAI_BASE_URL"),
            api_key=os.environ.get("OPENAI_API_KEY"),
        )
        ingest_all(pages, settings)
        with closing(Retriever.open(settings)) as retriever:
            for name, questions in (
                ("its own", _questions(arguments.documents, arguments.limit)),
                ("other", _questions(arguments.other, arguments.limit)),
                ("daily life", list(DAILY_LIFE)),
            ):
                scores = [retriever.retrieve(each, limit=1, min_score=0).best_score for each in questions]
                shares = (f"{least:g}: {sum(s >= least for s in scores) / len(scores):.3f}" for least in MIN_SCORES)
                print(f"{name:<11} {len(questions):4} questions   {'   '.join(shares)}")


def _questions(folder: Path, limit: int) -> list[str]:
    questions = [str(entry["text"]) for entry in read_lines(folder / "queries.jsonl")]
    return questions[:: max(1, len(questions) // limit)][:limit]


if __name__ == "__main__":
    main()
