"""Reads a request's body within the limits, and watches whether its caller is still there."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from clip_vectorizer.errors import Overloaded, SlowBody, TooLarge
from clip_vectorizer.server.answering import Asked
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.times import Times

Result = TypeVar("Result")
CLIENT_GONE = "the client hung up"  # what a cancelled task is told
Answer = Callable[[bytes, Times], Awaitable[Response]]
PARSE_AT_ONCE = 1_000_000  # bytes; parsing 30 million would hold up the event loop for 100 ms and more
DRAIN_FACTOR = 4  # how far past the limit we go on reading, so that the caller gets to read our answer


async def answered(service: Service, request: Asked, answer: Answer) -> Response:
    """What `answer` makes of the body, within the deadline, for a caller who is still there."""
    seconds, limit = service.limits.deadline_seconds, service.limits.body_bytes
    try:
        async with asyncio.timeout(seconds), service.bytes.wait(room_for(request, limit)):
            request.reading = True
            body = await read_body(request, limit)
            times = request.begun(len(body))
            return await while_connected(request, answer(body, times))
    except TimeoutError as error:
        if request.reading and request.times is None:
            raise SlowBody(f"the body did not arrive within {seconds:.0f} seconds (CLIP_DEADLINE_SECONDS)") from error
        raise Overloaded(f"no answer within {seconds:.0f} seconds; send fewer requests at once") from error


def announced(request: Request) -> int | None:
    value = request.headers.get("content-length")
    return None if value is None else int(value)  # a number: the parser has checked it


def room_for(request: Request, limit: int) -> int:
    """Bytes that the body will take: as announced, the limit where nothing is said, none where it will be refused."""
    size = announced(request)
    size = limit if size is None else size
    return size if size <= limit else 0


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises TooLarge past `limit` bytes, ClientDisconnect when the caller hangs up.

    What is too much is read and dropped: a caller that is cut off while it sends sees a broken pipe, not our sentence.
    """
    if (announced(request) or 0) > limit * DRAIN_FACTOR:
        raise too_large(limit)
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
        raise too_large(limit)
    return b"".join(pieces)


async def parsed(parse: Callable[[bytes], Result], body: bytes) -> Result:
    """What `parse` makes of the body; of a large one in a thread, so that probes are answered between its steps."""
    return await asyncio.to_thread(parse, body) if len(body) > PARSE_AT_ONCE else parse(body)


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is over the limit of {limit} bytes (CLIP_MAX_BODY_BYTES); send fewer or smaller images")


async def while_connected(request: Request, work: Awaitable[Result]) -> Result:
    """What `work` gives. Cancels it and raises ClientDisconnect when the caller hangs up first.

    `work` runs in the task that asks: one of its own would cost a tenth of a short text's time.
    """
    task, watch = asyncio.current_task(), asyncio.create_task(disconnected(request))
    working = True

    def leave(watch: "asyncio.Task[None]") -> None:
        if working and task and not watch.cancelled():
            task.cancel(CLIENT_GONE)

    watch.add_done_callback(leave)
    try:
        return await work
    except asyncio.CancelledError as error:
        if CLIENT_GONE in error.args and task and not task.uncancel():  # else the deadline has passed too
            raise ClientDisconnect from error
        raise
    finally:
        working = False
        watch.cancel()


async def disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
