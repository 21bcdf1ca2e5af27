"""`streamrag eval DIR`"""

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
        str, typer.Argument(metavar="DIR", help="Folder with corpus.jsonl, queries.jsonl and qrels.tsv (BEIR layout).")
    ],
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Take N questions, evenly spread.")
    ] = None,
    by: Annotated[
        Literal["document", "chunk"],
        typer.Option("--by", help="Rank documents by their best chunk, or the chunks, which need known answers."),
    ] = "document",
    settings: Settings,
    json: options.Json = False,
    quiet: options.Quiet = False,
    plain: options.Plain = False,
) -> int:
    """Measure retrieval on questions with known answers, in a throw-away store.

    With a store in PostgreSQL that is a schema of its own beside the others, else a directory.

    Documents are ranked by their best chunk. The answer rate is the share of questions whose quoted answer, made
    from the best -k chunks, contains a known answer.
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
