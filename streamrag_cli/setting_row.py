"""Rows of the settings tables, and parsers of setting values.

Parsers raise ValueError with a message that completes "SETTING ...", such as "must be on or off".
"""

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from streamrag_cli.regular_files import read_regular_file
from streamrag_cli.store.address import StoreAddress, is_collection_name
from streamrag_cli.store.registry import store_address

MAX_TOP_K: Final = 100
DEFAULT_ANSWER_TOKENS: Final = 8192
DEFAULT_TEMPERATURE: Final = 0.1
MAX_INSTRUCTIONS_CHARS: Final = 8000


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: name, default, environment variables, flags, parser and documentation.

    - `variables` are environment variables. The first one that is set determines the value.
    - `commands` are the commands that accept the flags. If there are no flags, `no_flag` is the reason.
    - `several_in` are the commands that accept the flag several times. The value is then the distinct names, joined by
      commas.
    - `switch` is the value that a flag without an argument sets.
    - `meaning` is the text in the documentation. `help` replaces it in `--help`, and `command_help` replaces it in the
      `--help` of individual commands.
    - `default_text` describes a default that is not one fixed value.
    """

    name: str
    default: Any
    variables: tuple[str, ...]
    parse: Callable[[str], Any]
    meaning: str
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    repeated: bool = False
    switch: str | None = None
    several_in: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    no_flag: str = ""
    help: str = ""
    command_help: Mapping[str, str] = field(default_factory=dict)
    default_text: str = ""
    secret: bool = False

    @property
    def flag(self) -> str:
        """The flag's long form; "" if there is none."""
        return self.flags[-1] if self.flags else ""

    def flag_help(self, command: str) -> str:
        """Return the flag's text in the `--help` of `command`, with the default unless the text contains it."""
        text = self.command_help.get(command) or self.help or self.meaning
        fixed = f"{self.default:g}" if isinstance(self.default, float) else str(self.default)
        default = self.default_text or ("" if self.default in NOT_FIXED or self.switch else fixed)
        return text if not default or "[default: " in text else f"{text} [default: {default}]"


NOT_FIXED: Final = (MISSING, None, (), "")
"""Defaults that `--help` does not show."""


def setting(default: Any, *also: str, flag: str = "", secret: bool = False, **rest: Any) -> Any:
    """Return a dataclass field that is a row of the table. `flag` is written as in `--help`: `-k, --top-k N`.

    `also` are environment variables that are read if the setting's own variable is not set. A `secret` is never printed
    and never read from the settings file.
    """
    words = flag.replace(",", "").split()
    flags = tuple(each for each in words if each.startswith("-"))
    metavar = next((each for each in words if not each.startswith("-")), None)
    outside = {"also": also, "flags": flags, "metavar": metavar, "secret": secret}
    return field(default=default, repr=not secret, metadata={"row": outside | rest})


def rows_of(table: type[Any], *, commands: tuple[str, ...] = ()) -> tuple[Setting, ...]:
    """Return the rows of a settings table. `commands` applies to rows that have a flag but do not list any commands."""
    rows = []
    for each in fields(table):
        if values := dict(each.metadata.get("row", {})):
            own = f"STREAMRAG_{each.name.removesuffix('_s').upper()}"
            values["variables"] = (own, *values.pop("also"))
            values.setdefault("commands", commands if values["flags"] else ())
            rows.append(Setting(name=each.name, default=each.default, **values))
    return tuple(rows)


def any_text(raw: str) -> str:
    return raw


def store_at(raw: str) -> StoreAddress:
    if not raw.strip():  # `--store "$STORE"` with an unset variable must not use the working directory
        raise ValueError("must not be empty; use . for the working directory")
    try:
        raw.encode()  # invalid UTF-8 arrives as lone surrogates, which no database accepts
    except UnicodeEncodeError:
        raise ValueError("must be valid UTF-8") from None
    return store_address(raw)


def collection_name(raw: str) -> str:
    if not is_collection_name(raw):
        raise ValueError(
            "must be 1 to 63 letters, digits, dots, dashes or underscores, begin and end with a letter or digit,"
            " and not contain '..'"
        )
    return raw


