import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.documents.frames import document_from_json, document_to_json, read_frame, write_frame
from streamrag_cli.documents.load import load
from streamrag_cli.documents.sandbox import LARGE_BYTES, Loader
from streamrag_cli.errors import DocumentError
from tests.support.http_client import wait_until
from tests.support.loading import loaded, raw_file
from tests.support.pdf_bytes import pdf_bytes

PDF = pdf_bytes([["Page one."], ["Page two."]])
PROC = Path("/proc/self/task")

pytestmark = pytest.mark.skipif(not PROC.exists(), reason="children are found in /proc")


@pytest.fixture
def loader() -> Iterator[Loader]:
    with Loader() as loader:
        yield loader


def test_the_sandbox_returns_the_same_document_as_this_process(loader: Loader) -> None:
    page = "<title>T</title><h1>Größe</h1><p>x</p>".encode()

    assert loader.load(Path("/a.pdf"), raw_file(PDF)) == load(Path("/a.pdf"), raw_file(PDF))
    assert loader.load(Path("/b.html"), raw_file(page)) == load(Path("/b.html"), raw_file(page))


def test_a_safe_format_is_loaded_without_a_parser_process(loader: Loader) -> None:
    assert loader.load(Path("/a.md"), raw_file(b"# A\n")).title == "A"
    assert children() == set()


LARGE = {
    "a.md": "# A heading\n\nA paragraph of some words about Größe.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n",
    "a.mdx": "# A heading\n\n<Note>A paragraph of some words.</Note>\n\n",
    "a.csv": "tongs,3,a note about tongs\n",
    "a.jsonl": '{"tool": "tongs", "note": "f\\u00fcr Eisen"}\n',
    "a.yaml": "- tool: tongs\n  note: for iron\n",
    "a.toml": "[[tools]]\nname = 'tongs'\n",
    "a.ini": "[tongs]\nweight = 3\n",
    "a.py": "def tongs():\n    return 3\n\n\n",
    "a.js": "function tongs() {\n  return 3;\n}\n",
    "a.srt": "1\n00:00:01,000 --> 00:00:02,000\nA word about tongs.\n\n",
}


