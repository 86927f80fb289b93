"""Reads the body of a request within the limits, and cancels the work when the client disconnects."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from clip_vectorizer.errors import Overloaded, SlowBody, TooLarge
from clip_vectorizer.server.metrics import RequestTimes
from clip_vectorizer.server.middleware import TrackedRequest
from clip_vectorizer.server.service import Service

ResultT = TypeVar("ResultT")
CLIENT_DISCONNECTED = "the client hung up"  # message of the cancellation
BodyHandler = Callable[[bytes, RequestTimes], Awaitable[Response]]
MAX_INLINE_PARSE_BYTES = 1_000_000  # bytes; parsing 30 million would hold up the event loop for 100 ms and more
DRAIN_FACTOR = 4  # how far past the limit we go on reading, so that the caller can read the error


async def respond_to_body(service: Service, request: TrackedRequest, handle: BodyHandler) -> Response:
    """The response of `handle` to the body. Raises SlowBody or Overloaded past the deadline."""
    seconds, limit = service.limits.deadline_seconds, service.limits.body_bytes
    try:
        async with asyncio.timeout(seconds), service.bytes.wait(bytes_to_reserve(request, limit)):
            request.reading = True
            body = await read_body(request, limit)
            times = request.start_times(len(body))
            return await run_while_connected(request, handle(body, times))
    except TimeoutError as error:
        if request.reading and request.times is None:
            raise SlowBody(f"the body did not arrive within {seconds:.0f} seconds (CLIP_DEADLINE_SECONDS)") from error
        raise Overloaded(f"no answer within {seconds:.0f} seconds; send fewer requests at once") from error


def read_content_length(request: Request) -> int | None:
    value = request.headers.get("content-length")
    return None if value is None else int(value)  # a number: validated by the parser


def bytes_to_reserve(request: Request, limit: int) -> int:
    """Bytes of memory for the body: its Content-Length, the limit where it has none, 0 where it will be rejected."""
    size = read_content_length(request)
    size = limit if size is None else size
    return size if size <= limit else 0


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises TooLarge past `limit` bytes, ClientDisconnect when the client disconnects.

    Bytes past the limit are read and dropped: a client that is cut off while it sends gets a broken pipe instead of
    the error.
    """
    if (read_content_length(request) or 0) > limit * DRAIN_FACTOR:
        raise body_too_large_error(limit)
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit * DRAIN_FACTOR:
            break
        if size <= limit:
            pieces.append(piece)
        else:
            pieces.clear()
    if size > limit:
        raise body_too_large_error(limit)
    return b"".join(pieces)


async def parse_body(parse: Callable[[bytes], ResultT], body: bytes) -> ResultT:
    """The result of `parse`. A large body is parsed in a thread, so that probes are answered meanwhile."""
    return await asyncio.to_thread(parse, body) if len(body) > MAX_INLINE_PARSE_BYTES else parse(body)


def body_too_large_error(limit: int) -> TooLarge:
    return TooLarge(f"the body is over the limit of {limit} bytes (CLIP_MAX_BODY_BYTES); send fewer or smaller images")


async def run_while_connected(request: Request, work: Awaitable[ResultT]) -> ResultT:
    """The result of `work`. Cancels it and raises ClientDisconnect when the client disconnects first.

    `work` runs in the current task: a task of its own would cost a tenth of a short text's time.
    """
    task, watch = asyncio.current_task(), asyncio.create_task(wait_for_disconnect(request))
    working = True

    def cancel(watch: "asyncio.Task[None]") -> None:
        if working and task and not watch.cancelled():
            task.cancel(CLIENT_DISCONNECTED)

    watch.add_done_callback(cancel)
    try:
        return await work
    except asyncio.CancelledError as error:
        if CLIENT_DISCONNECTED in error.args and task and not task.uncancel():  # else the deadline has passed too
            raise ClientDisconnect from error
        raise
    finally:
        working = False
        watch.cancel()


async def wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
