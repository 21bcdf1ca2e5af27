"""A network sandbox that records every attempt to use the network, and every file that programs leave.

`watched` runs `python -m tests.support.network_namespace MODULE DIRECTORY` in new namespaces. They have only loopback
and a DNS server that records every query and resolves no name. All programs run under `strace`. Every DNS query,
connection and datagram is therefore noticed, regardless of the library, thread or process that sends it.
`MODULE.main(DIRECTORY, names looked up)` runs programs in a `Place`; its result is written to DIRECTORY/seen.json.
"""

import fcntl
import importlib
import ipaddress
import json
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

NAMESPACES: Final = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_NETWORK_CALLS: Final = "connect,sendto,sendmsg,sendmmsg"
_FILE_CALLS: Final = "open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat"
_ADDRESS: Final = re.compile(
    r"sin6?_port=htons\((\d+)\).*?(?:inet_addr\(\"([^\"]+)\"\)|inet_pton\(AF_INET6, \"([^\"]+)\")"
)
_UNIX: Final = re.compile(r"sa_family=AF_UNIX, sun_path=(@?\"[^\"]+\")")
_PATH: Final = re.compile(r"(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?\"((?:[^\"\\]|\\.)*)\"")
_WRITES: Final = ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TMPFILE")
_SIOCSIFFLAGS: Final = 0x8914
_UP: Final = 0x1 | 0x40  # IFF_UP, IFF_RUNNING
_NO_SUCH_NAME: Final = 0x8183


