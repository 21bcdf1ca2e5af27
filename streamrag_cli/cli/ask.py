"""`streamrag ask QUESTION`"""

import time
from dataclasses import replace
from typing import Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.own_stages import own_stages, startup_ms, with_stages
from streamrag_cli.cli.process import Process, settings_from
from streamrag_cli.cli.streams import read_all
from streamrag_cli.errors import UsageError
from streamrag_cli.model import Question
from streamrag_cli.service.interface import Service
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings


def command(
    process: Process,
    *,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="The question; - reads it from stdin.")],
    stdin: Annotated[bool, typer.Option("--stdin", help="Add the text on stdin to the question.")] = False,
    flags: options.SettingFlags,
    json: options.Json = False,
    jsonl: options.JsonLines = False,
    no_stream: options.NoStream = False,
    quiet: options.Quiet = False,
    plain: options.Plain = False,
    timings: options.Timings = False,
) -> int:
    """Answer a question from the documents: sources, then the answer as it is written, then timings.

    The answer goes to stdout, all else to stderr. Without a model the answer is made of quotes.
    """
    accepted_at = time.perf_counter()
    stages = own_stages(process)
    settings = settings_from(process, flags)
    text, extra = read_question(question, process, stdin=stdin, command="ask")
    asked = Question(
        text=text, extra=extra, accepted_at=accepted_at, startup_ms=startup_ms(accepted_at), with_stages=timings
    )
    stages.end("settings")
    events = service_of(process, settings).ask(asked, settings)
    stages.end("engine")
    if timings:
        events = with_stages(events, stages.spent_ms)

    # The engine is at work by now: what shows its answer is imported beside that.
    from streamrag_cli.cli.names import with_shown_names
    from streamrag_cli.cli.run import run
    from streamrag_cli.render.renderer import Face, renderer_for

    face = Face(json=json, jsonl=jsonl, stream=not no_stream, quiet=quiet, plain=plain)
    terminal_type = process.environment.get("TERM", "")
    renderer = renderer_for(face, out=process.out, err=process.err, terminal_type=terminal_type)
    return run(with_shown_names(events, process.display_names), renderer, process, part_of="answer")


def service_of(process: Process, settings: Settings) -> Service:
    """Who answers a command: the engine, or this process if the engine is not to be used or fails."""
    if settings.engine == "off" or process.environment.get("CI", "").lower() not in {"", "0", "false"}:
        return LocalService()
    from streamrag_cli.engine.client import EngineService  # sockets, 20 ms

    return EngineService(process.environment, LocalService())


def read_question(question: str, process: Process, *, stdin: bool, command: str) -> tuple[str, str]:
    """The question and the text beside it. Only `-` and `--stdin` read stdin: an open pipe must not hang us."""
    process.asked = replace(process.asked, command=command)
    if question == "-" and stdin:
        raise UsageError("- and --stdin both want stdin", code="usage", hint='streamrag ask --stdin "QUESTION"')
    if question == "-":
        return read_all(process.stdin, process.err), ""
    # Bytes that are no UTF-8 come from the command line as lone surrogates, which nothing further on can encode.
    text = question.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if stdin:
        return text, read_all(process.stdin, process.err)
    process.asked = replace(process.asked, question=text)
    return text, ""
