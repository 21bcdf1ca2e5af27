"""`streamrag ask QUESTION`"""

import sys
import time
from typing import Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.engine import connection_to_engine
from streamrag_cli.cli.own_stages import own_stages, with_stages
from streamrag_cli.cli.process import environment, settings_from, startup_ms
from streamrag_cli.cli.streams import read_stdin
from streamrag_cli.errors import UsageError
from streamrag_cli.model import Question


def command(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="The question; - reads it from stdin.")],
    stdin: Annotated[bool, typer.Option("--stdin", help="Add the text on stdin to the question.")] = False,
    model: options.Model = None,
    base_url: options.BaseUrl = None,
    top_k: options.TopK = None,
    min_score: options.MinScore = None,
    max_answer_tokens: options.MaxAnswerTokens = None,
    max_answer: options.MaxAnswer = None,
    collection: options.Collection = None,
    store: options.Store = None,
    embedding: options.Embedding = None,
    json: options.Json = False,
    jsonl: options.JsonLines = False,
    no_stream: options.NoStream = False,
    quiet: options.Quiet = False,
    plain: options.Plain = False,
    timings: options.Timings = False,
    no_engine: options.NoEngine = False,
    debug: options.Debug = False,
) -> int:
    """Answer a question from the documents: sources, then the answer as it is written, then timings.

    The answer goes to stdout, all else to stderr. Without a model the answer is made of quotes.
    """
    accepted_at = time.perf_counter()
    stages = own_stages()
    settings = settings_from(
        {
            "model": model,
            "base_url": base_url,
            "top_k": top_k,
            "min_score": min_score,
            "max_answer_tokens": max_answer_tokens,
            "max_answer_s": max_answer,
            "collection": collection,
            "store": store,
            "embedding": embedding,
            "engine": "off" if no_engine else None,
        }
    )
    text, extra = read_question(question, stdin=stdin)
    asked = Question(
        text=text, extra=extra, accepted_at=accepted_at, startup_ms=startup_ms(accepted_at), with_stages=timings
    )
    stages.end("settings")
    connection = connection_to_engine("ask", asked, settings, debug=debug)
    stages.end("engine")
    # From here on the engine is at work: what shows its answer is imported meanwhile.
    if connection is None:
        from streamrag_cli.answer.pipeline import ask_once

        events = ask_once(asked, settings)
    else:
        from streamrag_cli.engine.client import ask

        events = ask(connection, asked, settings, debug=debug)

    if timings:
        events = with_stages(events, stages.spent_ms)

    from streamrag_cli.cli.drive import drive
    from streamrag_cli.cli.names import with_shown_names
    from streamrag_cli.render.renderer import Face, renderer_for

    face = Face(json=json, jsonl=jsonl, stream=not no_stream, quiet=quiet, plain=plain)
    renderer = renderer_for(face, out=sys.stdout, err=sys.stderr, terminal_type=environment().get("TERM", ""))
    return drive(with_shown_names(events), renderer)


def read_question(question: str, *, stdin: bool) -> tuple[str, str]:
    """The question and the text beside it. Only `-` and `--stdin` read stdin: an open pipe must not hang us."""
    if question == "-" and stdin:
        raise UsageError("- and --stdin both want stdin", code="usage", hint='streamrag ask --stdin "QUESTION"')
    if question == "-":
        return read_stdin(), ""
    # Bytes that are no UTF-8 come from the command line as lone surrogates, which nothing further on can encode.
    text = question.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text, read_stdin() if stdin else ""
