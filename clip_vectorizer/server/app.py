"""The sidecar's routes. Every failure, whatever its status, is `{"error": "<sentence>"}`: Weaviate parses first."""

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from clip_vectorizer import __version__
from clip_vectorizer.errors import EncoderFailed, Overloaded, RequestRefused
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.protocol import ERROR, LIVE, META, METRICS, READY, VECTORIZE
from clip_vectorizer.server import protocol
from clip_vectorizer.server.auth import BasicAuth
from clip_vectorizer.server.body import read_body, room_for, while_connected
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings
from clip_vectorizer.server.times import Times

log = logging.getLogger(__name__)
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
CLIENT_GONE = 499  # nginx's number; nobody reads it


def create_app(settings: Settings, encoder: Encoder) -> ASGIApp:
    """A sidecar that is ready at once. It needs no lifespan, so a test may call it through a transport."""
    service = Service(settings.limits, settings.decode_threads)
    service.use(encoder)
    return app_of(service, settings)


def app_of(service: Service, settings: Settings) -> ASGIApp:
    """The routes around a service, which may get its model later."""
    app = Starlette(
        routes=routes(service),
        exception_handlers={
            HTTPException: http_error,
            RequestRefused: refusal,
            EncoderFailed: failure,
            ClientDisconnect: client_gone,
            Exception: crash,
        },
    )
    app.router.redirect_slashes = False  # Weaviate takes a redirect for a success without vectors
    return PlainPaths(BasicAuth(app, settings.basic_auth) if settings.basic_auth else app)


def routes(service: Service) -> list[Route]:
    async def vectorize(request: Request) -> Response:
        async def answer(body: bytes, times: Times) -> Response:
            inputs = protocol.parse(body, service.limits)
            times.parse = times.since_start()
            embedded = await service.embed(inputs, times)
            written = time.perf_counter()
            content = protocol.answer(embedded.texts, embedded.images, embedded.warnings)
            times.serialise = time.perf_counter() - written
            return Response(content, media_type="application/json")

        return await answered(service, request, answer)

    async def live(_request: Request) -> Response:
        return Response(status_code=204)

    async def ready(_request: Request) -> Response:
        _ = service.info  # raises while there is no model
        return Response(status_code=204)

    async def meta(_request: Request) -> Response:
        return JSONResponse({**dataclasses.asdict(service.info), "version": __version__})

    async def metrics(_request: Request) -> Response:
        return Response(await service.page(), media_type=PROMETHEUS)

    return [
        Route(VECTORIZE, vectorize, methods=["POST"]),
        Route(LIVE, live),
        Route(READY, ready),
        Route(META, meta),
        Route(METRICS, metrics),
    ]


async def answered(
    service: Service, request: Request, answer: Callable[[bytes, Times], Coroutine[Any, Any, Response]]
) -> Response:
    """What `answer` makes of the body, within the deadline, for a caller who is still there."""
    deadline, limit = service.limits.deadline_seconds, service.limits.max_body_bytes
    try:
        async with asyncio.timeout(deadline), service.bytes.wait(room_for(request, limit)):
            body = await read_body(request, limit)
            times = Times()
            response = await while_connected(request, answer(body, times))
    except TimeoutError as error:
        raise Overloaded(f"no answer within {deadline:.0f} seconds; send fewer requests at once") from error
    response.headers.update(times.headers())
    service.metrics.request(request.url.path, response.status_code, times)
    return response


def error_answer(sentence: str, status: int) -> JSONResponse:
    return JSONResponse({ERROR: sentence}, status)


async def refusal(_request: Request, error: Exception) -> Response:
    return error_answer(str(error), error.status if isinstance(error, RequestRefused) else 400)


async def failure(_request: Request, error: Exception) -> Response:
    log.error("%s", error)
    return error_answer(str(error), 500)


async def http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    path, method = request.url.path, request.method
    sentences = {
        404: f"{path} is not a path of this server; it knows {VECTORIZE}, {META}, {LIVE} and {READY}",
        405: f"{method} {path} is not possible; {VECTORIZE} takes POST, all others GET",
    }
    return error_answer(sentences.get(status, str(error)), status)


async def client_gone(_request: Request, _error: Exception) -> Response:
    return error_answer("the client hung up", CLIENT_GONE)


async def crash(_request: Request, error: Exception) -> Response:
    """Answers for what nobody foresaw; the server logs its stack trace."""
    return error_answer(f"the sidecar failed ({type(error).__name__}: {error}); its log says where", 500)


class PlainPaths:
    """Takes `//vectorize` for `/vectorize`: Weaviate joins an origin that ends in a slash with the path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": "/" + scope["path"].strip("/")}
        await self._app(scope, receive, send)
