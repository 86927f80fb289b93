"""Everything around the routes, in one place: slashes, keys, counting, logging, and a sentence for every failure.

Who may ask: by HTTP Basic, all that Weaviate can send (`http://user:password@host` as its address), or by a key.

From an error to its answer: one table of kinds, and a body that the asking client can read.
"""

import base64
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from clip_vectorizer.errors import (
    BadRequest,
    EncoderFailed,
    NotServed,
    Overloaded,
    RequestRefused,
    SlowBody,
    TooLarge,
    Unauthorised,
    UnreadableImage,
)
from clip_vectorizer.protocol import ERROR, LIVE, READY, REFUSED
from clip_vectorizer.server.metrics import Metrics, RequestTimes

UNKNOWN_ROUTE = "other"  # what strangers ask for must not become labels without end
PUBLIC_PATHS = (LIVE, READY)  # probes of an orchestrator carry no password
UNAUTHORISED_MESSAGE = "this sidecar asks for a password or a key; {}"
BASIC_HINT = "put the password into the address (http://user:password@host)"
BEARER_HINT = "send a key as `Authorization: Bearer KEY` (our own commands take it from VECTORIZER_API_KEY)"
JSON = "application/json"
CLIENT_CLOSED_STATUS = 499  # nginx's number; nobody reads it
OPENAI_PREFIX = "/v1/"  # paths whose clients expect an object for an error
ERROR_KINDS: dict[type[BaseException], str] = {
    BadRequest: "bad_request",
    UnreadableImage: "unreadable_image",
    TooLarge: "too_large",
    Unauthorised: "unauthorised",
    NotServed: "not_served",
    SlowBody: "slow_body",
    Overloaded: "overloaded",
    EncoderFailed: "model_failed",
    ClientDisconnect: "client_gone",
}
OPENAI_CODES = {400: "invalid_request", 401: "invalid_api_key", 404: "not_found", 413: "too_large", 503: "overloaded"}

log = logging.getLogger(__name__)
RouteHandler = Callable[["TrackedRequest"], Awaitable[Response]]
RouteTable = Mapping[str, Mapping[str, RouteHandler]]  # path -> method -> handler


class TrackedRequest(Request):
    """A request, and what becomes known of it on the way."""

    size = 0  # bytes of the body
    reading = False  # the body
    times: RequestTimes | None = None  # once the body is there

    def begun(self, size: int) -> RequestTimes:
        self.size, self.times = size, RequestTimes()
        return self.times


class Credentials:
    """What opens: `user:password` by HTTP Basic, any of the keys as a bearer. Open where there is neither."""

    def __init__(self, basic: str, bearers: Sequence[str]) -> None:
        ways = [way for way, wanted in ((BASIC_HINT, basic), (BEARER_HINT, bearers)) if wanted]
        self.sentence = UNAUTHORISED_MESSAGE.format(", or ".join(ways))
        self.challenges = [b"Basic"] * bool(basic) + [b"Bearer"] * bool(bearers)
        self._basic = [base64.b64encode(basic.encode())] if basic else []
        self._bearers = [key.encode() for key in bearers]

    def check(self, path: str, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Raises Unauthorised."""
        if self.challenges and path not in PUBLIC_PATHS and not self._opens(dict(headers).get(b"authorization", b"")):
            raise Unauthorised(self.sentence)

    def _opens(self, authorization: bytes) -> bool:
        scheme, _, secret = authorization.partition(b" ")
        wanted = {b"basic": self._basic, b"bearer": self._bearers}.get(scheme.lower(), [])
        found = [hmac.compare_digest(secret.strip(), each) for each in wanted]  # all of them: time tells nothing
        return any(found)


class SidecarApp:
    """The sidecar as an ASGI app: exactly one answer, one count and one line of log for each request."""

    def __init__(self, routes: RouteTable, keys: Credentials, metrics: Metrics) -> None:
        self._routes, self._keys, self._metrics = routes, keys, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        start = time.perf_counter()
        scope["path"] = path = "/" + scope["path"].strip("/")  # Weaviate joins an origin ending in a slash with a path
        request, sentence = TrackedRequest(scope, receive, send), ""
        try:
            self._keys.check(path, scope["headers"])
            response = await self._handler(path, scope["method"])(request)
            if request.times:
                self._metrics.stages(finish_times(request.times))
        except Exception as error:
            response, sentence = build_error_response(error, path)
            response.raw_headers += self._headers_for(error, response)
            if path not in PUBLIC_PATHS:  # a probe that hears "not ready" is no error
                self._metrics.error(error_kind(error))
        if request.times:
            response.raw_headers += finish_times(request.times).headers()
        self._metrics.answered(path if path in self._routes else UNKNOWN_ROUTE, response.status_code, request.size)
        await response(scope, receive, send)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s", format_log_line(request, response, sentence, time.perf_counter() - start))

    def _handler(self, path: str, method: str) -> RouteHandler:
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


def finish_times(times: RequestTimes) -> RequestTimes:
    times.total = times.since_start()
    return times


def format_log_line(request: TrackedRequest, response: Response, sentence: str, seconds: float) -> str:
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


def error_kind(error: BaseException) -> str:
    return ERROR_KINDS.get(type(error), "crash")


def build_error_response(error: Exception, path: str) -> tuple[Response, str]:
    """The answer and its sentence. What nobody foresaw goes to the log with its stack trace."""
    status, sentence = describe_error(error)
    if status == 500:
        log.error("%s", sentence, exc_info=None if isinstance(error, EncoderFailed) else error)
    refused = error.refused if isinstance(error, RequestRefused) else {}
    return Response(encode_error(sentence, status, refused, path), status, media_type=JSON), sentence


def describe_error(error: Exception) -> tuple[int, str]:
    if isinstance(error, RequestRefused):
        return error.status, str(error)
    if isinstance(error, EncoderFailed):
        return 500, str(error)
    if isinstance(error, ClientDisconnect):
        return CLIENT_CLOSED_STATUS, "the client hung up"
    return 500, f"the sidecar failed ({type(error).__name__}: {error}); its log says where"


def encode_error(sentence: str, status: int, refused: Mapping[int, str], path: str) -> bytes:
    more = {REFUSED: {str(index): reason for index, reason in refused.items()}} if refused else {}
    return orjson.dumps(
        {ERROR: build_openai_error(sentence, status) if path.startswith(OPENAI_PREFIX) else sentence, **more}
    )


def build_openai_error(sentence: str, status: int) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"message": sentence, "type": kind, "param": None, "code": OPENAI_CODES.get(status)}
