"""A TCP proxy for the tests' PostgreSQL server, which can stop forwarding what its clients send."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from streamrag_cli.store.postgres.address import PostgresUrl
from tests.support.postgres_server import server_url


@dataclass
class StallingProxy:
    """A proxy that can hold back messages. If `word` is set, it holds back each message that contains it,
    and all later messages on the connection.

    `stalled` counts the connections that have stalled.
    """

    port: int = 0
    word: bytes = b""
    stalled: int = 0
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def address(self, place: PostgresUrl) -> PostgresUrl:
        """The address of the schema of `place`, through this proxy."""
        return PostgresUrl(f"postgresql://postgres@127.0.0.1:{self.port}/postgres?schema={place.schema}")

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        directory = parse_qs(urlsplit(server_url()).query)["host"][0]
        server, to_server = await asyncio.open_unix_connection(f"{directory}/.s.PGSQL.5432")
        self._writers += [to_client, to_server]
        await asyncio.gather(
            self._forward(client, to_server, may_stall=True), self._forward(server, to_client, may_stall=False)
        )

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, may_stall: bool) -> None:
        has_stalled = False
        with suppress(OSError):
            while data := await source.read(1 << 16):
                if may_stall and not has_stalled and self.word and self.word in data:
                    has_stalled = True
                    self.stalled += 1
                if not has_stalled:
                    sink.write(data)
                    await sink.drain()
        sink.close()

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@contextmanager
def stalling_proxy() -> Iterator[StallingProxy]:
    """Run a proxy during the block. It forwards everything until its `word` is set."""
    proxy, loop, started = StallingProxy(), asyncio.new_event_loop(), threading.Event()

    async def run(end: asyncio.Event) -> None:
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        started.set()
        await end.wait()
        server.close()
        proxy.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    end = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run(end)))
    thread.start()
    started.wait(timeout=30)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()
