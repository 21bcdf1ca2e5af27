"""Markdown on a terminal while it is being written: `MarkdownStream`, which knows nothing of answers and sources.

Text goes through `parsing` (tokens that are safe to show), `blocks` (what is final), `rows` and `code` (what it looks
like), `preview` and `long_blocks` (what is still open) to `screen` (what to write); `stream` says when.
"""

from streamrag_cli.render.markdown.stream import MarkdownStream

__all__ = ["MarkdownStream"]
