"""The checks' findings, and the exit code that results from them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from streamrag_cli.errors import ExitCode, StreamragError
from streamrag_cli.model import PRIVATE, shown

CheckName: TypeAlias = Literal[
    "settings", "key", "model", "embedding", "store", "disk", "terminal", "engine", "ocr", "telemetry"
]
State: TypeAlias = Literal["ok", "warning", "failed"]

_WORST_FIRST: Final = (
    ExitCode.BUG,
    ExitCode.STORE,  # no question can be answered
    ExitCode.CONFIGURATION,
    ExitCode.MODEL_SERVER,  # may be temporary
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One result of a check. `found` is the message.

    `hint` is the command that fixes the problem; `code` and `exit_code` are those of the error. `figures` are counts
    and times for `--json`; their names contain their units. `collection` is set if the finding is about one collection.
    """

    check: CheckName
    state: State
    found: str
    hint: str = ""
    code: str = ""
    exit_code: ExitCode = field(default=ExitCode.OK, metadata=shown(PRIVATE))
    collection: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)


def ok(check: CheckName, found: str, *, figures: Mapping[str, float] | None = None) -> Finding:
    return Finding(check=check, state="ok", found=found, figures=figures or {})


def warning(
    check: CheckName, found: str, *, code: str, hint: str = "", figures: Mapping[str, float] | None = None
) -> Finding:
    return Finding(check=check, state="warning", found=found, hint=hint, code=code, figures=figures or {})


def failed(check: CheckName, error: StreamragError, *, hint: str = "") -> Finding:
    """Create the finding for an expected error. A `hint` that is not empty replaces the error's hint."""
    return Finding(
        check=check,
        state="failed",
        found=error.message,
        hint=hint or error.hint,
        code=error.code,
        exit_code=error.exit_code,
    )


def exit_code_of(findings: Iterable[Finding]) -> ExitCode:
    """Return the exit code of the worst failure; 0 if no check failed. Warnings do not count."""
    codes = {finding.exit_code for finding in findings if finding.state == "failed"}
    return next((code for code in _WORST_FIRST if code in codes), max(codes, default=ExitCode.OK))
