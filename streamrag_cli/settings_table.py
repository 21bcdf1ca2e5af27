"""The tables of all settings; flags, variables, the settings file and the documentation are generated from them.

`--help` lists the flags in field order. A setting's environment variable is `STREAMRAG_` followed by
the setting's name in capitals, without the unit `_S` (seconds).
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from typing import Final

from streamrag_cli import setting_row as value
from streamrag_cli.server_keys import check_keys
from streamrag_cli.setting_row import rows_of, setting
from streamrag_cli.store.address import StoreAddress
from streamrag_cli.store.registry import open_store

_MODEL: Final = ("ask", "chat", "serve", "bench", "doctor")
_RETRIEVE: Final = ("ask", "chat", "search", "serve", "bench")
_EMBED: Final = (*_RETRIEVE, "ingest", "doctor", "eval")
_A_KEY: Final = "flags are visible in the process list"
_RARE: Final = "rarely changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings for all commands.

    `state_directory` is not a setting. It is the directory for caches, which may be deleted at any time; "" disables
    them. `collection` may contain several names, joined by commas, only for the commands in its `several_in`.
    """

    model: str | None = setting(
        None,
        parse=value.any_text,
        flag="-m, --model MODEL",
        commands=_MODEL,
        meaning="Model that generates the answers. For the default, see `docs/models.md`.",
        help="Model that generates the answers.",
    )
    base_url: str | None = setting(
        None,
        *("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        parse=value.any_text,
        flag="--base-url URL",
        commands=_EMBED,
        meaning="URL of a server with an OpenAI-compatible API, such as `http://localhost:11434/v1`.",
        help="URL of the model server (OpenAI-compatible API).",
        command_help=dict.fromkeys(
            ("search", "ingest", "eval"), "URL of the server that computes embeddings (OpenAI-compatible API)."
        ),
    )
    api_key: str | None = setting(
        None,
        "OPENAI_API_KEY",
        parse=value.any_text,
        no_flag=_A_KEY,
        secret=True,
        meaning="API key for the model server. It can be set only by an environment variable: the"
        " settings file must not contain keys, and flags are visible in the process list.",
    )
    top_k: int = setting(
        5,
        parse=value.integer_between(1, value.MAX_TOP_K),
        flag="-k, --top-k N",
        commands=(*_RETRIEVE, "eval"),
        meaning=f"Number of sources, 1 to {value.MAX_TOP_K}.",
        command_help={
            "serve": f"Maximum number of sources per answer, 1 to {value.MAX_TOP_K}.",
            "eval": f"Number of passages to retrieve per question, 1 to {value.MAX_TOP_K}.",
        },
    )
    min_score: float = setting(
        0.3,
        parse=value.number_between(0, 1),
        flag="--min-score S",
        commands=_RETRIEVE,
        meaning="Minimum score of a source, 0 to 1.",
        help="Minimum score of a source.",
    )
    context: str = setting(
        "",
        parse=value.context_size,
        flag="--context SIZE",
        commands=("ask", "chat", "serve", "bench"),
        meaning="How much text from the sources is sent to the model: `full` (whole passages), `focused` (the most"
        " relevant sentences of nine passages, about half as much text), or N (at most N characters of such"
        " sentences).",
        help="Text sent to the model: full (whole passages), focused (relevant sentences), or at most N characters.",
        default_text="focused for a model server on this machine, else full",
    )
    history_chars: int = setting(
        6000,
        parse=value.integer_between(0, 1_000_000),
        no_flag=_RARE,
        meaning="Maximum number of characters from earlier questions and answers that are sent to the model with a"
        " follow-up question; 0 sends none.",
    )
    rewrite: str = setting(
        "auto",
        parse=value.one_of("off", "auto", "model"),
        flag="--rewrite MODE",
        commands=("ask", "chat", "serve"),
        meaning="What is searched for if a question is a follow-up: `auto` (the question with its conversation),"
        " `model` (the question as rewritten by the model, which takes another request) or `off` (only the question).",
        help="What is searched for if a question is a follow-up: auto (the question with its conversation), model (the"
        " question as rewritten by the model) or off (only the question).",
    )
    timeout_s: float = setting(
        60.0,
        parse=value.number_between(0.1, 3600),
        no_flag=_RARE,
        meaning="Seconds to wait for data from the model server before giving up.",
    )
    temperature: float | None = setting(
        None,
        parse=value.number_between(0, 2),
        flag="--temperature T",
        commands=("ask", "chat", "serve"),
        meaning="Sampling temperature of the model, 0 to 2. If the model server rejects it, the request is repeated"
        " without it.",
        help="Sampling temperature of the model, 0 to 2.",
        default_text=f"{value.DEFAULT_TEMPERATURE}, except for OpenAI's models",
    )
    instructions: str = setting(
        "",
        parse=value.text_or_file,
        flag="--instructions TEXT",
        commands=("ask", "chat", "serve"),
        meaning="Additional instructions for the model, such as `Answer in one sentence.`, or `@` followed by the"
        f" absolute path of a file that contains them; at most {value.MAX_INSTRUCTIONS_CHARS} characters.",
        help="Additional instructions for the model, or @FILE to read them from a file.",
    )
    max_answer_tokens: int = setting(
        value.DEFAULT_ANSWER_TOKENS,
        parse=value.integer_between(1, 1_000_000),
        flag="--max-tokens, --max-answer-tokens N",
        commands=("ask", "chat", "serve"),
        meaning="Maximum number of tokens per answer; a longer answer is cut off. A limit other than the default is"
        " also sent to the model server.",
        help="Maximum number of tokens per answer; a longer answer is cut off.",
    )
    max_answer_s: float = setting(
        600.0,
        parse=value.number_between(0.1, 86_400),
        flag="--max-answer S",
        commands=("ask", "chat", "serve"),
        meaning="Maximum time per answer, in seconds; an answer that takes longer is cut off.",
    )
    collection: str = setting(
        "default",
        parse=value.collection_name,
        flag="-c, --collection NAME",
        commands=("ask", "chat", "search", "show", "ls", "bench", "ingest", "status", "copy", "doctor"),
        several_in=("ask", "chat", "search"),
        meaning="Name of the collection (a set of documents with one embedder): 1 to 63 letters, digits, `.`, `-` or"
        " `_`.",
        help="Collection to answer from.",
        command_help={
            "ask": "Collection to answer from; may be repeated.",
            "chat": "Collection to answer from; may be repeated.",
            "search": "Collection to search; may be repeated.",
            "show": "Collection that contains the document.",
            "ls": "Collection to list.",
            "ingest": "Collection to update; created if it does not exist.",
            "status": "Show only this collection. [default: all]",
            "copy": "Collection to copy.",
            "doctor": "Check only this collection in the store. [default: all]",
        },
    )
    store: StoreAddress = setting(  # noqa: RUF009 - a field, not a value
        MISSING,
        parse=value.store_at,
        flag="--store STORE",
        commands=(*_EMBED, "show", "ls", "collections", "status"),
        meaning="Directory of the store, or a `postgresql://` URL.",
        help="Store directory or postgresql:// URL.",
        command_help={
            "eval": "postgresql:// URL of a database for the temporary store. [default: a temporary directory]"
        },
        default_text="$XDG_DATA_HOME/streamrag",
    )
    embedding: str | None = setting(
        None,
        parse=value.any_text,
        flag="--embedding NAME",
        commands=_EMBED,
        meaning="Embedder: `builtin`, `multilingual` or `openai:MODEL`. A new collection uses `builtin` by default.",
        help="Embedder: builtin, multilingual or openai:MODEL.",
        command_help={"eval": "Embedder: builtin, multilingual or openai:MODEL. [default: builtin]"},
        default_text="the collection's embedder",
    )
    exclude: tuple[str, ...] = setting(
        (),
        parse=value.list_of(value.any_text),
        flag="--exclude GLOB",
        repeated=True,
        commands=("ingest",),
        meaning="Patterns (`.gitignore` syntax) of files to skip during an ingest, separated by commas; see"
        " `docs/documents.md`.",
        help="Skip files that match this pattern (.gitignore syntax) in this ingest; may be repeated.",
    )
    ocr: str = setting(
        "auto",
        parse=value.ocr_languages,
        flag="--ocr MODE",
        commands=("ingest",),
        meaning="Whether to read scanned pages and images with OCR, which needs tesseract: `auto` (if tesseract is"
        " installed), `off`, or languages such as `eng` or `deu+fra`; see"
        " `docs/documents.md`.",
        help="Read scanned pages and images with tesseract: auto, off, or the languages to read, such as deu+eng.",
    )
    max_file_mb: int = setting(
        50,
        parse=value.integer_between(1, 4096),
        no_flag=_RARE,
        meaning="Maximum file size in MB (10^6 bytes); a larger file is reported as failed.",
    )
    engine: str = setting(
        "on",
        parse=value.one_of("on", "off"),
        flag="--no-engine",
        switch="off",
        commands=("ask", "chat", "search"),
        meaning="Whether to use the background engine; see `docs/engine.md`. The engine is never used if `CI` is set.",
        help="Do not use the background engine.",
    )
    engine_idle_s: float = setting(
        600.0,
        parse=value.number_between(0.1, 86_400),
        no_flag=_RARE,
        meaning="The engine stops after this many seconds without a question.",
    )
    fresh: str = setting(
        "off",
        parse=value.one_of("on", "off"),
        flag="--fresh",
        switch="on",
        commands=("ask", "chat", "search"),
        meaning="Whether to sync the collection with its files before each question on the command line; see"
        " `docs/ingesting.md`.",
        help="Sync the collection with its files before searching.",
    )
    editor_uri: str = setting(
        "",
        parse=value.editor_uri,
        no_flag=_RARE,
        meaning="Template for links to sources in the terminal: a URI with `{path}` and `{line}`, such as"
        " `vscode://file{path}:{line}`. By default, the links are `file://` URIs.",
    )
    log_questions: str = setting(
        "on",
        parse=value.one_of("on", "off"),
        flag="--no-log",
        switch="off",
        commands=("ask", "chat"),
        meaning="Whether to log the questions that are asked on the command line, and their answers; see"
        " `docs/conversations.md`. Nothing is logged if `CI` is set.",
        help="Do not keep this question and its answer in the log.",
    )
    log_keep_days: int = setting(
        90,
        parse=value.integer_between(1, 36_500),
        no_flag=_RARE,
        meaning="A conversation is deleted from the log this many days after its last question.",
    )
    state_directory: str = ""

    def store_named_by(self, flags: Mapping[str, object | None]) -> str:
        """Return the value of the `store` flag without its password; "" if the flag was not given."""
        flag = flags.get("store")
        return open_store(self.store).display_address(str(flag)) if flag else ""

    @property
    def collections(self) -> tuple[str, ...]:
        return tuple(self.collection.split(","))

    @property
    def names_a_model(self) -> bool:
        """Whether the settings select a model server. If False, answers are quotes."""
        return bool(self.model or self.base_url or self.api_key)

    @property
    def model_scheme(self) -> str:
        """`http` or `https`; only `https` has to load certificates."""
        return "http" if (self.base_url or "").startswith("http:") else "https"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The settings for `serve`, in addition to `Settings`.

    `server_key` contains one or more keys in the format that `server_keys.split_keys` parses.
    """

    host: str = setting(
        "127.0.0.1",
        parse=value.listening_address,
        flag="--host ADDRESS",
        meaning="IP address to listen on. Any address other than a loopback address requires a key.",
        help="IP address to listen on.",
    )
    port: int = setting(
        8421,
        parse=value.integer_between(0, 65535),
        flag="--port N",
        meaning="Port to listen on; 0 picks a free one.",
    )
    server_key: str | None = setting(
        None,
        parse=check_keys,
        no_flag=_A_KEY,
        secret=True,
        meaning="Keys that clients must send, `KEY` or `NAME:KEY`, separated by commas or line breaks. They"
        " can be set only by the environment variable: the settings file must not contain keys, and flags are"
        " visible in the process list.",
    )
    allow_host: tuple[str, ...] = setting(
        (),
        parse=value.host_names,
        flag="--allow-host NAME",
        repeated=True,
        meaning="Host names by which clients may address the server, separated by commas, such as `docs.example.org`.",
        help="Host name by which clients may address the server; may be repeated.",
    )
    cors_origin: tuple[str, ...] = setting(
        (),
        parse=value.origins,
        flag="--cors-origin ORIGIN",
        repeated=True,
        meaning="Comma-separated origins whose web pages may ask questions, such as `https://app.example.org`."
        " Default: none.",
        help="Origin whose web pages may ask questions; may be repeated.",
    )
    allow_model: tuple[str, ...] = setting(
        (),
        parse=value.model_names,
        flag="--allow-model MODEL",
        repeated=True,
        meaning="Models that clients may request in addition to the server's own model, separated by commas.",
        help="Model that clients may request in addition to the server's own model; may be repeated.",
    )
    allow_user: tuple[str, ...] = setting(
        (),
        parse=value.user_names,
        flag="--allow-user NAME",
        repeated=True,
        meaning="Local users that are allowed to use a server without a key, separated by commas, such as `www-data`"
        " for a proxy. Root and the user that runs the server are always allowed.",
        help="Local user who is allowed to use a server without a key; may be repeated.",
    )
    trusted_proxy: tuple[str, ...] = setting(
        (),
        parse=value.list_of(value.network),
        flag="--trusted-proxy ADDRESS",
        repeated=True,
        meaning="Addresses or networks of proxies whose `X-Forwarded-For` header is trusted, separated by commas."
        " Default: none.",
        help="Proxy whose X-Forwarded-For header is trusted; may be repeated.",
    )
    rate_limit: str = setting(
        "120/minute",
        parse=value.request_rate,
        flag="--rate-limit N/PERIOD",
        meaning="Maximum rate of questions per key or client address, such as `60/minute`.",
        help="Maximum rate of questions per key or client address.",
    )
    max_streams: int = setting(
        256,
        parse=value.integer_between(1, 100_000),
        flag="--max-streams N",
        meaning="Maximum number of answers in progress.",
    )
    grace_s: float = setting(
        10.0,
        parse=value.number_between(0, 3600),
        flag="--grace S",
        meaning="Shutdown timeout in seconds: how long to wait for connections to close. Answers in progress are"
        " cut off immediately.",
    )
    workers: int = setting(
        0,
        parse=value.integer_between(0, 64),
        flag="--workers N",
        meaning="Number of worker processes; 0 means one per core, at most 4. The rate limit and the limit on answers"
        " in progress apply to each worker separately.",
        help="Number of worker processes.",
        default_text="one per core, at most 4",
    )
    log: str = setting(
        "all",
        parse=value.one_of("all", "errors", "off"),
        no_flag="`serve --quiet` sets it to `errors`",
        meaning="What the server logs to stderr: `all` (one line per question and per rejected request), `errors` or"
        " `off`.",
    )
    collections: tuple[str, ...] = setting(
        (),
        parse=value.list_of(value.collection_name),
        flag="-c, --collection NAME",
        repeated=True,
        meaning="Collections that the server answers from, separated by commas; the first is the default.",
        help="Collection to serve; may be repeated, and the first is the default.",
        default_text="the setting `collection`",
    )
    all_collections: bool = setting(
        False,
        parse=value.on_or_off,
        flag="--all-collections",
        switch="on",
        meaning="Whether the server answers from all collections in the store, including those created later.",
        help="Serve all collections in the store.",
    )


SETTINGS: Final = rows_of(Settings)
SERVER_SETTINGS: Final = rows_of(ServerSettings, commands=("serve",))
