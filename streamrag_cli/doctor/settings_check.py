"""Checks the settings, the names of environment variables, and the API key."""

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
    """The settings from flags, environment and file, or the error if they cannot be read.

    Raises UsageError for an invalid flag.
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
        yield failed("settings", reading.error, hint=_hint_for(reading, reading.error))
    known = [name for each in (*SETTINGS, *SERVER_SETTINGS) for name in each.variables]
    own_variables = sorted(name for name in reading.environment if name.startswith(_PREFIX))
    for name in (each for each in own_variables if each not in known):
        near = get_close_matches(name, known, n=1)
        advice = f"did you mean {near[0]}?" if near else "see docs/settings.md for all settings"
        yield warning("settings", f"{name} is not a setting: {advice}", hint=f"unset {name}", code="unknown_variable")
    if reading.error is None:
        file = f"read from {reading.file}" if reading.file.exists() else f"{reading.file} does not exist"
        variables = [name for name in known if reading.environment.get(name, "").strip()]
        yield ok("settings", f"{file}; variables set: {', '.join(variables) or 'none'}")


def _hint_for(reading: Reading, error: ConfigurationError) -> str:
    """Return the command that makes the settings readable: it unsets the variable or renames the file."""
    variable = error.hint.removeprefix("correct ")
    if variable in reading.environment:
        return f"correct the variable, or remove it: unset {variable}"
    if error.code in _FILE_CODES or str(reading.file) in error.hint:
        file = shlex.quote(str(reading.file))
        return f"correct the file, or move it away: mv {file} {file}.not-read"
    return error.hint


def check_key(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check that a key is set if OpenAI requires one, and that it is well-formed. The findings never contain the key.

    Raises ConfigurationError `key_missing`, `key_refused`.
    """
    endpoint = ModelEndpoint.checked(model=settings.model, base_url=None, api_key=settings.api_key)
    names = next(each.variables for each in SETTINGS if each.name == "api_key")
    variables = [name for name in names if environment.get(name, "").strip()]
    if endpoint.api_key is not None:
        if endpoint.api_key[0] in "\"'":
            message = (
                f"the key in {variables[0]} begins with a quotation mark, but API keys never contain quotation marks"
            )
            raise ConfigurationError(message, code="key_refused", hint=f"export {variables[0]}=KEY")
        unused = f"; {', '.join(variables[1:])} not used" if variables[1:] else ""
        yield ok("key", f"set in {variables[0]} and well-formed{unused}")
    elif purpose := _purpose_of_key(settings):
        message = f"no API key is set, but OpenAI requires one for {purpose}"
        raise ConfigurationError(message, code="key_missing", hint=_KEY_HINT)
    else:
        yield ok("key", "not set; required only by OpenAI and some other servers")


def _purpose_of_key(settings: Settings) -> str:
    """Return what OpenAI needs the key for, such as "the model gpt-4o"; "" if the settings do not use OpenAI."""
    try:
        endpoint = ModelEndpoint.checked(model=settings.model, base_url=settings.base_url, api_key=None)
    except ConfigurationError:
        return ""  # the model check reports the invalid URL
    if not endpoint.is_openai:
        return ""
    if (settings.embedding or "").startswith("openai:"):
        return f"the embedder {settings.embedding}"
    return f"the model {endpoint.model}" if endpoint.model else "every model" if settings.base_url else ""
