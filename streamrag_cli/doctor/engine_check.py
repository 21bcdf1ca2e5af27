"""The engine, which is only a convenience: whatever is wrong with it, a command answers without it."""

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
        yield ok("engine", "switched off: every command does all its work itself")
        return
    try:
        own, every = address_for(environment), all_addresses(environment)
        state = state_of(own, "status")
    except UnsafeDirectoryError as error:
        yield warning("engine", f"it cannot be used: {error}", hint=error.hint, code="engine_unusable")
        return
    except (EngineUnavailableError, OSError) as error:
        yield warning("engine", f"it cannot be used: {error}", hint=_STOP, code="engine_unusable")
        return
    if others := len([each for each in every if each != own and _lives(each)]):
        said = f"{others} of another version or environment {'is' if others == 1 else 'are'} still running"
        yield warning("engine", said, hint=_STOP, code="engine_outdated")
    if state is None:
        yield ok("engine", "none is running; the next question starts one")
    else:
        said = f"version {state['version']} is running as process {state['pid']}, {state['rss_mb']} MB"
        if state["version"] == __version__:
            yield ok("engine", said)
        else:
            yield warning("engine", f"{said}; this is version {__version__}", hint=_STOP, code="engine_outdated")


def _lives(place: EngineAddress) -> bool:
    """Whether an engine is there, be it one that does not answer. A killed one leaves its socket behind."""
    try:
        return state_of(place, "status") is not None
    except (EngineUnavailableError, OSError):
        return True
