"""The command `streamrag show`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.process import Process, settings_from
from streamrag_cli.counting import counted_noun
from streamrag_cli.errors import UsageError
from streamrag_cli.events import Notice
from streamrag_cli.missing_files import is_local_file, state_of_file
from streamrag_cli.model import Passage
from streamrag_cli.service.interface import Selection
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings
from streamrag_cli.store.registry import open_store
from streamrag_cli.text import sanitise_line

if TYPE_CHECKING:
    from streamrag_cli.history.reading import LoggedTurn

_HELP = (
    "PATH, PATH:LINE, PATH:FIRST-LAST, PATH:pPAGE, a location as printed with a source, the id of a passage, the number"
    " of a source, or last."
)


def command(
    process: Process,
    *,
    source: Annotated[list[str], typer.Argument(metavar="SOURCE", help=_HELP)],
    flags: options.SettingFlags,
    json: options.Json = False,
    plain: options.Plain = False,
) -> int:
    """Show a document, some of its lines, or a passage.

    Shows the text as it was ingested, without calling the model. A number shows a source from the last answer or search
    in this terminal, and last shows the last answer. `streamrag log show last` adds its question and all sources. PATH
    may be the last part of a path.
    """
    where = " ".join(source).encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()
    if not where:
        raise UsageError("SOURCE is empty", code="usage", hint="streamrag show PATH")
    if where == "last":
        return _show_last(process, flags, json=json, plain=plain)
    notices: list[Notice] = []
    if number := re.fullmatch(r"\[?(\d{1,3})\]?", where):
        passage, settings = _numbered_source(process, flags, int(number[1]), notices)
    else:
        settings = settings_from(process, flags)
        passage = _read(Selection(where=where, names=process.display_names), settings)

    from streamrag_cli.render.passage import show_passage

    notices += _state_notices(passage, settings, process)
    if not passage.text:
        notices.append(Notice(message="the document contains no text", code="no_text"))
    passage = replace(passage, source=sanitise_line(process.display_names.of(passage.path)))
    show_passage(passage, notices, process.out, process.err, json=json, plain=_is_plain(process, plain=plain))
    return 0


def _read(selection: Selection, settings: Settings) -> Passage:
    import asyncio  # here, because every command imports this module

    return asyncio.run(LocalService().read(selection, settings))


def _is_plain(process: Process, *, plain: bool) -> bool:
    return plain or process.environment.get("TERM", "") == "dumb"


def _numbered_source(
    process: Process, flags: Mapping[str, object | None], number: int, notices: list[Notice]
) -> tuple[Passage, Settings]:
    """Return source `number` from the last answer or search, and the settings with its collection and store."""
    flag_values = flags
    sources, flags, shown_by = _numbered_sources(process, flags)
    fields = next((each for each in sources if each["n"] == number), None)
    if fields is None:
        count = len(sources)
        had = f"has {counted_noun(count, 'source')}" if count else "has no sources"
        raise UsageError(
            f"the last {shown_by} {had}, so there is no source {number}",
            code="no_such_source",
            hint="streamrag show last",
        )
    if fields.get("collection") and not flag_values.get("collection"):
        flags = {**flags, "collection": fields["collection"]}
    settings = settings_from(process, flags)
    try:
        return _read(Selection(chunk_id=fields["chunk_id"]), settings), settings
    except UsageError as error:
        if error.code != "no_such_passage" or not fields["path"]:
            raise
    where = _place(fields)
    passage = _read(Selection(where=where, names=process.display_names), settings)
    message = f"the document has been ingested again since that {shown_by}; this passage is now in the same place"
    notices.append(Notice(message=message, code="passage_changed"))
    return passage, settings


def _numbered_sources(
    process: Process, flags: Mapping[str, object | None]
) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, object | None], str]:
    """Return the sources last shown in this terminal, the flags for their collection, and "answer" or "search"."""
    from streamrag_cli.cli.conversation import with_target
    from streamrag_cli.history.conversation_log import ConversationLog
    from streamrag_cli.history.shown_sources import recall
    from streamrag_cli.history.terminal import current_terminal

    terminal = current_terminal()
    searched = recall(process.environment, terminal)
    if searched is not None and searched.at > ConversationLog.open(process.environment).last_time(terminal):
        return searched.sources, with_target((searched.collection, searched.store), process, flags), "search"
    turn, flags = _last_turn(process, flags)
    return turn.sources, flags, "answer"


def _place(fields: Mapping[str, Any]) -> str:
    if fields["line_start"] is not None:
        return f"{fields['path']}:{fields['line_start']}"
    return f"{fields['path']}:p{fields['page']}" if fields["page"] is not None else str(fields["path"])


def _last_turn(
    process: Process, flags: Mapping[str, object | None]
) -> "tuple[LoggedTurn, Mapping[str, object | None]]":
    """Return the last turn in this terminal, and the flags with its collection and store."""
    from streamrag_cli.cli.conversation import to_continue
    from streamrag_cli.history.location import why_not_logged

    try:
        earlier = to_continue(process, flags, last=True, prefix=None)
    except UsageError as error:
        if error.code != "no_conversation":
            raise
        reason = why_not_logged(settings_from(process, flags), process.environment, in_ci=process.in_ci)
        message = f"there is no answer in the log: {reason}" if reason else "there is no answer in the log yet"
        raise UsageError(message, code="not_in_log", hint='streamrag ask "QUESTION"') from None
    return earlier.turns[-1], earlier.flags


def _show_last(process: Process, flags: Mapping[str, object | None], *, json: bool, plain: bool) -> int:
    from streamrag_cli.render.log import show_answer

    turn, _ = _last_turn(process, flags)
    show_answer(
        turn,
        process.out,
        process.err,
        names=process.display_names,
        terminal_type=process.environment.get("TERM", ""),
        json=json,
        plain=plain,
    )
    return 0


def _state_notices(passage: Passage, settings: Settings, process: Process) -> list[Notice]:
    """Return a notice if the file was changed or deleted since it was ingested."""
    record = passage.record
    if record is None or not open_store(settings.store).has_local_files:
        return []
    if not (is_local_file(record.path) and (state := state_of_file(record))):
        return []
    from streamrag_cli.cli.source_names import stale_notice

    notice = stale_notice(state, [record.path], process.display_names)
    return [replace(notice, message=process.with_target_flags(notice.message))]
