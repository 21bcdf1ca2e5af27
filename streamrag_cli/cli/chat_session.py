"""One chat: asks its questions in order, and stores the conversation for follow-up questions and commands."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from streamrag_cli.cli.ask import service_for
from streamrag_cli.cli.chat_events import line_too_long, with_question_first
from streamrag_cli.cli.chat_input import MAX_LINE_BYTES, ChatInput
from streamrag_cli.cli.conversation import new_thread, recorded
from streamrag_cli.cli.exchanges import Exchange
from streamrag_cli.cli.keyboard import Keyboard
from streamrag_cli.cli.options import OutputFlags
from streamrag_cli.cli.output import output_options
from streamrag_cli.cli.process import Process, settings_from
from streamrag_cli.cli.signals import Interrupted
from streamrag_cli.errors import ExitCode, StreamragError, UsageError
from streamrag_cli.events import QUOTES_ONLY, AskEvent, Status, Token
from streamrag_cli.model import Filter, Question, Source
from streamrag_cli.render.error_output import print_error
from streamrag_cli.render.interface import Renderer
from streamrag_cli.render.renderer import OutputOptions, renderer_for
from streamrag_cli.service.interface import Service
from streamrag_cli.settings import Settings
from streamrag_cli.text import sanitise

_SHOWN_ONCE: Final = frozenset({QUOTES_ONLY.code, "history_cut"})
"""Notices that are shown only once, because they apply to every later answer as well."""
_WORDS: Final = frozenset({"exit", "quit", "help"})
"""Commands that may be typed without a slash, as in other programs."""
NO_SOURCES: Final = "this chat has no answer with sources yet"
_INTERRUPTED: Final = "interrupted before the answer was complete"


@dataclass(slots=True, kw_only=True)
class ChatSession:
    """A chat whose questions come from a terminal (with a `keyboard`), a file or a pipe.

    `flags` are the settings given as flags or with `/set`, and `filter` applies to every question. `local_service`
    answers if the engine is not used. `exchanges` are the questions and answers in the current conversation, and
    `thread` is its id, or "" if it is not logged.
    """

    process: Process
    input: ChatInput
    keyboard: Keyboard | None
    runner: asyncio.Runner
    local_service: Service
    flags: dict[str, object | None]
    settings: Settings
    output_flags: OutputFlags
    filter: Filter
    run_command: Callable[["ChatSession", str], ExitCode]
    stops_on_error: bool
    thread: str = ""
    exchanges: list[Exchange] = field(default_factory=list)
    _superseded: list[Exchange] = field(default_factory=list)
    _shown_notices: frozenset[str] = frozenset()
    _has_left: bool = False
    _has_asked: bool = False
    _has_written: bool = False

    @property
    def is_interactive(self) -> bool:
        """Whether the questions are typed on a terminal."""
        return self.keyboard is not None

    @property
    def directory(self) -> Path:
        return self.process.working_directory or Path("/")

    @property
    def current_exchanges(self) -> Sequence[Exchange]:
        """The questions and answers in the conversation, without answers that `/again` has replaced."""
        return [each for each in self.exchanges if each not in self._superseded]

    @property
    def sources(self) -> Sequence[Source]:
        """The sources of the last answer that has any."""
        return next((each.sources for each in reversed(self.exchanges) if each.sources), ())

    @property
    def output(self) -> OutputOptions:
        return output_options(self.output_flags, self.settings)

    def run(self) -> ExitCode:
        """Answer every question. Return the exit code of the last failure, or OK if the questions were typed.

        Raises Interrupted if a signal ends the process, and BrokenPipeError if the reader of stdout closes its pipe.
        """
        last_failure = ExitCode.OK
        while not self._has_left:
            code = self._next()
            last_failure = code or last_failure
            if self.stops_on_error and code not in {ExitCode.OK, ExitCode.INTERRUPTED}:
                return code
        return ExitCode.OK if self.is_interactive else last_failure

    def _next(self) -> ExitCode:
        """Read one text, and run it as a command or ask it. Ctrl-C or an expected failure ends only this step.

        On a terminal, a blank line separates an answer from the next prompt.
        """
        try:
            if self.is_interactive and self._has_asked:
                self.print("")
            self._has_asked = False
            text = self.input.read()
            if text is None:
                self._has_left = True
                return ExitCode.OK
            return self._respond(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        except Interrupted:
            if self.process.signals.received:
                raise
            return ExitCode.INTERRUPTED
        except StreamragError as error:
            print_error(self.process.err, error.message, error.hint)
            self._has_left = self._has_left or error.code == "stdin_unreadable"
            return error.exit_code

    def _respond(self, text: str) -> ExitCode:
        stripped = text.strip()
        if not stripped:
            return ExitCode.OK
        if self.is_interactive and stripped in _WORDS:
            return self.run_command(self, f"/{stripped}")
        if stripped.startswith("/") and not stripped.startswith("//"):
            return self.run_command(self, stripped)
        return self.ask(stripped.removeprefix("/"))

    def ask(
        self, text: str, settings: Settings | None = None, *, history: Sequence[Exchange] | None = None
    ) -> ExitCode:
        """Ask one question, show its answer, and return its exit code."""
        used = settings or self.settings
        earlier = self.exchanges if history is None else history
        exchange = Exchange(question=text)
        self.thread = self.thread or new_thread(self.process, used)
        question = Question(
            text=text,
            accepted_at=time.perf_counter(),
            with_stages=self.output_flags["timings"],
            history=tuple(each.turn for each in earlier if each.answer and each not in self._superseded),
            thread=self.thread,
            n=len(self.exchanges) + 1,
            filter=self.filter,
        )
        flag = f"--thread {self.thread}" if self.thread and question.history else ""
        self.process.hint_command = replace(self.process.hint_command, question=text, conversation=flag)
        self.exchanges.append(exchange)
        self._has_asked = True
        try:
            with self.process.signals.deferred():
                is_cut = len(text) >= MAX_LINE_BYTES
                events = (
                    line_too_long()
                    if is_cut
                    else service_for(self.process, used, self.local_service).ask(question, used)
                )
                announces = not (self.output.json or self.output.jsonl or self.output.quiet)
                events = recorded(events, question, used, self.process, announce=announces)
                if self.output.json or self.output.jsonl:
                    events = with_question_first(events, question)
                code = self._show(exchange, events)
        except Interrupted:
            if not (self.process.signals.received or exchange.is_complete):
                print_error(self.process.err, _INTERRUPTED)
            raise
        if self.process.signals.received:
            raise Interrupted(self.process.signals.received)
        if code is ExitCode.BROKEN_PIPE:
            raise BrokenPipeError
        return code

    def ask_typed(self, text: str) -> ExitCode:
        """Ask a question that was written in an editor."""
        self.input.add_to_history(text)
        return self.ask(text)

    def ask_again(self, flags: Mapping[str, object]) -> ExitCode:
        """Ask the last question again with different settings. The new answer replaces the last one."""
        if not self.exchanges:
            raise UsageError("this chat has no question to ask again yet", code="usage")
        last = self.exchanges[-1]
        hint_command = self.process.hint_command
        settings = settings_from(self.process, {**self.flags, **flags})
        try:
            return self.ask(last.question, settings, history=self.exchanges[:-1])
        finally:
            self.process.hint_command = hint_command
            if self.exchanges[-1].answer:
                self._superseded.append(last)

    def change_setting(self, name: str, value: str | list[str]) -> None:
        """Change a setting for later questions. Raises UsageError or ConfigurationError."""
        self.settings = settings_from(self.process, {**self.flags, name: value})
        self.flags[name] = value

    def begin_thread(self) -> None:
        self.thread = ""
        self.exchanges = []

    def leave(self) -> None:
        self._has_left = True

    def confirms(self, question: str) -> bool:
        return self.input.confirms(question)

    def print(self, text: str) -> None:
        """Print the result of a command on stderr, because stdout contains only answers."""
        self.process.err.write(f"{sanitise(text)}\n")
        self.process.err.flush()

    def print_sources(self) -> None:
        if not self.sources:
            raise UsageError(NO_SOURCES, code="usage")
        from streamrag_cli.render.consoles import console_for
        from streamrag_cli.render.source_rows import print_sources

        print_sources(console_for(self.process.err, plain=self.output.plain), self.sources)

    def run_program(self, command: Sequence[str]) -> int:
        """Run a program on the terminal until it ends; return its exit code. Raises OSError."""
        import subprocess

        assert self.keyboard is not None  # noqa: S101 - such commands are refused without a terminal
        out = self.process.out if self.process.out.isatty() else self.process.err
        with self.keyboard.own_modes(), subprocess.Popen(command, stdin=self.process.stdin, stdout=out) as program:

            def end(_: ExitCode) -> None:
                if self.process.signals.received:
                    program.terminate()

            with self.process.signals.on_signal(end):
                code = program.wait()
        if self.process.signals.received:
            raise Interrupted(self.process.signals.received)
        return code

    def _show(self, exchange: Exchange, events: AsyncGenerator[AskEvent, None]) -> ExitCode:
        from streamrag_cli.cli.run import run
        from streamrag_cli.cli.source_names import with_shown_names

        process = self.process
        terminal_type = process.environment.get("TERM", "")
        hides_notice, shown_notices = self.output.hides_notice, _SHOWN_ONCE & self._shown_notices
        output = replace(
            self.output, hides_notice=lambda code: code in shown_notices or bool(hides_notice and hides_notice(code))
        )
        renderer = renderer_for(output, out=process.out, err=process.err, terminal_type=terminal_type)
        if not (process.out.isatty() or self.output.json or self.output.jsonl):
            renderer = _Separated(renderer, self)
        events = exchange.observe(with_shown_names(events, process.display_names))
        with self._stoppable(renderer):
            code = run(events, renderer, process, part_of="answer", runner=self.runner)
        self._shown_notices |= exchange.notices
        return code

    @contextmanager
    def _stoppable(self, renderer: Renderer[AskEvent]) -> Iterator[None]:
        """Within the block, Ctrl-Z first makes the renderer erase the output that it will redraw."""
        if self.keyboard is None:
            yield
            return
        loop = self.runner.get_loop()

        def erase() -> None:
            renderer.handle(Status(status="generating"))

        def stop_in_loop(stop: Callable[[], None]) -> None:
            loop.call_soon_threadsafe(erase)
            loop.call_soon_threadsafe(stop)

        with self.keyboard.stoppable(stop_in_loop):
            yield

    def separate(self) -> None:
        """Write the blank line between two answers in a pipe."""
        if self._has_written:
            self.process.out.write("\n")
        self._has_written = True


class _Separated:
    """Writes a blank line before an answer that is not the first one."""

    def __init__(self, renderer: Renderer[AskEvent], session: ChatSession) -> None:
        self._renderer = renderer
        self._session = session
        self._has_begun = False

    def handle(self, event: AskEvent) -> None:
        if isinstance(event, Token) and not self._has_begun:
            self._session.separate()
            self._has_begun = True
        self._renderer.handle(event)

    def close(self) -> None:
        self._renderer.close()
