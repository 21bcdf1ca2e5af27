"""Formats timings: the line after the answer, and the stages of `--timings`."""

from collections.abc import Mapping

from streamrag_cli.events import Done


def timings_line(done: Done, *, columns: int | None = None) -> str:
    """Return the timings, the model and its token usage as one line; unknown values are omitted.

    Fields are dropped from the end until the line fits into `columns`.

    >>> from streamrag_cli.model import Timings, Usage
    >>> usage = Usage(input_tokens=812, output_tokens=1097, total_tokens=1909)
    >>> times = Timings(retrieval_ms=41.3, first_token_ms=320.0, total_ms=2140.0, tokens_per_second=53.1)
    >>> done = Done(finish_reason="stop", model="llama3.2", usage=usage, timings=times)
    >>> timings_line(done)
    'first words 320 ms · done 2.1 s · llama3.2 · 812 + 1,097 tokens'
    >>> timings_line(done, columns=40)
    'first words 320 ms · done 2.1 s'
    """
    from rich.cells import cell_len  # already imported by the console

    times = done.timings
    steps = (("first words", times.first_token_ms), ("done", times.total_ms))
    parts = [f"{label} {duration(value)}" for label, value in steps if value is not None]
    parts.append(done.model)
    if done.usage is not None:
        parts.append(f"{done.usage.input_tokens:,} + {done.usage.output_tokens:,} tokens")
    while columns is not None and len(parts) > 1 and cell_len(" · ".join(parts)) > columns:
        parts.pop()
    return " · ".join(parts)


def stage_lines(stages: Mapping[str, float], *, is_aligned: bool = True) -> list[str]:
    """Return the time spent in each stage, one line per stage.

    If the lines are aligned, a stage's steps are indented below it.

    >>> stage_lines({"imports": 61.24, "retrieval": 20.0, "retrieval: embed": 8.5})
    ['  imports        61.2 ms', '  retrieval      20.0 ms', '    embed         8.5 ms']
    >>> stage_lines({"retrieval": 20.0, "retrieval: embed": 8.5}, is_aligned=False)
    ['retrieval 20.0 ms', 'retrieval: embed 8.5 ms']
    """
    if not is_aligned:
        return [f"{name} {spent:.1f} ms" for name, spent in stages.items()]
    named = [
        ("    " + name.partition(": ")[2] if ": " in name else "  " + name, spent) for name, spent in stages.items()
    ]
    width = max((len(name) for name, _ in named), default=0)
    return [f"{name:<{width}}  {spent:>8.1f} ms" for name, spent in named]


def duration(milliseconds: float) -> str:
    """Format a duration.

    >>> [duration(each) for each in (0.4, 41.3, 2140, 187_000)]
    ['0 ms', '41 ms', '2.1 s', '3 min 07 s']
    """
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
