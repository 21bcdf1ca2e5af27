"""An open web page with its server and model."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from tests.support.chromium import Page
from tests.support.openai_server import OpenAIServer

ANSWER: Final = ".answer, #answer"
"""The page's answers, and the one in the React example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """An open page, the address of its server, and the model server."""

    page: Page
    url: str
    model: OpenAIServer

    def ask(self, question: str) -> None:
        self.page.call("fill", "#question", question)
        self.page.press("Enter")

    def ask_and_wait(self, question: str, *, status: str = "Answered.") -> None:
        self.ask(question)
        self.wait_for_status(status)

    def wait_for_status(self, status: str) -> None:
        self.page.wait_until(f"document.getElementById('status').textContent.includes({status!r})")

    def wait_for_text(self, text: str) -> None:
        self.page.wait_until(f"[...document.querySelectorAll('{ANSWER}')].at(-1)?.textContent.includes({text!r})")


Visiting = Callable[..., AbstractContextManager[Visit]]
