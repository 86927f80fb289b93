"""Reads a request's body within the limits, and watches whether its caller is still there."""

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
CLIENT_DISCONNECTED = "the client hung up"  # what a cancelled task is told
BodyHandler = Callable[[bytes, RequestTimes], Awaitable[Response]]
MAX_INLINE_PARSE_BYTES = 1_000_000  # bytes; parsing 30 million would hold up the event loop for 100 ms and more
DRAIN_FACTOR = 4  # how far past the limit we go on reading, so that the caller gets to read our answer


async def respond_to_body(service: Service, request: TrackedRequest, answer: BodyHandler) -> Response:
    """What `answer` makes of the body, within the deadline, for a caller who is still there."""
    seconds, limit = service.limits.deadline_seconds, service.limits.body_bytes
    try:
        async with asyncio.timeout(seconds), service.bytes.wait(bytes_to_reserve(request, limit)):
            request.reading = True
            body = await read_body(request, limit)
            times = request.begun(len(body))
            return await run_while_connected(request, answer(body, times))
    except TimeoutError as error:
        if request.reading and request.times is None:
            raise SlowBody(f"the body did not arrive within {seconds:.0f} seconds (CLIP_DEADLINE_SECONDS)") from error
        raise Overloaded(f"no answer within {seconds:.0f} seconds; send fewer requests at once") from error


def read_content_length(request: Request) -> int | None:
    value = request.headers.get("content-length")
    return None if value is None else int(value)  # a number: the parser has checked it


def bytes_to_reserve(request: Request, limit: int) -> int:
    """Bytes that the body will take: as announced, the limit where nothing is said, none where it will be refused."""
    size = read_content_length(request)
    size = limit if size is None else size
    return size if size <= limit else 0


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises TooLarge past `limit` bytes, ClientDisconnect when the caller hangs up.

    What is too much is read and dropped: a caller that is cut off while it sends sees a broken pipe, not our sentence.
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
    """What `parse` makes of the body; of a large one in a thread, so that probes are answered between its steps."""
    return await asyncio.to_thread(parse, body) if len(body) > MAX_INLINE_PARSE_BYTES else parse(body)


def body_too_large_error(limit: int) -> TooLarge:
    return TooLarge(f"the body is over the limit of {limit} bytes (CLIP_MAX_BODY_BYTES); send fewer or smaller images")


async def run_while_connected(request: Request, work: Awaitable[ResultT]) -> ResultT:
    """What `work` gives. Cancels it and raises ClientDisconnect when the caller hangs up first.

    `work` runs in the task that asks: one of its own would cost a tenth of a short text's time.
    """
    task, watch = asyncio.current_task(), asyncio.create_task(wait_for_disconnect(request))
    working = True

    def leave(watch: "asyncio.Task[None]") -> None:
        if working and task and not watch.cancelled():
            task.cancel(CLIENT_DISCONNECTED)

    watch.add_done_callback(leave)
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
