"""Checks the background engine. Problems are only warnings, because commands work without it."""

from collections.abc import Iterator, Mapping
from typing import Final

from streamrag_cli import __version__
from streamrag_cli.doctor.findings import Finding, ok, warning
from streamrag_cli.engine.address import EngineAddress, UnsafeDirectoryError, address_for, all_addresses
from streamrag_cli.engine.client import EngineUnavailableError, state_of
from streamrag_cli.settings import Settings

_STOP: Final = "streamrag engine stop"


def check_engine(settings: Settings | None, environment: Mapping[str, str]) -> Iterator[Finding]:
    if settings is not None and settings.engine == "off":
        yield ok("engine", "disabled; commands run without the engine")
        return
    try:
        own, addresses = address_for(environment), all_addresses(environment)
        state = state_of(own, "status")
    except UnsafeDirectoryError as error:
        yield warning("engine", f"cannot be used: {error}", hint=error.hint, code="engine_unusable")
        return
    except (EngineUnavailableError, OSError) as error:
        yield warning("engine", f"cannot be used: {error}", hint=_STOP, code="engine_unusable")
        return
    if others := len([each for each in addresses if each != own and _is_running(each)]):
        engines, verb = ("1 engine", "is") if others == 1 else (f"{others} engines", "are")
        message = f"{engines} from another version or environment {verb} still running"
        yield warning("engine", message, hint=_STOP, code="engine_outdated")
    if state is None:
        yield ok("engine", "not running; the next question starts the engine")
    else:
        message = f"version {state['version']} is running as process {state['pid']}, {state['rss_mb']} MB"
        if state["version"] == __version__:
            yield ok("engine", message)
        else:
            yield warning(
                "engine", f"{message}; this command is version {__version__}", hint=_STOP, code="engine_outdated"
            )


def _is_running(address: EngineAddress) -> bool:
    """Whether an engine listens at `address`, even if it does not answer.

    The existence of the socket file is not enough, because a killed engine does not remove it.
    """
    try:
        return state_of(address, "status") is not None
    except (EngineUnavailableError, OSError):
        return True
