"""The command `streamrag serve`."""

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
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Log only errors, and print no notes.")] = False,
) -> int:
    """Serve a web page and an API over HTTP.

    The API streams server-sent events; a second API is compatible with OpenAI's. Unless a key is set
    (STREAMRAG_SERVER_KEY), only the user who started the server can use it, and only on this machine. Logs one line to
    stderr per question and per rejected request, without its text. Clients may request fewer sources than -k and a
    higher minimum score than --min-score.
    """
    if quiet:
        server = replace(server, log="errors")
    if server.collections:
        settings = replace(settings, collection=server.collections[0])

    from streamrag_cli.cli.server_log import start_log  # imports FastAPI and uvicorn, 0.4 s in total
    from streamrag_cli.server.peers import is_supported
    from streamrag_cli.server.run import serve

    note = "" if quiet else _local_models_note(settings)  # before this server listens, or it would be found as well

    def announce(address: str) -> None:
        if quiet:
            return
        names = ", ".join(map(repr, server.collections or (settings.collection,)))
        served = "all collections" if server.all_collections else names
        lines = [f"serving {served} at {address} (Ctrl-C to stop)"]
        if server.server_key is None and not is_supported():
            lines.append(
                "warning: every user of this machine can ask questions, because the operating system does not report"
                " which user opens a connection; to prevent this, set STREAMRAG_SERVER_KEY"
            )
        process.err.write("".join(f"{line}\n" for line in lines) + note)
        process.err.flush()

    log = start_log(server.log, process)
    try:
        serve(settings, server, announce=announce, prepare_worker=partial(_prepare_worker, server.log))
    finally:
        log.flush()
    return 0


def _local_models_note(settings: Settings) -> str:
    """Return a note for the operator if answers will be quotes although a local model server is running; else ""."""
    if settings.names_a_model:
        return ""
    from streamrag_cli.answer.model_choice import connect_hint, find_local_servers

    servers = [each for each in find_local_servers() if each.models]
    connect = connect_hint(servers, "streamrag serve")
    return f"note: no model is connected, so answers are quotes; {connect}\n" if servers else ""


def _prepare_worker(log: str) -> None:
    from streamrag_cli.cli.server_log import start_log  # already imported by the server

    process = Process.current(time.perf_counter())
    configure_library_logging(process)
    start_log(log, process)
