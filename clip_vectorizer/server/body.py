"""Reads a request's body within the limit, and watches whether its caller is still there."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from clip_vectorizer.errors import TooLarge

Result = TypeVar("Result")
DRAIN_FACTOR = 4  # how far past the limit we go on reading, so that the caller gets to read our answer


def room_for(request: Request, limit: int) -> int:
    """Bytes that the body will take: as announced, the limit where nothing is said, none where it will be refused."""
    announced = int(request.headers.get("content-length", limit))  # a number: uvicorn has checked it
    return announced if announced <= limit else 0


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises TooLarge past `limit` bytes, ClientDisconnect when the caller hangs up.

    What is too much is read and dropped: a caller that is cut off while it sends sees a broken pipe, not our sentence.
    """
    announced = int(request.headers.get("content-length", "0"))  # a number: uvicorn has checked it
    if announced > limit * DRAIN_FACTOR:
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


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is over the limit of {limit} bytes (CLIP_MAX_BODY_BYTES); send fewer or smaller images")


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` gives. Cancels it and raises ClientDisconnect when the caller hangs up first."""
    task = asyncio.create_task(work)
    hang_up = asyncio.create_task(disconnected(request))
    try:
        await asyncio.wait((task, hang_up), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        hang_up.cancel()
        task.cancel()  # nothing happens to one that is done
        await asyncio.wait((task, hang_up))  # its places in the queue are free before the caller hears of it


async def disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
