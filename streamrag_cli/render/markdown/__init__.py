"""Renders Markdown on a terminal while it is being written (`MarkdownStream`). Does not depend on answers or sources.

The main modules are the steps of rendering: `blocks` finds the final blocks, `parsing` produces safe tokens, `rows` and
`code` render them, `preview` and `long_blocks` render the open block, and `screen` computes the output. `stream`
schedules the frames.
"""

from streamrag_cli.render.markdown.stream import MarkdownStream

__all__ = ["MarkdownStream"]
