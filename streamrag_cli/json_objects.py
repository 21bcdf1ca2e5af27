"""Builds the JSON objects that `--json` prints and `/search` returns, each from a whole stream of events."""

from collections.abc import Iterable
from typing import Any, Final

from streamrag_cli.codec import public, to_mapping
from streamrag_cli.events import (
    THINKING_SHOWN,
    AskEvent,
    Citations,
    Done,
    Error,
    Notice,
    QuestionAsked,
    Sources,
    Status,
    Token,
)
from streamrag_cli.model import Source

FORMAT_VERSION: Final = 1


def answer_object(events: Iterable[AskEvent], *, paths: bool = False, thread: str = "") -> dict[str, object]:
    """Build the object for an answer. Sources include their absolute path only if `paths` is True.

    Every key is always present; the value of a step that did not happen is null or empty. In a conversation, the object
    also contains the turn's `thread` and `n`. If a complete answer was logged as the start of a new conversation,
    `thread` is the id of that conversation. After a failure, `error` is the content of the error event, and `answer` is
    the part that had arrived.
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
        "unsupported_citations": [],
        "notices": notices,
        "finish_reason": None,
        "model": None,
        "usage": None,
        "timings": None,
        "error": None,
    }
    for event in events:
        fields = to_mapping(event, paths=paths, texts=True)
        match event:
            case Token():
                answer.append(event.text)
            case QuestionAsked():
                result |= {"thread": event.thread, "n": event.n}
            case Sources():
                result["sources"] = fields["sources"]
            case Citations():
                result |= {"citations": fields["citations"]}
                result |= {f"{kind}_citations": fields[kind] for kind in ("unknown", "unsupported")}
            case Notice():
                notices.append(public(event))
                if event == THINKING_SHOWN:
                    answer.clear()
            case Done():
                result |= {key: fields[key] for key in ("finish_reason", "model", "usage", "timings")}
                result["complete"] = True
            case Error():
                result["error"] = _error_object(event)
            case Status():
                pass
    result["answer"] = "".join(answer)
    if thread and result["complete"] and "not_logged" not in {each["code"] for each in notices}:
        result = result | {"thread": thread, "n": result.get("n", 1)}
    return result


def hits_object(
    sources: Iterable[Source],
    *,
    query: str | None,
    notices: Iterable[Notice] = (),
    error: Error | None = None,
    paths: bool = False,
) -> dict[str, object]:
    """Build the object that `search --json` prints (with `paths`) and `/search` returns (without `paths`).

    It contains the key `notices` only if there are notices.
    """
    listed = [public(each) for each in notices]
    return {
        "version": FORMAT_VERSION,
        "query": query,
        "hits": [public(source, paths=paths, texts=True) for source in sources],
        **({"notices": listed} if listed else {}),
        "error": _error_object(error),
    }


def failure_object(command: str, error: Error) -> dict[str, object]:
    """Build the object that a command prints with `--json` if it fails before it has results."""
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
