"""Runs the checks one after the other; a failing check does not stop the others."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from streamrag_cli.doctor.embedding_check import check_embedding
from streamrag_cli.doctor.engine_check import check_engine
from streamrag_cli.doctor.findings import CheckName, Finding, failed
from streamrag_cli.doctor.model_check import check_model
from streamrag_cli.doctor.ocr_check import check_ocr
from streamrag_cli.doctor.settings_check import Reading, check_key, check_settings
from streamrag_cli.doctor.store_check import check_disk, check_store
from streamrag_cli.doctor.telemetry_check import check_telemetry
from streamrag_cli.doctor.terminal_check import Screen, check_terminal
from streamrag_cli.errors import ExitCode, StreamragError
from streamrag_cli.store.registry import open_store

_log: Final = logging.getLogger("streamrag.doctor")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """The environment to check. With `full`, the index is tested with every chunk instead of a sample."""

    flags: Mapping[str, object | None]
    environment: Mapping[str, str]
    screen: Screen
    full: bool = False


def run_checks(context: CheckContext) -> Iterator[Finding]:
    """Run the checks and yield their findings. If the settings cannot be read, skip the checks that depend on them.

    Raises UsageError for an invalid flag.
    """
    reading = Reading(context.flags, context.environment)
    yield from _guarded("settings", lambda: check_settings(reading))
    settings = reading.settings
    if settings is not None:
        store_flags = {name: context.flags.get(name) for name in ("store", "collection")}
        yield from _guarded("key", lambda: check_key(settings, context.environment))
        yield from _guarded("model", lambda: check_model(settings))
        yield from _guarded("embedding", lambda: check_embedding(settings))
        yield from _guarded("store", lambda: check_store(settings, store_flags, full=context.full))
        yield from _guarded("disk", lambda: check_disk(open_store(settings.store)))
    yield from _guarded("terminal", lambda: check_terminal(context.screen, context.environment))
    yield from _guarded("engine", lambda: check_engine(settings, context.environment))
    yield from _guarded("ocr", lambda: check_ocr(settings.ocr if settings else "auto", context.environment))
    yield from _guarded("telemetry", lambda: check_telemetry(context.environment))


def _guarded(name: CheckName, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield a check's findings. If the check raises an exception, the last finding reports it."""
    try:
        yield from check()
    except StreamragError as error:
        yield failed(name, error)
    except Exception as error:  # noqa: BLE001 - a bug in one check must not hide the others' findings
        _log.debug("the %s check failed", name, exc_info=error)
        yield Finding(
            check=name,
            state="failed",
            found=f"internal error: {type(error).__name__}",
            hint="run the checks with --debug and report the output: streamrag doctor --debug",
            code="internal_error",
            exit_code=ExitCode.BUG,
        )
