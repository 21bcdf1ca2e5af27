"""`streamrag serve`"""

import time
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from streamrag_cli.cli.logging_setup import configure_library_logging
from streamrag_cli.cli.process import Process
from streamrag_cli.settings import ServerSettings, Settings


def command(
    process: Process,
    *,
    server: ServerSettings,
    settings: Settings,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Log failures only.")] = False,
) -> int:
    """Serve answers over HTTP: a web page, server-sent events, and an API that OpenAI's clients speak.

    Without a key, STREAMRAG_SERVER_KEY, it answers only the user who started it, on this machine. Each question and
    each refusal is a line on stderr, without its text. Clients may ask for fewer sources and a higher score than -k
    and --min-score set.
    """
    if quiet:
        server = replace(server, log="errors")
    if server.collections:
        settings = replace(settings, collection=server.collections[0])

    from streamrag_cli.cli.server_log import start_log  # FastAPI and uvicorn with what follows, 0.4 s
    from streamrag_cli.server.peers import is_supported
    from streamrag_cli.server.run import serve

    note = "" if quiet else _models_here(settings)  # before it listens itself

    def announce(address: str) -> None:
        if quiet:
            return
        listed = ", ".join(map(repr, server.collections or (settings.collection,)))
        names = "every collection" if server.all_collections else listed
        lines = [f"streamrag serves {names} at {address} (Ctrl-C stops)"]
        if server.server_key is None and not is_supported():
            lines.append("every user of this machine may ask: this system does not say who does; a key keeps them out")
        process.err.write("".join(f"{line}\n" for line in lines) + note)
        process.err.flush()

    log = start_log(server.log, process)
    try:
        serve(settings, server, announce=announce, prepare_worker=partial(_prepare_worker, server.log))
    finally:
        log.flush()
    return 0


def _models_here(settings: Settings) -> str:
    """A line for the operator if answers will be quotes though a model runs here; a visitor is never shown it."""
    if settings.names_a_model:
        return ""
    from streamrag_cli.answer.model_choice import connect_hint, find_local_servers

    found = [each for each in find_local_servers() if each.models]
    connect = connect_hint(found, "streamrag serve")
    return f"note: no model is connected, so answers are quotes; {connect}\n" if found else ""


def _prepare_worker(log: str) -> None:
    from streamrag_cli.cli.server_log import start_log  # with the server, which is imported by then

    process = Process.of_this(time.perf_counter())
    configure_library_logging(process)
    start_log(log, process)
