"""Settings: flag > environment > `$XDG_CONFIG_HOME/streamrag/config.toml` > default.

No file is read from the working directory: a cloned repository must not be able to redirect anyone's
questions. The environment and the flags come in as arguments, and one table says every name once.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from streamrag_cli.errors import ConfigurationError, UsageError
from streamrag_cli.setting_names import DEFAULT_ANSWER_TOKENS, SERVER_SETTING_NAMES, SETTING_NAMES, SettingName
from streamrag_cli.store.address import StoreAddress
from streamrag_cli.store.registry import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a command may be told. `timeout_s` is how long a silent server is waited for.

    `max_answer_s` is how long a model may take for one answer.
    `state_directory` is for what may be forgotten at any time; "" keeps nothing.
    """

    store: StoreAddress
    collection: str = "default"
    embedding: str | None = None
    model: str | None = None
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    top_k: int = 5
    min_score: float = 0.3
    timeout_s: float = 60.0
    max_answer_tokens: int = DEFAULT_ANSWER_TOKENS
    max_answer_s: float = 600.0
    engine: str = "on"
    engine_idle_s: float = 600.0
    max_file_mb: int = 50
    state_directory: str = ""
    exclude: tuple[str, ...] = ()

    @property
    def names_a_model(self) -> bool:
        """Whether a model's server is to be asked. If not, answers are quotes."""
        return bool(self.model or self.base_url or self.api_key)

    @property
    def model_scheme(self) -> str:
        """`http` or `https`, which needs certificates."""
        return "http" if (self.base_url or "").startswith("http:") else "https"

    def store_named_by(self, flags: Mapping[str, object | None]) -> str:
        """The store as a flag names it, without its password; "" where none does."""
        given = flags.get("store")
        return open_store(self.store).display_address(str(given)) if given else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The settings of `serve` in addition to the `Settings` that it answers with.

    `server_key` holds one key or more, as `server_keys.split_keys` reads them. `grace_s` is what a stop waits for.
    """

    host: str = "127.0.0.1"
    port: int = 8421
    server_key: str | None = field(default=None, repr=False)
    collections: tuple[str, ...] = ()
    all_collections: bool = False
    allow_model: tuple[str, ...] = ()
    allow_user: tuple[str, ...] = ()
    trusted_proxy: tuple[str, ...] = ()
    allow_host: tuple[str, ...] = ()
    cors_origin: tuple[str, ...] = ()
    rate_limit: str = "120/minute"
    max_streams: int = 256
    grace_s: float = 10.0
    workers: int = 0
    log: str = "all"


def read_settings(flags: Mapping[str, object | None], environment: Mapping[str, str]) -> Settings:
    """Combine the flags given (None is not given), the environment and the settings file.

    Raises UsageError for a flag and ConfigurationError for a variable or file that makes no sense. An
    empty variable counts as not set.
    """
    values = _values(SETTING_NAMES, flags, environment)
    values.setdefault("store", data_directory(environment))
    values["store"] = values["store"].absolute()
    return Settings(**values, state_directory=str(_xdg(environment, "XDG_STATE_HOME", ".local/state") / "streamrag"))


def read_server_settings(flags: Mapping[str, object | None], environment: Mapping[str, str]) -> ServerSettings:
    """As `read_settings`, for a server."""
    return ServerSettings(**_values(SERVER_SETTING_NAMES, flags, environment))


def with_request(settings: Settings, asked: Mapping[str, object | None]) -> Settings:
    """`settings` with what a single request asks for (None is not asked for). Raises UsageError `bad_request`."""
    values: dict[str, Any] = {}
    for setting in SETTING_NAMES:
        if (value := asked.get(setting.name)) is not None:
            try:
                values[setting.name] = setting.parse(str(value))
            except ValueError as error:
                raise UsageError(f"{setting.name}: {error}", code="bad_request") from None
    return replace(settings, **values)


def _values(
    names: Sequence[SettingName], flags: Mapping[str, object | None], environment: Mapping[str, str]
) -> dict[str, Any]:
    file_path = config_file(environment)
    in_file = _read_file(file_path)
    values: dict[str, Any] = {}
    for setting in names:
        flag = flags.get(setting.name)
        variable = next((name for name in setting.variables if environment.get(name, "").strip()), None)
        if flag is not None:
            values[setting.name] = _parsed(setting, _as_text(flag), where=f"--{flag_name(setting.name)}")
        elif variable is not None:
            values[setting.name] = _parsed(setting, environment[variable].strip(), where=variable)
        elif setting.name in in_file:
            values[setting.name] = _parsed(
                setting, _as_text(in_file[setting.name]), where=f"{setting.name} in {file_path}"
            )
    return values


def _as_text(value: object) -> str:
    return ",".join(str(each) for each in value) if isinstance(value, list | tuple) else str(value)


def flag_name(setting: str) -> str:
    """The command line's word for a setting: `top_k` is `top-k`."""
    return setting.removesuffix("_s").replace("_", "-")


def config_file(environment: Mapping[str, str]) -> Path:
    return _xdg(environment, "XDG_CONFIG_HOME", ".config") / "streamrag" / "config.toml"


def data_directory(environment: Mapping[str, str]) -> Path:
    return _xdg(environment, "XDG_DATA_HOME", ".local/share") / "streamrag"


def _xdg(environment: Mapping[str, str], variable: str, fallback: str) -> Path:
    # The XDG specification: a relative path in the variable is invalid and ignored.
    given = Path(environment.get(variable, ""))
    return given if given.is_absolute() else Path(environment.get("HOME") or "~").expanduser() / fallback


def _parsed(setting: SettingName, raw: str, *, where: str) -> Any:
    # A key or password is never echoed, and a file name or variable may hold one by mistake.
    secret = setting.name in {"api_key", "server_key"} or (setting.name == "store" and "://" in raw)
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
    known = {setting.name for setting in (*SETTING_NAMES, *SERVER_SETTING_NAMES) if setting.in_file}
    unknown = sorted(set(parsed) - known)
    if unknown:
        raise ConfigurationError(
            f"the settings file {path} has unknown names: {', '.join(unknown)}",
            code="unknown_setting",
            hint=f"known names: {', '.join(sorted(known))}",
        )
    return parsed


def defaults() -> dict[str, object]:
    """Each setting's default, for the documentation; a setting without a fixed one is left out."""
    every = (*fields(Settings), *fields(ServerSettings))
    return {each.name: each.default for each in every if each.default not in (MISSING, None, (), "")}
