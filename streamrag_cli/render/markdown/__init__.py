"""Renders Markdown on a terminal while it is being written (`MarkdownStream`). Independent of answers and sources.

The pipeline: `blocks` finds the final blocks, `parsing` makes safe tokens, `rows` and `code` render them, `preview` and
`long_blocks` render the open block, and `screen` computes the bytes to write. `stream` schedules the frames.
"""

from streamrag_cli.render.markdown.stream import MarkdownStream

__all__ = ["MarkdownStream"]
