"""Runs the checks, one after the other; none of them can stop the rest."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from streamrag_cli.doctor.embedding_check import check_embedding
from streamrag_cli.doctor.engine_check import check_engine
from streamrag_cli.doctor.findings import CheckName, Finding, failed
from streamrag_cli.doctor.model_check import check_model
from streamrag_cli.doctor.settings_check import Reading, check_key, check_settings
from streamrag_cli.doctor.store_check import check_disk, check_store
from streamrag_cli.doctor.telemetry_check import check_telemetry
from streamrag_cli.doctor.terminal_check import Screen, check_terminal
from streamrag_cli.errors import ExitCode, StreamragError
from streamrag_cli.store.registry import open_store

_log: Final = logging.getLogger("streamrag.doctor")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """What is examined. With `full` every chunk is searched for, else a bounded number of each collection."""

    flags: Mapping[str, object | None]
    environment: Mapping[str, str]
    screen: Screen
    full: bool = False


def run_checks(patient: CheckContext) -> Iterator[Finding]:
    """The findings as they are made. Where the settings cannot be read, what depends on them is left out.

    Raises UsageError for a flag that makes no sense.
    """
    reading = Reading(patient.flags, patient.environment)
    yield from _guarded("settings", lambda: check_settings(reading))
    settings = reading.settings
    if settings is not None:
        store_flags = {name: patient.flags.get(name) for name in ("store", "collection")}
        yield from _guarded("key", lambda: check_key(settings, patient.environment))
        yield from _guarded("model", lambda: check_model(settings))
        yield from _guarded("embedding", lambda: check_embedding(settings))
        yield from _guarded("store", lambda: check_store(settings, store_flags, full=patient.full))
        yield from _guarded("disk", lambda: check_disk(open_store(settings.store)))
    yield from _guarded("terminal", lambda: check_terminal(patient.screen, patient.environment))
    yield from _guarded("engine", lambda: check_engine(settings, patient.environment))
    yield from _guarded("telemetry", lambda: check_telemetry(patient.environment))


def _guarded(name: CheckName, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of a check, and its failure, expected or not, as the last."""
    try:
        yield from check()
    except StreamragError as error:
        yield failed(name, error)
    except Exception as error:  # noqa: BLE001 - a bug in one check must not hide what the others find
        _log.debug("the check of %s failed", name, exc_info=error)
        yield Finding(
            check=name,
            state="failed",
            found=f"internal error: {type(error).__name__}",
            hint="streamrag doctor --debug   (and report what it prints)",
            code="internal_error",
            exit_code=ExitCode.BUG,
        )
