"""Everything around the routes, in one place: slashes, keys, counting, logging, and a sentence for every failure."""

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from clip_vectorizer.errors import NotServed, SlowBody
from clip_vectorizer.server.auth import OPEN, Keys
from clip_vectorizer.server.metrics import Metrics
from clip_vectorizer.server.replies import kind_of, reply_to
from clip_vectorizer.server.times import Times

log = logging.getLogger(__name__)
OTHER = "other"  # what strangers ask for must not become labels without end
Handler = Callable[["Asked"], Awaitable[Response]]
Routes = Mapping[str, Mapping[str, Handler]]  # path -> method -> handler


class Asked(Request):
    """A request, and what becomes known of it on the way."""

    size = 0  # bytes of the body
    reading = False  # the body
    times: Times | None = None  # once the body is there

    def begun(self, size: int) -> Times:
        self.size, self.times = size, Times()
        return self.times


class Answering:
    """The sidecar as an ASGI app: exactly one answer, one count and one line of log for each request."""

    def __init__(self, routes: Routes, keys: Keys, metrics: Metrics) -> None:
        self._routes, self._keys, self._metrics = routes, keys, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        start = time.perf_counter()
        scope["path"] = path = "/" + scope["path"].strip("/")  # Weaviate joins an origin ending in a slash with a path
        request, sentence = Asked(scope, receive, send), ""
        try:
            self._keys.check(path, scope["headers"])
            response = await self._handler(path, scope["method"])(request)
            if request.times:
                self._metrics.stages(finished(request.times))
        except Exception as error:
            response, sentence = reply_to(error, path)
            response.raw_headers += self._headers_for(error, response)
            if path not in OPEN:  # a probe that hears "not ready" is no error
                self._metrics.error(kind_of(error))
        if request.times:
            response.raw_headers += finished(request.times).headers()
        self._metrics.answered(path if path in self._routes else OTHER, response.status_code, request.size)
        await response(scope, receive, send)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s", line_of(request, response, sentence, time.perf_counter() - start))

    def _handler(self, path: str, method: str) -> Handler:
        methods = self._routes.get(path)
        if methods is None:
            known = ", ".join(self._routes)
            raise NotServed(404, f"{path[:200]} is not a path of this server; it knows {known}")
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            allowed = (*methods, "HEAD") if "GET" in methods else tuple(methods)
            raise NotServed(405, f"{method[:20]} {path} is not possible; it takes {' and '.join(allowed)}", allowed)
        return handler

    def _headers_for(self, error: Exception, response: Response) -> list[tuple[bytes, bytes]]:
        headers = []
        if response.status_code == 401:
            headers += [(b"www-authenticate", challenge) for challenge in self._keys.challenges]
        if response.status_code == 503:
            headers.append((b"retry-after", b"1"))
        if isinstance(error, NotServed) and error.methods:
            headers.append((b"allow", ", ".join(error.methods).encode()))
        if isinstance(error, SlowBody):
            headers.append((b"connection", b"close"))  # the rest of the body would be taken for the next request
        return headers


def finished(times: Times) -> Times:
    times.total = times.since_start()
    return times


def line_of(request: Asked, response: Response, sentence: str, seconds: float) -> str:
    """One JSON object. No body and no header: they may hold what is not for a log."""
    times = request.times
    facts = {
        "method": request.scope["method"],
        "route": request.scope["path"][:200],
        "status": response.status_code,
        "bytes_in": request.size,
        "bytes_out": len(response.body),
        "ms": round(seconds * 1000, 3),
        **({"texts": times.texts, "images": times.images, "cached": times.cached} if times else {}),
        **({"stages_ms": times.milliseconds()} if times else {}),
        **({"error": sentence} if sentence else {}),
    }
    return json.dumps(facts, ensure_ascii=False)
