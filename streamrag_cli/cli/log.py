"""The command `streamrag log` and its subcommands."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from streamrag_cli.cli import completion, options
from streamrag_cli.cli.process import Process, settings_from
from streamrag_cli.counting import counted_noun
from streamrag_cli.errors import UsageError

if TYPE_CHECKING:
    from streamrag_cli.history.conversation_log import ConversationLog
    from streamrag_cli.history.reading import LoggedTurn

_SHOWN: Final = 10
_LAST: Final = "last"

app = typer.Typer(
    cls=options.Group,
    help="Show, search and delete logged questions and answers.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@app.callback()
def entries(
    context: typer.Context,
    limit: Annotated[int, typer.Option("-n", metavar="N", min=1, help="Show at most N questions.")] = _SHOWN,
    words: Annotated[
        str, typer.Option("-q", "--query", metavar="WORDS", help="Show only turns that contain all WORDS.")
    ] = "",
    collection: Annotated[
        str,
        typer.Option(
            "-c",
            "--collection",
            metavar="NAME",
            help="Show only questions asked of this collection.",
            autocompletion=completion.collections,
        ),
    ] = "",
    thread: Annotated[
        str | None,
        typer.Option("--thread", metavar="ID", help="Show only this conversation; the start of its id is enough."),
    ] = None,
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="DATE",
            help="Show only questions asked since a date (2026-01-31) or within a period (7d).",
        ),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print complete turns as one JSON object.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print each complete turn as a line of JSON.")] = False,
) -> int:
    """Show, search and delete logged questions and answers.

    Without a subcommand, list the latest turns, newest first. The columns are the number of the turn, its conversation,
    time, collection, state and question.
    """
    if context.invoked_subcommand:
        return 0
    from streamrag_cli.cli.conversation import note_damaged
    from streamrag_cli.moments import start_of
    from streamrag_cli.render.log import print_turns

    process: Process = context.obj
    log = _log(process)
    turns = log.find(
        words=_as_text(words),
        limit=limit,
        collection=collection or None,
        thread=None if thread is None else log.find_thread(thread),
        since=start_of(since, time.time(), flag="--since") if since else None,
    )
    print_turns(turns, process.out, json=json, jsonl=jsonl)
    note_damaged(log, process)
    if not (turns or log.damaged or json or jsonl):
        filtered = words or collection or thread or since
        process.err.write("no logged question matches the search\n" if filtered else "the log is empty\n")
    return 0


@app.command("show", cls=options.Command)
def show(
    context: typer.Context,
    which: Annotated[
        str,
        typer.Argument(
            metavar="[ID]",
            help="The number of a turn, the id of a conversation, or last.",
            autocompletion=completion.nothing,
        ),
    ] = "last",
    md: Annotated[bool, typer.Option("--md", help="Print Markdown.")] = False,
    plain: options.Plain = False,
) -> int:
    """Show a turn or a whole conversation again, with its sources.

    `streamrag show last` shows only the last answer in this terminal.
    """
    from streamrag_cli.cli.conversation import note_damaged
    from streamrag_cli.render.log import print_markdown, show_turn

    process: Process = context.obj
    log = _log(process)
    turns = _named(log, which)
    note_damaged(log, process)
    if md:
        print_markdown(turns, process.out, names=process.display_names)
        return 0
    for turn in turns:
        show_turn(
            turn,
            process.out,
            names=process.display_names,
            terminal_type=process.environment.get("TERM", ""),
            plain=plain,
            is_first=turn is turns[0],
        )
    return 0


@app.command("rm", cls=options.Command)
def remove(
    context: typer.Context,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Turn numbers or conversation ids.", autocompletion=completion.nothing),
    ] = None,
    older: Annotated[
        str, typer.Option("--older", metavar="AGE", help="Delete turns older than AGE, such as 30d, 12h or 2026-01-31.")
    ] = "",
    thread: Annotated[
        str | None,
        typer.Option("--thread", metavar="ID", help="Delete this conversation; the start of its id is enough."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Delete the whole log.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="With --all, do not ask for confirmation.")] = False,
) -> int:
    """Delete turns from the log.

    The text of deleted turns is erased from the files and cannot be recovered.
    """
    process: Process = context.obj
    if sum(map(bool, (ids, older, thread is not None, everything))) != 1:
        raise UsageError(
            "streamrag log rm requires exactly one of ID..., --older, --thread or --all",
            code="usage",
            hint="streamrag log",
        )
    from streamrag_cli.history.deletion import delete, delete_everything
    from streamrag_cli.moments import start_of

    log = _log(process)
    deleted: int | None
    if everything:
        _confirm(process, log.file, yes=yes)
        deleted = delete_everything(log.file)
    elif older:
        deleted = delete(log.file, "started_at < ?", (start_of(older, time.time(), flag="--older"),))
    elif thread is not None:
        deleted = delete(log.file, "thread = ?", (log.find_thread(thread),))
    else:
        rows = sorted({row for each in ids or () for row in _named_ids(log, each)})
        deleted = delete(log.file, f"id IN ({', '.join('?' * len(rows))})", rows)
    process.out.write(
        "the damaged log was deleted\n" if deleted is None else f"{counted_noun(deleted, 'turn')} deleted\n"
    )
    return 0


@app.command("on", cls=options.Command)
def switch_on(context: typer.Context) -> int:
    """Resume logging after `streamrag log off`."""
    from streamrag_cli.history.location import switch_log

    process: Process = context.obj
    switch_log(process.environment, on=True)
    return _print_state(process)


@app.command("off", cls=options.Command)
def switch_off(context: typer.Context) -> int:
    """Stop logging questions and answers. Existing entries are kept."""
    from streamrag_cli.history.location import switch_log

    process: Process = context.obj
    switch_log(process.environment, on=False)
    return _print_state(process)


@app.command("status", cls=options.Command)
def status(context: typer.Context, json: options.Json = False) -> int:
    """Show whether questions are logged, and how many."""
    from streamrag_cli.history.location import why_not_writable
    from streamrag_cli.render.log import print_state

    process: Process = context.obj
    log = _log(process)
    reason = _reason(process) or why_not_writable(log.file)
    state = {"logging": not reason, "reason": reason or None, "path": str(log.file), **log.counts()}
    state["keep_days"] = settings_from(process, {}).log_keep_days
    print_state(state, process.out, json=json)
    return 0


@app.command("path", cls=options.Command)
def path(context: typer.Context) -> int:
    """Print the path of the log."""
    process: Process = context.obj
    process.out.write(f"{_log(process).file}\n")
    return 0


def _log(process: Process) -> "ConversationLog":
    from streamrag_cli.history.conversation_log import ConversationLog

    return ConversationLog.open(process.environment)


def _named(log: "ConversationLog", which: str) -> "list[LoggedTurn]":
    """Return the turns that `which` selects: the number of a turn, the id of a conversation, or "last".

    Raises UsageError `not_in_log`.
    """
    turns = log.find(**_conditions(log, which), limit=1 if which == _LAST else None)
    if not turns:
        raise _not_in_log(log, which)
    return turns[::-1]


def _named_ids(log: "ConversationLog", which: str) -> list[int]:
    """Return the ids of the turns that `_named` returns, and of damaged turns. Raises UsageError `not_in_log`."""
    ids = log.find_ids(**_conditions(log, which))
    if not ids:
        raise _not_in_log(log, which)
    return ids[:1] if which == _LAST else ids


def _conditions(log: "ConversationLog", which: str) -> dict[str, Any]:
    if which == _LAST:
        return {}
    if which.isdecimal() and which.isascii():
        return {"turn": min(int(which[:20]), 2**63 - 1)}
    return {"thread": log.find_thread(which)}


def _not_in_log(log: "ConversationLog", which: str) -> UsageError:
    if log.damaged:
        from streamrag_cli.cli.conversation import deletion_of_damaged

        what = "turns" if which == _LAST else f"turns with the number or conversation {which}"
        message = f"all {what} in the log are damaged"
        return UsageError(message, code="not_in_log", hint=deletion_of_damaged(log))
    is_empty = not log.find_ids()
    message = "the log is empty" if is_empty else f"the log contains no turn or conversation {which}"
    hint = 'streamrag ask "QUESTION"' if is_empty else "streamrag log"
    return UsageError(message, code="not_in_log", hint=hint)


def _confirm(process: Process, file: Path, *, yes: bool) -> None:
    from streamrag_cli.cli.confirmation import confirmation_for

    confirmation_for(process, yes=yes).require(
        f"Delete all questions and answers in {file}?",
        message="all questions and answers in the log would be deleted",
        hint="streamrag log rm --all --yes",
    )


def _print_state(process: Process) -> int:
    reason = _reason(process)
    process.out.write(f"questions are not logged: {reason}\n" if reason else "questions are logged\n")
    return 0


def _reason(process: Process) -> str:
    from streamrag_cli.history.location import why_not_logged

    return why_not_logged(settings_from(process, {}), process.environment, in_ci=process.in_ci)


def _as_text(argument: str) -> str:
    # Python decodes invalid UTF-8 in arguments as lone surrogates, which SQLite does not accept.
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
