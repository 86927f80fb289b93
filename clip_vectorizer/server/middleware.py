"""Everything around the routes: paths, credentials, counting, logging, and an error response for every failure."""

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
    NoCaptioner,
    NoGrounder,
    NoTexts,
    NotServed,
    Overloaded,
    RequestRefused,
    SlowBody,
    TooLarge,
    Unauthorised,
    UnreadableImage,
)
from clip_vectorizer.protocol import EMBEDDINGS, ERROR, ITEM, LIVE, MODEL, MODELS, READY, REFUSED
from clip_vectorizer.server.metrics import Metrics, RequestTimes

UNKNOWN_ROUTE = "other"  # the label of all paths that are not served: labels must not grow without limit
PUBLIC_PATHS = (LIVE, READY)  # an orchestrator's probes carry no password
UNAUTHORISED_MESSAGE = "this sidecar requires a password or a key; {}"
BASIC_HINT = "put the password into the address (http://user:password@host)"
BEARER_HINT = "send a key as `Authorization: Bearer KEY` (our own commands take it from VECTORIZER_API_KEY)"
JSON = "application/json"
CLIENT_CLOSED_STATUS = 499  # nginx's number; the response reaches no client
OPENAI_VERSION = "/v1"  # where OpenAI's clients have their base URL
OPENAI_ENDS = ("/embeddings", "/models", "/completions", "/responses")  # of paths with another base URL
ERROR_KINDS: dict[type[BaseException], str] = {
    BadRequest: "bad_request",
    UnreadableImage: "unreadable_image",
    TooLarge: "too_large",
    Unauthorised: "unauthorised",
    NotServed: "not_served",
    SlowBody: "slow_body",
    NoGrounder: "no_grounder",
    NoCaptioner: "no_captioner",
    NoTexts: "no_texts",
    Overloaded: "overloaded",
    EncoderFailed: "model_failed",
    ClientDisconnect: "client_gone",
}
CRASH, BAD_HTTP = "crash", "bad_http"  # kinds too: any other error, and what is no HTTP
OPENAI_CODES = {400: "invalid_request", 401: "invalid_api_key", 404: "not_found", 413: "too_large", 503: "overloaded"}

log = logging.getLogger(__name__)
RouteHandler = Callable[["TrackedRequest"], Awaitable[Response]]
RouteTable = Mapping[str, Mapping[str, RouteHandler]]  # path -> method -> handler


class TrackedRequest(Request):
    """A request with its measurements."""

    size = 0  # bytes of the body
    reading = False  # the body
    times: RequestTimes | None = None  # once the body has arrived

    def start_times(self, size: int) -> RequestTimes:
        """The body, of `size` bytes, has arrived."""
        self.size, self.times = size, RequestTimes()
        return self.times


class SidecarApp:
    """The sidecar as an ASGI app: exactly one response, one count and one log line for each request."""

    def __init__(self, routes: RouteTable, credentials: "Credentials", metrics: Metrics) -> None:
        self._routes, self._credentials, self._metrics = routes, credentials, metrics
        metrics.expect_errors([*ERROR_KINDS.values(), CRASH, BAD_HTTP])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        start = time.perf_counter()
        scope["path"] = path = "/" + scope["path"].strip("/")  # Weaviate joins an origin ending in a slash with a path
        request, message = TrackedRequest(scope, receive, send), ""
        try:
            self._credentials.check(path, scope["headers"])
            response = await self._handler(path, scope["method"])(request)
            if request.times:
                self._metrics.stages(finish_times(request.times))
        except Exception as error:
            response, message = build_error_response(error, path)
            response.raw_headers += self._headers_for(error, response)
            if path not in PUBLIC_PATHS:  # a probe that gets "not ready" is no error
                self._metrics.error(error_kind(error))
        if request.times:
            response.raw_headers += finish_times(request.times).headers()
        route = find_route(path)
        self._metrics.answered(route if route in self._routes else UNKNOWN_ROUTE, response.status_code, request.size)
        await response(scope, receive, send)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s", format_log_line(request, response, message, time.perf_counter() - start))

    def _handler(self, path: str, method: str) -> RouteHandler:
        """The handler of a path and a method. Raises NotServed."""
        methods = self._routes.get(find_route(path))
        if methods is None:
            paths = ", ".join(self._routes)
            raise NotServed(404, f"{path[:200]} is not a path of this server; {suggest_base_url(path)}it has {paths}")
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            allowed = (*methods, "HEAD") if "GET" in methods else tuple(methods)
            raise NotServed(405, f"{method[:20]} {path} is not possible; it takes {' and '.join(allowed)}", allowed)
        return handler

    def _headers_for(self, error: Exception, response: Response) -> list[tuple[bytes, bytes]]:
        headers = []
        if response.status_code == 401:
            headers += [(b"www-authenticate", challenge) for challenge in self._credentials.challenges]
        if response.status_code == 503:
            headers.append((b"retry-after", b"1"))
        if isinstance(error, NotServed) and error.methods:
            headers.append((b"allow", ", ".join(error.methods).encode()))
        if isinstance(error, SlowBody):
            headers.append((b"connection", b"close"))  # the rest of the body would be parsed as the next request
        return headers


