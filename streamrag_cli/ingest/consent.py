"""What is asked of a person before an ingest does what takes long or cannot be undone."""

from collections.abc import Callable
from dataclasses import dataclass

from streamrag_cli.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """`given` in advance, as by `--yes`; else `ask` is called with the question, and is None if nobody can be asked."""

    given: bool = True
    ask: Callable[[str], bool] | None = None

    def require(self, question: str, *, otherwise: str, hint: str) -> None:
        """Raise UsageError unless a person agrees: `not_confirmed`, or `confirmation_needed` if nobody can be asked.

        `otherwise` says what needs consent, for an error message.
        """
        if not self.given and self.ask is None:
            raise UsageError(f"{otherwise}: this needs --yes", code="confirmation_needed", hint=hint)
        self.invite(question)

    def invite(self, question: str) -> None:
        """The same, but go on if nobody can be asked."""
        if not self.given and self.ask is not None and not self.ask(question):
            raise UsageError("not confirmed: nothing was changed", code="not_confirmed")
