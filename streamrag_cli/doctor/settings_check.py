"""The settings: can they be read, does every variable mean something, is the key one."""

import shlex
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from streamrag_cli.doctor.findings import Finding, failed, ok, warning
from streamrag_cli.errors import ConfigurationError
from streamrag_cli.model_server.endpoint import ModelEndpoint
from streamrag_cli.settings import Settings, config_file, read_server_settings, read_settings
from streamrag_cli.settings_table import SERVER_SETTINGS, SETTINGS

_PREFIX: Final = "STREAMRAG_"
_KEY_HINT: Final = "export OPENAI_API_KEY=KEY"
_FILE_CODES: Final = frozenset({"bad_settings_file", "unknown_setting"})


class Reading:
    """The settings as flags, environment and file say them, or the reason why there are none.

    Raises UsageError for a flag that makes no sense.
    """

    def __init__(self, flags: Mapping[str, object | None], environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.file = config_file(environment)
        self.settings: Settings | None = None
        self.error: ConfigurationError | None = None
        try:
            self.settings = read_settings(flags, environment)
            read_server_settings({}, environment)
        except ConfigurationError as error:
            self.error = error


def check_settings(reading: Reading) -> Iterator[Finding]:
    if reading.error is not None:
        yield failed("settings", reading.error, hint=_how_to_correct(reading, reading.error))
    known = [name for each in (*SETTINGS, *SERVER_SETTINGS) for name in each.variables]
    ours = sorted(name for name in reading.environment if name.startswith(_PREFIX))
    for name in (each for each in ours if each not in known):
        near = get_close_matches(name, known, n=1)
        meant = f"did you mean {near[0]}?" if near else "docs/settings.md lists those that are"
        yield warning("settings", f"{name} is not a setting: {meant}", hint=f"unset {name}", code="unknown_variable")
    if reading.error is None:
        in_file = str(reading.file) if reading.file.exists() else f"no file {reading.file}"
        read = [name for name in known if reading.environment.get(name, "").strip()]
        yield ok("settings", f"{in_file}; {', '.join(read) or 'no variable'} set")


def _how_to_correct(reading: Reading, error: ConfigurationError) -> str:
    """A command after which the settings can be read: the setting is gone, or the file out of the way."""
    variable = error.hint.removeprefix("correct ")
    if variable in reading.environment:
        return f"unset {variable}   (or correct it)"
    if error.code in _FILE_CODES or str(reading.file) in error.hint:
        there = shlex.quote(str(reading.file))
        return f"mv {there} {there}.not-read   (or correct it)"
    return error.hint


def check_key(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether there is a key and one that a header can carry. It is never shown, and neither is its length."""
    endpoint = ModelEndpoint.checked(model=settings.model, base_url=None, api_key=settings.api_key)
    names = next(each.variables for each in SETTINGS if each.name == "api_key")
    given = [name for name in names if environment.get(name, "").strip()]
    if endpoint.api_key is not None:
        if endpoint.api_key[0] in "\"'":
            message = f"the key in {given[0]} begins with a quotation mark: no key does"
            raise ConfigurationError(message, code="key_refused", hint=f"export {given[0]}=KEY")
        unused = f"; {', '.join(given[1:])} not used" if given[1:] else ""
        yield ok("key", f"set by {given[0]}, well-formed{unused}")
    elif wanted_by := _wanted_by(settings):
        message = f"no key is set, and {wanted_by} at OpenAI needs one"
        raise ConfigurationError(message, code="key_missing", hint=_KEY_HINT)
    else:
        yield ok("key", "none set; only OpenAI and servers that ask for one need it")


def _wanted_by(settings: Settings) -> str:
    """What in the settings is served by OpenAI itself, or ""."""
    try:
        endpoint = ModelEndpoint.checked(model=settings.model, base_url=settings.base_url, api_key=None)
    except ConfigurationError:
        return ""  # the address is none: the check of the model says so
    if not endpoint.is_openai:
        return ""
    if (settings.embedding or "").startswith("openai:"):
        return f"the embedding {settings.embedding}"
    return f"the model {endpoint.model}" if endpoint.model else "every model" if settings.base_url else ""
