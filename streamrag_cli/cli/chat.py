"""The command `streamrag chat`."""

from typing import Annotated

import typer

from streamrag_cli.cli import filter_flags, options
from streamrag_cli.cli.process import Process


def command(
    process: Process,
    *,
    continue_last: options.ContinueLast = False,
    thread: options.Thread = None,
    flags: options.SettingFlags,
    in_: filter_flags.In = None,
    since: filter_flags.Since = None,
    format_: filter_flags.Format = None,
    tag: filter_flags.Tag = None,
    output: options.OutputFlags,
    stop_on_error: Annotated[bool, typer.Option("--stop-on-error", help="Exit after the first failure.")] = False,
) -> int:
    """Ask questions that may refer to earlier ones.

    Answers look the same as in `ask`. If stdin is not a terminal, each line of stdin is a question, and the exit
    code is that of the last failure.
    """
    from streamrag_cli.cli.chat_start import run_chat  # imports asyncio and the renderers, 40 ms

    return run_chat(
        process,
        flags,
        output,
        scope=filter_flags.filter_from(process, in_, since, format_, tag),
        continues_last=continue_last,
        thread_prefix=thread,
        stops_on_error=stop_on_error,
    )
