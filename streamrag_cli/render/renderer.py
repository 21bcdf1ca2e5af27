"""Chooses the renderer for an answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TextIO

from streamrag_cli.events import AskEvent
from streamrag_cli.render.consoles import has_forced_color, is_dumb, size_of
from streamrag_cli.render.interface import Renderer

NARROWEST_COLUMNS: Final = 12  # Rich subtracts the list indent from the width, and drops the text if nothing is left


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """The output flags for `ask`. On a terminal, the answer always has footnotes.

    `hides_notice` is called with the code of a notice and returns whether to hide it on a terminal. `editor_uri` is the
    template for links to files. `thread` is the conversation in which the answer is logged, or "". `gives_up_s` is the
    time after which a silent model server counts as stalled; None without a model server.
    """

    json: bool = False
    jsonl: bool = False
    stream: bool = True
    quiet: bool = False
    plain: bool = False
    verbose: bool = False
    footnotes: bool = False
    hides_notice: Callable[[str], bool] | None = None
    editor_uri: str = ""
    thread: str = ""
    gives_up_s: float | None = None


def renderer_for(options: OutputOptions, *, out: TextIO, err: TextIO, terminal_type: str) -> Renderer[AskEvent]:
    """Return the renderer for these options and streams.

    A terminal that cannot move its cursor (`dumb`) or is too narrow for Markdown gets plain text. With
    `--color=always`, the text is rendered in colour, but the cursor is not moved.
    """
    if options.json or options.jsonl:
        from streamrag_cli.render.machine import JsonLines, JsonObject

        return JsonLines(out, err) if options.jsonl else JsonObject(out, err, thread=options.thread)

    from streamrag_cli.render.status_output import (  # imports rich, 60 ms; JSON output does not need it
        ErrorsOnly,
        StatusPanel,
    )

    plain = options.plain or is_dumb(terminal_type)
    is_colored = has_forced_color(plain=options.plain)
    is_live = out.isatty() and not plain and size_of(out)[0] >= NARROWEST_COLUMNS
    status = (
        ErrorsOnly(err)
        if options.quiet
        else StatusPanel(
            err,
            plain=plain and not is_colored,
            is_verbose=options.verbose,
            has_footnotes=is_live and err.isatty(),
            hides_notice=options.hides_notice if err.isatty() else None,
            editor_uri=options.editor_uri,
        )
    )
    renderer: Renderer[AskEvent]
    if is_live:
        from streamrag_cli.render.live import LiveMarkdown

        renderer = LiveMarkdown(out, status, stream=options.stream, editor_uri=options.editor_uri)
    elif is_colored:
        from streamrag_cli.render.live import AppendedMarkdown

        renderer = AppendedMarkdown(out, status, screen=err, stream=options.stream, has_footnotes=options.footnotes)
    else:
        from streamrag_cli.render.plain import PlainText

        renderer = PlainText(out, status, stream=options.stream, has_footnotes=options.footnotes)
    if err.isatty() and not plain and not options.quiet:
        from streamrag_cli.render.waiting import WaitingLine

        return WaitingLine(
            renderer, err, columns=lambda: size_of(err)[0], gives_up_s=options.gives_up_s if is_live else None
        )
    return renderer
