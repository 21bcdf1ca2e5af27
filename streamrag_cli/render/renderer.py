"""Which renderer of an answer suits where."""

from dataclasses import dataclass
from typing import Final, TextIO

from streamrag_cli.events import AskEvent
from streamrag_cli.render.consoles import size_of
from streamrag_cli.render.interface import Renderer

_NARROWEST_COLUMNS: Final = 12  # Rich takes a list's indent off the width, and drops the text where nothing is left


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """How the answer is wanted: the flags of `ask`, as they are."""

    json: bool = False
    jsonl: bool = False
    stream: bool = True
    quiet: bool = False
    plain: bool = False


def renderer_for(face: OutputOptions, *, out: TextIO, err: TextIO, terminal_type: str) -> Renderer[AskEvent]:
    """The renderer for these streams.

    A terminal that cannot move its cursor (`dumb`) gets plain text, and one so narrow that no list fits into it, too.
    """
    if face.json or face.jsonl:
        from streamrag_cli.render.machine import JsonLines, JsonObject

        return JsonLines(out, err) if face.jsonl else JsonObject(out, err)

    from streamrag_cli.render.status_output import (  # rich: 60 ms, which machine output does not need
        ErrorsOnly,
        StatusPanel,
    )

    plain = face.plain or terminal_type == "dumb"
    side = ErrorsOnly(err) if face.quiet else StatusPanel(err, plain=plain)
    renderer: Renderer[AskEvent]
    if out.isatty() and not plain and size_of(out)[0] >= _NARROWEST_COLUMNS:
        from streamrag_cli.render.live import LiveMarkdown

        renderer = LiveMarkdown(out, side, stream=face.stream)
    else:
        from streamrag_cli.render.plain import PlainText

        renderer = PlainText(out, side, stream=face.stream)
    if err.isatty() and not plain and not face.quiet:
        from streamrag_cli.render.waiting import WaitingLine

        return WaitingLine(renderer, err, columns=size_of(err)[0])
    return renderer
