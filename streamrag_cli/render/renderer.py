"""Chooses the renderer of an answer."""

from dataclasses import dataclass
from typing import Final, TextIO

from streamrag_cli.events import AskEvent
from streamrag_cli.render.consoles import size_of
from streamrag_cli.render.interface import Renderer

NARROWEST_COLUMNS: Final = 12  # Rich subtracts the list indent from the width, and drops the text if nothing is left


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """The output flags of `ask`."""

    json: bool = False
    jsonl: bool = False
    stream: bool = True
    quiet: bool = False
    plain: bool = False


def renderer_for(options: OutputOptions, *, out: TextIO, err: TextIO, terminal_type: str) -> Renderer[AskEvent]:
    """The renderer for these options and streams.

    A terminal that cannot move its cursor (`dumb`) or that is too narrow for a list gets plain text.
    """
    if options.json or options.jsonl:
        from streamrag_cli.render.machine import JsonLines, JsonObject

        return JsonLines(out, err) if options.jsonl else JsonObject(out, err)

    from streamrag_cli.render.status_output import (  # imports rich, 60 ms; JSON output does not need it
        ErrorsOnly,
        StatusPanel,
    )

    plain = options.plain or terminal_type == "dumb"
    status = ErrorsOnly(err) if options.quiet else StatusPanel(err, plain=plain)
    renderer: Renderer[AskEvent]
    if out.isatty() and not plain and size_of(out)[0] >= NARROWEST_COLUMNS:
        from streamrag_cli.render.live import LiveMarkdown

        renderer = LiveMarkdown(out, status, stream=options.stream)
    else:
        from streamrag_cli.render.plain import PlainText

        renderer = PlainText(out, status, stream=options.stream)
    if err.isatty() and not plain and not options.quiet:
        from streamrag_cli.render.waiting import WaitingLine

        return WaitingLine(renderer, err, columns=size_of(err)[0])
    return renderer