def integer_between(low: int, high: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        try:
            number = int(raw)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return number

    return parse


def number_between(low: float, high: float) -> Callable[[str], float]:
    def parse(raw: str) -> float:
        try:
            number = float(raw)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return number

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw.lower() not in words:
            raise ValueError(f"must be {', '.join(words[:-1])} or {words[-1]}")
        return raw.lower()

    return parse


def ocr_languages(raw: str) -> str:
    """Accept `auto`, `off`, or tesseract's language codes joined by `+`."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z_]{1,30}(?:\+[A-Za-z][A-Za-z_]{1,30}){0,9}", raw):
        raise ValueError("must be auto, off, or languages such as deu+eng")
    return raw


def text_or_file(raw: str) -> str:
    """Return `raw` itself or, if it is `@` and an absolute path, the content of the file at this path."""
    text = raw
    if raw.startswith("@"):
        path = Path(raw[1:]).expanduser()
        if not path.is_absolute():
            raise ValueError("must be text, or @ and the absolute path of a file")
        try:
            text = read_regular_file(path, 4 * MAX_INSTRUCTIONS_CHARS).decode()
        except UnicodeDecodeError:
            raise ValueError("refers to a file that is not valid UTF-8") from None
        except OSError as error:
            raise ValueError(f"refers to a file that cannot be read: {error.strerror or error}") from None
    if len(text) > MAX_INSTRUCTIONS_CHARS:
        raise ValueError(f"must have at most {MAX_INSTRUCTIONS_CHARS} characters, but has {len(text)}")
    return text.strip()


def context_size(raw: str) -> str:
    word = raw.lower()
    if word in {"full", "focused"} or (word.isascii() and word.isdecimal() and 200 <= int(word) <= 1_000_000):
        return word
    raise ValueError("must be full, focused or a number of characters from 200 to 1000000")


def editor_uri(raw: str) -> str:
    """Accept a URI template with `{path}` that contains no characters that could end a terminal link."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]*", raw) or "{path}" not in raw:
        raise ValueError("must be a URI with {path} and {line}, such as vscode://file{path}:{line}")
    return raw


def listening_address(raw: str) -> str:
    if raw == "localhost":
        return raw
    try:
        return str(ipaddress.ip_address(raw.strip("[]")))
    except ValueError:
        raise ValueError("must be an IP address or localhost") from None


def list_of(parse_item: Callable[[str], str]) -> Callable[[str], tuple[str, ...]]:
    def parse(raw: str) -> tuple[str, ...]:
        return tuple(parse_item(value) for part in raw.split(",") if (value := part.strip()))

    return parse


def _matching(pattern: str, description: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if not re.fullmatch(pattern, raw):
            raise ValueError(f"must be {description}, separated by commas")
        return raw

    return parse


def _lower_case(parse: Callable[[str], str]) -> Callable[[str], str]:
    return lambda raw: parse(raw.lower())


host_names = list_of(_lower_case(_matching(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", "host names without ports")))
origins = list_of(_lower_case(_matching(r"https?://[a-z0-9.\[\]:-]+", "origins such as https://app.example.org")))
model_names = list_of(_matching(r"[!-~]{1,200}", "model names"))
user_names = list_of(_matching(r"[A-Za-z0-9_][A-Za-z0-9_.-]*[$]?", "names of local users"))


def network(raw: str) -> str:
    try:
        return str(ipaddress.ip_network(raw.strip("[]")))
    except ValueError:
        raise ValueError("must be IP addresses or networks such as 10.0.0.0/8, separated by commas") from None


def on_or_off(raw: str) -> bool:
    words = {"on": True, "true": True, "off": False, "false": False}
    if raw.lower() not in words:
        raise ValueError("must be on or off")
    return words[raw.lower()]


def request_rate(raw: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,6}/(second|minute|hour|day)", raw):
        raise ValueError("must be a number per second, minute, hour or day, such as 60/minute")
    return raw
