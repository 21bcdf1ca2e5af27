"""The ASGI application of the server: its routes and middleware."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from streamrag_cli import __version__
from streamrag_cli.answer.chat_model import warm_up_client
from streamrag_cli.errors import StreamragError, UsageError
from streamrag_cli.server import openai_api, operations, page, rag
from streamrag_cli.server.limits import Limits
from streamrag_cli.server.replies import RefusedError, reply_to
from streamrag_cli.server.request_log import RequestLog, entry_of, log
from streamrag_cli.server.security import Guard, check_access, is_question_path
from streamrag_cli.server.serving import Serving
from streamrag_cli.server.validation_errors import http_exception_refusal, invalid_request
from streamrag_cli.settings import ServerSettings, Settings

_CLOSE_TIMEOUT_S: Final = 0.5


def create_app(settings: Settings, server: ServerSettings, limits: Limits | None = None) -> FastAPI:
    """Create the ASGI application. `app.state.serving` is the state that its routes share.

    Three features require `LimitedProtocol`, because ASGI does not cover them: limits on slow connections, ending open
    streams at shutdown, and finding the user at the other end of a connection. Without the last one, a server that has
    no key refuses every client.

    Raises ConfigurationError: `server_key_missing`, `bad_setting`.
    """
    check_access(server)
    limits = limits or Limits()
    serving = Serving.of(settings, server, limits)
    app = FastAPI(
        title="streamrag",
        version=__version__,
        summary="Ask your documents a question; the answer streams immediately, with its sources.",
        docs_url=None,  # the interactive page would load scripts from another server
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.serving = serving
    app.include_router(rag.router)
    app.include_router(openai_api.router)
    app.include_router(operations.router)
    app.router.routes.extend(page.routes())
    app.add_exception_handler(StreamragError, _expected)  # type: ignore[arg-type]
    app.add_exception_handler(RefusedError, _refused)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _invalid)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _http)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _bug)
    # Requests pass through the middleware in reverse order: the last one added comes first.
    app.add_middleware(_HeadAsGet)
    app.add_middleware(Guard, settings=server, limits=limits, on_refused=serving.metrics.count_refused)
    if server.cors_origin:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=server.cors_origin,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],  # clients send additional headers: OpenAI's client sends a dozen
            expose_headers=["Retry-After", "x-should-retry"],
        )
    app.add_middleware(page.SafeHeaders)
    app.add_middleware(RequestLog, is_question=is_question_path)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[dict[str, Serving]]:
    """Open everything that the first question needs, in the background, and close it at shutdown.

    The yielded state is passed to `LimitedProtocol`.
    """
    serving: Serving = app.state.serving
    warming = asyncio.create_task(_warm(serving))
    try:
        yield {"serving": serving}
    finally:
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)
        # Do not wait for threads, which may be waiting for a store or for vectors; they end with the process.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await serving.resources.aclose()
        if serving.peers is not None:
            serving.peers.close()
        for handler in log.handlers:  # a signal may end the process as soon as this function returns
            handler.flush()


async def _warm(serving: Serving) -> None:
    """Open everything that the first question needs, and keep the server's own collection open until cancelled."""
    # The server starts even if the store does not exist yet: it may exist by the first question.
    with contextlib.suppress(StreamragError):
        async with serving.resources.retriever(serving.settings) as retriever:
            with contextlib.suppress(StreamragError):
                await retriever.in_thread(
                    lambda end: retriever.retrieve("warm up", limit=1, min_score=0.0, cancellation=end)
                )
            await asyncio.to_thread(warm_up_client, serving.settings.model_scheme)
            await asyncio.Event().wait()
    await asyncio.to_thread(warm_up_client, serving.settings.model_scheme)


class _HeadAsGet:
    """Middleware that handles HEAD like GET on routes that do not ask a question. Uvicorn sends no body for HEAD."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD" and not is_question_path(scope["path"]):
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


async def _expected(request: Request, error: StreamragError) -> Response:
    entry_of(request.scope).record_error(error)
    is_unknown_model = isinstance(error, UsageError) and error.code == "no_such_model"
    return reply_to(error, request.url.path, status=404 if is_unknown_model else None)


async def _refused(request: Request, refused: RefusedError) -> Response:
    entry_of(request.scope).outcome = refused.code
    serving: Serving = request.app.state.serving
    serving.metrics.count_refused(refused.code)
    return refused.reply(request.url.path)


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    return await _refused(request, invalid_request(request.url.path, error.errors()))


async def _http(request: Request, error: HTTPException) -> Response:
    return await _refused(request, http_exception_refusal(request.url.path, error.status_code, str(error.detail)))


async def _bug(request: Request, _: Exception) -> Response:
    """Reply to an unexpected exception. Its traceback is written only to the log."""
    entry_of(request.scope).outcome = "internal_error"
    return reply_to(StreamragError("a bug", code="internal_error"), request.url.path)
