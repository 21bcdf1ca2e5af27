"""Entry point for the engine process. `client` starts it with the arguments DIRECTORY IDENTITY IDLE_S."""

import asyncio
import logging
import os
import sys
from pathlib import Path

from streamrag_cli.engine.address import EngineAddress
from streamrag_cli.engine.process import Engine
from streamrag_cli.text import sanitise


def main() -> None:
    directory, identity, idle_s = sys.argv[1:]
    os.closerange(
        3, os.sysconf("SC_OPEN_MAX")
    )  # otherwise the reader of an inherited pipe would wait until this process ends
    os.umask(0o077)
    asyncio.run(_run(EngineAddress(Path(directory), identity), float(idle_s)))


async def _run(address: EngineAddress, idle_s: float) -> None:
    engine = Engine(address, idle_s=idle_s)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(engine))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    await engine.run()
    logging.shutdown()
    os._exit(0)  # `asyncio.run` would wait for threads that hang, for example while they open a file


class _Formatter(logging.Formatter):
    """Formats log lines without control characters, and with keys masked."""

    def __init__(self, engine: Engine) -> None:
        super().__init__("%(asctime)s %(name)s: %(message)s")
        self._engine = engine

    def format(self, record: logging.LogRecord) -> str:
        return self._engine.masked(sanitise(super().format(record)))
