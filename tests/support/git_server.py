"""A git server over HTTP: `git http-backend` behind a server that can redirect, require a login, or never answer."""

import base64
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_AUTHOR = {
    "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull,
}  # fmt: skip
_NOON_S = 1_750_000_000


def run_git(directory: Path, *arguments: str, stdin: bytes = b"", variables: Mapping[str, str] | None = None) -> str:
    """Run `git` in a directory, without the configuration of this machine, and return its output."""
    environment = {"PATH": os.environ["PATH"], **_AUTHOR, **(variables or {})}
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    done = subprocess.run(command, cwd=directory, env=environment, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(errors="surrogateescape").strip()


@dataclass
class Repository:
    """A bare repository. Each commit replaces all files; commits are an hour apart."""

    directory: Path
    commits: int = 0

    @classmethod
    def create(cls, directory: Path) -> "Repository":
        directory.mkdir(parents=True)
        run_git(directory, "init", "--quiet", "--bare", "--initial-branch=main")
        return cls(directory)

    def commit(self, files: Mapping[str, str | bytes], *, branch: str = "main") -> str:
        """Commit only these files to the branch."""
        entries = []
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entries.append(("100644", self.blob(data), name.encode("utf-8", "surrogateescape")))
        return self.commit_entries(entries, branch=branch)

    def commit_entries(self, entries: list[tuple[str, str, bytes]], *, branch: str = "main") -> str:
        """Commit entries with a mode, an object and a path, which `git` may not allow in a work tree."""
        lines = b"".join(f"{mode} {blob}\t".encode() + path + b"\0" for mode, blob, path in entries)
        variables = {"GIT_INDEX_FILE": str(self.directory / "index.new")}
        run_git(self.directory, "read-tree", "--empty", variables=variables)
        run_git(self.directory, "update-index", "-z", "--index-info", stdin=lines, variables=variables)
        return self.commit_tree(
            run_git(self.directory, "write-tree", "--missing-ok", variables=variables), branch=branch
        )

    def commit_tree(self, tree: str, *, branch: str = "main") -> str:
        self.commits += 1
        date = f"{_NOON_S + 3600 * self.commits} +0000"
        dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        commit = run_git(self.directory, "commit-tree", tree, "-m", "a commit", variables=dates)
        run_git(self.directory, "update-ref", f"refs/heads/{branch}", commit)
        return commit

    def blob(self, data: bytes) -> str:
        return run_git(self.directory, "hash-object", "-w", "--stdin", stdin=data)

    def raw_tree(self, entries: list[tuple[str, bytes, str]]) -> str:
        """A tree object with any names, written without the checks of `git`: mode, name and object of each entry."""
        data = b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(each) for mode, name, each in entries)
        return run_git(self.directory, "hash-object", "-t", "tree", "-w", "--stdin", "--literally", stdin=data)


@dataclass
class GitServer:
    """Serves the repositories below `directory`. `requests` are the methods and paths of all requests.

    With `login`, requests need these credentials (`user:password`); with `redirect_to`, they are redirected to another
    server; with `is_silent`, they are never answered.
    """

    directory: Path
    port: int = 0
    requests: list[str] = field(default_factory=list)
    login: str = ""
    redirect_to: str = ""
    is_silent: bool = False
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"git+http://127.0.0.1:{self.port}"

    def repository(self, name: str) -> Repository:
        return Repository.create(self.directory / name)


@contextmanager
def git_server(directory: Path) -> Iterator[GitServer]:
    state = GitServer(directory)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def _answer(self, body: bytes) -> None:
            state.requests.append(f"{self.command} {self.path}")
            if state.is_silent:
                state.ended.wait(60)
                return
            expected = f"Basic {base64.b64encode(state.login.encode()).decode()}"
            if state.redirect_to:
                self.send_response(301)
                self.send_header("Location", f"{state.redirect_to}{self.path}")
                self.end_headers()
            elif state.login and self.headers.get("Authorization") != expected:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.end_headers()
            else:
                self._run_backend(body)

        def _run_backend(self, body: bytes) -> None:
            path, _, query = self.path.partition("?")
            environment = {
                "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(state.directory), "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_ADDR": "127.0.0.1",
                "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), **_AUTHOR,
            }  # fmt: skip
            done = subprocess.run(
                ["git", "http-backend"], env=environment, input=body, capture_output=True, check=False
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            state.ended.set()
            server.shutdown()
            thread.join()
