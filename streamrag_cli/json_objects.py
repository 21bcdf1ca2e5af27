"""What `--json` prints and `/search` answers: the whole of a stream as one object."""

from collections.abc import Iterable
from typing import Any, Final

from streamrag_cli.codec import public, to_mapping
from streamrag_cli.events import THINKING_SHOWN, AskEvent, Citations, Done, Error, Notice, Sources, Status, Token
from streamrag_cli.model import Source

FORMAT_VERSION: Final = 1


def answer_object(events: Iterable[AskEvent], *, paths: bool = False) -> dict[str, object]:
    """An answer; its sources have the absolute path with `paths`.

    Every key is always there; what did not happen is null or empty. `error` holds what the error event
    says, and `answer` then holds what had arrived.
    """
    answer: list[str] = []
    notices: list[dict[str, object]] = []
    result: dict[str, object] = {
        "version": FORMAT_VERSION,
        "answer": "",
        "complete": False,
        "sources": [],
        "citations": [],
        "unknown_citations": [],
        "notices": notices,
        "finish_reason": None,
        "model": None,
        "usage": None,
        "timings": None,
        "error": None,
    }
    for event in events:
        said = to_mapping(event, paths=paths)
        match event:
            case Token():
                answer.append(event.text)
            case Sources():
                result["sources"] = said["sources"]
            case Citations():
                result |= {"citations": said["citations"], "unknown_citations": said["unknown"]}
            case Notice():
                notices.append(public(event))
                if event == THINKING_SHOWN:
                    answer.clear()
            case Done():
                result |= {key: said[key] for key in ("finish_reason", "model", "usage", "timings")}
                result["complete"] = True
            case Error():
                result["error"] = _error_object(event)
            case Status():
                pass
    result["answer"] = "".join(answer)
    return result


def hits_object(
    sources: Iterable[Source], *, query: str | None, error: Error | None = None, paths: bool = False
) -> dict[str, object]:
    """What `search --json` prints, with `paths`, and `/search` answers, without."""
    hits = [public(source, paths=paths) for source in sources]
    return {"version": FORMAT_VERSION, "query": query, "hits": hits, "error": _error_object(error)}


def failure_object(command: str, error: Error) -> dict[str, object]:
    """What a command prints with `--json` if it failed before it had anything to print."""
    match command:
        case "ask":
            return answer_object([error])
        case "search":
            return hits_object((), query=None, error=error)
        case "status":
            return {"version": FORMAT_VERSION, "collections": [], "error": _error_object(error)}
        case _:
            return {"version": FORMAT_VERSION, "error": _error_object(error)}


def _error_object(error: Error | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {"message": error.message, "code": error.code, "hint": error.hint, "retryable": error.retryable}
