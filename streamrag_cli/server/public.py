"""Removes from errors and notices what clients must not see or cannot use.

Paths, store and model server addresses, and shell commands are only for the operator, who finds them in the log.
For a failure of the store, the model or the settings, the message therefore comes from the error class or from the
table in this module, never from the event. Messages about the request itself, and notices, are shown unless they
contain a path, address or command.
"""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from streamrag_cli.errors import LEAVE_OUT_FILTER, ExitCode, class_of
from streamrag_cli.events import QUOTES_ONLY, AskEvent, Done, Error, Notice
from streamrag_cli.missing_files import STALE_CODES

NOT_IN_DOCUMENTS: Final = "The documents do not contain anything about this."

_BY_CODE: Final[Mapping[str, tuple[str, str]]] = {
    "nothing_relevant": ("nothing in the documents is relevant to the question", "rephrase the question"),
    "no_document_matches": (
        "no document matches the filter",
        'use the names that the sources show, or leave out the filter fields ("in", "since", "format" and "tag")',
    ),
    "empty_question": ("the question is empty", 'send a question, such as {"query": "How long is the warranty?"}'),
    "no_such_passage": ("the passage does not exist", "search again: the documents may have changed"),
    "question_too_long": ("the question is too long", "ask a shorter question"),
    "nothing_to_quote": ("the sources contain no sentence to quote", "read the sources"),
    "key_missing": ("the server has no API key for the model", ""),
    "key_refused": ("the model server refused this server's key", ""),
    "no_such_model": ("the model server does not have the model", ""),
    "unreachable": ("the model server cannot be reached", "try again later"),
    "rate_limited": ("the rate limit of the model server was reached", "try again later"),
    "quota_exhausted": ("the quota for the model is used up", ""),
    "redirected": ("the model server's address is not configured correctly", ""),
    "model_loading": ("the model is still loading", "ask again in a moment"),
    "server_error": ("the model server failed", "try again later"),
    "request_refused": ("the model server refused the request", ""),
    "context_too_long": ("the sources and the conversation are too long for the model", "ask for fewer sources"),
    "cut_off": ("the model server ended the answer before it was complete", "ask again"),
    "stalled": ("the model server sent no data within the time limit", "try again later"),
    "malformed": ("the model server sent an invalid reply", "try again later"),
    "empty_answer": ("the model returned no answer", "rephrase the question"),
    "server_shutdown": ("the server is shutting down", "ask again in a moment"),
    "store_missing": ("the collection does not exist, or it has no documents yet", ""),
    "store_empty": ("the collection has no documents yet", ""),
    "store_busy": ("the documents are being updated", "ask again in a moment"),
    "too_many_open_files": ("the server has too many files and connections open", "try again later"),
    "out_of_memory": ("the server is out of memory", "try again later"),
}
_NOTICES: Final[Mapping[str, str]] = {
    QUOTES_ONLY.code: QUOTES_ONLY.message,
    "finish_unknown": "the answer may be incomplete: the model server gave an unrecognised reason for ending it",
    "rewrite_failed": "the follow-up question was not rewritten",
    "retrying": "the model did not answer; trying again",
}
_HINTS_FOR_REFUSALS: Final[Mapping[str, str]] = {
    "key_missing": "send the key as Authorization: Bearer KEY",
    "key_refused": "send this server's key as Authorization: Bearer KEY",
    "unknown_host": "ask this server's operator to allow this host name",
    "foreign_origin": "ask this server's operator to allow this origin",
}
_REASON: Final = re.compile(r"[A-Za-z_-]{1,40}")
_OWN_ROUTE: Final = re.compile(r"\bGET /(?:collections|openapi\.json|v1/models)\b(?!/)")
_COMMANDS: Final = "ask|bench|collections|copy|doctor|engine|eval|ingest|ls|search|serve|show|status"
_LOCATION: Final = re.compile(r"(?<![\w.])~?/\w|\b[A-Za-z]:\\|\w://|\b\d+\.\d+\.\d+\.\d+\b|[\w\]]:\d{2,5}\b|localhost")
_COMMAND: Final = re.compile(
    rf"\bstreamrag (?:{_COMMANDS})\b|\b(?:export|unset|curl|pip|ollama) \S|(?<!\S)--?[a-z]|\b[A-Z]+_[A-Z_]+\b"
)


def is_public(text: str) -> bool:
    """Whether `text` contains no path, address, command, flag or variable.

    >>> is_public("unknown model 'streamrag/laws'"), is_public("cannot read /srv/docs"), is_public("try --min-score 0")
    (True, False, False)
    """
    text = _OWN_ROUTE.sub("", text)
    return not (_LOCATION.search(text) or _COMMAND.search(text))


def public_error(error: Error, *, for_operator: bool = False) -> Error:
    """The error with the message and hint that clients see. Code, exit code and `retryable` are unchanged.

    With `for_operator` the hint may be a command, but not one that contains a path or address.
    """
    message, hint = _BY_CODE.get(error.code) or class_of(error.exit_code).for_visitors
    if error.code == "nothing_relevant" and error.hint == LEAVE_OUT_FILTER:
        hint += f" or {LEAVE_OUT_FILTER}"
    if error.exit_code == ExitCode.USAGE and is_public(error.message):
        message, hint = error.message, error.hint if error.hint and is_public(error.hint) else hint
    if for_operator and not _LOCATION.search(error.hint):
        hint = error.hint
    return replace(error, message=message, hint=hint, nearest=())


def public_notice(notice: Notice) -> Notice:
    if notice.code in STALE_CODES.values():
        return replace(notice, paths=())  # its message has only names of sources, which clients see, and no command
    message = _NOTICES.get(notice.code, notice.message)
    return replace(
        notice, message=message if is_public(message) else "this notice is shown only to the server's operator"
    )


def public_refusal(code: str, message: str, hint: str) -> tuple[str, str]:
    """The message and hint that a client sees for a refused request."""
    hint = _HINTS_FOR_REFUSALS.get(code, hint)
    return message if is_public(message) else "the request was refused", hint if is_public(hint) else ""


async def public_events(events: AsyncGenerator[AskEvent, None]) -> AsyncGenerator[AskEvent, None]:
    """The events of an answer, with the messages and hints that clients see."""
    async with aclosing(events):
        async for event in events:
            match event:
                case Error():
                    yield public_error(event)
                case Notice():
                    yield public_notice(event)
                case Done() if not _REASON.fullmatch(event.finish_reason):  # otherwise it is a word, not a text
                    yield replace(event, finish_reason="unknown")
                case _:
                    yield event
