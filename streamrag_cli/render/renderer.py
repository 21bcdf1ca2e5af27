"""Chooses the renderer of an answer."""

from dataclasses import dataclass
from typing import Final, TextIO

from streamrag_cli.events import AskEvent
from streamrag_cli.render.consoles import size_of
from streamrag_cli.render.interface import Renderer

NARROWEST_COLUMNS: Final = 12  # Rich subtracts the list indent from the width, and drops the text if nothing is left


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """The output flags of `ask`. On a terminal, the answer always has footnotes.

    `hidden_notices` are codes of notices to leave out on a terminal. `editor_uri` is the template of links to files.
    `thread` is the conversation in which the answer is logged, or "".
    """

    json: bool = False
    jsonl: bool = False
    stream: bool = True
    quiet: bool = False
    plain: bool = False
    verbose: bool = False
    footnotes: bool = False
    hidden_notices: frozenset[str] = frozenset()
    editor_uri: str = ""
    thread: str = ""


def renderer_for(options: OutputOptions, *, out: TextIO, err: TextIO, terminal_type: str) -> Renderer[AskEvent]:
    """The renderer for these options and streams.

    A terminal that cannot move its cursor (`dumb`) or that is too narrow for a list gets plain text.
    """
    if options.json or options.jsonl:
        from streamrag_cli.render.machine import JsonLines, JsonObject

        return JsonLines(out, err) if options.jsonl else JsonObject(out, err, thread=options.thread)

    from streamrag_cli.render.status_output import (  # imports rich, 60 ms; JSON output does not need it
        ErrorsOnly,
        StatusPanel,
    )

    plain = options.plain or terminal_type == "dumb"
    is_live = out.isatty() and not plain and size_of(out)[0] >= NARROWEST_COLUMNS
    status = (
        ErrorsOnly(err)
        if options.quiet
        else StatusPanel(
            err,
            plain=plain,
            is_verbose=options.verbose,
            has_footnotes=is_live,
            hidden_notices=options.hidden_notices if err.isatty() else (),
            editor_uri=options.editor_uri,
        )
    )
    renderer: Renderer[AskEvent]
    if is_live:
        from streamrag_cli.render.live import LiveMarkdown

        renderer = LiveMarkdown(out, status, stream=options.stream, editor_uri=options.editor_uri)
    else:
        from streamrag_cli.render.plain import PlainText

        renderer = PlainText(out, status, stream=options.stream, has_footnotes=options.footnotes)
    if err.isatty() and not plain and not options.quiet:
        from streamrag_cli.render.waiting import WaitingLine

        return WaitingLine(renderer, err, columns=size_of(err)[0])
    return renderer
