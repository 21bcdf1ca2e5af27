"""The commands that users type in a chat, such as `/sources 2`. No command deletes data."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Final

from streamrag_cli.addresses import is_address
from streamrag_cli.cli.chat_session import NO_SOURCES, ChatSession
from streamrag_cli.counting import counted_noun
from streamrag_cli.errors import ExitCode, UsageError
from streamrag_cli.model import Filter
from streamrag_cli.regular_files import replacing
from streamrag_cli.setting_row import Setting
from streamrag_cli.settings_table import SETTINGS
from streamrag_cli.text import sanitise, sanitise_line

if TYPE_CHECKING:
    from streamrag_cli.model import Source

_LEAST_COLUMNS: Final = 30
_NAMED: Final = 200
"""How many characters of an unknown command or value a message repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCommand:
    """A chat command, with its description in `/help`. `run` is called with the text after the command's name.

    `needs_terminal` is set for commands that write files, start programs or change the server. They are refused if the
    questions come from a file or pipe, which may have been written by someone else.
    """

    usage: str
    help: str
    run: Callable[[ChatSession, str], ExitCode | None]
    needs_terminal: bool = False

    @property
    def name(self) -> str:
        return self.usage.partition(" ")[0]


def run_command(session: ChatSession, text: str) -> ExitCode:
    """Run the command in `text`, which starts with a slash. Raises UsageError and StoreError."""
    name, _, rest = text.partition(" ")
    name, _, first_line = name.partition("\n")
    command = _COMMANDS.get(_ALIASES.get(name, name))
    if command is None:
        raise UsageError(_unknown(name), code="usage")
    if command.needs_terminal and not session.is_interactive:
        raise UsageError(f"{name} works only if stdin is a terminal", code="usage")
    return command.run(session, f"{first_line} {rest}".strip()) or ExitCode.OK


def _unknown(name: str) -> str:
    similar = get_close_matches(name, _COMMANDS, n=1)
    advice = (
        f"did you mean {similar[0]}?"
        if similar
        else "type /help to list the commands, or // to begin a question with a slash"
    )
    return f"unknown command {sanitise_line(name[:_NAMED])}; {advice}"


def _sources(session: ChatSession, number: str) -> None:
    if not number:
        session.print_sources()
        return
    source = _source(session, number)
    from streamrag_cli.render.passage import wrapped_passage
    from streamrag_cli.render.source_rows import location
    from streamrag_cli.store.registry import open_store

    collection = source.collection or session.settings.collection
    with open_store(session.settings.store).manifest(collection) as manifest:
        chunks = manifest.chunks([source.chunk_id]) if manifest is not None else {}
    if source.chunk_id not in chunks:
        message = f"source {source.n} is no longer in the collection, because its file was changed or removed"
        raise UsageError(message, code="not_ingested", hint="/again")
    heading = f" {source.title}" if source.title else ""
    text = sanitise(chunks[source.chunk_id].chunk.text.strip())
    if not session.output.plain:
        text = wrapped_passage(text, source.path, session.process.err)
    session.print(f"[{source.n}] {location(source)}{heading}\n\n{text}\n")


def _show(session: ChatSession, number: str) -> None:
    if not number:
        raise UsageError("usage: /show N", code="usage")
    _sources(session, number.removeprefix("[").removesuffix("]"))


def _open(session: ChatSession, number: str) -> None:
    from streamrag_cli.cli.editor import command_for, open_detached, run_editor

    source = _source(session, number)
    if not source.path or is_address(source.path):
        raise UsageError(f"source {source.n} is not a file on this machine", code="no_such_file")
    command, on_terminal = command_for(Path(source.path), source.line_start, session.process.environment)
    if on_terminal:
        run_editor(command, session.run_program)
    else:
        open_detached(command)


