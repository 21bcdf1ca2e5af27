"""What a check says, and what all of them together mean."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from streamrag_cli.errors import ExitCode, StreamragError

CheckName: TypeAlias = Literal[
    "settings", "key", "model", "embedding", "store", "disk", "terminal", "engine", "telemetry"
]
State: TypeAlias = Literal["ok", "warning", "failed"]

_WORST_FIRST: Final = (
    ExitCode.BUG,
    ExitCode.STORE,  # nothing can be asked
    ExitCode.CONFIGURATION,
    ExitCode.MODEL_SERVER,  # may pass by itself
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of a check. `hint` is the command that mends a failure; `code` and `exit_code` are its error's.

    `figures` are what was counted or timed, for programs; a name says its unit. `collection` is set where it is about
    one collection of the store.
    """

    check: CheckName
    state: State
    found: str
    hint: str = ""
    code: str = ""
    exit_code: ExitCode = ExitCode.OK
    collection: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)


def ok(check: CheckName, found: str, *, figures: Mapping[str, float] | None = None) -> Finding:
    return Finding(check=check, state="ok", found=found, figures=figures or {})


def warning(
    check: CheckName, found: str, *, code: str, hint: str = "", figures: Mapping[str, float] | None = None
) -> Finding:
    return Finding(check=check, state="warning", found=found, hint=hint, code=code, figures=figures or {})


def failed(check: CheckName, error: StreamragError, *, hint: str = "") -> Finding:
    """An expected failure; `hint` where a better one is known than the error's own."""
    return Finding(
        check=check,
        state="failed",
        found=error.message,
        hint=hint or error.hint,
        code=error.code,
        exit_code=error.exit_code,
    )


def exit_code_of(findings: Iterable[Finding]) -> ExitCode:
    """The class of the worst failure; 0 where nothing failed, whatever was warned of."""
    codes = {finding.exit_code for finding in findings if finding.state == "failed"}
    return next((code for code in _WORST_FIRST if code in codes), max(codes, default=ExitCode.OK))
