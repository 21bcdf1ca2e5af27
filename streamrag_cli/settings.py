"""Settings: flag > environment > `$XDG_CONFIG_HOME/streamrag/config.toml` > default.

No file is read from the working directory: a cloned repository must not be able to redirect anyone's
questions. The environment and the flags come in as arguments, and one table says every name once.
"""

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from streamrag_cli.errors import ConfigurationError, UsageError

MAX_TOP_K: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a command may be told. `timeout_s` is how long a silent server is waited for."""

    store: Path
    collection: str = "default"
    embedding: str | None = None
    model: str | None = None
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    top_k: int = 5
    min_score: float = 0.3
    timeout_s: float = 60.0
    max_file_mb: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingName:
    """One setting's names outside the program. The first variable that is set wins."""

    name: str
    variables: tuple[str, ...]
    parse: Callable[[str], Any]
    meaning: str
    in_file: bool = True


def _text(raw: str) -> str:
    return raw


def _directory(raw: str) -> Path:
    try:
        raw.encode()  # bytes that are no UTF-8 come as lone surrogates, which no database takes
    except UnicodeEncodeError:
        raise ValueError("must be UTF-8") from None
    return Path(raw).expanduser()


def _collection(raw: str) -> str:
    # Chroma's own rule for names; it also keeps the name a harmless file name.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]", raw) or ".." in raw:
        raise ValueError("must be 3 to 63 letters, digits, dots, dashes or underscores")
    return raw


def _integer_between(low: int, high: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        try:
            number = int(raw)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return number

    return parse


def _number_between(low: float, high: float) -> Callable[[str], float]:
    def parse(raw: str) -> float:
        try:
            number = float(raw)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return number

    return parse


SETTING_NAMES: Final = (
    SettingName(
        name="store",
        variables=("STREAMRAG_STORE",),
        parse=_directory,
        meaning="Directory of the store. Default: `$XDG_DATA_HOME/streamrag`.",
    ),
    SettingName(
        name="collection",
        variables=("STREAMRAG_COLLECTION",),
        parse=_collection,
        meaning="Collection: a named set of documents under one embedding.",
    ),
    SettingName(
        name="embedding",
        variables=("STREAMRAG_EMBEDDING",),
        parse=_text,
        meaning="What makes the vectors: `builtin` or `openai:MODEL`. Default: the collection's own, else `builtin`.",
    ),
    SettingName(
        name="model",
        variables=("STREAMRAG_MODEL",),
        parse=_text,
        meaning="Model that writes the answer. Default: see `docs/models.md`.",
    ),
    SettingName(
        name="base_url",
        variables=("STREAMRAG_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE"),
        parse=_text,
        meaning="Address of a server that speaks the OpenAI protocol, such as `http://localhost:11434/v1`.",
    ),
    SettingName(
        name="api_key",
        variables=("STREAMRAG_API_KEY", "OPENAI_API_KEY"),
        parse=_text,
        meaning="Key for the model's server. Never a flag: a process list would show it. Never in the settings file.",
        in_file=False,
    ),
    SettingName(
        name="top_k",
        variables=("STREAMRAG_TOP_K",),
        parse=_integer_between(1, MAX_TOP_K),
        meaning="How many sources to retrieve.",
    ),
    SettingName(
        name="min_score",
        variables=("STREAMRAG_MIN_SCORE",),
        parse=_number_between(0, 1),
        meaning="Sources that score lower are dropped; 0 keeps all.",
    ),
    SettingName(
        name="timeout_s",
        variables=("STREAMRAG_TIMEOUT",),
        parse=_number_between(0.1, 3600),
        meaning="Seconds a silent server is waited for.",
    ),
    SettingName(
        name="max_file_mb",
        variables=("STREAMRAG_MAX_FILE_MB",),
        parse=_integer_between(1, 4096),
        meaning="Larger files are not read; each is reported as failed.",
    ),
)


def read_settings(flags: Mapping[str, object | None], environment: Mapping[str, str]) -> Settings:
    """Combine the flags given (None is not given), the environment and the settings file.

    Raises UsageError for a flag and ConfigurationError for a variable or file that makes no sense. An
    empty variable counts as not set.
    """
    file_path = config_file(environment)
    in_file = _read_file(file_path)
    values: dict[str, Any] = {"store": data_directory(environment)}
    for setting in SETTING_NAMES:
        flag = flags.get(setting.name)
        variable = next((name for name in setting.variables if environment.get(name, "").strip()), None)
        if flag is not None:
            values[setting.name] = _parsed(setting, str(flag), where=f"--{flag_name(setting.name)}")
        elif variable is not None:
            values[setting.name] = _parsed(setting, environment[variable].strip(), where=variable)
        elif setting.name in in_file:
            values[setting.name] = _parsed(setting, str(in_file[setting.name]), where=f"{setting.name} in {file_path}")
    values["store"] = values["store"].absolute()
    return Settings(**values)


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
    # A key is never echoed, and a file name or variable may hold one by mistake.
    shown = "" if setting.name == "api_key" else f" {raw[:80]!r}"
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
    known = {setting.name for setting in SETTING_NAMES if setting.in_file}
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
    unset = {"store", "embedding", "model", "base_url", "api_key"}
    return {each.name: each.default for each in fields(Settings) if each.name not in unset}
