"""What a client and its engine say to each other: one JSON object a line.

Events travel with all they hold, also what never leaves this machine: a source's path, what a status says to a
person, an exit code. So what a client shows does not depend on where the answer was made.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from streamrag_cli.events import AskEvent, Citations, Done, Error, Notice, Sources, Status, Token
from streamrag_cli.model import ChatMessage, Citation, Question, Source, Timings, Usage
from streamrag_cli.settings import Settings
from streamrag_cli.store.address import StoreAddress
from streamrag_cli.store.registry import open_store, store_address

LONGEST_LINE_BYTES: Final = 256_000_000
BEAT_S: Final = 0.5
"""An engine that answers sends an empty line this often."""
_PLAIN: Final[Mapping[str, type[Any]]] = {each.__name__: each for each in (Status, Token, Notice, Error)}


class GarbledError(ValueError):
    """A line that is no message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client wants. `question` and `settings` are there for `ask` and `search`."""

    wants: Literal["ask", "search", "status", "stop"]
    question: Question | None = None
    settings: Settings | None = None


def request_line(request: Request) -> bytes:
    return _line(asdict(request))


def read_request(line: bytes) -> Request:
    """Raises GarbledError."""
    said = _read(line)
    try:
        question = said["question"] and _question(said["question"])
        settings = said["settings"] and _settings(said["settings"])
        return Request(wants=said["wants"], question=question, settings=settings)
    except (KeyError, TypeError) as error:
        raise GarbledError(str(error)) from error


def _settings(said: dict[str, Any]) -> Settings:
    return Settings(**said | {"store": store_address(said["store"]), "exclude": tuple(said["exclude"])})


def _question(said: Mapping[str, Any]) -> Question:
    conversation = tuple(ChatMessage(**each) for each in said["conversation"])
    return Question(**{**said, "conversation": conversation})


def event_line(event: AskEvent) -> bytes:
    return _line({"event": type(event).__name__, **asdict(event)})


def read_event(line: bytes) -> AskEvent:
    """Raises GarbledError."""
    said = _read(line)
    try:
        match said.pop("event"):
            case "Sources":
                return Sources(sources=tuple(_source(each) for each in said["sources"]))
            case "Citations":
                found = tuple(Citation(**each) for each in said["citations"])
                return Citations(citations=found, unknown=tuple(said["unknown"]))
            case "Done":
                usage = said["usage"] and Usage(**said["usage"])
                return Done(**said | {"usage": usage, "timings": Timings(**said["timings"])})
            case kind:
                event: AskEvent = _PLAIN[kind](**said)
                return event
    except (KeyError, TypeError, AttributeError) as error:
        raise GarbledError(str(error)) from error


def _source(said: dict[str, Any]) -> Source:
    return Source(**said | {name: tuple(said[name]) for name in ("also", "also_paths", "gone_paths")})


def state_line(state: Mapping[str, object]) -> bytes:
    """What an engine says about itself: first of all, and to `status`."""
    return _line(dict(state))


def read_state(line: bytes) -> dict[str, Any]:
    """Raises GarbledError."""
    return _read(line)


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, default=_as_text, separators=(",", ":")).encode() + b"\n"


def _as_text(address: StoreAddress) -> str:
    return open_store(address).with_secret()


def _read(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise GarbledError("a line is no JSON") from error
    if not isinstance(said, dict):
        raise GarbledError("a line is no object")
    return said
