"""Reads settings: flags override environment variables, which override the settings file.

The settings file is `$XDG_CONFIG_HOME/streamrag/config.toml`. No file is read from the working directory, because a
cloned repository must not be able to redirect a user's questions. Flags and environment are passed as arguments;
`settings_table` defines every setting.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from streamrag_cli.errors import ConfigurationError, UsageError
from streamrag_cli.regular_files import read_regular_file
from streamrag_cli.setting_row import NOT_FIXED, Setting
from streamrag_cli.settings_table import SERVER_SETTINGS, SETTINGS, ServerSettings, Settings

__all__ = [
    "ServerSettings",
    "Settings",
    "config_file",
    "data_directory",
    "defaults",
    "read_server_settings",
    "read_settings",
    "with_request",
]

_MAX_BYTES: Final = 1_000_000
"""The maximum size of the settings file."""
_MAX_DOTS: Final = 4000
"""The maximum number of dots in the settings file. Parsing a key takes time quadratic in its number of parts."""
_SHOWN_CHARS: Final = 80


def read_settings(flags: Mapping[str, object | None], environment: Mapping[str, str]) -> Settings:
    """Combine the flags (None means unset), the environment and the settings file.

    Raises UsageError for an invalid flag and ConfigurationError for an invalid variable or file. An empty variable
    counts as unset.
    """
    values = _values(SETTINGS, flags, environment)
    values.setdefault("store", data_directory(environment))
    values["store"] = values["store"].absolute()
    return Settings(**values, state_directory=str(_xdg(environment, "XDG_STATE_HOME", ".local/state") / "streamrag"))


def read_server_settings(flags: Mapping[str, object | None], environment: Mapping[str, str]) -> ServerSettings:
    """Read the settings for `serve`, in the same way as `read_settings`."""
    return ServerSettings(**_values(SERVER_SETTINGS, flags, environment))


def with_request(settings: Settings, parameters: Mapping[str, object | None]) -> Settings:
    """Return `settings` with the parameters from one request (None means unset). Raises UsageError `bad_request`."""
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        if (value := parameters.get(setting.name)) is not None:
            try:
                if setting.several_in and isinstance(value, list):
                    values[setting.name] = ",".join(dict.fromkeys(setting.parse(each) for each in value))
                else:
                    values[setting.name] = setting.parse(str(value))
            except ValueError as error:
                raise UsageError(f"{setting.name}: {error}", code="bad_request") from None
    return replace(settings, **values)


def _values(
    names: Sequence[Setting], flags: Mapping[str, object | None], environment: Mapping[str, str]
) -> dict[str, Any]:
    file_path = config_file(environment)
    in_file = _read_file(file_path)
    values: dict[str, Any] = {}
    for setting in names:
        flag = flags.get(setting.name)
        variable = next((name for name in setting.variables if environment.get(name, "").strip()), None)
        if flag is not None:
            values[setting.name] = _parse_flag(setting, flag)
        elif variable is not None:
            values[setting.name] = _parse(setting, environment[variable].strip(), where=variable)
        elif setting.name in in_file:
            values[setting.name] = _parse(setting, in_file[setting.name], where=f"{setting.name} in {file_path}")
    return values


def _parse_flag(setting: Setting, flag: object) -> Any:
    """Parse the value of a flag. Names in a list are joined by commas, because no name contains a comma."""
    if setting.several_in and isinstance(flag, list | tuple):
        names = [name.strip() for each in flag for name in str(each).split(",")]
        return ",".join(dict.fromkeys(_parse(setting, name, where=setting.flag) for name in names))
    return _parse(setting, _flag_text(setting, flag), where=setting.flag)


def _flag_text(setting: Setting, flag: object) -> str:
    """Return the value of a flag as text. Only on the command line may the path after `@` be relative."""
    text = _as_text(flag)
    if setting.name == "instructions" and text.startswith("@"):
        return f"@{Path(text[1:]).expanduser().absolute()}"
    return text


def _as_text(value: object) -> str:
    try:
        return ",".join(str(each) for each in value) if isinstance(value, list | tuple) else str(value)
    except ValueError:  # Python refuses to write numbers of more than 4,300 digits; TOML has hexadecimal ones
        return "a very long number"


def config_file(environment: Mapping[str, str]) -> Path:
    return _xdg(environment, "XDG_CONFIG_HOME", ".config") / "streamrag" / "config.toml"


def data_directory(environment: Mapping[str, str]) -> Path:
    return _xdg(environment, "XDG_DATA_HOME", ".local/share") / "streamrag"


def _xdg(environment: Mapping[str, str], variable: str, fallback: str) -> Path:
    # By the XDG specification, a relative path in the variable is invalid and ignored.
    directory = Path(environment.get(variable, ""))
    return directory if directory.is_absolute() else Path(environment.get("HOME") or "~").expanduser() / fallback


def _parse(setting: Setting, value: object, *, where: str) -> Any:
    raw = _as_text(value)
    # Never print a key or password; a store's address may contain a password.
    secret = setting.secret or (setting.name == "store" and not {":", "="}.isdisjoint(raw))
    shown = "" if secret else f" {raw[:_SHOWN_CHARS]!r}"
    try:
        if "\0" in raw:  # only the settings file can contain one
            raise ValueError("must not contain a NUL character")
        return setting.parse(raw)
    except ValueError as error:
        message = f"{where}:{shown} {error}"
        if where.startswith("--"):
            raise UsageError(message, code="bad_flag", hint="streamrag --help") from None
        raise ConfigurationError(message, code="bad_setting", hint=f"correct {where}") from None


def _read_file(path: Path) -> dict[str, object]:
    try:
        text = read_regular_file(path, _MAX_BYTES).decode()
        if text.count(".") > _MAX_DOTS:
            raise ValueError(f"the file contains more than {_MAX_DOTS:,} dots")
        parsed = tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        too_deep = "nested too deeply" if isinstance(error, RecursionError) else ""
        reason = too_deep or getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"cannot read the settings file {path}: {reason}",
            code="bad_settings_file",
            hint=f"correct or remove {path}",
        ) from None
    known = {setting.name for setting in (*SETTINGS, *SERVER_SETTINGS) if not setting.secret}
    unknown = sorted(set(parsed) - known)
    if unknown:
        names = ", ".join(each[:_SHOWN_CHARS] for each in unknown[:10])
        raise ConfigurationError(
            f"the settings file {path} contains unknown settings: {names}",
            code="unknown_setting",
            hint=f"use only these settings: {', '.join(sorted(known))}",
        )
    return parsed


def defaults() -> dict[str, object]:
    """Return the default values by setting name, without settings whose default is not a fixed value."""
    return {each.name: each.default for each in (*SETTINGS, *SERVER_SETTINGS) if each.default not in NOT_FIXED}
