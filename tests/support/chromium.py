"""Debian's Chromium, driven through playwright-core by `driver.mjs`.

Commands are sent over a pipe to one node process with one browser. Open pages, except a `new_tab`, have their own
profiles; a page may be used again after it is closed.
Every page records requests, dialogs, console messages, errors and violations of the Content-Security-Policy.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

TESTS: Final = Path(__file__).resolve().parent.parent
NODE_MODULES: Final = TESTS / "node" / "node_modules"
CHROMIUM: Final = Path("/usr/bin/chromium")
STATIC: Final = TESTS.parent / "streamrag_cli" / "server" / "static"
_DRIVER: Final = Path(__file__).with_name("driver.mjs")


def require(*, browser: bool) -> None:
    """Skip the test if a program is not installed, and show how to install it; with `CI` set, fail instead."""
    installed = {
        "node and npm: apt-get install nodejs npm": shutil.which("node") is not None,
        "node packages: npm ci --prefix tests/node": NODE_MODULES.is_dir(),
        "a browser: apt-get install chromium": CHROMIUM.exists() or not browser,
    }
    missing = [name for name, is_installed in installed.items() if not is_installed]
    if missing and os.environ.get("CI"):
        pytest.fail("not installed: " + "; ".join(missing))
    if missing:
        pytest.skip("not installed: " + "; ".join(missing))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The recorded activity of a page: network requests, dialogs, console messages, errors and policy violations."""

    requests: list[str]
    dialogs: list[str]
    console: list[str]
    errors: list[str]
    violations: list[str]


class Page:
    """One tab of the browser. Expressions are JavaScript."""

    def __init__(self, browser: "Browser", number: int) -> None:
        self._browser = browser
        self._number = number

    def call(self, name: str, *arguments: object) -> Any:
        """Call playwright's `page.NAME`."""
        return self._browser.command(page=self._number, call=name, **{"with": arguments})

    def seen(self) -> Seen:
        return Seen(**self._browser.command(page=self._number, seen=True))

    def new_tab(self) -> "Page":
        """Open another tab with the same profile. It is closed together with this one."""
        return Page(self._browser, self._browser.command(page=self._number, tab=True))

    def set_offline(self, offline: bool) -> None:
        """Disconnect all tabs of this profile from the network, or connect them."""
        self._browser.command(page=self._number, offline=offline)

    def goto(self, url: str) -> None:
        self.call("goto", url)

    def value(self, expression: str) -> Any:
        """The value of the expression, converted from JSON. If it is a promise, its result."""
        return self.call("evaluate", expression)

    def wait_until(self, expression: str) -> None:
        self._browser.command(page=self._number, until=expression)

    def text(self, selector: str) -> str:
        """The visible text of the first element that matches."""
        return str(self.call("innerText", selector))

    def texts(self, selector: str) -> list[str]:
        return list(self.value(f"[...document.querySelectorAll({selector!r})].map(each => each.textContent)"))

    def press(self, key: str) -> None:
        self.call("keyboard.press", key)

    def focused(self) -> str:
        """The id of the focused element, or its start tag."""
        return str(self.value("document.activeElement.id || document.activeElement.outerHTML.split('>')[0]"))


class Browser:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def command(self, **command: object) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        reply = json.loads(self._process.stdout.readline() or '{"failure": "the driver has ended"}')
        assert "failure" not in reply, reply["failure"]
        return reply["result"]

    @contextmanager
    def page(self, *, dark: bool = False, phone: bool = False, **look: object) -> Iterator[Page]:
        size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 860}
        touch = {"hasTouch": phone, "isMobile": phone}
        scheme = "dark" if dark else "light"
        number = self.command(open={"viewport": size, "colorScheme": scheme, **touch, **look})
        try:
            yield Page(self, number)
        finally:
            self.command(page=number, close=True)


@contextmanager
def running_browser() -> Iterator[Browser]:
    require(browser=True)
    command = ["node", str(_DRIVER), str(CHROMIUM)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Browser(process)
        finally:
            assert process.stdin
            process.stdin.close()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
