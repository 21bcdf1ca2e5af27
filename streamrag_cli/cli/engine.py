"""`streamrag engine status` and `streamrag engine stop`, and how a command gets to an engine."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.process import environment
from streamrag_cli.model import Question
from streamrag_cli.settings import Settings
from streamrag_cli.store_place import PostgresUrl

if TYPE_CHECKING:
    from streamrag_cli.engine.client import Connection
    from streamrag_cli.engine.place import Place

_STOP_WITHIN_S: Final = 3.0

app = typer.Typer(
    help="The process that stays warm between questions: what it is doing, and how to end it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def connection_to_engine(
    wants: Literal["ask", "search"], question: Question, settings: Settings, *, debug: bool
) -> "Connection | None":
    """The question on its way to the engine; None where this process is to answer itself."""
    surroundings = environment()
    if settings.engine == "off" or surroundings.get("CI", "").lower() not in {"", "0", "false"}:
        return None
    from streamrag_cli.engine import client
    from streamrag_cli.engine.messages import Request

    request = Request(wants=wants, question=question, settings=settings)
    try:
        _check_database(settings, surroundings)
        return client.connect(request, surroundings, idle_s=settings.engine_idle_s)
    except client.NoEngineError as error:
        client.say_without(error, debug=debug)
        return None


def _check_database(settings: Settings, surroundings: Mapping[str, str]) -> None:
    """Raises NoEngineError where libpq is told more than the store's address says, as by PGPASSWORD."""
    from streamrag_cli.engine.client import NoEngineError

    told = sorted(name for name in surroundings if name.startswith("PG"))
    if told and isinstance(settings.store, PostgresUrl):
        raise NoEngineError(f"{', '.join(told)} is for this process alone")


@app.command("status")
def status(json: options.Json = False) -> int:
    """Show the engines that run: process, version, age, memory, stores."""
    from streamrag_cli.codec import encode

    states = [_state(place, "status") for place in _places(environment())]
    if json:
        sys.stdout.write(encode([state for state in states if state]) + "\n")
    elif not any(states):
        sys.stdout.write("no engine is running\n")
    for state in states if not json else []:
        if state:
            stores = ", ".join(state.get("stores", [])) or "none"
            sys.stdout.write(
                f"engine {state['pid']}, version {state['version']}: {state['questions']} questions,"
                f" {state['open']} open; up {state['running_s']:.0f} s, idle {state['idle_s']:.0f} s;"
                f" {state['rss_mb']} MB; stores: {stores}; log: {state['log']}\n"
            )
    return 0


@app.command("stop")
def stop() -> int:
    """End all engines of this user; questions that are being answered are answered first."""
    stopped = [place for place in _places(environment()) if _stop(place)]
    sys.stdout.write(f"{len(stopped)} stopped\n" if stopped else "no engine is running\n")
    return 0


def _places(surroundings: Mapping[str, str]) -> "list[Place]":
    from streamrag_cli.engine.place import UnsafePlaceError, places

    try:
        return places(surroundings)
    except UnsafePlaceError:
        return []  # a place that no engine would use


def _state(place: "Place", wants: Literal["status", "stop"]) -> dict[str, Any] | None:
    from streamrag_cli.engine.client import NoEngineError, state_of

    try:
        return state_of(place, wants)
    except NoEngineError:
        return {"pid": _pid(place), "version": "?", "questions": "?", "open": "?"} | {
            "running_s": 0.0,
            "idle_s": 0.0,
            "rss_mb": "?",
            "stores": ["does not answer"],
            "log": str(place.log),
        }


def _stop(place: "Place") -> bool:
    """Whether there was one to stop. One that does not end in time is killed: it hangs."""
    state = _state(place, "stop")
    if state is None:
        place.socket.unlink(missing_ok=True)
        return False
    deadline_s = time.monotonic() + _STOP_WITHIN_S
    while place.socket.exists() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    if place.socket.exists() and isinstance(state["pid"], int):
        os.kill(state["pid"], signal.SIGKILL)
        place.socket.unlink(missing_ok=True)
    return True


def _pid(place: "Place") -> int | None:
    from streamrag_cli.engine.client import pid_of

    return pid_of(place)
