"""A minimal server for comparison: a Starlette app that forwards the model's bytes as they are read.

    python -m benchmarks.serving.bare MODEL_PORT

This prints its port and serves until SIGTERM, with the same uvicorn and HTTP client as streamrag.
"""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from streamrag_cli.server.run import listening_socket


def create_app(model_port: int) -> Starlette:
    url = f"http://127.0.0.1:{model_port}/v1/chat/completions"

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=None), timeout=None) as client:
            app.state.client = client
            yield

    async def stream(request: Request) -> StreamingResponse:
        question = json.loads(await request.body())["query"]
        body = {"model": "m", "messages": [{"role": "user", "content": question}], "stream": True}

        async def forwarded() -> AsyncIterator[bytes]:
            async with request.app.state.client.stream("POST", url, json=body) as answer:
                async for data in answer.aiter_bytes():
                    yield data

        return StreamingResponse(forwarded(), media_type="text/event-stream")

    return Starlette(routes=[Route("/rag/stream", stream, methods=["POST"])], lifespan=lifespan)


def main() -> None:
    with listening_socket("127.0.0.1", 0) as listening:
        print(listening.getsockname()[1], flush=True)
        config = uvicorn.Config(create_app(int(sys.argv[1])), loop="asyncio", log_config=None, access_log=False)
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