def _source(session: ChatSession, number: str) -> "Source":
    sources = {str(source.n): source for source in session.sources}
    if not sources:
        raise UsageError(NO_SOURCES, code="usage")
    has = f"sources 1 to {len(sources)}" if len(sources) > 1 else "only source 1"
    if not number:
        raise UsageError(f"usage: /open N; the last answer has {has}", code="usage")
    if number not in sources:
        raise UsageError(
            f"there is no source {sanitise_line(number[:_NAMED])}; the last answer has {has}", code="usage"
        )
    return sources[number]


def _new(session: ChatSession, _: str) -> None:
    session.begin_thread()
    session.print("started a new conversation")


def _again(session: ChatSession, rest: str) -> ExitCode:
    match _words(rest):
        case []:
            return session.ask_again({})
        case [("-m" | "--model"), model]:
            return session.ask_again({"model": model})
        case _:
            raise UsageError("usage: /again [-m MODEL]", code="usage")


def _set(session: ChatSession, rest: str) -> None:
    name, _, value = rest.partition(" ")
    settings = {each.name: each for each in SETTINGS if _is_used(each)}
    name = name.replace("-", "_").removeprefix("__")
    if not name:
        session.print("\n".join(f"{each} = {_shown(session, each)}" for each in settings))
        return
    setting = settings.get(name)
    if setting is None:
        raise UsageError(_no_such_setting(name, list(settings)), code="unknown_setting")
    if value.strip():
        is_list = "chat" in setting.several_in
        values = (is_list and value.replace(",", " ").split()) or [value.strip()]
        for each in values:
            try:
                setting.parse(each)
            except ValueError as error:
                shown = "" if name == "store" else f" {each[:_NAMED]!r}"
                raise UsageError(f"{name}:{shown} {error}", code="bad_setting") from None
        if name == "collection":
            _require_collections(session, values)
        session.change_setting(name, values if is_list else values[0])
    session.print(f"{name} = {_shown(session, name)}")


def _require_collections(session: ChatSession, names: list[str]) -> None:
    """Raise StoreError `store_missing` for the first collection that the store does not have."""
    from streamrag_cli.store.backend import missing_collection, similar_collection
    from streamrag_cli.store.registry import open_store

    store = open_store(session.settings.store)
    existing = store.collections()
    for name in names:
        if name not in existing:
            error = missing_collection(store, name, existing=existing)
            similar = similar_collection(name, existing)
            error.hint = f"/set collection {similar}" if similar else f"{error.hint} -c {shlex.quote(name)}"
            raise error


def _is_used(setting: Setting) -> bool:
    return not setting.secret and ("chat" in setting.commands or not setting.flags) and setting.name != "max_file_mb"


def _no_such_setting(name: str, names: list[str]) -> str:
    shown = sanitise_line(name[:_NAMED])
    secret = next((each for each in SETTINGS if each.name == name and each.secret), None)
    if secret is not None:
        return (
            f"{shown} cannot be set in a chat, where it would be visible; set the environment variable"
            f" {secret.variables[0]} before you start the chat"
        )
    similar = get_close_matches(name, names, n=1)
    advice = f"did you mean {similar[0]}?" if similar else f"the settings are {', '.join(names)}"
    return f"there is no setting {shown}; {advice}"


def _shown(session: ChatSession, name: str) -> str:
    value = getattr(session.settings, name)
    words = {True: "on", False: "off", None: "(not set)", "": "(not set)", (): "(not set)"}
    return words.get(value) or sanitise_line(str(value)) if isinstance(value, bool | str | None) else str(value)


def _filter(session: ChatSession, rest: str) -> None:
    words = _words(rest)
    if words == ["off"]:
        session.filter = Filter()
        session.process.hint_command = replace(session.process.hint_command, filter=())
    elif words:
        session.filter = _filter_from(session, words)
    session.print(session.filter.text or "no filter is set: all documents are searched")


def _filter_from(session: ChatSession, words: list[str]) -> Filter:
    from streamrag_cli.cli.filter_flags import filter_from

    values: dict[str, list[str]] = {"--in": [], "--since": [], "--format": [], "--tag": []}
    pairs = list(zip(words[::2], words[1::2], strict=False))
    if len(words) % 2 or any(flag not in values for flag, _ in pairs):
        raise UsageError(
            "usage: /filter [--in GLOB] [--since DATE] [--format NAME] [--tag TAG], or /filter off", code="usage"
        )
    for flag, value in pairs:
        values[flag].append(value)
    within, since, formats, tags = values.values()
    return filter_from(session.process, within, since[-1] if since else None, formats, tags)