@pytest.mark.fault("slow-large-file")
@pytest.mark.parametrize("name", LARGE)
def test_the_sandbox_returns_the_same_document_for_large_files(name: str, loader: Loader) -> None:
    data = (LARGE[name] * (LARGE_BYTES // len(LARGE[name]) + 1)).encode()
    apart, here = loader.load(Path("/", name), raw_file(data)), load(Path("/", name), raw_file(data))

    assert len(children()) == 1
    assert list(apart.line_numbers or ()) == list(here.line_numbers or ())
    assert replace(apart, line_numbers=None) == replace(here, line_numbers=None)


@pytest.mark.fault("slow-large-file")
def test_a_file_that_exceeds_the_processor_time_limit_does_not_affect_the_next() -> None:
    data = b"- a\n" * 1_000_000
    with Loader(time_limit_s=1) as loader, pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamrag_cli.documents.sandbox._BYTES_PER_S", len(data))
        with pytest.raises(DocumentError) as caught:
            loader.load(Path("/a.md"), raw_file(data))

        assert (caught.value.code, caught.value.message) == ("timed_out", "parsing took longer than 1 s")
        assert children() == set()
        assert loader.load(Path("/b.html"), raw_file(b"<p>x")).text == "x"


def test_large_plain_text_is_loaded_without_a_parser_process(loader: Loader) -> None:
    assert len(loader.load(Path("/a.txt"), raw_file(b"word\n" * 400_000)).text) == 2_000_000
    assert children() == set()


def test_one_parser_process_loads_many_files_and_exits_with_the_loader() -> None:
    with Loader() as loader:
        loader.load(Path("/a.pdf"), raw_file(PDF))
        (first,) = children()
        loader.load(Path("/b.pdf"), raw_file(PDF))
        assert children() == {first}

    assert children() == set()


def test_loader_errors_are_reported_and_the_parser_process_survives(loader: Loader) -> None:
    assert code_of(lambda: loader.load(Path("/a.pdf"), raw_file(b"%PDF"))) == "corrupt"
    (worker,) = children()
    assert code_of(lambda: loader.load(Path("/a.pdf"), raw_file(pdf_bytes([["x"]], encrypted=True)))) == "encrypted"
    assert loader.load(Path("/a.pdf"), raw_file(PDF)).text == "Page one.\n\nPage two.\n\n"
    assert children() == {worker}


def test_a_file_that_exceeds_the_time_limit_is_reported() -> None:
    long = pdf_bytes([["word " * 12] * 45] * 400)
    with Loader(time_limit_s=0.01) as loader:
        assert code_of(lambda: loader.load(Path("/long.pdf"), raw_file(long))) == "timed_out"
    with Loader(time_limit_s=60) as loader:
        assert len(loader.load(Path("/long.pdf"), raw_file(long)).sections) == 400


@pytest.mark.fault("oversized-files")
def test_a_parser_process_that_hangs_is_killed_and_replaced() -> None:
    with Loader(time_limit_s=1) as loader:
        loader.load(Path("/a.pdf"), raw_file(PDF))
        (hung,) = children()
        os.kill(hung, signal.SIGSTOP)

        assert code_of(lambda: loader.load(Path("/a.pdf"), raw_file(PDF + b" " * (1 << 20)))) == "timed_out"
        assert hung not in children()
        assert loader.load(Path("/a.pdf"), raw_file(PDF)).text.startswith("Page one.")


def test_a_crashed_parser_process_fails_only_one_file(loader: Loader) -> None:
    loader.load(Path("/a.pdf"), raw_file(PDF))
    (worker,) = children()
    os.kill(worker, signal.SIGSEGV)

    assert code_of(lambda: loader.load(Path("/a.pdf"), raw_file(PDF))) == "parser_crashed"
    assert loader.load(Path("/a.pdf"), raw_file(PDF)).text.startswith("Page one.")


@pytest.mark.fault("slow-large-file")
def test_the_memory_of_a_parser_process_is_limited() -> None:
    page = b"<p>x</p>" * 4_000_000
    with Loader(memory_limit_bytes=600 << 20) as loader:
        assert code_of(lambda: loader.load(Path("/a.html"), raw_file(page))) == "out_of_memory"
        assert loader.load(Path("/a.html"), raw_file(b"<p>x")).text == "x"


def test_an_interrupt_leaves_no_stale_reply_for_the_next_file(loader: Loader) -> None:
    loader.load(Path("/a.pdf"), raw_file(PDF))
    (worker,) = children()
    os.kill(worker, signal.SIGSTOP)
    interrupt = threading.Timer(0.2, signal.pthread_kill, [threading.get_ident(), signal.SIGINT])
    interrupt.start()

    with pytest.raises(KeyboardInterrupt):
        loader.load(Path("/first.pdf"), raw_file(PDF))

    assert loader.load(Path("/second.pdf"), raw_file(PDF)).path == "/second.pdf"


def test_a_parser_process_inherits_no_environment_and_no_descriptors(
    loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-secret")
    leaking = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leaking, True)
    try:
        loader.load(Path("/a.pdf"), raw_file(PDF))
    finally:
        os.close(leaking)
    (worker,) = children()

    assert b"a-secret" not in Path(f"/proc/{worker}/environ").read_bytes()
    assert sorted(int(entry.name) for entry in Path(f"/proc/{worker}/fd").iterdir()) == [0, 1, 2]
    assert os.getsid(worker) == worker


def test_a_parser_process_exits_when_its_parent_is_killed() -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\n"
        "from streamrag_cli.documents.sandbox import Loader\nfrom tests.documents.test_sandbox import PDF, children\n"
        "from tests.support.loading import raw_file\n"
        "loader = Loader()\nloader.load(Path('/a.pdf'), raw_file(PDF))\n"
        "print(*children(), flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()

    assert wait_until(lambda: not is_running(worker))


def test_documents_are_unchanged_after_serialisation() -> None:
    for document in (loaded("a.pdf", PDF), loaded("a.html", "<h1>A</h1><p>x"), loaded("caf\udce9.csv", "a,b\n1,2\n")):
        stream = io.BytesIO()
        write_frame(stream, document_to_json(document))
        stream.seek(0)
        received = document_from_json(read_frame(stream))

        assert (received.path, received.text, received.sections) == (document.path, document.text, document.sections)
        assert list(received.line_numbers or ()) == list(document.line_numbers or ())


@pytest.mark.parametrize("data", [b"", b"\0\0\0", b"\0\0\0\0\0\0\0\5abc", b"\x7f" * 40])
def test_a_truncated_frame_is_an_error(data: bytes) -> None:
    with pytest.raises(EOFError):
        read_frame(io.BytesIO(data))


def children() -> set[int]:
    """Return the parser processes that this process has started, without other tests' processes."""
    return {child for child in all_children() if b"streamrag_cli.documents.worker" in command_of(child)}


def all_children() -> set[int]:
    """Return this process's child processes. A thread from another test may end while they are being listed."""
    pids: set[int] = set()
    for task in PROC.iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            pids.update(map(int, (task / "children").read_text().split()))
    return pids


def command_of(pid: int) -> bytes:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(DocumentError) as caught:
        action()
    return caught.value.code
