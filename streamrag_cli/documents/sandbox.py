"""Loads documents. Risky formats and large files are parsed in a separate process, the worker.

Files are untrusted. If a parser hangs, crashes or exhausts memory in the worker, only one file fails. Plain text, and
small files in some formats with a pure Python parser (`Format.sandboxed`), are loaded in this process, because starting
the worker would take longer. The worker inherits no descriptors, environment or terminal. It runs until a file crashes
it or exceeds a time limit, or until the `Loader` is closed.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, Self, cast

from streamrag_cli.documents.formats import Format, format_for
from streamrag_cli.documents.frames import document_from_json, read_frame, write_frame
from streamrag_cli.documents.load import load_with
from streamrag_cli.documents.ocr import WALL_LIMIT_S, Ocr
from streamrag_cli.documents.read import RawFile
from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document
from streamrag_cli.telemetry import child_environment

_START_LIMIT_S: Final = 30.0
_END_LIMIT_S: Final = 5.0
LARGE_BYTES: Final = 1 << 18
_BYTES_PER_S: Final = 200_000
"""The throughput of the slowest loader in pure Python, in bytes per second."""
_WALL_TIME_FACTOR: Final = 4
"""The wall-clock limit for a large file, as a multiple of its processor time limit."""


class _Pages(Protocol):
    """Stores the recognised text of pages by their file's digest."""

    def pages(self, digest: str) -> dict[str, str]: ...
    def add(self, digest: str, key: str, text: str) -> None: ...


class Loader:
    """Loads one document at a time. It is not thread-safe. Closing it kills its worker.

    `time_limit_s` is the wall-clock limit per file, without the start of the worker. If a format is sandboxed only for
    large files, the limit applies to processor time instead, so that files do not fail on a busy machine, and it grows
    with the size of files above 12 MB. `memory_limit_bytes` limits the worker's whole address space.
    """

    def __init__(
        self,
        *,
        time_limit_s: float = 60.0,
        memory_limit_bytes: int = 2 << 30,
        find_ocr: Callable[[], tuple[Ocr, _Pages] | None] = lambda: None,
    ) -> None:
        """Create a loader. `find_ocr` is called before the first file that may need OCR."""
        self._time_limit_s = time_limit_s
        self._memory_limit_bytes = memory_limit_bytes
        self._worker: _Worker | None = None
        self._find_ocr = find_ocr
        self._ocr: tuple[Ocr, _Pages] | None = None
        self._has_ocr: bool | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def load(self, path: Path, raw: RawFile, entry: Format | None = None) -> Document:
        """Load the content of `path` in the format `entry` or, if it is None, in the format that its file name
        indicates.

        Raises `DocumentError` with a code from the loader, `timed_out`, `parser_crashed` or `out_of_memory`.
        """
        entry = entry or format_for(path, raw.data)
        if entry.sandboxed == "none" or (entry.sandboxed == "large" and raw.size <= LARGE_BYTES):
            return load_with(entry.loader, entry.input_type, path, raw)
        limit_s = wall_limit_s = self._time_limit_s
        if entry.sandboxed == "large":
            limit_s = max(limit_s, raw.size / _BYTES_PER_S)
            wall_limit_s = _WALL_TIME_FACTOR * limit_s
        if self._worker is None:
            self._worker = _Worker(self._memory_limit_bytes)
        try:
            ocr = self._ocr_for(entry)
            answer = self._worker.ask(path, raw, entry, limit_s=limit_s, wall_limit_s=wall_limit_s, ocr=ocr)
        except BaseException:
            self.close()  # a late answer must not be used for the next file
            raise
        return document_from_json(answer)

    def _ocr_for(self, entry: Format) -> tuple[Ocr, _Pages] | None:
        if not entry.reads_images:
            return None
        if self._has_ocr is None:
            self._ocr = self._find_ocr()
            self._has_ocr = self._ocr is not None
        return self._ocr


class _Worker:
    """One worker process. It cannot be used again after `ask` has raised an exception."""

    def __init__(self, memory_limit_bytes: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-B", "-m", "streamrag_cli.documents.worker", str(memory_limit_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
            start_new_session=True,  # only the parent handles Ctrl-C
        )
        self._requests = cast("BinaryIO", self._process.stdin)
        self._answers = cast("BinaryIO", self._process.stdout)
        with _Deadline(_START_LIMIT_S, self._process):
            try:
                read_frame(self._answers)
            except EOFError as error:
                self.kill()
                raise DocumentError("cannot start the parser process", code="parser_crashed") from error

    def ask(
        self,
        path: Path,
        raw: RawFile,
        entry: Format,
        *,
        limit_s: float,
        wall_limit_s: float,
        ocr: tuple[Ocr, _Pages] | None,
    ) -> bytes:
        """Send one file and return the worker's answer. Raises `DocumentError` if it crashes or takes too long."""
        request: dict[str, Any] = {
            "path": str(path), "loader": entry.loader, "input_type": entry.input_type, "time_limit_s": limit_s
        }  # fmt: skip
        if ocr is not None:
            request |= {"ocr": asdict(ocr[0]), "known_pages": ocr[1].pages(raw.sha256)}
        header = json.dumps(request).encode("ascii")
        with _Deadline(wall_limit_s, self._process) as deadline:
            try:
                write_frame(self._requests, header)
                write_frame(self._requests, raw.data)
                self._requests.flush()
                answer = read_frame(self._answers)
                while ocr is not None and (progress := json.loads(answer)).keys().isdisjoint({"document", "error"}):
                    if "page" in progress:
                        ocr[1].add(raw.sha256, progress["page"], progress["text"])
                    deadline.restart(wall_limit_s if "page" in progress else WALL_LIMIT_S + _END_LIMIT_S)
                    answer = read_frame(self._answers)
            except (EOFError, BrokenPipeError) as error:
                deadline.cancel()
                if deadline.has_passed or self._exceeded_processor_time():
                    raise _timed_out(limit_s) from error
                raise DocumentError("the parser crashed", code="parser_crashed") from error
        if deadline.has_passed:
            raise _timed_out(limit_s)
        return answer

    def _exceeded_processor_time(self) -> bool:
        """Whether the kernel killed the worker because it exceeded its limit of processor time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(_END_LIMIT_S) == -signal.SIGXCPU
        return False

    def kill(self) -> None:
        _kill_group(self._process)
        self._process.wait()
        for stream in (self._requests, self._answers):
            with contextlib.suppress(BrokenPipeError):  # a request may have been sent only in part
                stream.close()


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    """Kill the process, which leads its process group, and the programs that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)


def _timed_out(limit_s: float) -> DocumentError:
    return DocumentError(f"parsing took longer than {limit_s:g} s", code="timed_out")


class _Deadline:
    """Kills a process when its time limit has passed, so that blocked reads from it and writes to it return."""

    def __init__(self, limit_s: float, process: "subprocess.Popen[bytes]") -> None:
        self.has_passed = False
        self._process = process
        self._timer = self._new_timer(limit_s)

    def _new_timer(self, limit_s: float) -> threading.Timer:
        timer = threading.Timer(limit_s, self._expire)
        timer.daemon = True
        return timer

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def cancel(self) -> None:
        """Stop the timer. `has_passed` does not change after that."""
        self._timer.cancel()
        self._timer.join()

    def restart(self, limit_s: float) -> None:
        """Restart the timer with another limit, unless the previous limit has already passed."""
        self.cancel()
        if not self.has_passed:
            self._timer = self._new_timer(limit_s)
            self._timer.start()

    def _expire(self) -> None:
        self.has_passed = True
        _kill_group(self._process)
