"""Every setting, once: flags, environment, settings file and documentation are all made from these two tables.

Flags stand in `--help` in the order of the fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from streamrag_cli.server_keys import check_keys
from streamrag_cli.setting_row import (
    DEFAULT_ANSWER_TOKENS,
    MAX_TOP_K,
    any_text,
    collection_name,
    glob_patterns,
    host_names,
    integer_between,
    list_of,
    listening_address,
    model_names,
    network,
    number_between,
    on_or_off,
    one_of,
    origins,
    request_rate,
    row,
    rows_of,
    store_at,
    user_names,
)
from streamrag_cli.store.address import StoreAddress
from streamrag_cli.store.registry import open_store

_CHAT: Final = ("ask", "serve", "bench", "doctor")
_RETRIEVE: Final = ("ask", "search", "serve", "bench")
_EMBED: Final = (*_RETRIEVE, "ingest", "doctor", "eval")
_SERVE: Final = ("serve",)
_A_KEY: Final = "a process list would show it"
_RARE: Final = "rarely changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of every command.

    `state_directory` is for what may be forgotten at any time; "" keeps nothing. It is not a setting.
    """

    model: str | None = field(
        default=None,
        metadata=row(
            "STREAMRAG_MODEL",
            parse=any_text,
            flags=("-m", "--model"),
            metavar="MODEL",
            commands=_CHAT,
            meaning="Model that writes the answer. Default: see `docs/models.md`.",
            help="Model that writes the answer.",
        ),
    )
    base_url: str | None = field(
        default=None,
        metadata=row(
            *("STREAMRAG_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE"),
            parse=any_text,
            flags=("--base-url",),
            metavar="URL",
            commands=_EMBED,
            meaning="Address of a server that speaks the OpenAI protocol, such as `http://localhost:11434/v1`.",
            help="Server that speaks the OpenAI protocol.",
        ),
    )
    api_key: str | None = field(
        default=None,
        repr=False,
        metadata=row(
            *("STREAMRAG_API_KEY", "OPENAI_API_KEY"),
            parse=any_text,
            no_flag=_A_KEY,
            in_file=False,
            secret=True,
            meaning="Key for the model's server. Never a flag: a process list would show it. Never in the"
            " settings file.",
        ),
    )
    top_k: int = field(
        default=5,
        metadata=row(
            "STREAMRAG_TOP_K",
            parse=integer_between(1, MAX_TOP_K),
            flags=("-k", "--top-k"),
            metavar="N",
            commands=(*_RETRIEVE, "eval"),
            meaning=f"How many sources, 1 to {MAX_TOP_K}.",
        ),
    )
    min_score: float = field(
        default=0.3,
        metadata=row(
            "STREAMRAG_MIN_SCORE",
            parse=number_between(0, 1),
            flags=("--min-score",),
            metavar="S",
            commands=_RETRIEVE,
            meaning="Drop sources that score lower, 0 to 1.",
        ),
    )
    timeout_s: float = field(
        default=60.0,
        metadata=row(
            "STREAMRAG_TIMEOUT",
            parse=number_between(0.1, 3600),
            no_flag=_RARE,
            meaning="Seconds a silent server is waited for.",
        ),
    )
    max_answer_tokens: int = field(
        default=DEFAULT_ANSWER_TOKENS,
        metadata=row(
            "STREAMRAG_MAX_ANSWER_TOKENS",
            parse=integer_between(1, 1_000_000),
            flags=("--max-answer-tokens",),
            metavar="N",
            commands=("ask", "serve"),
            meaning="Longest answer in tokens; a longer one is cut. Sent to the model's server unless it is the"
            " default.",
            help="Cut an answer that is longer.",
        ),
    )
    max_answer_s: float = field(
        default=600.0,
        metadata=row(
            "STREAMRAG_MAX_ANSWER",
            parse=number_between(0.1, 86_400),
            flags=("--max-answer",),
            metavar="S",
            commands=("ask", "serve"),
            meaning="Seconds a model may take for one answer; what it has not written by then is cut.",
            help="Cut an answer that takes more seconds.",
        ),
    )
    collection: str = field(
        default="default",
        metadata=row(
            "STREAMRAG_COLLECTION",
            parse=collection_name,
            flags=("-c", "--collection"),
            metavar="NAME",
            commands=("ask", "search", "bench", "ingest", "status", "copy", "doctor"),
            meaning="Collection: a named set of documents under one embedding.",
            help="Collection.",
        ),
    )
    store: StoreAddress = field(
        metadata=row(
            "STREAMRAG_STORE",
            parse=store_at,
            flags=("--store",),
            metavar="STORE",
            commands=(*_EMBED, "status"),
            meaning="Directory of the store, or a `postgresql://` address.",
            help="Directory, or postgresql://...",
            default_text="$XDG_DATA_HOME/streamrag",
        ),
    )
    embedding: str | None = field(
        default=None,
        metadata=row(
            "STREAMRAG_EMBEDDING",
            parse=any_text,
            flags=("--embedding",),
            metavar="NAME",
            commands=_EMBED,
            meaning="What makes the vectors: `builtin` or `openai:MODEL`. For a new collection it is `builtin`.",
            help="builtin or openai:MODEL.",
            default_text="the collection's own",
        ),
    )
    exclude: tuple[str, ...] = field(
        default=(),
        metadata=row(
            "STREAMRAG_EXCLUDE",
            parse=glob_patterns,
            flags=("--exclude",),
            metavar="GLOB",
            repeated=True,
            commands=("ingest",),
            meaning="Patterns, separated by commas, of files that an ingest leaves out; see `docs/documents.md`.",
            help="Leave out what matches, as in a .gitignore. May be given several times.",
        ),
    )
    max_file_mb: int = field(
        default=50,
        metadata=row(
            "STREAMRAG_MAX_FILE_MB",
            parse=integer_between(1, 4096),
            no_flag=_RARE,
            meaning="Larger files are not read; each is reported as failed.",
        ),
    )
    engine: str = field(
        default="on",
        metadata=row(
            "STREAMRAG_ENGINE",
            parse=one_of("on", "off"),
            flags=("--no-engine",),
            switch="off",
            commands=("ask", "search"),
            meaning="Whether a process that stays warm answers; see `docs/engine.md`. Where `CI` is set it does not.",
            help="Do everything in this process instead of one that stays warm.",
        ),
    )
    engine_idle_s: float = field(
        default=600.0,
        metadata=row(
            "STREAMRAG_ENGINE_IDLE",
            parse=number_between(0.1, 86_400),
            no_flag=_RARE,
            meaning="Seconds without a question after which that process ends.",
        ),
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

    host: str = field(
        default="127.0.0.1",
        metadata=row(
            "STREAMRAG_HOST",
            parse=listening_address,
            flags=("--host",),
            metavar="ADDRESS",
            commands=_SERVE,
            meaning="Address to listen on. Any but this machine's own loopback requires a key.",
            help="Address to listen on.",
        ),
    )
    port: int = field(
        default=8421,
        metadata=row(
            "STREAMRAG_PORT",
            parse=integer_between(0, 65535),
            flags=("--port",),
            metavar="N",
            commands=_SERVE,
            meaning="Port to listen on; 0 takes a free one.",
        ),
    )
    server_key: str | None = field(
        default=None,
        repr=False,
        metadata=row(
            "STREAMRAG_SERVER_KEY",
            parse=check_keys,
            no_flag=_A_KEY,
            in_file=False,
            secret=True,
            meaning="Keys that clients have to send, `KEY` or `NAME:KEY`, separated by commas or line breaks. Never a"
            " flag: a process list would show it; nor in the settings file.",
        ),
    )
    allow_host: tuple[str, ...] = field(
        default=(),
        metadata=row(
            "STREAMRAG_ALLOW_HOST",
            parse=host_names,
            flags=("--allow-host",),
            metavar="NAME",
            repeated=True,
            commands=_SERVE,
            meaning="Names, separated by commas, that clients may know this server by, such as `docs.example.org`.",
            help="Name that clients may know the server by; may be repeated.",
        ),
    )
    cors_origin: tuple[str, ...] = field(
        default=(),
        metadata=row(
            "STREAMRAG_CORS_ORIGIN",
            parse=origins,
            flags=("--cors-origin",),
            metavar="ORIGIN",
            repeated=True,
            commands=_SERVE,
            meaning="Origins, separated by commas, whose pages may ask, such as `https://app.example.org`."
            " Default: none.",
            help="Origin whose pages may ask; may be repeated.",
        ),
    )
    allow_model: tuple[str, ...] = field(
        default=(),
        metadata=row(
            "STREAMRAG_ALLOW_MODEL",
            parse=model_names,
            flags=("--allow-model",),
            metavar="MODEL",
            repeated=True,
            commands=_SERVE,
            meaning="Models, separated by commas, that clients may choose besides the server's own.",
            help="Model that clients may choose; may be repeated.",
        ),
    )
    allow_user: tuple[str, ...] = field(
        default=(),
        metadata=row(
            "STREAMRAG_ALLOW_USER",
            parse=user_names,
            flags=("--allow-user",),
            metavar="NAME",
            repeated=True,
            commands=_SERVE,
            meaning="Users of this machine, separated by commas, that a server without a key answers besides its own"
            " user and root, such as a proxy's `www-data`.",
            help="User of this machine to answer without a key; may be repeated.",
        ),
    )
    trusted_proxy: tuple[str, ...] = field(
        default=(),
        metadata=row(
            "STREAMRAG_TRUSTED_PROXY",
            parse=list_of(network),
            flags=("--trusted-proxy",),
            metavar="ADDRESS",
            repeated=True,
            commands=_SERVE,
            meaning="Addresses or networks of proxies, separated by commas, whose `X-Forwarded-For` is believed."
            " Default: none.",
            help="Proxy whose X-Forwarded-For is believed; may be repeated.",
        ),
    )
    rate_limit: str = field(
        default="120/minute",
        metadata=row(
            "STREAMRAG_RATE_LIMIT",
            parse=request_rate,
            flags=("--rate-limit",),
            metavar="N/PERIOD",
            commands=_SERVE,
            meaning="Questions for each key or address, such as `60/minute`.",
            help="Questions for each key or address.",
        ),
    )
    max_streams: int = field(
        default=256,
        metadata=row(
            "STREAMRAG_MAX_STREAMS",
            parse=integer_between(1, 100_000),
            flags=("--max-streams",),
            metavar="N",
            commands=_SERVE,
            meaning="Maximum concurrent answers.",
        ),
    )
    grace_s: float = field(
        default=10.0,
        metadata=row(
            "STREAMRAG_GRACE",
            parse=number_between(0, 3600),
            flags=("--grace",),
            metavar="S",
            commands=_SERVE,
            meaning="Seconds that open requests have to end when the server is stopped.",
        ),
    )
    workers: int = field(
        default=0,
        metadata=row(
            "STREAMRAG_WORKERS",
            parse=integer_between(0, 64),
            flags=("--workers",),
            metavar="N",
            commands=_SERVE,
            meaning="Processes that answer at the same address; 0 is one for each core, at most 4. The rate and"
            " the open answers are each one's own.",
            help="Processes that answer.",
            default_text="one for each core, at most 4",
        ),
    )
    log: str = field(
        default="all",
        metadata=row(
            "STREAMRAG_LOG",
            parse=one_of("all", "errors", "off"),
            no_flag="`--quiet` of `serve` is `errors`",
            meaning="What a server logs to stderr: `all` questions and refusals, one line each, or `errors`, or `off`.",
        ),
    )
    collections: tuple[str, ...] = field(
        default=(),
        metadata=row(
            "STREAMRAG_COLLECTIONS",
            parse=list_of(collection_name),
            flags=("-c", "--collection"),
            metavar="NAME",
            repeated=True,
            commands=_SERVE,
            meaning="Collections that a server answers from, separated by commas; the first is its default.",
            help="Collection to answer from, no other; may be repeated, the first is the default.",
            default_text="the setting `collection`",
        ),
    )
    all_collections: bool = field(
        default=False,
        metadata=row(
            "STREAMRAG_ALL_COLLECTIONS",
            parse=on_or_off,
            flags=("--all-collections",),
            switch="on",
            commands=_SERVE,
            meaning="Whether a server answers from every collection of the store, also those that are made later.",
            help="Answer from every collection of the store.",
        ),
    )


SETTINGS: Final = rows_of(Settings)
SERVER_SETTINGS: Final = rows_of(ServerSettings)
