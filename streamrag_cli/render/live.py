"""The answer as live Markdown on a terminal.

While it is written, its newest part stands in a live region that never outgrows the screen; at the end that
region gives way to one render of the whole, which is what stays in scrollback.
"""

from typing import TYPE_CHECKING, Any, Final, TextIO

from streamrag_cli.events import AskEvent, Citations, Done, Error, Token
from streamrag_cli.render.consoles import console_for
from streamrag_cli.render.side import Side
from streamrag_cli.text import sanitise

if TYPE_CHECKING:
    from rich.live import Live
    from rich.markdown import Markdown

_FRAMES_PER_SECOND: Final = 12
_SHOWN_CHARS: Final = 4000  # of the newest text, so that a frame costs the same however long the answer is


class LiveMarkdown:
    """Renders each token into the live region; with `stream=False` only the finished answer."""

    def __init__(self, out: TextIO, side: Side, *, stream: bool) -> None:
        self._console = console_for(out, plain=False)
        self._side = side
        self._stream = stream
        self._text = ""
        self._live: Live | None = None

    def handle(self, event: AskEvent) -> None:
        match event:
            case Token(text=text):
                self._text += text
                if self._stream:
                    self._show()
            case Citations() | Done() | Error():
                self._end()
                self._side.handle(event)
            case _:
                self._side.handle(event)

    def close(self) -> None:
        self._end()
        self._side.close()

    def _show(self) -> None:
        from rich.live import Live

        if self._live is None:
            self._live = Live(
                console=self._console,
                get_renderable=self._newest,
                refresh_per_second=_FRAMES_PER_SECOND,
                transient=True,
                vertical_overflow="crop",
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def _newest(self) -> "Markdown":
        start = max(0, len(self._text) - _SHOWN_CHARS)
        if start:
            start = self._text.find("\n", start) + 1 or start
        return as_markdown(self._text[start:])

    def _end(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._text:
            self._console.print(as_markdown(self._text))
            self._text = ""


def as_markdown(text: str) -> "Markdown":
    """Rich's Markdown without hidden links, and safe after parsing too: an entity can become a control character."""
    from rich.markdown import Markdown

    markdown = Markdown(text, hyperlinks=False)
    for token in markdown.parsed:
        _sanitise_token(token)
    return markdown


def _sanitise_token(token: Any) -> None:
    token.content = sanitise(token.content)
    for child in token.children or ():
        _sanitise_token(child)
