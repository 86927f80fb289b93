"""The connection of one client: uvicorn's, with deadlines, limits, and JSON for bytes that are not HTTP."""

import asyncio
from typing import Any, ClassVar

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from clip_vectorizer.errors import Overloaded
from clip_vectorizer.server.metrics import Metrics
from clip_vectorizer.server.middleware import BAD_HTTP, PUBLIC_PATHS, UNKNOWN_ROUTE, build_error_response, encode_error

MAX_HEAD_BYTES = 65_536  # of the request line and headers together
LINGER_SECONDS = 2.0  # for the caller to read the error before the connection is closed
STATUS_LINES = {**STATUS_LINE, 431: b"HTTP/1.1 431 Request Header Fields Too Large\r\n"}


class HttpConnection(HttpToolsProtocol):
    """A head (request line and headers) must arrive within the deadline; a silent connection may idle for longer."""

    deadline_seconds: ClassVar[float]
    idle_seconds: ClassVar[float]
    max_connections: ClassVar[int]
    metrics: ClassVar[Metrics]
    leaving: ClassVar[bool] = False  # each response is the last of its connection, and says so

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._alarm: asyncio.TimerHandle | None = None
        self._head_bytes: int | None = None  # None between heads
        self._done = False  # further input is ignored

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self.app = TooManyConnections(self.app, self.max_connections)
        self._set_alarm(self.idle_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_alarm(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._done:
            return
        super().data_received(data)
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431, f"the request's head is over {MAX_HEAD_BYTES} bytes; send shorter headers")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self._set_alarm(self.deadline_seconds)

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        self._set_alarm(None)
        super().on_headers_complete()
        if self.leaving:
            self.leave()

    @classmethod
    def let_clients_leave(cls) -> None:
        """From now on every response of this server has `Connection: close`."""
        cls.leaving = True

    def leave(self) -> None:
        """Let the response to the present request, if there is one, be the last of this connection."""
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        """Replaces the plain text that uvicorn sends for bytes that are not HTTP."""
        self._refuse(400, "this is not an HTTP/1.1 request that can be read; is the address right?")

    def _time_out(self) -> None:
        if self._head_bytes is None:
            self.transport.close()
        else:
            self._refuse(408, f"the request's head did not arrive within {self.deadline_seconds:.0f} seconds")

    def _set_alarm(self, seconds: float | None) -> None:
        """Restart the alarm: the next event must come within `seconds`."""
        if self._alarm:
            self._alarm.cancel()
        self._alarm = self.loop.call_later(seconds, self._time_out) if seconds else None

    def _refuse(self, status: int, message: str) -> None:
        """Send an error that no route will send. Closes when the caller has read it, or a moment later."""
        self._done = True
        self._set_alarm(None)
        self.metrics.error(BAD_HTTP)
        self.metrics.answered(UNKNOWN_ROUTE, status, 0)
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._send_and_close(build_raw_response(status, message))
        elif not cycle.more_body:
            cycle.keep_alive = False  # the previous request was complete: its response is sent, then the end
        else:
            cycle.disconnected = True  # its body will never be complete
            cycle.message_event.set()
            self._send_and_close(b"" if cycle.response_started else build_raw_response(status, message))

    def _send_and_close(self, response: bytes) -> None:
        """Close in two steps: bytes that arrive after an immediate close would destroy the response."""
        self.transport.write(response)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._alarm = self.loop.call_later(LINGER_SECONDS, self.transport.close)


def build_raw_response(status: int, message: str) -> bytes:
    body = encode_error(message, status, "")
    return b"%scontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (
        STATUS_LINES[status],
        len(body),
        body,
    )


class TooManyConnections:
    """The app of a connection over the limit: 503 for everything but probes."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._error = Overloaded(f"{limit} connections are open already (CLIP_MAX_CONNECTIONS); try again in a moment")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in PUBLIC_PATHS:
            await self._app(scope, receive, send)
            return
        response, _ = build_error_response(self._error, scope["path"])
        response.headers["connection"] = "close"
        await response(scope, receive, send)


def build_protocol(metrics: Metrics, deadline: float, idle: float, max_connections: int) -> type[asyncio.Protocol]:
    """The protocol class of one server; uvicorn creates an instance for each connection."""
    settings = {
        "metrics": metrics,
        "deadline_seconds": deadline,
        "idle_seconds": idle,
        "max_connections": max_connections,
    }
    return type("Connection", (HttpConnection,), settings)