def find_route(path: str) -> str:
    """The path in the table of routes: that of one model has its name at the end."""
    return MODEL if path.startswith(f"{MODELS}/") else path


def suggest_base_url(path: str) -> str:
    """What is wrong with the base URL of an OpenAI client, as the beginning of a sentence; "" for other paths.

    >>> suggest_base_url("/embeddings")
    'embeddings are at /v1/embeddings, so end the base URL of the client in /v1; '
    """
    if not is_openai_path(path):
        return ""
    return f"embeddings are at {EMBEDDINGS}, so end the base URL of the client in {OPENAI_VERSION}; "


def is_openai_path(path: str) -> bool:
    """Whether clients of `path` expect an object as error: also where their base URL is wrong."""
    return path == OPENAI_VERSION or path.startswith(f"{OPENAI_VERSION}/") or path.endswith(OPENAI_ENDS)


class Credentials:
    """`user:password` by HTTP Basic, any of the keys as a bearer. With neither, every request is authorised.

    Weaviate can send HTTP Basic alone (`http://user:password@host` as the address of its sidecar).
    """

    def __init__(self, basic: str, bearers: Sequence[str]) -> None:
        hints = [hint for hint, accepted in ((BASIC_HINT, basic), (BEARER_HINT, bearers)) if accepted]
        self.message = UNAUTHORISED_MESSAGE.format(", or ".join(hints))
        self.challenges = [b"Basic"] * bool(basic) + [b"Bearer"] * bool(bearers)
        self._basic = [base64.b64encode(basic.encode())] if basic else []
        self._bearers = [key.encode() for key in bearers]

    def check(self, path: str, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Raises Unauthorised."""
        if not self.challenges or path in PUBLIC_PATHS:
            return
        if not self._accepts(dict(headers).get(b"authorization", b"")):
            raise Unauthorised(self.message)

    def _accepts(self, authorization: bytes) -> bool:
        scheme, _, secret = authorization.partition(b" ")
        secrets = {b"basic": self._basic, b"bearer": self._bearers}.get(scheme.lower(), [])
        matches = [hmac.compare_digest(secret.strip(), each) for each in secrets]  # all: the time must not depend on it
        return any(matches)


def finish_times(times: RequestTimes) -> RequestTimes:
    times.total = times.since_start()
    return times


def format_log_line(request: TrackedRequest, response: Response, message: str, seconds: float) -> str:
    """One JSON object, without body and headers: they may hold secrets."""
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
        **({"error": message} if message else {}),
    }
    return json.dumps(facts, ensure_ascii=False)


def error_kind(error: BaseException) -> str:
    """The label of an error in the metrics."""
    return ERROR_KINDS.get(type(error), CRASH)


def build_error_response(error: Exception, path: str) -> tuple[Response, str]:
    """The response to a failed request, and its message. Unexpected errors are logged with a traceback."""
    status, message = describe_error(error)
    if status == 500:
        log.error("%s", message, exc_info=None if isinstance(error, EncoderFailed) else error)
    return Response(encode_error(message, status, path, error), status, media_type=JSON), message


def describe_error(error: Exception) -> tuple[int, str]:
    """The status and the message of an error."""
    if isinstance(error, RequestRefused):
        return error.status, str(error)
    if isinstance(error, EncoderFailed):
        return 500, str(error)
    if isinstance(error, ClientDisconnect):
        return CLIENT_CLOSED_STATUS, "the client hung up"
    return 500, f"the sidecar failed ({type(error).__name__}: {error}); its log has the traceback"


def encode_error(message: str, status: int, path: str, error: Exception | None = None) -> bytes:
    """The JSON of an error, in the form that the clients of `path` expect; the item it is about, and refused images."""
    fields: dict[str, Any] = {ERROR: message}
    if is_openai_path(path):
        fields[ERROR] = build_openai_error(message, status)
    if isinstance(error, RequestRefused | EncoderFailed) and error.problem:
        problem = error.problem
        fields[ITEM] = {"field": problem.field, "index": problem.index, "reason": problem.reason}
    if isinstance(error, RequestRefused) and error.refused:
        fields[REFUSED] = {str(index): reason for index, reason in error.refused.items()}
    return orjson.dumps(fields)


def build_openai_error(message: str, status: int) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"message": message, "type": kind, "param": None, "code": OPENAI_CODES.get(status)}
