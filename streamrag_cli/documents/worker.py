"""The process that parses risky formats: `python -m streamrag_cli.documents.worker MEMORY_LIMIT_BYTES`.

It reads requests from stdin and writes answers to stdout in the format that `frames` defines. It exits as soon as stdin
is closed, even during a parse, because the parent has then exited. The kernel's parent-death signal is not used: it
fires when the parent's *thread* ends, so it would kill workers of live parents. The process cannot write files, and its
memory and processor time are limited.
"""

import contextlib
import json
import os
import queue
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO, Final

from streamrag_cli.documents.frames import document_to_json, error_to_json, read_frame, write_frame
from streamrag_cli.documents.load import load_with
from streamrag_cli.documents.ocr import Ocr, PageReader, kill_running
from streamrag_cli.documents.read import RawFile
from streamrag_cli.errors import DocumentError

_OPEN_FILES: Final = 64


def main(memory_limit_bytes: int, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until `requests` is closed, then exit the process."""
    _limit(resource.RLIMIT_AS, memory_limit_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _send(answers, b'{"ready": true}')
    pending: queue.Queue[tuple[bytes, bytes]] = queue.Queue()
    threading.Thread(target=_read_requests, args=(requests, pending), daemon=True).start()
    while True:
        header, data = pending.get()
        _send(answers, _answer(header, data, answers))


def _read_requests(requests: BinaryIO, pending: "queue.Queue[tuple[bytes, bytes]]") -> None:
    try:
        while True:
            pending.put((read_frame(requests), read_frame(requests)))
    except (EOFError, OSError):
        kill_running()
        os._exit(0)
    except MemoryError:
        os._exit(1)


def _answer(header: bytes, data: bytes, answers: BinaryIO) -> bytes:
    request = json.loads(header)
    _limit_processor_time(request["time_limit_s"])
    raw = RawFile(data=data, size=len(data), mtime_ns=0, read_at_ns=0, sha256="")
    try:
        ocr = _page_reader(request, answers) if request.get("ocr") else None
        document = load_with(request["loader"], request["input_type"], Path(request["path"]), raw, ocr)
        return document_to_json(document)
    except DocumentError as error:
        return error_to_json(error)
    except MemoryError:
        return error_to_json(DocumentError("parsing exceeded the memory limit", code="out_of_memory"))
    except Exception as error:  # noqa: BLE001 - third-party parsers may raise anything on hostile bytes
        return error_to_json(DocumentError(f"the parser failed: {type(error).__name__}", code="parser_crashed"))


def _page_reader(request: dict[str, Any], answers: BinaryIO) -> PageReader:
    """Return a `PageReader` that reports each page to the parent process, which then restarts its time limit."""

    def on_page(key: str, text: str) -> None:
        _send(answers, json.dumps({"page": key, "text": text}).encode("ascii"))
        _limit_processor_time(request["time_limit_s"])

    ocr = Ocr(**request["ocr"])
    return PageReader(ocr, request["known_pages"], lambda: _send(answers, b'{"begins_page": true}'), on_page)


def _limit_processor_time(more_s: float) -> None:
    """Allow `more_s` more seconds of processor time, rounded up.

    The limit stops this process even if the parent has exited and cannot kill it.
    """
    _limit(resource.RLIMIT_CPU, int(time.process_time() + more_s) + 2)


def _limit(which: int, value: int) -> None:
    """Set the soft limit of a resource, at most to its hard limit. Does nothing if the system does not support it."""
    _, hard = resource.getrlimit(which)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(which, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _send(answers: BinaryIO, payload: bytes) -> None:
    try:
        write_frame(answers, payload)
        answers.flush()
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
