"""The commands `streamrag engine status` and `streamrag engine stop`."""

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
    help="Manage the background engine.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("status", cls=options.Command)
def status(context: typer.Context, json: options.Json = False) -> int:
    """Show running engines: process ID, version, uptime, memory and open stores."""
    from streamrag_cli.codec import encode

    process: Process = context.obj
    states = [_state(address, "status") for address in _addresses(process.environment)]
    if json:
        process.out.write(encode([state for state in states if state]) + "\n")
    elif not any(states):
        process.out.write("no engine is running\n")
    for state in states if not json else []:
        if state:
            stores = ", ".join(state.get("stores", [])) or "none"
            process.out.write(
                f"engine {state['pid']}, version {state['version']}: questions answered: {state['questions']},"
                f" in progress: {state['open']}; up {state['running_s']:.0f} s, idle {state['idle_s']:.0f} s;"
                f" {state['rss_mb']} MB; stores: {stores}; log: {state['log']}\n"
            )
    return 0


@app.command("stop", cls=options.Command)
def stop(context: typer.Context) -> int:
    """Stop all engines of this user, after they have answered the questions in progress."""
    process: Process = context.obj
    stopped = [address for address in _addresses(process.environment) if _stop(address)]
    process.out.write(f"{len(stopped)} stopped\n" if stopped else "no engine is running\n")
    return 0


def _addresses(environ: Mapping[str, str]) -> "list[EngineAddress]":
    from streamrag_cli.engine.address import UnsafeDirectoryError, all_addresses

    try:
        return all_addresses(environ)
    except UnsafeDirectoryError:
        return []  # no engine would use such a directory


def _state(address: "EngineAddress", operation: Literal["status", "stop"]) -> dict[str, Any] | None:
    from streamrag_cli.engine.client import EngineUnavailableError, pid_of, state_of

    try:
        return state_of(address, operation)
    except EngineUnavailableError:
        return {"pid": pid_of(address), "version": "?", "questions": "?", "open": "?"} | {
            "running_s": 0.0,
            "idle_s": 0.0,
            "rss_mb": "?",
            "stores": ["unknown (the engine does not respond)"],
            "log": str(address.log),
        }


def _stop(address: "EngineAddress") -> bool:
    """Stop the engine at `address`; kill it if it does not end in time. Returns False if none was running."""
    state = _state(address, "stop")
    if state is None:
        address.socket.unlink(missing_ok=True)
        return False
    deadline_s = time.monotonic() + _STOP_WITHIN_S
    while address.socket.exists() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    if address.socket.exists() and isinstance(state["pid"], int):
        os.kill(state["pid"], signal.SIGKILL)
        address.socket.unlink(missing_ok=True)
    return True