@dataclass(slots=True, kw_only=True)
class Ended:
    """The exit code and stderr of a program, and what it and its child processes did.

    `connected` are addresses outside loopback, and other programs' Unix sockets. `written` are files and folders
    that still exist at the end and are outside the folders that the program may write to.
    """

    code: int
    stderr: str
    connected: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Place:
    """The sandbox. Programs may leave files in `may_write`; `directory` is for traces and other working files."""

    directory: Path
    environment: Mapping[str, str]
    may_write: Sequence[Path]
    looked_up: list[str] = field(default_factory=list)
    ended: dict[str, Ended] = field(default_factory=dict)

    def run(self, name: str, *argv: str) -> Ended:
        """Run a program and wait until it and all its child processes have ended."""
        with self.running(name, *argv) as process:
            process.wait()
        return self.ended[name]

    @contextmanager
    def running(self, name: str, *argv: str) -> "Iterator[Running]":
        """Run a program during the block, which must end it; then wait until all its child processes have ended."""
        trace, output = self.directory / f"{name}.trace", self.directory / f"{name}.stderr"
        with output.open("wb") as stderr:
            process = subprocess.Popen(
                ["strace", *_STRACE, "-o", str(trace), "--", *argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                cwd=self.directory,
                env=dict(self.environment),
            )
            yield Running(process, output)
            code = process.wait()
        ended = Ended(code=code, stderr=output.read_text("utf-8", "replace"))
        lines = trace.read_text("utf-8", "replace").splitlines()
        ended.connected = sorted({address for line in lines for address in connected(line, self.may_write)})
        ended.written = sorted(
            {str(path) for line in lines for path in written(line, self.directory) if self._remains(path)}
        )
        self.ended[name] = ended

    def seen(self) -> dict[str, Any]:
        """The names that were looked up, and the result of each program."""
        ended = {name: asdict(each) for name, each in self.ended.items()}
        return {"looked_up": sorted(set(self.looked_up)), "ended": ended}

    def _remains(self, path: Path) -> bool:
        if any(path.is_relative_to(each) for each in self.may_write) or "__pycache__" in path.parts:
            return False
        try:
            mode = path.lstat().st_mode
        except OSError:  # a temporary file that was deleted
            return False
        return not path.is_relative_to("/proc") and (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


_STRACE: Final = (
    "-f",
    "-y",
    "-qq",
    "--seccomp-bpf",
    "--string-limit=4096",
    "--signal=none",
    f"--trace={_NETWORK_CALLS},{_FILE_CALLS}",
)


@dataclass(frozen=True, slots=True)
class Running:
    process: "subprocess.Popen[bytes]"
    stderr: Path

    def wait(self) -> None:
        self.process.wait()

    def terminate(self) -> None:
        """Send SIGTERM to the traced program, not to `strace`."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGTERM)


def connected(line: str, own: Sequence[Path]) -> Iterator[str]:
    """The address of a traced network call, except loopback and sockets in one of the `own` folders.

    Failed attempts count, except those to Unix sockets that do not exist.
    """
    if "sa_family=AF_INET" in line:
        for port, v4, v6 in _ADDRESS.findall(line):
            if not ipaddress.ip_address((v4 or v6).partition("%")[0]).is_loopback:
                yield f"{v4 or f'[{v6}]'}:{port}"
    elif (unix := _UNIX.search(line)) and line.rstrip().endswith("= 0"):
        path = unix[1].strip('"')
        if not any(Path(path).is_relative_to(each) for each in own):
            yield path


def written(line: str, working_directory: Path) -> Iterator[Path]:
    """The path that a successful traced call has created or opened for writing.

    Calls without a directory argument, such as `open`, are resolved in the programs' working directory.
    """
    call, _, rest = line.partition("(")
    name = call.split()[-1] if call.split() else ""
    if name not in _FILE_CALLS.split(",") or re.search(r"= -1 E\w+ \(.*\)$", line):
        return
    if name in {"open", "openat"} and not any(flag in rest for flag in _WRITES):
        return
    named = _PATH.findall(rest)
    for folder, path in named[:1] if name.startswith(("open", "creat", "mkdir")) else named[1:]:
        yield Path(os.path.normpath(Path(folder or working_directory, path)))


def watched(module: str, directory: Path) -> dict[str, Any]:
    """Run `main` of a module in the sandbox and return its result.

    Skips the test if this system does not allow the namespaces; with `CI` set, fails it.
    """
    within = namespaces()
    subprocess.run(
        [*within, sys.executable, "-m", "tests.support.network_namespace", module, str(directory)],
        cwd=Path(__file__).parents[2],
        check=True,
    )
    seen: dict[str, Any] = json.loads((directory / "seen.json").read_text(encoding="utf-8"))
    return seen


def namespaces() -> Sequence[str]:
    """The command that creates the namespaces, as root or with a user namespace."""
    missing = [each for each in ("unshare", "mount", "strace") if shutil.which(each) is None]
    for more in ((), ("--map-root-user",)):
        command = (*NAMESPACES, *more)
        if not missing and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    reason = f"needs {', '.join(missing)}" if missing else "needs root, or user namespaces (unshare -rn)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _set_up(directory: Path) -> list[str]:
    """Enable loopback and start the recording DNS server; return the list of recorded names."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _UP))
    for name, text in (
        ("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    ):
        (directory / name).write_text(text, encoding="ascii")
        if Path("/etc", name).exists():
            subprocess.run(["mount", "--bind", str(directory / name), f"/etc/{name}"], check=True)
    looked_up: list[str] = []
    resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    resolver.bind(("127.0.0.1", 53))
    over_tcp = socket.create_server(("127.0.0.1", 53))
    threading.Thread(target=_record_datagrams, args=(resolver, looked_up), daemon=True).start()
    threading.Thread(target=_record_connections, args=(over_tcp, looked_up), daemon=True).start()
    return looked_up


def _record_datagrams(resolver: socket.socket, looked_up: list[str]) -> None:
    while True:
        query, client = resolver.recvfrom(4096)
        looked_up.append(_name_in(query))
        resolver.sendto(query[:2] + struct.pack("!5H", _NO_SUCH_NAME, 1, 0, 0, 0) + query[12:], client)


def _record_connections(over_tcp: socket.socket, looked_up: list[str]) -> None:
    while True:
        with over_tcp.accept()[0] as connection:
            looked_up.append(_name_in(connection.recv(4096)[2:]))


def _name_in(query: bytes) -> str:
    """The name in a DNS query."""
    labels, at = [], 12
    while at < len(query) and (length := query[at]):
        labels.append(query[at + 1 : at + 1 + length].decode("ascii", "replace"))
        at += 1 + length
    return ".".join(labels)


def run_inside(module: str, directory: Path) -> None:
    looked_up = _set_up(directory)
    seen = importlib.import_module(module).main(directory, looked_up)
    (directory / "seen.json").write_text(json.dumps(seen), encoding="utf-8")


if __name__ == "__main__":
    run_inside(sys.argv[1], Path(sys.argv[2]))
