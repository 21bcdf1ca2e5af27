"""Shell completion of collection and model names, and of file names for arguments that are files.

Typer installs and runs completion, but completes file names if nothing else matches, and ignores `XDG_CONFIG_HOME` in
fish. `prepare` changes both. It is called only in processes that complete, install or show completion.
"""

import contextlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import typer

from streamrag_cli.settings import Settings, read_settings

VARIABLE: Final = "_STREAMRAG_COMPLETE"
_FLAGS: Final = frozenset({"--install-completion", "--show-completion"})
_LIMIT_S: Final = 1.0
_NOTHING: Final = ":nothing:"
"""The end of a completion reply that suppresses all completions, including file names."""
_PLAIN: Final = re.compile(r"[\w@%+=:,./][\w@%+=:,./-]*")
_BASH: Final = """
%(complete_func)s() {
    local IFS=$'\\n'
    COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]}" \\
                   COMP_CWORD=$COMP_CWORD \\
                   %(autocomplete_var)s=complete_bash $1 ) )
    if [[ "${COMPREPLY[0]}" == *":nothing:" ]]; then
        COMPREPLY=()
        compopt +o default
    fi
    return 0
}

complete -o default -F %(complete_func)s %(prog_name)s
"""


def is_needed(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether this process completes a command line, installs completion or shows it."""
    return VARIABLE in environment or not _FLAGS.isdisjoint(arguments)


def prepare(environment: Mapping[str, str]) -> None:
    """Replace the parts of typer's completion that offer unsuitable names or install to the wrong directory."""
    from typer import _completion_classes, _completion_shared

    def install_fish(*, prog_name: str, complete_var: str, shell: str) -> Path:
        folder = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "fish" / "completions"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{prog_name}.fish"
        script = _completion_shared.get_completion_script(prog_name=prog_name, complete_var=complete_var, shell=shell)
        file.write_text(f"{script}\n", encoding="utf-8")
        return file

    _completion_shared._completion_scripts["bash"] = _BASH
    _completion_shared.install_fish = install_fish
    _completion_classes.FishComplete.complete = _without_marker(_completion_classes.FishComplete.complete, "")  # type: ignore[method-assign]
    _completion_classes.ZshComplete.complete = _without_marker(_completion_classes.ZshComplete.complete, "true")  # type: ignore[method-assign]


def _without_marker(complete: Any, replacement: str) -> Any:
    def wrapped(self: Any) -> str:
        reply = str(complete(self))
        return replacement if _NOTHING in reply or _NOTHING.replace(":", r"\\:") in reply else reply

    return wrapped


def nothing(incomplete: str) -> list[str]:
    """Suppress completion, for arguments that are free text."""
    return [incomplete + _NOTHING]  # typer drops completions that do not start with what was typed


def collections(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the collections in the store. A store on another machine is not queried."""
    from streamrag_cli.store.registry import open_store

    names: Sequence[str] = ()
    with contextlib.suppress(Exception):  # a message would be inserted into the command line
        store = open_store(_settings(ctx).store)
        names = store.collections() if store.has_local_files else ()
    return _matching(names, incomplete)


def models(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the models on the server that the user has set, if it replies within a second."""
    names: Sequence[str] = ()
    with contextlib.suppress(Exception):
        settings = _settings(ctx)
        if settings.base_url:
            from streamrag_cli.answer.model_choice import models_of

            names = models_of(settings.base_url, settings.api_key, timeout_s=_LIMIT_S)
    return _matching(names, incomplete)


def _settings(ctx: typer.Context) -> Settings:
    flags = {name: ctx.params.get(name) for name in ("store", "base_url")}
    return read_settings(flags, ctx.obj.environment)


def _matching(names: Sequence[str], incomplete: str) -> list[str]:
    """Return the names that begin with `incomplete`, without names that a shell would interpret."""
    return [each for each in names if _PLAIN.fullmatch(each) and each.startswith(incomplete)] or nothing(incomplete)
