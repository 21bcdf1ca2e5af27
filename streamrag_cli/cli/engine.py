"""`streamrag engine status` and `streamrag engine stop`."""

import os
import signal
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.process import Process

if TYPE_CHECKING:
    from streamrag_cli.engine.address import EngineAddress

_STOP_WITHIN_S: Final = 3.0

app = typer.Typer(
    cls=options.Group,
    help="The process that stays warm between questions: what it is doing, and how to end it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("status", cls=options.Command)
def status(context: typer.Context, json: options.Json = False) -> int:
    """Show the engines that run: process, version, age, memory, stores."""
    from streamrag_cli.codec import encode

    process: Process = context.obj
    states = [_state(place, "status") for place in _places(process.environment)]
    if json:
        process.out.write(encode([state for state in states if state]) + "\n")
    elif not any(states):
        process.out.write("no engine is running\n")
    for state in states if not json else []:
        if state:
            stores = ", ".join(state.get("stores", [])) or "none"
            process.out.write(
                f"engine {state['pid']}, version {state['version']}: {state['questions']} questions,"
                f" {state['open']} open; up {state['running_s']:.0f} s, idle {state['idle_s']:.0f} s;"
                f" {state['rss_mb']} MB; stores: {stores}; log: {state['log']}\n"
            )
    return 0


@app.command("stop", cls=options.Command)
def stop(context: typer.Context) -> int:
    """End all engines of this user; questions that are being answered are answered first."""
    process: Process = context.obj
    stopped = [place for place in _places(process.environment) if _stop(place)]
    process.out.write(f"{len(stopped)} stopped\n" if stopped else "no engine is running\n")
    return 0


def _places(surroundings: Mapping[str, str]) -> "list[EngineAddress]":
    from streamrag_cli.engine.address import UnsafeDirectoryError, all_addresses

    try:
        return all_addresses(surroundings)
    except UnsafeDirectoryError:
        return []  # a place that no engine would use


def _state(place: "EngineAddress", wants: Literal["status", "stop"]) -> dict[str, Any] | None:
    from streamrag_cli.engine.client import EngineUnavailableError, pid_of, state_of

    try:
        return state_of(place, wants)
    except EngineUnavailableError:
        return {"pid": pid_of(place), "version": "?", "questions": "?", "open": "?"} | {
            "running_s": 0.0,
            "idle_s": 0.0,
            "rss_mb": "?",
            "stores": ["does not answer"],
            "log": str(place.log),
        }


def _stop(place: "EngineAddress") -> bool:
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
