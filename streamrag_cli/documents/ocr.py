"""Optical character recognition (OCR) with the program tesseract, if it is installed.

`find_ocr` finds the program and its languages. `PageReader` runs it inside the parser process. tesseract reads the
image from stdin and writes the words to stdout, so it needs no files. Its processor time per page and the time for
all pages of one file are limited.
"""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from streamrag_cli.counting import counted_noun
from streamrag_cli.documents.ocr_text import text_of
from streamrag_cli.errors import ConfigurationError, DocumentError

PAGE_LIMIT_S: Final = 60
"""The limit of processor time per page, in seconds."""
WALL_LIMIT_S: Final = 240
"""The limit of real time per page, in seconds. It is longer, for busy machines."""
INSTALL: Final = "apt install tesseract-ocr"
FILE_LIMIT_S: Final = 3600.0
"""The limit of real time for OCR of one file, in seconds. At 2 to 4 s per page, it is enough for 900 pages."""
_QUERY_LIMIT_S: Final = 20
_MANY_LANGUAGES: Final = 3
"""If more languages are installed, only the locale's language and English are used: each one slows recognition."""
_BY_LOCALE: Final = dict(
    pair.split("=")
    for pair in (
        "ar=ara bg=bul ca=cat cs=ces da=dan de=deu el=ell en=eng es=spa et=est fa=fas fi=fin fr=fra he=heb hi=hin"
        " hr=hrv hu=hun id=ind is=isl it=ita ja=jpn ko=kor lt=lit lv=lav nb=nor nl=nld no=nor pl=pol pt=por ro=ron"
        " ru=rus sk=slk sl=slv sr=srp sv=swe th=tha tr=tur uk=ukr vi=vie zh=chi_sim"
    ).split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ocr:
    """How to run tesseract. `languages` are joined by +. `data` is the folder with the language files, "" for the
    default.

    `file_limit_s` limits the time for the pages of one file; pages that are already known do not count.
    """

    program: str
    languages: str
    version: str
    finds_orientation: bool
    data: str = ""
    file_limit_s: float = FILE_LIMIT_S

    @property
    def recipe(self) -> str:
        """Everything except the image that determines the recognised text, as a cache key."""
        return f"1 {self.version} {self.languages} {self.finds_orientation}"


def has_program(environment: Mapping[str, str]) -> bool:
    return _program(environment) is not None


def find_ocr(mode: str, environment: Mapping[str, str]) -> Ocr | None:
    """Return how to run tesseract; None if it or every language is missing, or if `mode` is "off".

    `mode` is "auto", "off" or languages joined by +. Raises ConfigurationError `no_ocr` if tesseract or one of the
    languages in `mode` is not installed.
    """
    program = _program(environment) if mode != "off" else None
    if program is None:
        if mode in {"auto", "off"}:
            return None
        raise ConfigurationError("OCR needs tesseract, which is not installed", code="no_ocr", hint=INSTALL)
    data = environment.get("TESSDATA_PREFIX", "")
    installed = [line.strip() for line in _output(program, "--list-langs", data).splitlines()[1:]]
    version = _output(program, "--version", data).partition("\n")[0]
    languages = [each for each in installed if each not in {"osd", "equ", "snum"} and "/" not in each]
    if mode != "auto":
        for each in mode.split("+"):
            if each not in installed:
                raise ConfigurationError(
                    f"the tesseract language {each!r} is not installed",
                    code="no_ocr",
                    hint=f"apt install tesseract-ocr-{each.replace('_', '-')}",
                )
        languages = mode.split("+")
    elif len(languages) > _MANY_LANGUAGES:
        languages = [each for each in dict.fromkeys((_locale_language(environment), "eng")) if each in languages]
    if not languages:
        return None
    return Ocr(
        program=program,
        languages="+".join(languages),
        version=version,
        finds_orientation="osd" in installed,
        data=data,
    )


def _program(environment: Mapping[str, str]) -> str | None:
    return shutil.which("tesseract", path=environment.get("PATH", ""))


def _locale_language(environment: Mapping[str, str]) -> str:
    locale = next(filter(None, (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return _BY_LOCALE.get(locale.partition("_")[0].partition(".")[0], "eng")


def _environment(data: str) -> dict[str, str]:
    """Return the environment for tesseract, limited to one thread: several are slower, even on an idle machine."""
    return {"OMP_THREAD_LIMIT": "1", "LC_ALL": "C.UTF-8", **({"TESSDATA_PREFIX": data} if data else {})}


def _output(program: str, option: str, data: str) -> str:
    """Return what tesseract prints for a command-line option; "" if it cannot be run."""
    try:
        result = subprocess.run(
            [program, option], capture_output=True, timeout=_QUERY_LIMIT_S, env=_environment(data), check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return (result.stdout or result.stderr).decode("utf-8", "replace")


class OcrFileLimitError(DocumentError):
    """OCR of a file has reached its time limit."""

    def __init__(self, limit_s: float, pages: int) -> None:
        super().__init__(
            f"OCR took longer than {limit_s / 60:,.0f} minutes; {counted_noun(pages, 'page')} of the file"
            f" {'was' if pages == 1 else 'were'} read, and the next ingest continues from there",
            code="timed_out",
        )


class PageReader:
    """Recognises the text on the pages of one file.

    `known` maps the keys of previously recognised pages to their text. `on_begin` is called before a page is
    recognised, and `on_page` is called with its key and text afterwards.
    """

    def __init__(
        self,
        ocr: Ocr,
        known: Mapping[str, str],
        on_begin: Callable[[], None],
        on_page: Callable[[str, str], None],
    ) -> None:
        self._ocr = ocr
        self._known = known
        self._on_begin = on_begin
        self._on_page = on_page
        self._used_s = 0.0
        self._pages = 0

    def read(self, key: str, image: Callable[[], bytes], *, dpi: int = 0, page: int = 0) -> str:
        """Return the text of the page that `key` identifies in the file. `image` returns its image, as an image file.

        `dpi` is the image's resolution, 0 if unknown; `page` is the page's index if the image is a TIFF. Raises
        `DocumentError` `timed_out` or `corrupt` if this page cannot be read, and `OcrFileLimitError` if no further page
        may be read.
        """
        if key in self._known:
            self._pages += 1
            return self._known[key]
        if self._used_s >= self._ocr.file_limit_s:
            raise OcrFileLimitError(self._ocr.file_limit_s, self._pages)
        begin_s = time.monotonic()
        try:
            data = image()
            self._on_begin()
            text = text_of(self._run(data, dpi, page))
        finally:
            self._used_s += time.monotonic() - begin_s
        self._on_page(key, text)
        self._pages += 1
        return text

    def _run(self, image: bytes, dpi: int, page: int) -> str:
        """Run tesseract in the parser's process group, which is killed as a whole. Returns its table of words."""
        command = [
            self._ocr.program,
            "-",
            "-",
            "-l",
            self._ocr.languages,
            "--psm",
            "1" if self._ocr.finds_orientation else "3",
        ]
        command += ["--dpi", str(dpi)] if dpi else []
        command += ["-c", f"tessedit_page_number={page}", "tsv"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(self._ocr.data),
        )
        RUNNING.add(process.pid)
        try:
            if hasattr(resource, "prlimit"):
                resource.prlimit(process.pid, resource.RLIMIT_CPU, (PAGE_LIMIT_S, PAGE_LIMIT_S + 5))
            output, _ = process.communicate(image, timeout=WALL_LIMIT_S)
        except subprocess.TimeoutExpired as error:
            raise _timed_out() from error
        except BrokenPipeError:
            output = b""
        finally:
            process.kill()
            process.wait()
            RUNNING.discard(process.pid)
        if process.returncode in {-signal.SIGXCPU, -signal.SIGKILL}:
            raise _timed_out()
        if process.returncode:
            raise DocumentError("tesseract cannot read the image", code="corrupt")
        return output.decode("utf-8", "replace")


RUNNING: Final[set[int]] = set()
"""The ids of the running tesseract processes, which must not outlive this process."""


def kill_running() -> None:
    for pid in tuple(RUNNING):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _timed_out() -> DocumentError:
    return DocumentError(f"OCR of a page took longer than {PAGE_LIMIT_S} s", code="timed_out")