def _save(session: ChatSession, name: str) -> None:
    from streamrag_cli.cli.exchanges import as_markdown

    words = _words(name)
    if len(words) != 1:
        raise UsageError("usage: /save FILE.md", code="usage")
    exchanges = session.current_exchanges
    if not exchanges:
        raise UsageError("the conversation has no questions to save yet", code="usage")
    path = Path(words[0])
    try:
        path = (session.directory / path.expanduser()).resolve()
        if path.exists() and not path.is_file():
            raise FileExistsError(0, "the path is not a regular file")
        if path.exists() and not session.confirms(f"{path} exists. Overwrite it?"):
            session.print("the conversation was not saved")
            return
        with replacing(path, mode=0o666) as opened:
            opened.write(as_markdown(exchanges).encode())
    except (OSError, RuntimeError) as error:  # RuntimeError: ~name of a user who does not exist
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot write {path}: {reason}", code="not_saved", hint="/save FILE.md") from None
    count = len(exchanges)
    session.print(f"saved {counted_noun(count, 'question')} to {path}")


def _edit(session: ChatSession, text: str) -> ExitCode:
    from streamrag_cli.cli.editor import edited

    question = edited(text, session.process.environment, session.run_program).strip()
    if not question:
        session.print("no question was asked, because the file is empty")
        return ExitCode.OK
    session.print(f"> {question}")
    return session.ask_typed(question)


def _help(session: ChatSession, _: str) -> None:
    from streamrag_cli.render.consoles import size_of

    columns = max(size_of(session.process.err)[0] - 1, _LEAST_COLUMNS)
    rows = {each.usage: each.help for each in _COMMANDS.values()} | {"//...": "ask a question that starts with a slash"}
    width = max(map(len, rows)) + 2
    lines = [
        fill(text, columns, initial_indent=f"{usage:{width}}", subsequent_indent=" " * width)
        for usage, text in rows.items()
    ]
    session.print("\n".join([*lines, *(fill(each, columns) for each in _KEYS)]))


def _quit(session: ChatSession, _: str) -> None:
    session.leave()


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{sanitise(text[:_NAMED])}: {error}".lower(), code="usage") from None


_KEYS: Final = (
    "Enter sends the question, Alt-Enter inserts a line break.",
    "Ctrl-C stops an answer or clears the line, Ctrl-D quits.",
)
_ALIASES: Final = {"/exit": "/quit", "/?": "/help", "/retry": "/again", "/redo": "/again"}
_COMMANDS: Final = {
    each.name: each
    for each in (
        ChatCommand(usage="/sources [N]", help="list the last answer's sources, or show passage N", run=_sources),
        ChatCommand(usage="/show N", help="show passage N from the last answer", run=_show),
        ChatCommand(usage="/open N", help="open the file of source N", run=_open, needs_terminal=True),
        ChatCommand(usage="/new", help="start a new conversation", run=_new),
        ChatCommand(usage="/again [-m MODEL]", help="ask the last question again", run=_again),
        ChatCommand(
            usage="/set [NAME VALUE]", help="change a setting, or list all settings", run=_set, needs_terminal=True
        ),
        ChatCommand(
            usage="/filter [FLAGS]",
            help="search only documents that match --in, --since, --format or --tag; /filter off removes the filter",
            run=_filter,
        ),
        ChatCommand(usage="/save FILE.md", help="save the conversation", run=_save, needs_terminal=True),
        ChatCommand(usage="/edit [TEXT]", help="write a question in your editor", run=_edit, needs_terminal=True),
        ChatCommand(usage="/help", help="list the commands", run=_help),
        ChatCommand(usage="/quit", help="quit the chat", run=_quit),
    )
}
