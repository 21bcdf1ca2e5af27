"""Settings: flag > environment > `$XDG_CONFIG_HOME/streamrag/config.toml` > default.

No file is read from the working directory: a cloned repository must not be able to redirect anyone's
questions. The environment and the flags come in as arguments, and `settings_table` has every name once.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from streamrag_cli.errors import ConfigurationError, UsageError
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


def read_settings(flags: Mapping[str, object | None], environment: Mapping[str, str]) -> Settings:
    """Combine the flags given (None is not given), the environment and the settings file.

    Raises UsageError for a flag and ConfigurationError for a variable or file that makes no sense. An
    empty variable counts as not set.
    """
    values = _values(SETTINGS, flags, environment)
    values.setdefault("store", data_directory(environment))
    values["store"] = values["store"].absolute()
    return Settings(**values, state_directory=str(_xdg(environment, "XDG_STATE_HOME", ".local/state") / "streamrag"))


def read_server_settings(flags: Mapping[str, object | None], environment: Mapping[str, str]) -> ServerSettings:
    """As `read_settings`, for a server."""
    return ServerSettings(**_values(SERVER_SETTINGS, flags, environment))


def with_request(settings: Settings, asked: Mapping[str, object | None]) -> Settings:
    """`settings` with what a single request asks for (None is not asked for). Raises UsageError `bad_request`."""
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        if (value := asked.get(setting.name)) is not None:
            try:
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
            values[setting.name] = _parsed(setting, _as_text(flag), where=setting.flag)
        elif variable is not None:
            values[setting.name] = _parsed(setting, environment[variable].strip(), where=variable)
        elif setting.name in in_file:
            values[setting.name] = _parsed(
                setting, _as_text(in_file[setting.name]), where=f"{setting.name} in {file_path}"
            )
    return values


def _as_text(value: object) -> str:
    return ",".join(str(each) for each in value) if isinstance(value, list | tuple) else str(value)


def config_file(environment: Mapping[str, str]) -> Path:
    return _xdg(environment, "XDG_CONFIG_HOME", ".config") / "streamrag" / "config.toml"


def data_directory(environment: Mapping[str, str]) -> Path:
    return _xdg(environment, "XDG_DATA_HOME", ".local/share") / "streamrag"


def _xdg(environment: Mapping[str, str], variable: str, fallback: str) -> Path:
    # The XDG specification: a relative path in the variable is invalid and ignored.
    given = Path(environment.get(variable, ""))
    return given if given.is_absolute() else Path(environment.get("HOME") or "~").expanduser() / fallback


def _parsed(setting: Setting, raw: str, *, where: str) -> Any:
    # A key or password is never echoed, and a file name or variable may hold one by mistake.
    secret = setting.secret or (setting.name == "store" and "://" in raw)
    shown = "" if secret else f" {raw[:80]!r}"
    try:
        return setting.parse(raw)
    except ValueError as error:
        message = f"{where}:{shown} {error}"
        if where.startswith("--"):
            raise UsageError(message, code="bad_flag", hint="streamrag --help") from None
        raise ConfigurationError(message, code="bad_setting", hint=f"correct {where}") from None


def _read_file(path: Path) -> dict[str, object]:
    try:
        parsed = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(
            f"the settings file {path} cannot be read: {error}",
            code="bad_settings_file",
            hint=f"correct or remove {path}",
        ) from None
    known = {setting.name for setting in (*SETTINGS, *SERVER_SETTINGS) if not setting.secret}
    unknown = sorted(set(parsed) - known)
    if unknown:
        raise ConfigurationError(
            f"the settings file {path} has unknown names: {', '.join(unknown)}",
            code="unknown_setting",
            hint=f"known names: {', '.join(sorted(known))}",
        )
    return parsed


def defaults() -> dict[str, object]:
    """Each setting's default; a setting without a fixed one is left out."""
    return {each.name: each.default for each in (*SETTINGS, *SERVER_SETTINGS) if each.default not in NOT_FIXED}
