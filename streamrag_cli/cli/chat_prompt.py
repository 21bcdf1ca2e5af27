"""The prompt for a chat on a terminal, with line editing, history and multi-line text."""

import asyncio
import os
import signal
from collections.abc import Iterable
from typing import Any, Final, TextIO

from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.data_structures import Size
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.shortcuts import PromptSession

from streamrag_cli.cli.chat_input import LEAVE_HINT, PROMPT, YES_OR_NO, is_yes
from streamrag_cli.cli.keyboard import Keyboard
from streamrag_cli.cli.process import Process
from streamrag_cli.cli.signals import Interrupted
from streamrag_cli.errors import ExitCode
from streamrag_cli.render.consoles import size_of

_PASTE_ON: Final = "\x1b[?2004h"
_PASTE_OFF: Final = "\x1b[?2004l"


class EditedLines:
    """Reads texts that are edited at a prompt. Enter ends a text; Alt-Enter, Ctrl-J and pasted line breaks do not.

    Bracketed paste stays on between two prompts, so that several lines pasted during an answer stay one text. Importing
    this module takes 0.25 s.
    """

    def __init__(
        self, process: Process, prompt_on: TextIO, keyboard: Keyboard, runner: asyncio.Runner, recalled: Iterable[str]
    ) -> None:
        self._process = process
        self._out = prompt_on
        self._keyboard = keyboard
        self._runner = runner
        self._history = InMemoryHistory(list(recalled))
        self._input = Vt100Input(process.stdin)
        self._output = Vt100_Output(
            prompt_on,
            self._size,
            term=process.environment.get("TERM"),
            enable_bell=False,
            enable_cpr=False,  # a late reply would be read as typed text
        )
        self._session: PromptSession[str] = PromptSession(
            PROMPT,
            multiline=True,
            prompt_continuation=" " * len(PROMPT),
            history=self._history,
            key_bindings=self._bindings(),
            input=self._input,
            output=self._output,
        )

    def read(self) -> str | None:
        return self._edited_with(self._session)

    def confirms(self, question: str) -> bool:
        return is_yes(
            self._edited_with(PromptSession(f"{question} {YES_OR_NO}", input=self._input, output=self._output))
        )

    def add_to_history(self, text: str) -> None:
        self._history.append_string(text)

    def _size(self) -> Size:
        columns, rows = size_of(self._out)
        return Size(rows=rows, columns=columns)

    def close(self) -> None:
        self._write(_PASTE_OFF)

    def _edited_with(self, session: PromptSession[str]) -> str | None:
        try:
            with self._process.signals.deferred():
                text = self._runner.run(self._edited(session))
        except EOFError:
            return None
        except KeyboardInterrupt:  # Ctrl-C at a prompt other than the chat's own
            raise Interrupted(ExitCode.INTERRUPTED) from None
        finally:
            self._write(_PASTE_ON)
        self._check_for_ctrl_c()
        return text

    def _check_for_ctrl_c(self) -> None:
        """Raise Interrupted if Ctrl-C was pressed so soon after Enter that it was read as a key and not as a signal."""
        keys = [*get_typeahead(self._input), *self._input.read_keys()]
        store_typeahead(self._input, [each for each in keys if each.key != Keys.ControlC])
        if any(each.key == Keys.ControlC for each in keys):
            raise Interrupted(ExitCode.INTERRUPTED)

    async def _edited(self, session: PromptSession[str]) -> str:
        loop = asyncio.get_running_loop()
        prompt = loop.create_task(session.prompt_async(handle_sigint=False, set_exception_handler=False))
        interrupted_by: list[ExitCode] = []

        def end(code: ExitCode) -> None:
            interrupted_by.append(code)
            loop.call_soon_threadsafe(prompt.cancel)

        with self._process.signals.on_signal(end):
            try:
                text = await prompt
            except asyncio.CancelledError:
                if not interrupted_by:
                    raise
        if interrupted_by:
            raise Interrupted(interrupted_by[0])
        return text

    def _bindings(self) -> KeyBindings:
        bindings = KeyBindings()
        in_text = has_focus(DEFAULT_BUFFER)

        @bindings.add("enter", filter=in_text)
        def _(event: Any) -> None:
            event.current_buffer.validate_and_handle()

        @bindings.add("escape", "enter", filter=in_text)
        @bindings.add("c-j", filter=in_text)
        def _(event: Any) -> None:
            event.current_buffer.insert_text("\n")

        @bindings.add("c-c", filter=in_text)
        def _(event: Any) -> None:
            if event.current_buffer.text:
                event.current_buffer.reset()
            else:
                run_in_terminal(lambda: self._write(f"{LEAVE_HINT}\n"))

        @bindings.add("c-z", filter=in_text)
        def _(_event: Any) -> None:
            run_in_terminal(self._stop)

        return bindings

    def _stop(self) -> None:
        with self._keyboard.own_modes():
            self._write(_PASTE_OFF)
            os.kill(0, signal.SIGTSTP)  # with the other programs in a pipeline; returns when this process is continued

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
