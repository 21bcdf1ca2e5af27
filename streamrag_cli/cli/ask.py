"""`streamrag ask QUESTION`"""

import os
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.process import Process, settings_from
from streamrag_cli.cli.streams import read_all
from streamrag_cli.errors import UsageError
from streamrag_cli.events import AskEvent, Done
from streamrag_cli.model import Question
from streamrag_cli.service.interface import Service
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings
from streamrag_cli.stages import Stages


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
    stages = _own_stages(process)
    settings = settings_from(process, flags)
    text, extra = read_question(question, process, stdin=stdin, command="ask")
    asked = Question(
        text=text, extra=extra, accepted_at=accepted_at, startup_ms=_startup_ms(accepted_at), with_stages=timings
    )
    stages.end("settings")
    events = service_of(process, settings).ask(asked, settings)
    stages.end("engine")
    if timings:
        events = _with_stages(events, stages.spent_ms)

    # The engine is at work by now: what shows its answer is imported beside that.
    from streamrag_cli.cli.run import run
    from streamrag_cli.cli.source_names import with_shown_names
    from streamrag_cli.render.renderer import OutputOptions, renderer_for

    face = OutputOptions(json=json, jsonl=jsonl, stream=not no_stream, quiet=quiet, plain=plain)
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


def _own_stages(process: Process) -> Stages:
    """The stages of this process, from its start; now its imports are done."""
    stages = Stages(process.started_at)
    stages.spent_ms["interpreter"] = _startup_ms(process.started_at) or 0.0
    stages.end("imports")
    return stages


def _startup_ms(now: float) -> float | None:
    """Milliseconds from the start of this process to the `perf_counter` reading `now`; None if the system hides it."""
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[19])
    except (OSError, IndexError, ValueError):
        return None
    started = ticks / os.sysconf("SC_CLK_TCK")
    elapsed = time.clock_gettime(time.CLOCK_BOOTTIME) - started - (time.perf_counter() - now)
    return max(0.0, elapsed * 1000)


async def _with_stages(
    events: AsyncGenerator[AskEvent, None], own_ms: Mapping[str, float]
) -> AsyncGenerator[AskEvent, None]:
    """The same events, whose end tells where this process's own milliseconds went before its own."""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Done):
                stages = {**own_ms, **(event.timings.stages or {})}
                yield replace(event, timings=replace(event.timings, stages=stages))
            else:
                yield event
