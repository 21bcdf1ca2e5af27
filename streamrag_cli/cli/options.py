"""The flags that mean the same everywhere, each said once."""

from typing import Annotated

import typer

from streamrag_cli.settings import defaults

_DEFAULTS = defaults()
_TOP_K, _MIN_SCORE = (_DEFAULTS[name] for name in ("top_k", "min_score"))

Model = Annotated[str | None, typer.Option("-m", "--model", metavar="MODEL", help="Model that writes the answer.")]
BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="Server that speaks the OpenAI protocol."),
]
TopK = Annotated[
    str | None,
    typer.Option("-k", "--top-k", metavar="N", help=f"How many sources, 1 to 100. [default: {_TOP_K}]"),
]
MinScore = Annotated[
    str | None,
    typer.Option("--min-score", metavar="S", help=f"Drop sources that score lower, 0 to 1. [default: {_MIN_SCORE}]"),
]
MaxAnswerTokens = Annotated[
    str | None,
    typer.Option(
        "--max-answer-tokens",
        metavar="N",
        help=f"Cut an answer that is longer. [default: {_DEFAULTS['max_answer_tokens']}]",
    ),
]
MaxAnswer = Annotated[
    str | None,
    typer.Option(
        "--max-answer",
        metavar="S",
        help=f"Cut an answer that takes more seconds. [default: {_DEFAULTS['max_answer_s']:g}]",
    ),
]
Collection = Annotated[
    str | None, typer.Option("-c", "--collection", metavar="NAME", help="Collection. [default: default]")
]
Store = Annotated[
    str | None,
    typer.Option("--store", metavar="STORE", help="Directory, or postgresql://... [default: $XDG_DATA_HOME/streamrag]"),
]
Embedding = Annotated[
    str | None,
    typer.Option("--embedding", metavar="NAME", help="builtin or openai:MODEL. [default: the collection's own]"),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude", metavar="GLOB", help="Leave out what matches, as in a .gitignore. May be given several times."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")]
JsonLines = Annotated[bool, typer.Option("--jsonl", help="Print one JSON event a line as it happens.")]
NoStream = Annotated[bool, typer.Option("--no-stream", help="Print the answer once it is whole.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print the answer and errors only.")]
Plain = Annotated[bool, typer.Option("--plain", help="No colour, no live redraw.")]
Timings = Annotated[bool, typer.Option("--timings", help="Say where the milliseconds went, also in --json.")]
NoEngine = Annotated[
    bool, typer.Option("--no-engine", help="Do everything in this process instead of one that stays warm.")
]
