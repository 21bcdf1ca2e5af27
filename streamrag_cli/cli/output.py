"""Converts a command's flags and settings to options for the renderer of answers."""

from streamrag_cli.cli.once_a_day import is_first_today
from streamrag_cli.cli.options import OutputFlags
from streamrag_cli.events import QUOTES_ONLY
from streamrag_cli.render.renderer import OutputOptions
from streamrag_cli.settings import Settings


def output_options(flags: OutputFlags, settings: Settings, *, thread: str = "") -> OutputOptions:
    """Return the options for `renderer_for`. `thread` is the conversation in which the answer is logged, or ""."""

    def hides_notice(code: str) -> bool:
        """Whether to hide a notice: the advice to connect a model is shown only once a day."""
        return code == QUOTES_ONLY.code and not is_first_today(settings.state_directory, code)

    return OutputOptions(
        json=flags["json"],
        jsonl=flags["jsonl"],
        stream=not flags["no_stream"],
        quiet=flags["quiet"],
        plain=flags["plain"],
        verbose=flags["verbose"],
        footnotes=flags["footnotes"],
        hides_notice=hides_notice,
        editor_uri=settings.editor_uri,
        thread=thread,
        gives_up_s=settings.timeout_s if settings.names_a_model else None,
    )
