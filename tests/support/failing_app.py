"""An application whose startup fails. It has a module of its own, because every worker process imports it."""

from starlette.types import Receive, Scope, Send


async def cannot_start(_scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no"})
