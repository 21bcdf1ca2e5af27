"""The commands `streamrag engine status` and `streamrag engine stop`."""

import os
import signal
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.process import Process
from streamrag_cli.counting import counted_noun

if TYPE_CHECKING:
    from streamrag_cli.engine.address import EngineAddress

_STOP_WITHIN_S: Final = 3.0
_NONE_FOUND: Final = {True: "no engine is running\n", False: "no engine was found\n"}

app = typer.Typer(
    cls=options.Group,
    help="Manage the background engine.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("status", cls=options.Command)
def status(context: typer.Context, json: options.Json = False) -> int:
    """Show the running engines."""
    from streamrag_cli.codec import encode

    process: Process = context.obj
    is_usable = _report_if_unusable(process)
    states = [_state(address, "status") for address in _addresses(process.environment)]
    if json:
        process.out.write(encode([state for state in states if state]) + "\n")
    elif not any(states):
        process.out.write(_NONE_FOUND[is_usable])
    for state in states if not json else []:
        if state:
            stores = ", ".join(state.get("stores", [])) or "none"
            answered = f"{counted_noun(state['questions'], 'question')} answered"
            process.out.write(
                f"engine {state['pid']}, version {state['version']}: {answered}, {state['open']} in progress;"
                f" up {state['running_s']:.0f} s, idle {state['idle_s']:.0f} s; {state['rss_mb']} MB;"
                f" stores: {stores}; log: {state['log']}\n"
            )
    return 0


@app.command("stop", cls=options.Command)
def stop(context: typer.Context) -> int:
    """Stop all engines of this user.

    Engines finish the answers in progress before they stop.
    """
    process: Process = context.obj
    is_usable = _report_if_unusable(process)
    stopped = [address for address in _addresses(process.environment) if _stop(address)]
    process.out.write(f"{len(stopped)} stopped\n" if stopped else _NONE_FOUND[is_usable])
    return 0


def _report_if_unusable(process: Process) -> bool:
    """Return whether questions can use an engine. If not, print the reason; an engine may still be running."""
    from streamrag_cli.engine.address import UnsafeDirectoryError, address_for
    from streamrag_cli.render.error_output import print_error

    try:
        address_for(process.environment)
    except UnsafeDirectoryError as error:
        print_error(process.err, f"the engine cannot be used: {error}", error.hint)
        return False
    return True


def _addresses(environ: Mapping[str, str]) -> "list[EngineAddress]":
    from streamrag_cli.engine.address import all_addresses

    return all_addresses(environ)


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
    """Stop the engine at `address`; kill it if it does not exit in time. Returns False if none was running."""
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
