"""Every setting's names outside the program, what it may be, and what it means: one table for each kind of settings.

The flags, the environment, the settings file and the documentation are all read from here.
"""

import ipaddress
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from streamrag_cli.server_keys import check_keys
from streamrag_cli.store.address import StoreAddress
from streamrag_cli.store.registry import store_address

MAX_TOP_K: Final = 100
DEFAULT_ANSWER_TOKENS: Final = 8192


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


def _store(raw: str) -> StoreAddress:
    try:
        raw.encode()  # bytes that are no UTF-8 come as lone surrogates, which no database takes
    except UnicodeEncodeError:
        raise ValueError("must be UTF-8") from None
    return store_address(raw)


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


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw.lower() not in words:
            raise ValueError(f"must be {' or '.join(words)}")
        return raw.lower()

    return parse


def _address(raw: str) -> str:
    if raw == "localhost":
        return raw
    try:
        return str(ipaddress.ip_address(raw.strip("[]")))
    except ValueError:
        raise ValueError("must be an IP address or localhost") from None


def _list_of(each_one: Callable[[str], str]) -> Callable[[str], tuple[str, ...]]:
    def parse(raw: str) -> tuple[str, ...]:
        return tuple(each_one(value) for part in raw.split(",") if (value := part.strip()))

    return parse


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if not re.fullmatch(pattern, raw):
            raise ValueError(f"must be {what}, separated by commas")
        return raw

    return parse


def _lower_case(parse: Callable[[str], str]) -> Callable[[str], str]:
    return lambda raw: parse(raw.lower())


