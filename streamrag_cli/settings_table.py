"""Every setting, once: flags, environment, settings file and documentation are all made from these two tables.

Flags stand in `--help` in the order of the fields. A setting's variable is `STREAMRAG_` and its name, without a unit.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from typing import Final

from streamrag_cli import setting_row as value
from streamrag_cli.server_keys import check_keys
from streamrag_cli.setting_row import rows_of, setting
from streamrag_cli.store.address import StoreAddress
from streamrag_cli.store.registry import open_store

_CHAT: Final = ("ask", "serve", "bench", "doctor")
_RETRIEVE: Final = ("ask", "search", "serve", "bench")
_EMBED: Final = (*_RETRIEVE, "ingest", "doctor", "eval")
_A_KEY: Final = "a process list would show it"
_RARE: Final = "rarely changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of every command.

    `state_directory` is for what may be forgotten at any time; "" keeps nothing. It is not a setting.
    """

    model: str | None = setting(
        None,
        parse=value.any_text,
        flag="-m, --model MODEL",
        commands=_CHAT,
        meaning="Model that writes the answer. Default: see `docs/models.md`.",
        help="Model that writes the answer.",
    )
    base_url: str | None = setting(
        None,
        *("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        parse=value.any_text,
        flag="--base-url URL",
        commands=_EMBED,
        meaning="Address of a server that speaks the OpenAI protocol, such as `http://localhost:11434/v1`.",
        help="Server that speaks the OpenAI protocol.",
    )
    api_key: str | None = setting(
        None,
        "OPENAI_API_KEY",
        parse=value.any_text,
        no_flag=_A_KEY,
        secret=True,
        meaning="Key for the model's server. Never a flag: a process list would show it. Never in the settings file.",
    )
    top_k: int = setting(
        5,
        parse=value.integer_between(1, value.MAX_TOP_K),
        flag="-k, --top-k N",
        commands=(*_RETRIEVE, "eval"),
        meaning=f"How many sources, 1 to {value.MAX_TOP_K}.",
    )
    min_score: float = setting(
        0.3,
        parse=value.number_between(0, 1),
        flag="--min-score S",
        commands=_RETRIEVE,
        meaning="Drop sources that score lower, 0 to 1.",
    )
    context: str = setting(
        "",
        parse=value.context_size,
        flag="--context SIZE",
        commands=("ask", "serve", "bench"),
        meaning="What the model reads of the sources: `full` passages; `focused`, the sentences that matter from eight"
        " passages, about half as long; or N characters of such sentences.",
        help="What the model reads: full passages, focused sentences of them, or N characters.",
        default_text="focused for a model server on this machine, else full",
    )
    timeout_s: float = setting(
        60.0,
        parse=value.number_between(0.1, 3600),
        no_flag=_RARE,
        meaning="Seconds a silent server is waited for.",
    )
    max_answer_tokens: int = setting(
        value.DEFAULT_ANSWER_TOKENS,
        parse=value.integer_between(1, 1_000_000),
        flag="--max-answer-tokens N",
        commands=("ask", "serve"),
        meaning="Longest answer in tokens; a longer one is cut. Sent to the model's server unless it is the default.",
        help="Cut an answer that is longer.",
    )
    max_answer_s: float = setting(
        600.0,
        parse=value.number_between(0.1, 86_400),
        flag="--max-answer S",
        commands=("ask", "serve"),
        meaning="Seconds a model may take for one answer; what it has not written by then is cut.",
        help="Cut an answer that takes more seconds.",
    )
    collection: str = setting(
        "default",
        parse=value.collection_name,
        flag="-c, --collection NAME",
        commands=("ask", "search", "bench", "ingest", "status", "copy", "doctor"),
        meaning="Collection: a named set of documents under one embedding. 3 to 63 letters, digits, `.`, `-` or `_`.",
        help="Collection.",
    )
    store: StoreAddress = setting(  # noqa: RUF009 - a field, not a value
        MISSING,
        parse=value.store_at,
        flag="--store STORE",
        commands=(*_EMBED, "status"),
        meaning="Directory of the store, or a `postgresql://` address.",
        help="Directory, or postgresql://...",
        default_text="$XDG_DATA_HOME/streamrag",
    )
    embedding: str | None = setting(
        None,
        parse=value.any_text,
        flag="--embedding NAME",
        commands=_EMBED,
        meaning="What makes the vectors: `builtin` or `openai:MODEL`. For a new collection it is `builtin`.",
        help="builtin or openai:MODEL.",
        default_text="the collection's own",
    )
    exclude: tuple[str, ...] = setting(
        (),
        parse=value.list_of(value.any_text),
        flag="--exclude GLOB",
        repeated=True,
        commands=("ingest",),
        meaning="Patterns, separated by commas, of files that an ingest leaves out; see `docs/documents.md`.",
        help="Leave out what matches, as in a .gitignore. May be given several times.",
    )
    max_file_mb: int = setting(
        50,
        parse=value.integer_between(1, 4096),
        no_flag=_RARE,
        meaning="Larger files are not read; each is reported as failed.",
    )
    engine: str = setting(
        "on",
        parse=value.one_of("on", "off"),
        flag="--no-engine",
        switch="off",
        commands=("ask", "search"),
        meaning="Whether a process that stays warm answers; see `docs/engine.md`. Where `CI` is set it does not.",
        help="Do everything in this process instead of one that stays warm.",
    )
    engine_idle_s: float = setting(
        600.0,
        parse=value.number_between(0.1, 86_400),
        no_flag=_RARE,
        meaning="Seconds without a question after which that process ends.",
    )
    state_directory: str = ""

    def store_named_by(self, flags: Mapping[str, object | None]) -> str:
        """The store as a flag names it, without its password; "" if no flag names one."""
        given = flags.get("store")
        return open_store(self.store).display_address(str(given)) if given else ""

    @property
    def names_a_model(self) -> bool:
        """Whether a model's server is to be asked. If not, answers are quotes."""
        return bool(self.model or self.base_url or self.api_key)

    @property
    def model_scheme(self) -> str:
        """`http` or `https`, which needs certificates."""
        return "http" if (self.base_url or "").startswith("http:") else "https"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The settings of `serve` in addition to the `Settings` that it answers with.

    `server_key` holds one key or more, as `server_keys.split_keys` reads them.
    """

    host: str = setting(
        "127.0.0.1",
        parse=value.listening_address,
        flag="--host ADDRESS",
        meaning="Address to listen on. Any but this machine's own loopback requires a key.",
        help="Address to listen on.",
    )
    port: int = setting(
        8421,
        parse=value.integer_between(0, 65535),
        flag="--port N",
        meaning="Port to listen on; 0 takes a free one.",
    )
    server_key: str | None = setting(
        None,
        parse=check_keys,
        no_flag=_A_KEY,
        secret=True,
        meaning="Keys that clients have to send, `KEY` or `NAME:KEY`, separated by commas or line breaks. Never a"
        " flag: a process list would show it; nor in the settings file.",
    )
    allow_host: tuple[str, ...] = setting(
        (),
        parse=value.host_names,
        flag="--allow-host NAME",
        repeated=True,
        meaning="Names, separated by commas, that clients may know this server by, such as `docs.example.org`.",
        help="Name that clients may know the server by; may be repeated.",
    )
    cors_origin: tuple[str, ...] = setting(
        (),
        parse=value.origins,
        flag="--cors-origin ORIGIN",
        repeated=True,
        meaning="Origins, separated by commas, whose pages may ask, such as `https://app.example.org`. Default: none.",
        help="Origin whose pages may ask; may be repeated.",
    )
    allow_model: tuple[str, ...] = setting(
        (),
        parse=value.model_names,
        flag="--allow-model MODEL",
        repeated=True,
        meaning="Models, separated by commas, that clients may choose besides the server's own.",
        help="Model that clients may choose; may be repeated.",
    )
    allow_user: tuple[str, ...] = setting(
        (),
        parse=value.user_names,
        flag="--allow-user NAME",
        repeated=True,
        meaning="Users of this machine, separated by commas, that a server without a key answers besides its own"
        " user and root, such as a proxy's `www-data`.",
        help="User of this machine to answer without a key; may be repeated.",
    )
    trusted_proxy: tuple[str, ...] = setting(
        (),
        parse=value.list_of(value.network),
        flag="--trusted-proxy ADDRESS",
        repeated=True,
        meaning="Addresses or networks of proxies, separated by commas, whose `X-Forwarded-For` is believed."
        " Default: none.",
        help="Proxy whose X-Forwarded-For is believed; may be repeated.",
    )
    rate_limit: str = setting(
        "120/minute",
        parse=value.request_rate,
        flag="--rate-limit N/PERIOD",
        meaning="Questions for each key or address, such as `60/minute`.",
        help="Questions for each key or address.",
    )
    max_streams: int = setting(
        256,
        parse=value.integer_between(1, 100_000),
        flag="--max-streams N",
        meaning="Maximum concurrent answers.",
    )
    grace_s: float = setting(
        10.0,
        parse=value.number_between(0, 3600),
        flag="--grace S",
        meaning="Seconds that open requests have to end when the server is stopped.",
    )
    workers: int = setting(
        0,
        parse=value.integer_between(0, 64),
        flag="--workers N",
        meaning="Processes that answer at the same address; 0 is one for each core, at most 4. The rate and"
        " the open answers are each one's own.",
        help="Processes that answer.",
        default_text="one for each core, at most 4",
    )
    log: str = setting(
        "all",
        parse=value.one_of("all", "errors", "off"),
        no_flag="`--quiet` of `serve` is `errors`",
        meaning="What a server logs to stderr: `all` questions and refusals, one line each, or `errors`, or `off`.",
    )
    collections: tuple[str, ...] = setting(
        (),
        parse=value.list_of(value.collection_name),
        flag="-c, --collection NAME",
        repeated=True,
        meaning="Collections that a server answers from, separated by commas; the first is its default.",
        help="Collection to answer from, no other; may be repeated, the first is the default.",
        default_text="the setting `collection`",
    )
    all_collections: bool = setting(
        False,
        parse=value.on_or_off,
        flag="--all-collections",
        switch="on",
        meaning="Whether a server answers from every collection of the store, also those that are made later.",
        help="Answer from every collection of the store.",
    )


SETTINGS: Final = rows_of(Settings)
SERVER_SETTINGS: Final = rows_of(ServerSettings, commands=("serve",))
