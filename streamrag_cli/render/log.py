"""Output of `log`: a list of turns, a single turn as `ask` showed it, Markdown or JSON."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final, TextIO

from streamrag_cli.answer.citations import cited_numbers
from streamrag_cli.codec import encode
from streamrag_cli.counting import counted_noun
from streamrag_cli.display_names import DisplayNames
from streamrag_cli.events import AskEvent, Citations, Done, Error, Sources, Token
from streamrag_cli.history.entry import COMPLETE, failure_of
from streamrag_cli.history.reading import LoggedTurn
from streamrag_cli.json_objects import FORMAT_VERSION
from streamrag_cli.model import Citation, Source, Timings
from streamrag_cli.render.consoles import size_of
from streamrag_cli.render.error_output import print_notes
from streamrag_cli.render.interface import Renderer
from streamrag_cli.render.machine import write_line
from streamrag_cli.text import sanitise, sanitise_line

_COLLECTION: Final = 3
"""The index of the collection in a row of the list."""
_LEAST_QUESTION_COLUMNS: Final = 36
_INDENT: Final = "    "


def print_turns(turns: Sequence[LoggedTurn], out: TextIO, *, json: bool, jsonl: bool) -> None:
    """Print a line per turn: its number, conversation, time, collection, state and question.

    In a pipe, the columns are separated by tabs. On a terminal, a question that does not fit into the rest of its line
    is printed on the next line. Lines are cut to the width, and the collection is omitted if all turns have the same.
    """
    if json:
        write_line(out, encode({"version": FORMAT_VERSION, "turns": [asdict(turn) for turn in turns]}))
    elif jsonl:
        for turn in turns:
            write_line(out, encode(asdict(turn)))
    else:
        _print_table([_cells(turn) for turn in turns], out)


def _cells(turn: LoggedTurn) -> list[str]:
    state = "" if turn.state == COMPLETE else turn.state
    cells = [str(turn.id), turn.thread, _local_time(turn), turn.collection, state, " ".join(turn.question.split())]
    return [sanitise_line(cell) for cell in cells]


def _local_time(turn: LoggedTurn) -> str:
    return f"{datetime.fromisoformat(turn.started_at).astimezone():%Y-%m-%d %H:%M}"


def _print_table(rows: Sequence[Sequence[str]], out: TextIO) -> None:
    if not out.isatty():
        out.writelines("\t".join(row) + "\n" for row in rows)
        return
    from rich.cells import cell_len, set_cell_size  # not the whole of rich

    from streamrag_cli.render.source_rows import cut

    if len({row[_COLLECTION] for row in rows}) == 1:
        rows = [[*row[:_COLLECTION], *row[_COLLECTION + 1 :]] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    columns = shutil.get_terminal_size().columns
    used = sum(width + 2 for width in widths[:-1] if width)
    is_below = columns - used < min(widths[-1], _LEAST_QUESTION_COLUMNS) if rows else False
    for *row, question in rows:
        cells = [set_cell_size(cell, width) for cell, width in zip(row, widths, strict=False) if width]
        line = "  ".join([*cells, *([] if is_below else [question])]).rstrip()
        out.write(f"{cut(line, columns)}\n")
        if is_below:
            out.write(f"{cut(f'{_INDENT}{question}', columns)}\n")


def show_turn(
    turn: LoggedTurn, out: TextIO, *, names: DisplayNames, terminal_type: str, plain: bool, is_first: bool
) -> None:
    """Show the question, the sources and the answer on `out`, as `ask` shows them."""
    from streamrag_cli.render.renderer import OutputOptions, renderer_for

    head = sanitise_line(f"{_local_time(turn)}  {turn.thread}  {turn.collection}")
    out.write(f"{'' if is_first else chr(10)}{head}\n")
    out.write(f"> {sanitise(turn.question)}\n")
    if turn.extra_chars:
        out.write(f"({_extra_note(turn)})\n")
    out.flush()
    renderer = renderer_for(OutputOptions(plain=plain), out=out, err=out, terminal_type=terminal_type)
    try:
        for event in _events(turn, names):
            renderer.handle(event)
    finally:
        renderer.close()


def show_answer(
    turn: LoggedTurn,
    out: TextIO,
    err: TextIO,
    *,
    names: DisplayNames,
    terminal_type: str,
    json: bool,
    plain: bool,
) -> None:
    """Show a turn's answer as `ask --footnotes` does, but without the sources before it and the timings.

    In a pipe, the output is Markdown.
    """
    if json:
        write_line(out, encode({"version": FORMAT_VERSION, **asdict(turn)}))
        return
    from streamrag_cli.render.plain import PlainText
    from streamrag_cli.render.renderer import NARROWEST_COLUMNS
    from streamrag_cli.render.status_output import ErrorsOnly

    events = [each for each in _events(turn, names) if not isinstance(each, Done | Error)]
    if turn.state != COMPLETE:
        print_notes(err, [_incomplete_note(turn)])
    status = ErrorsOnly(err)
    is_live = out.isatty() and not plain and terminal_type != "dumb" and size_of(out)[0] >= NARROWEST_COLUMNS
    if is_live:
        from streamrag_cli.render.live import LiveMarkdown

        renderer: Renderer[AskEvent] = LiveMarkdown(out, status, stream=True)
    else:
        renderer = PlainText(out, status, stream=True, has_footnotes=True)
    try:
        for event in events:
            renderer.handle(event)
    finally:
        renderer.close()
    if is_live:
        _print_footnotes(events, out)


def _print_footnotes(events: Sequence[AskEvent], out: TextIO) -> None:
    from streamrag_cli.render.consoles import console_for
    from streamrag_cli.render.source_rows import rows

    citations = [event for event in events if isinstance(event, Citations)]
    cited = {each.n for event in citations for each in event.citations}
    doubtful = {n for event in citations for n in event.unsupported}
    sources = [each for event in events if isinstance(event, Sources) for each in event.sources if each.n in cited]
    console = console_for(out, plain=False)
    if sources:
        console.print("─" * 5, style="dim")
    for row in rows(console, sources, has_brackets=True, doubtful=doubtful):
        console.print(row, soft_wrap=True)


def _incomplete_note(turn: LoggedTurn) -> str:
    """Describe why the answer is missing or incomplete."""
    failure = sanitise_line(failure_of(turn.state))
    if not turn.answer and failure:
        return failure
    return f"this answer is not complete: {failure.removeprefix('no answer: ') or 'it was interrupted'}"


def _extra_note(turn: LoggedTurn) -> str:
    return f"with {turn.extra_chars:,} characters from stdin, SHA-256 {turn.extra_sha256[:12]}"


def _events(turn: LoggedTurn, names: DisplayNames) -> list[Sources | Token | Citations | Done | Error]:
    """Return the events with which renderers can show the turn again."""
    sources = tuple(_source(each, names) for each in turn.sources)
    numbers = cited_numbers(turn.answer) if turn.state != COMPLETE else ()  # citations are logged at the end
    cited = tuple(
        Citation(n=each.n, source=each.source, chunk_id=each.chunk_id)
        for each in sources
        if each.chunk_id in turn.cited or each.n in numbers
    )
    last: Done | Error
    if turn.state == COMPLETE:
        known = turn.timings.get
        timings = Timings(
            retrieval_ms=known("retrieval_ms"), first_token_ms=known("first_token_ms"), total_ms=known("total_ms")
        )
        last = Done(finish_reason=turn.finish_reason, model=sanitise_line(turn.model), usage=None, timings=timings)
    else:
        last = Error(message=_incomplete_note(turn), code=turn.state, hint="", retryable=False, exit_code=1)
    text = [Token(text=sanitise(turn.answer))] if turn.answer else []
    return [
        Sources(sources=sources),
        *text,
        Citations(citations=cited, unknown=(), unsupported=tuple(turn.unsupported)),
        last,
    ]


def _source(fields: Mapping[str, Any], names: DisplayNames) -> Source:
    source = Source(content="", **fields)
    name = names.of(source.path) if source.path else source.source
    return replace(source, source=sanitise_line(name), title=sanitise_line(source.title))


def print_markdown(turns: Sequence[LoggedTurn], out: TextIO, *, names: DisplayNames) -> None:
    """Print turns as a Markdown document: the question as a heading, the answer, and its sources as a list."""
    from streamrag_cli.render.plain import source_list

    for number, turn in enumerate(turns):
        first, *others = sanitise(turn.question).strip().split("\n")
        out.write(f"{chr(10) if number else ''}## {first}\n")
        parts = ["\n".join(others), sanitise(turn.answer).strip()]
        if turn.state != COMPLETE:
            parts.append(f"*({sanitise_line(turn.state)})*")
        sources = [_source(each, names) for each in turn.sources]
        parts.append(source_list(sources, doubtful=turn.unsupported))
        out.write("".join(f"\n{part}\n" for part in parts if part))
    out.flush()


def print_state(state: Mapping[str, Any], out: TextIO, *, json: bool) -> None:
    """Print the state of the log: whether questions are logged, where, how many, and for how long."""
    if json:
        write_line(out, encode({"version": FORMAT_VERSION, **state}))
        return
    since = f", since {state['since'][:10]}" if state["since"] else ""
    turns = counted_noun(state["turns"], "turn")
    conversations = counted_noun(state["conversations"], "conversation")
    lines = {
        "logging": "on" if state["logging"] else f"off: {state['reason']}",
        "log": state["path"],
        "content": f"{turns} in {conversations}{since}",
        "size": f"{state['bytes'] / 1e6:,.1f} MB",
        "kept": f"{state['keep_days']:,} days",
    }
    out.writelines(sanitise_line(f"{name:<9}{value}") + "\n" for name, value in lines.items())
