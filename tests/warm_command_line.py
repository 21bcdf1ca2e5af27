"""`streamrag` without its two seconds of imports: forked off a process that has them, for tests of very many runs.

What runs is the program's own entry point with arguments, environment, working directory, stdout and stderr of its
own. Only the imports are shared, which is what `ForkServer` is for.
"""

import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cli.command_line import PROGRAM, CommandLine, Outcome
from tests.fork_server import ForkServer

_HEAVY = (
    "streamrag_cli.cli.app",
    "streamrag_cli.answer.pipeline",
    "streamrag_cli.ingest.pipeline",
    "streamrag_cli.model_server.client",
    "streamrag_cli.render.side",
    "langchain_openai",
    "numpy",
    "onnxruntime",
    "tokenizers",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a run ended, how long it took, and the most memory it had."""

    outcome: Outcome
    took_s: float
    peak_mb: float


@dataclass(frozen=True, kw_only=True)
class WarmCommandLine(CommandLine):
    """A user whose program is warm: what is `run` shares the imports, what is `running` or in a `shell` does not."""

    server: ForkServer

    def run(self, *arguments: str | bytes, stdin: bytes | int = subprocess.DEVNULL) -> Outcome:
        if self.program != PROGRAM or stdin != subprocess.DEVNULL:
            return super().run(*arguments, stdin=stdin)
        return self.measured(*map(os.fsdecode, arguments)).outcome

    def measured(self, *arguments: str, module: str = "") -> Run:
        """Run the program, or the `main` of another module, where this user is."""
        with tempfile.TemporaryDirectory() as folder:
            spec = {
                "arguments": arguments,
                "module": module,
                "environment": self.environment,
                "directory": str(self.directory),
                "folder": folder,
            }
            started_s = time.monotonic()
            ended = self.server.run(json.dumps(spec))
            took_s = time.monotonic() - started_s
            told = (Path(folder, name) for name in ("stdout", "stderr", "memory"))
            stdout, stderr, memory = (path.read_bytes() if path.exists() else b"" for path in told)
        outcome = Outcome(code=ended.status, stdout=stdout, stderr=stderr.decode())
        return Run(outcome=outcome, took_s=took_s, peak_mb=float(memory or 0))


@contextmanager
def warm(user: CommandLine, *, time_limit_s: float = 60, within: Sequence[str] = ()) -> Iterator[WarmCommandLine]:
    """The same user, warm; `within` is a command that runs the one given to it, such as `unshare -m`."""
    with ForkServer("tests.warm_command_line", time_limit_s=time_limit_s, within=within) as server:
        yield WarmCommandLine(home=user.home, directory=user.directory, variables=user.variables, server=server)


def main(spec: str) -> None:
    """In the fork: become the program."""
    told = json.loads(spec)
    folder = Path(told["folder"])
    os.environ.clear()
    os.environ.update(told["environment"])
    os.chdir(told["directory"])
    for number, name in ((0, os.devnull), (1, str(folder / "stdout")), (2, str(folder / "stderr"))):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT, 0o600), number)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    if told["module"]:
        importlib.import_module(told["module"]).main(*told["arguments"])
        sys.stdout.flush()
        os._exit(0)
    sys.argv = ["streamrag", *told["arguments"]]
    from streamrag_cli.cli.main import main as program

    code = 1
    try:
        program()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (folder / "memory").write_text(str(peak_mb), encoding="ascii")
    sys.stdout.flush()
    os._exit(code)


for _each in _HEAVY if "tests.fork_server" in sys.orig_argv else ():
    importlib.import_module(_each)
