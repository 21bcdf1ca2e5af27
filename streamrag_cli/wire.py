"""Events as JSON: the only place that knows the wire format.

`--jsonl` prints these lines and the server sends such lines after `data: `; only the names of sources depend on who
asks. An event carries its `type` and, among `status`, `sources`, `token`, `done` and `error`, only its own key, so a
client that tells events apart by the key present works too.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import fields
from math import ceil
from typing import Any, Final

from streamrag_cli.events import (
    THINKING_SHOWN,
    AskEvent,
    Citations,
    DocumentSeen,
    Done,
    Error,
    FileProgress,
    IngestDone,
    IngestEvent,
    IngestStarted,
    Notice,
    Sources,
    Status,
    Token,
)
from streamrag_cli.model import Citation, Source, Timings, Usage

FORMAT_VERSION: Final = 1
# DEL and C1, lone surrogates, bidirectional controls, zero width and tag characters
_UNSAFE: Final = re.compile(
    "[\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e01ef]"
)


def to_json(event: AskEvent | IngestEvent) -> str:
    """One event as one line of JSON, without a newline at its end."""
    return encode(to_mapping(event))


def encode(value: object) -> str:
    """JSON as all of streamrag writes it: compact, one line, real characters rather than escapes.

    But what could command a terminal, or cannot be written as UTF-8, is escaped: names of files may hold it.
    """
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return line if line.isprintable() else _UNSAFE.sub(_escape, line)


def _escape(unsafe: re.Match[str]) -> str:
    units = unsafe.group().encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def to_mapping(event: AskEvent | IngestEvent) -> dict[str, Any]:
    match event:
        case Status():
            return {"type": "status", "status": event.status}
        case Sources():
            return {"type": "sources", "sources": [source_mapping(source) for source in event.sources]}
        case Token():
            return {"type": "token", "token": event.text}
        case Citations():
            found = [plain(citation) for citation in event.citations]
            return {"type": "citations", "citations": found, "unknown": list(event.unknown)}
        case Notice():
            return {"type": "notice", "message": event.message, "code": event.code}
        case Done():
            done = {"type": "done", "done": True, **plain(event)}
            if event.timings.stages is None:
                del done["timings"]["stages"]
            return done
        case Error():
            retry: dict[str, Any] = {"hint": event.hint, "retryable": event.retryable}
            if event.retry_after_s is not None:
                retry["retry_after_s"] = ceil(event.retry_after_s)
            return {"type": "error", "error": event.message, "code": event.code, **retry}
        case IngestStarted():
            return {"type": "started", **plain(event)}
        case DocumentSeen() | FileProgress():
            return {"type": "document" if isinstance(event, DocumentSeen) else "progress", **plain(event)}
        case IngestDone():
            return {"type": "done", "done": True, **plain(event), **_counted(event)}


def _counted(done: IngestDone) -> dict[str, object]:
    return {"counts": dict(done.counts), "skipped": dict(done.skipped), "unsupported": dict(done.unsupported)}


def source_mapping(source: Source, *, paths: bool = False) -> dict[str, Any]:
    """A source as others see it: without the absolute path on this machine, unless it is for its user (`paths`).

    `also` is left out if it is empty.
    """
    shown = {key: value for key, value in plain(source).items() if key not in {"also_paths", "gone_paths"}}
    return {key: value for key, value in shown.items() if (paths or key != "path") and (value or key != "also")}


def hits_object(
    sources: Iterable[Source], *, query: str | None, error: Error | None = None, paths: bool = False
) -> dict[str, object]:
    """What `search --json` prints, with `paths`, and `/search` answers, without."""
    hits = [source_mapping(source, paths=paths) for source in sources]
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


def _error_object(error: Error | None) -> dict[str, object] | None:
    if error is None:
        return None
    return {"message": error.message, "code": error.code, "hint": error.hint, "retryable": error.retryable}


def plain(value: object) -> dict[str, Any]:
    """A dataclass of this project as a mapping; its numbers are rounded to four decimals."""
    return {each.name: _plain_value(getattr(value, each.name)) for each in fields(value)}  # type: ignore[arg-type]


def _plain_value(value: object) -> object:
    match value:
        case Timings() | Usage() | Source() | Citation():
            return plain(value)
        case float():
            return round(value, 4)
        case tuple():
            return [_plain_value(each) for each in value]
        case dict():
            return {name: _plain_value(each) for name, each in value.items()}
        case _:
            return value


def answer_object(events: Iterable[AskEvent], *, paths: bool = False) -> dict[str, object]:
    """The whole stream as the one object that `--json` prints; its sources have the absolute path with `paths`.

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
        said = to_mapping(event)
        match event:
            case Token():
                answer.append(event.text)
            case Sources():
                result["sources"] = [source_mapping(source, paths=paths) for source in event.sources]
            case Citations():
                result |= {"citations": said["citations"], "unknown_citations": said["unknown"]}
            case Notice():
                notices.append({"message": event.message, "code": event.code})
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
