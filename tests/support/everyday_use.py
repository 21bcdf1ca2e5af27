"""Runs every command, the engine and the server in an environment that enables libraries' telemetry."""

import http.client
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from tests.support.collection import DOCUMENTS
from tests.support.command_line import ROOT
from tests.support.files import write, write_files
from tests.support.network_namespace import Place, Running
from tests.support.openai_server import OpenAIServer

WATCHED_S: Final = 40.0
"""How long the engine and the server run idle. Telemetry is sent in batches, the first after about 12 s."""
QUESTION: Final = "Who built the lighthouse?"
ENABLES_TELEMETRY: Final[Mapping[str, str]] = {
    "ORT_DISABLE_TELEMETRY": "0",
    "ANONYMIZED_TELEMETRY": "True",
    "CHROMA_OTEL_COLLECTION_ENDPOINT": "http://traces.example.net:4317",
    "CHROMA_OTEL_GRANULARITY": "all",
    "chroma_otel_granularity": "all",
    "OTEL_SDK_DISABLED": "false",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://traces.example.net:4317",
    "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
    "LANGSMITH_TRACING": "true",
    "LANGCHAIN_TRACING_V2": "true",
    "LANGSMITH_API_KEY": "lsv2_key",
    "LANGSMITH_ENDPOINT": "http://smith.example.net",
    "HF_HUB_OFFLINE": "0",
}
PROXIES: Final = ("HTTP_PROXY=http://proxy.example.net:3128", "ALL_PROXY=http://proxy.example.net:3128")


class Everyday:
    """A user with a home directory, a network sandbox and a model server."""

    def __init__(self, directory: Path, looked_up: list[str], base_url: str) -> None:
        self.directory = directory
        self.model = ("--base-url", base_url, "-m", "m")
        self.base_url = base_url
        home = directory / "home"
        data, state, runtime = home / "data", home / "state", home / "run"
        for each in (data, state, runtime):
            each.mkdir(parents=True, mode=0o700)
        environment = {
            "HOME": str(home),
            "XDG_DATA_HOME": str(data),
            "XDG_STATE_HOME": str(state),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_RUNTIME_DIR": str(runtime),
            "TMPDIR": str(directory),
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "LANG": "C.UTF-8",
        }
        may_write = [data / "streamrag", state / "streamrag", directory / "copy"]
        may_write += [runtime / "streamrag", *(each / f"streamrag-{os.getuid()}" for each in (directory, Path("/tmp")))]
        self.place = Place(directory, {**environment, **ENABLES_TELEMETRY}, may_write, looked_up)

    def run(self, name: str, *arguments: str) -> None:
        self.place.run(name, *self._program(arguments))

    def every_command(self) -> None:
        """Run every command once. The name of each run begins with the command."""
        self.run("ask quotes", "ask", "--no-engine", QUESTION)
        self.run("ask model", "ask", "--no-engine", QUESTION, *self.model)
        self.run("ask list", "ask", "--no-engine", QUESTION, *self.model[:2])
        self.place.run("ask proxy", "env", *PROXIES, *self._program(("ask", "--no-engine", QUESTION, *self.model)))
        self.run("search", "search", "--no-engine", QUESTION)
        self.run("search fresh", "search", "--no-engine", "--fresh", QUESTION)
        self.run("show", "show", "lighthouse.md")
        self.run("ls", "ls")
        self.run("collections", "collections")
        chat = shlex.join(self._program(("chat", "--no-engine")))
        self.place.run("chat", "sh", "-c", f"echo {shlex.quote(QUESTION)} | {chat}")
        self.run("log", "log")
        self.run("status", "status")
        self.run("ingest server", "ingest", "docs", "-c", "words", "--embedding", "openai:words", *self.model[:2])
        self.run("bench", "bench", "-n", "1", QUESTION, *self.model)
        self.run("copy", "copy", "--from", str(self.directory / "home/data/streamrag"), "--to", "copy")
        self.run("eval", "eval", "set")
        self.run("doctor", "doctor", *self.model)

    def engine(self) -> None:
        """Start an engine with a question and watch it while it is idle."""
        with self.place.running("engine", *self._program(("ask", QUESTION))):
            while not self._engines():  # on a busy machine it starts after the question was answered without it
                time.sleep(0.2)
            while not self._engines()[0]["questions"]:
                self._untraced("ask", QUESTION)
            time.sleep(WATCHED_S)
            assert len(self._engines()) == 1
            self.run("engine stop", "engine", "stop")

    def _engines(self) -> list[dict[str, Any]]:
        """The status of the running engines."""
        engines: list[dict[str, Any]] = json.loads(self._untraced("engine", "status", "--json") or "[]")
        return engines

    def _untraced(self, *arguments: str) -> bytes:
        program, environment = self._program(arguments), dict(self.place.environment)
        return subprocess.run(program, env=environment, capture_output=True, check=False).stdout

    def serve(self, name: str, *flags: str) -> None:
        with self.place.running(name, *self._program(("serve", "--port", "0", *flags))) as server:
            time_up_s = time.monotonic() + WATCHED_S
            _visit(_port(server))
            time.sleep(max(0.0, time_up_s - time.monotonic()))
            server.terminate()

    def _program(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-B", "-m", "streamrag_cli", *arguments]


def main(directory: Path, looked_up: list[str]) -> dict[str, Any]:
    _write_documents(directory)
    with OpenAIServer() as model:
        user = Everyday(directory, looked_up, model.base_url)
        user.run("ingest", "ingest", "docs")
        jobs: list[Callable[[], None]] = [
            user.engine,
            lambda: user.serve("serve"),
            lambda: user.serve("serve workers", "--workers", "2", *user.model),
            user.every_command,
        ]
        with ThreadPoolExecutor(len(jobs)) as pool:
            for each in [pool.submit(job) for job in jobs]:
                each.result()
    return user.place.seen()


def _write_documents(directory: Path) -> None:
    docs, evaluated = directory / "docs", directory / "set"
    write_files(docs, DOCUMENTS)
    for file in (ROOT / "sample_docs").iterdir():
        if file.suffix in {".pdf", ".docx", ".html", ".ipynb"}:
            shutil.copy(file, docs)
    corpus = [{"_id": name, "title": name, "text": text} for name, text in DOCUMENTS.items()]
    write(evaluated / "corpus.jsonl", "".join(json.dumps(each) + "\n" for each in corpus))
    write(evaluated / "queries.jsonl", json.dumps({"_id": "q", "text": QUESTION}) + "\n")
    write(evaluated / "qrels.tsv", "q\tlighthouse.md\t1\n")


def _port(server: Running) -> int:
    """The port in the server's first message."""
    while not (match := re.search(r"http://127\.0\.0\.1:(\d+)", server.stderr.read_text("utf-8", "replace"))):
        assert server.process.poll() is None, server.stderr.read_text("utf-8", "replace")
        time.sleep(0.05)
    return int(match[1])


def _visit(port: int) -> None:
    """Request the page and ask a question on every route."""
    question = {"query": QUESTION}
    chat = {"model": "streamrag", "messages": [{"role": "user", "content": QUESTION}]}
    for path, body in (
        ("/", None),
        ("/search?query=lighthouse", None),
        ("/rag/stream-with-sources", question),
        ("/v1/chat/completions", chat),
        ("/metrics", None),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Content-Type": "application/json"} if body else {}
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
        reply = connection.getresponse()
        assert reply.status == 200, (path, reply.status, reply.read())
        reply.read()
        connection.close()
