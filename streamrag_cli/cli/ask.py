"""The command `streamrag ask`."""

import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from streamrag_cli.cli import completion, filter_flags, options
from streamrag_cli.cli.process import Process, settings_from
from streamrag_cli.cli.streams import read_all
from streamrag_cli.errors import UsageError
from streamrag_cli.events import AskEvent, Done
from streamrag_cli.model import Question, Turn
from streamrag_cli.service.interface import Service
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings
from streamrag_cli.stages import Stages


def command(
    process: Process,
    *,
    question: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[QUESTION]...",
            help="The question. If it is missing or -, it is read from stdin.",
            autocompletion=completion.nothing,
        ),
    ] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Add the text on stdin to the question.")] = False,
    continue_last: options.ContinueLast = False,
    thread: options.Thread = None,
    flags: options.SettingFlags,
    in_: filter_flags.In = None,
    since: filter_flags.Since = None,
    format_: filter_flags.Format = None,
    tag: filter_flags.Tag = None,
    output: options.OutputFlags,
) -> int:
    """Answer a question from your documents and cite sources.

    Prints the sources, the answer as it is generated, and timings. The answer goes to stdout, everything else to
    stderr. Without a model, answers are quotes from the documents.
    """
    accepted_at = time.perf_counter()
    stages = _process_stages(process)
    continued = ""
    history: tuple[Turn, ...] = ()
    conversation_line = ""
    if continue_last or thread is not None:
        from streamrag_cli.cli import conversation  # imports SQLite

        earlier = conversation.to_continue(process, flags, last=continue_last, prefix=thread)
        continued, history, flags = earlier.thread, earlier.answered, options.SettingFlags(earlier.flags)
        conversation_line = earlier.description
        process.hint_command = replace(
            process.hint_command, conversation="-C" if continue_last else f"--thread {continued}"
        )
    settings = settings_from(process, flags)
    scope = filter_flags.filter_from(process, in_, since, format_, tag)
    text, extra = read_question(question or (), process, stdin=stdin, command="ask")
    request = Question(
        text=text,
        extra=extra,
        accepted_at=accepted_at,
        startup_ms=_startup_ms(accepted_at),
        with_stages=output["timings"],
        history=history,
        thread=continued,
        filter=scope,
    )
    stages.end("settings")
    events = service_for(process, settings).ask(request, settings)
    stages.end("engine")
    logged = request
    announces = not (output["json"] or output["jsonl"] or output["quiet"])
    if settings.log_questions == "on":
        from streamrag_cli.cli.conversation import new_thread, recorded

        logged = replace(request, thread=continued or new_thread(process, settings))
        events = recorded(events, logged, settings, process, announce=announces)
    if output["timings"]:
        events = _with_stages(events, stages.spent_ms)
    if process.err.isatty() and announces:
        from streamrag_cli.cli.conversation import remembering_sources  # imports SQLite

        events = remembering_sources(events, settings, process, only_closest=True)

    # This import is late because the engine already works on the question in the meantime.
    from streamrag_cli.cli.output import output_options
    from streamrag_cli.cli.run import run
    from streamrag_cli.cli.source_names import with_shown_names
    from streamrag_cli.render.renderer import renderer_for

    if conversation_line and process.err.isatty() and announces:
        conversation.print_description(conversation_line, process, plain=output["plain"])
    terminal_type = process.environment.get("TERM", "")
    shown_as = output_options(output, settings, thread=logged.thread)
    renderer = renderer_for(shown_as, out=process.out, err=process.err, terminal_type=terminal_type)
    return run(with_shown_names(events, process.display_names), renderer, process, part_of="answer")


def service_for(process: Process, settings: Settings, local: Service | None = None) -> Service:
    """Return the service that answers a command: the engine, or `local` if the engine is disabled or fails.

    The default `local` opens and closes the collection for each question.
    """
    service = local or LocalService()
    if settings.engine == "on" and not process.in_ci:
        from streamrag_cli.engine.client import EngineService  # imports sockets, 20 ms

        service = EngineService(process.environment, service)
    if settings.fresh == "on":
        from streamrag_cli.cli.fresh import FreshService  # imports asyncio, 30 ms

        service = FreshService(service, process)
    return service


def read_question(words: Sequence[str], process: Process, *, stdin: bool, command: str) -> tuple[str, str]:
    """Return the question and the text to add to it. The words of the question may be separate arguments.

    Stdin is read only with `-`, with `--stdin` or if there is no question, because an open pipe must not block.
    """
    process.hint_command = replace(process.hint_command, command=command)
    question = " ".join(words)
    placeholder = "QUERY" if command == "search" else "QUESTION"
    if question == "-" and stdin:
        message = "- and --stdin cannot be combined: both read stdin"
        raise UsageError(message, code="usage", hint='streamrag ask --stdin "QUESTION"')
    if not words and (stdin or process.stdin.isatty()):
        raise UsageError(f"missing {placeholder}", code="usage", hint=f'streamrag {command} "{placeholder}"')
    if question == "-" or not words:
        return read_all(process.stdin, process.err), ""
    # Python decodes invalid UTF-8 in arguments as lone surrogates, which cannot be encoded later.
    text = question.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    process.hint_command = replace(process.hint_command, question=text, reads_stdin=stdin)
    return text, read_all(process.stdin, process.err) if stdin else ""


def _process_stages(process: Process) -> Stages:
    """Return the durations of the stages since this process started. Call this when the imports are done."""
    stages = Stages(process.started_at)
    stages.spent_ms["interpreter"] = _startup_ms(process.started_at) or 0.0
    stages.end("imports")
    return stages


def _startup_ms(now: float) -> float | None:
    """Return the milliseconds from the start of this process to `now` (a `perf_counter` time); None without `/proc`."""
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[19])
    except (OSError, IndexError, ValueError):
        return None
    started_s = ticks / os.sysconf("SC_CLK_TCK")
    elapsed_s = time.clock_gettime(time.CLOCK_BOOTTIME) - started_s - (time.perf_counter() - now)
    return max(0.0, elapsed_s * 1000)


async def _with_stages(
    events: AsyncGenerator[AskEvent, None], stages_ms: Mapping[str, float]
) -> AsyncGenerator[AskEvent, None]:
    """Yield the events. In `Done`, add the durations in `stages_ms` before those of the answer's stages."""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Done):
                stages = {**stages_ms, **(event.timings.stages or {})}
                yield replace(event, timings=replace(event.timings, stages=stages))
            else:
                yield event
