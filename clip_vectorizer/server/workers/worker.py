"""A front process: all of HTTP, decoding and tokenising, for a model in the process that started it.

`python -m clip_vectorizer.server.workers.worker LINE CONNECTIONS`: two sockets, inherited. It ends when its standard
input does, for that is how it hears that the process that started it is gone, however that ended.

A front's way to the model: items go out, rows come back.
"""

import asyncio
import itertools
import logging
import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from clip_vectorizer.errors import EncoderFailed
from clip_vectorizer.models.encoder import PreparedText, Preparer
from clip_vectorizer.server.engine import Engine
from clip_vectorizer.server.logs import configure_logging
from clip_vectorizer.server.queues import ITEM_KINDS, EmbeddingResult, ItemKind
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import WorkerConfig
from clip_vectorizer.server.shutdown import GracefulServer
from clip_vectorizer.server.startup import build_config
from clip_vectorizer.server.workers.ipc import (
    COMING_STRUCT,
    NUMBER_STRUCT,
    FrameStream,
    ItemMessage,
    MessageType,
    pack_item,
    unpack_row,
)
from clip_vectorizer.server.workers.socket_passing import HandoffListener
from clip_vectorizer.threads import DaemonThreads
from clip_vectorizer.vectors import Pixels

LOST_EXIT_CODE = 1  # exit code
WARM_UP_SIZE = (640, 480)  # of the picture to warm up with

log = logging.getLogger(__name__)


def main(line: str, connections: str) -> None:
    threading.Thread(target=end_with_parent, name="parent", daemon=True).start()
    asyncio.run(serve_worker(socket.socket(fileno=int(line)), HandoffListener(fileno=int(connections))))


def end_with_parent() -> None:
    """In a thread: an event loop that hangs must not make an orphan."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(LOST_EXIT_CODE)


async def serve_worker(line: socket.socket, connections: socket.socket) -> None:
    """Until SIGTERM; before there is anything to drain, its default action will do."""
    front = Worker()
    await asyncio.get_running_loop().create_unix_connection(lambda: front.line, sock=line)
    start = await front.started
    server = GracefulServer(build_config(front.service, start.settings))
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it once more when it has stopped
    await server.serve(sockets=[connections])
    front.drained = True


class Worker:
    """What the engine's process tells, and what this one asks it."""

    def __init__(self) -> None:
        self.line = FrameStream(self._hear, self._lost)
        self.started: asyncio.Future[WorkerConfig] = asyncio.get_running_loop().create_future()
        self.service: Service
        self.drained = False
        self._rows = RemoteBackend(self.line)
        self._engine: Engine
        self._preparing: asyncio.Task[None]
        self._numbers = itertools.count()
        self._totals: dict[int, asyncio.Future[bytes]] = {}

    async def totals(self) -> bytes:
        """The metrics of all processes."""
        number = next(self._numbers)
        page: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._totals[number] = page
        self.line.send(MessageType.ASK_TOTALS, NUMBER_STRUCT.pack(number))
        try:
            return await page
        finally:
            del self._totals[number]

    def _hear(self, word: int, body: bytearray) -> None:
        match word:
            case MessageType.ROW:
                self._rows.row(body)
            case MessageType.FAILED:
                self._rows.failed(body)
            case MessageType.START:
                self._start(pickle.loads(body))
            case MessageType.READY:
                self._preparing = asyncio.create_task(self._prepare(bytes(body)))
            case MessageType.OPEN:
                self.service.take(self._engine)
            case MessageType.REFUSE:
                self.service.refuse(body.decode())
            case MessageType.ASK_PAGE:
                self.line.send(MessageType.PAGE, self.service.metrics.page())
            case MessageType.TOTALS:
                self._heard_totals(body)

    def _start(self, start: WorkerConfig) -> None:
        """At once: the next word may be about the service."""
        configure_logging(start.settings.log_level)
        self.service = Service(start.settings.limits, start.settings.decode_threads)
        self.service.status, self.service.totals = start.status, self.totals
        self.started.set_result(start)

    async def _prepare(self, pickled: bytes) -> None:
        try:
            preparer = await asyncio.wrap_future(DaemonThreads(1, "preparer").submit(warm_preparer, pickled))
        except Exception:
            log.exception("a front end cannot prepare what the model takes")
            os._exit(LOST_EXIT_CODE)
        start = self.started.result()
        self._engine = Engine([preparer], self._rows, start.settings.limits, start.settings.decode_threads)
        self.line.send(MessageType.PREPARED)

    def _heard_totals(self, body: bytearray) -> None:
        [number] = NUMBER_STRUCT.unpack_from(body)
        if (page := self._totals.get(number)) and not page.done():
            page.set_result(bytes(body[NUMBER_STRUCT.size :]))

    def _lost(self) -> None:
        if not self.drained:
            os._exit(LOST_EXIT_CODE)


def warm_preparer(pickled: bytes) -> Preparer:
    """Imports what it needs, torch perhaps, which takes seconds; and what makes first items slow happens now."""
    preparer: Preparer = pickle.loads(pickled)
    preparer.prepare_text("warm-up")
    preparer.prepare_image(Image.new("RGB", WARM_UP_SIZE))
    return preparer


if __name__ == "__main__":
    main(*sys.argv[1:])


class RemoteBackend:
    """Stands where a `Batcher` stands in a sidecar of one process. Every caller gets one answer if the line holds."""

    def __init__(self, line: FrameStream) -> None:
        self._line = line
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[EmbeddingResult]] = {}

    @contextmanager
    def announced(self, kind: ItemKind) -> Iterator[None]:
        """While an item is being prepared that will be handed in right after."""
        number = next(self._numbers)
        self._line.send(MessageType.COMING, COMING_STRUCT.pack(number, ITEM_KINDS.index(kind)))
        try:
            yield
        finally:  # a turn later, so that the item itself goes first: else a batch would leave without it
            asyncio.get_running_loop().call_soon(self._line.send, MessageType.GONE, NUMBER_STRUCT.pack(number))

    async def encode(self, kind: ItemKind, owner: object, item: PreparedText | Pixels, key: bytes) -> EmbeddingResult:
        """Raises EncoderFailed, in the words of the process that has the model."""
        number = next(self._numbers)
        row: asyncio.Future[EmbeddingResult] = asyncio.get_running_loop().create_future()
        self._waiting[number] = row
        self._line.send(MessageType.ITEM, *pack_item(ItemMessage(number, kind, id(owner), key, item)))
        try:
            await self._line.room()
            return await row
        finally:
            del self._waiting[number]
            if not row.done() or row.cancelled():  # the caller left first
                self._line.send(MessageType.GONE, NUMBER_STRUCT.pack(number))

    def row(self, body: bytearray) -> None:
        number, row = unpack_row(body)
        if (waiting := self._waiting.get(number)) and not waiting.done():
            waiting.set_result(row)

    def failed(self, body: bytearray) -> None:
        [number] = NUMBER_STRUCT.unpack_from(body)
        if (waiting := self._waiting.get(number)) and not waiting.done():
            waiting.set_exception(EncoderFailed(body[NUMBER_STRUCT.size :].decode()))
