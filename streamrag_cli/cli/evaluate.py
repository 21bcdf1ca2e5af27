"""The command `streamrag eval`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.process import Process
from streamrag_cli.settings import Settings


def command(
    process: Process,
    *,
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="Folder with corpus.jsonl, queries.jsonl and qrels.tsv (BEIR format).")
    ],
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, metavar="N", help="Use only N questions, spread evenly over the set."),
    ] = None,
    by: Annotated[
        Literal["document", "chunk"],
        typer.Option(
            "--by",
            help="Rank documents by their best passage, or rank single passages (chunk), which requires known answers.",
        ),
    ] = "document",
    settings: Settings,
    json: options.Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Suppress progress, notes and the ingest summary.")] = (
        False
    ),
    plain: options.Plain = False,
) -> int:
    """Measure retrieval quality on a set of labelled questions.

    The relevant documents of each question must be known. Ingests DIR into a temporary store: a directory, or a
    separate schema if the store is in PostgreSQL.

    A question in queries.jsonl may have a "history", its conversation's earlier turns, oldest first:
    [{"question": "...", "answer": "..."}]. Such a question is asked as a follow-up.

    Documents are ranked by their best passage. The answer rate is the share of questions whose quotes from the best K
    passages (-k) contain a known answer; questions without a known answer are not counted.
    """
    from streamrag_cli.evaluation import evaluate
    from streamrag_cli.render.evaluation import EvaluationView, show_report

    view = EvaluationView(process.err, quiet=quiet, plain=plain)
    try:
        report = evaluate(
            Path(folder), settings, limit=limit, by=by, on_ingest=view.on_ingest, on_question=view.on_question
        )
    finally:
        view.close()
    show_report(report, out=process.out, json=json, plain=plain)
    return 0