_names = _list_of(_lower_case(_matching(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", "names of hosts, without port")))
_origins = _list_of(_lower_case(_matching(r"https?://[a-z0-9.\[\]:-]+", "origins such as https://app.example.org")))
_models = _list_of(_matching(r"[!-~]{1,200}", "names of models"))
_users = _list_of(_matching(r"[A-Za-z0-9_][A-Za-z0-9_.-]*[$]?", "users of this machine"))


def _network(raw: str) -> str:
    try:
        return str(ipaddress.ip_network(raw.strip("[]")))
    except ValueError:
        raise ValueError("must be IP addresses or networks such as 10.0.0.0/8, separated by commas") from None


def _switch(raw: str) -> bool:
    words = {"on": True, "true": True, "off": False, "false": False}
    if raw.lower() not in words:
        raise ValueError("must be on or off")
    return words[raw.lower()]


def _patterns(raw: str) -> tuple[str, ...]:
    return tuple(each for part in raw.split(",") if (each := part.strip()))


def _rate(raw: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,6}/(second|minute|hour|day)", raw):
        raise ValueError("must be a number by second, minute, hour or day, such as 60/minute")
    return raw


SETTING_NAMES: Final = (
    SettingName(
        name="store",
        variables=("STREAMRAG_STORE",),
        parse=_store,
        meaning="Directory of the store, or a `postgresql://` address. Default: `$XDG_DATA_HOME/streamrag`.",
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
        name="max_answer_tokens",
        variables=("STREAMRAG_MAX_ANSWER_TOKENS",),
        parse=_integer_between(1, 1_000_000),
        meaning="Longest answer in tokens; a longer one is cut. Sent to the model's server unless it is the default.",
    ),
    SettingName(
        name="max_answer_s",
        variables=("STREAMRAG_MAX_ANSWER",),
        parse=_number_between(0.1, 86_400),
        meaning="Seconds a model may take for one answer; what it has not written by then is cut.",
    ),
    SettingName(
        name="engine",
        variables=("STREAMRAG_ENGINE",),
        parse=_one_of("on", "off"),
        meaning="Whether a process that stays warm answers; see `docs/engine.md`. Where `CI` is set it does not.",
    ),
    SettingName(
        name="engine_idle_s",
        variables=("STREAMRAG_ENGINE_IDLE",),
        parse=_number_between(0.1, 86_400),
        meaning="Seconds without a question after which that process ends.",
    ),
    SettingName(
        name="max_file_mb",
        variables=("STREAMRAG_MAX_FILE_MB",),
        parse=_integer_between(1, 4096),
        meaning="Larger files are not read; each is reported as failed.",
    ),
    SettingName(
        name="exclude",
        variables=("STREAMRAG_EXCLUDE",),
        parse=_patterns,
        meaning="Patterns, separated by commas, of files that an ingest leaves out; see `docs/documents.md`.",
    ),
)

SERVER_SETTING_NAMES: Final = (
    SettingName(
        name="host",
        variables=("STREAMRAG_HOST",),
        parse=_address,
        meaning="Address to listen on. Any but this machine's own loopback requires a key.",
    ),
    SettingName(
        name="port",
        variables=("STREAMRAG_PORT",),
        parse=_integer_between(0, 65535),
        meaning="Port to listen on; 0 takes a free one.",
    ),
    SettingName(
        name="server_key",
        variables=("STREAMRAG_SERVER_KEY",),
        parse=check_keys,
        meaning="Keys that clients have to send, `KEY` or `NAME:KEY`, separated by commas or line breaks. Never a flag:"
        " a process list would show it; nor in the settings file.",
        in_file=False,
    ),
    SettingName(
        name="collections",
        variables=("STREAMRAG_COLLECTIONS",),
        parse=_list_of(_collection),
        meaning="Collections that a server answers from, separated by commas; the first is its default. As flags:"
        " `--collection`, repeated. Default: `collection` alone.",
    ),
    SettingName(
        name="all_collections",
        variables=("STREAMRAG_ALL_COLLECTIONS",),
        parse=_switch,
        meaning="Whether a server answers from every collection of the store, also those that are made later.",
    ),
    SettingName(
        name="allow_model",
        variables=("STREAMRAG_ALLOW_MODEL",),
        parse=_models,
        meaning="Models, separated by commas, that clients may choose besides the server's own.",
    ),
    SettingName(
        name="allow_user",
        variables=("STREAMRAG_ALLOW_USER",),
        parse=_users,
        meaning="Users of this machine, separated by commas, that a server without a key answers besides its own"
        " user and root, such as a proxy's `www-data`.",
    ),
    SettingName(
        name="trusted_proxy",
        variables=("STREAMRAG_TRUSTED_PROXY",),
        parse=_list_of(_network),
        meaning="Addresses or networks of proxies, separated by commas, whose `X-Forwarded-For` is believed."
        " Default: none.",
    ),
    SettingName(
        name="allow_host",
        variables=("STREAMRAG_ALLOW_HOST",),
        parse=_names,
        meaning="Names, separated by commas, that clients may know this server by, such as `docs.example.org`.",
    ),
    SettingName(
        name="cors_origin",
        variables=("STREAMRAG_CORS_ORIGIN",),
        parse=_origins,
        meaning="Origins, separated by commas, whose pages may ask, such as `https://app.example.org`. Default: none.",
    ),
    SettingName(
        name="rate_limit",
        variables=("STREAMRAG_RATE_LIMIT",),
        parse=_rate,
        meaning="Questions for each key or address, such as `60/minute`.",
    ),
    SettingName(
        name="max_streams",
        variables=("STREAMRAG_MAX_STREAMS",),
        parse=_integer_between(1, 100_000),
        meaning="Answers that may be open at once.",
    ),
    SettingName(
        name="grace_s",
        variables=("STREAMRAG_GRACE",),
        parse=_number_between(0, 3600),
        meaning="Seconds that open requests have to end when the server is told to stop.",
    ),
    SettingName(
        name="workers",
        variables=("STREAMRAG_WORKERS",),
        parse=_integer_between(0, 64),
        meaning="Processes that answer at the same address; 0 is one for each core, at most 4. The rate and"
        " the open answers are each one's own.",
    ),
    SettingName(
        name="log",
        variables=("STREAMRAG_LOG",),
        parse=_one_of("all", "errors", "off"),
        meaning="What a server logs to stderr: `all` questions and refusals, one line each, or `errors`, or `off`.",
    ),
)
