"""Starts the user's editor, without a shell."""

import shlex
import shutil
import stat
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from streamrag_cli.documents.formats import is_web_page
from streamrag_cli.errors import UsageError
from streamrag_cli.scratch import ScratchDirectory

_HINT: Final = "export VISUAL=vi"
_LINE_AFTER_COLON: Final = frozenset({"hx", "helix", "subl", "zed"})
_LINE_AFTER_GOTO: Final = frozenset({"code", "code-insiders", "codium", "cursor"})
_LINE_AFTER_PLUS: Final = frozenset(
    "vi vim nvim gvim view ex nano pico emacs emacsclient joe jed kak micro mg ne less more most".split()
)

RunProgram = Callable[[Sequence[str]], int]
"""Runs a program on the terminal until it exits; returns its exit code. Raises OSError if it cannot be started."""


def editor_of(environment: Mapping[str, str]) -> list[str]:
    """Return the command in `$VISUAL` or `$EDITOR` as words, or `vi` by default. Raises UsageError `no_editor`."""
    for variable in ("VISUAL", "EDITOR"):
        if command := environment.get(variable, "").strip():
            try:
                return shlex.split(command)
            except ValueError:
                raise UsageError(
                    f"${variable} is not a valid command: {command}", code="no_editor", hint=_HINT
                ) from None
    if vi := shutil.which("vi", path=environment.get("PATH")):
        return [vi]
    raise UsageError("no editor is set in $VISUAL or $EDITOR", code="no_editor", hint=_HINT)


def command_for(path: Path, line: int | None, environment: Mapping[str, str]) -> tuple[list[str], bool]:
    """Return the command that opens a file, and whether the command runs on the terminal.

    A web page or a file without lines, such as a PDF, is opened with `xdg-open` if there is a desktop.
    Raises UsageError.
    """
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        raise UsageError(f"cannot open {path}: {error.strerror}", code="no_such_file") from None
    if not is_file or not path.is_absolute():
        raise UsageError(f"{path} is not a regular file", code="no_such_file")
    has_editor = any(environment.get(variable, "").strip() for variable in ("VISUAL", "EDITOR"))
    has_desktop = any(environment.get(variable) for variable in ("DISPLAY", "WAYLAND_DISPLAY"))
    opener = shutil.which("xdg-open", path=environment.get("PATH")) if has_desktop else None
    if opener and (line is None or not has_editor or is_web_page(path)):
        return [opener, str(path)], False
    return _at_line(editor_of(environment), path, line), True


def _at_line(editor: list[str], path: Path, line: int | None) -> list[str]:
    name = Path(editor[0]).name
    if line is None:
        return [*editor, str(path)]
    if name in _LINE_AFTER_GOTO:
        return [*editor, "--goto", f"{path}:{line}"]
    if name in _LINE_AFTER_COLON:
        return [*editor, f"{path}:{line}"]
    return [*editor, f"+{line}", str(path)] if name in _LINE_AFTER_PLUS else [*editor, str(path)]


def run_editor(command: Sequence[str], run: RunProgram) -> None:
    """Run an editor. Raises UsageError `editor_failed`."""
    try:
        code = run(command)
    except OSError as error:
        raise UsageError(f"cannot run {command[0]}: {error.strerror}", code="editor_failed", hint=_HINT) from None
    if code:
        raise UsageError(f"{command[0]} exited with code {code}", code="editor_failed")


def open_detached(command: Sequence[str]) -> None:
    """Start a program that outlives this process and does not write to the terminal."""
    null = subprocess.DEVNULL
    subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True)


def edited(text: str, environment: Mapping[str, str], run: RunProgram) -> str:
    """Let the user edit `text` in a temporary file that only they can read; return the edited text.

    Raises UsageError `no_editor` or `editor_failed`.
    """
    editor = editor_of(environment)
    with ScratchDirectory("streamrag-editor-") as scratch:
        file = scratch.path / "question.md"
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
        run_editor([*editor, str(file)], run)
        return file.read_text(encoding="utf-8", errors="replace")
