"""A worker process: HTTP, decoding and tokenising, for a model in the process that started it.

`python -m clip_vectorizer.server.workers.worker STREAM CONNECTIONS`: two inherited sockets. Its standard input is a
pipe of the parent process, so it ends when that process ends, however it ends.
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
from clip_vectorizer.images.pillow import lift_pillow_limit
from clip_vectorizer.models.captioning.captioner import CaptionerInfo
from clip_vectorizer.models.encoder import PreparedText, Preparer
from clip_vectorizer.models.grounding.grounder import GrounderInfo
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
from clip_vectorizer.server.workers.picture_frames import (
    PictureRequests,
    RemoteCaptioning,
    RemoteGrounding,
    RemoteScoring,
)
from clip_vectorizer.server.workers.socket_passing import HandoffListener
from clip_vectorizer.threads import DaemonThreads
from clip_vectorizer.vectors import Pixels

LOST_EXIT_CODE = 1
WARM_UP_SIZE = (640, 480)

log = logging.getLogger(__name__)


def main(stream: str, connections: str) -> None:
    lift_pillow_limit()
    threading.Thread(target=end_with_parent, name="parent", daemon=True).start()
    asyncio.run(serve_worker(socket.socket(fileno=int(stream)), HandoffListener(fileno=int(connections))))


def end_with_parent() -> None:
    """Exit when standard input ends. In a thread: a blocked event loop must not leave an orphan."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(LOST_EXIT_CODE)


async def serve_worker(stream: socket.socket, connections: socket.socket) -> None:
    """Serve until SIGTERM. Before there are requests to finish, the default action of the signal is enough."""
    worker = Worker()
    await asyncio.get_running_loop().create_unix_connection(lambda: worker.stream, sock=stream)
    config = await worker.started
    server = GracefulServer(build_config(worker.service, config.settings))
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it once more when it has stopped
    await server.serve(sockets=[connections])
    worker.drained = True


class Worker:
    """Handles the messages of the model's process."""

    def __init__(self) -> None:
        self.stream = FrameStream(self._receive, self._exit_when_lost)
        self.started: asyncio.Future[WorkerConfig] = asyncio.get_running_loop().create_future()
        self.service: Service
        self.drained = False
        self._backend = RemoteBackend(self.stream)
        self._pictures = PictureRequests(self.stream)
        self._engine: Engine
        self._preparing: asyncio.Task[None]
        self._numbers = itertools.count()
        self._totals: dict[int, asyncio.Future[bytes]] = {}

    async def totals(self) -> bytes:
        """The metrics of all processes."""
        number = next(self._numbers)
        page: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._totals[number] = page
        self.stream.send(MessageType.ASK_TOTALS, NUMBER_STRUCT.pack(number))
        try:
            return await page
        finally:
            del self._totals[number]

    def _receive(self, message: int, body: bytearray) -> None:
        match message:
            case MessageType.ROW:
                self._backend.row(body)
            case MessageType.FAILED:
                self._backend.failed(body)
            case MessageType.GROUNDED:
                self._pictures.receive(body)
            case MessageType.START:
                self._start(pickle.loads(body))
            case MessageType.READY:
                self._preparing = asyncio.create_task(self._prepare(bytes(body)))
            case MessageType.OPEN:
                self.service.open(self._engine)
            case MessageType.REFUSE:
                self.service.close(body.decode())
            case MessageType.ASK_PAGE:
                self.stream.send(MessageType.PAGE, self.service.metrics.page())
            case MessageType.TOTALS:
                self._receive_totals(body)

    def _start(self, config: WorkerConfig) -> None:
        """Not in a task: the next message may need the service."""
        configure_logging(config.settings.log_level)
        self.service = Service(config.settings.limits, config.settings.decode_threads)
        self.service.status, self.service.totals = config.status, self.totals
        self.started.set_result(config)

    async def _prepare(self, pickled: bytes) -> None:
        try:
            loading = DaemonThreads(1, "preparer").submit(warm_preparer, pickled)
            preparer, grounder, captioner = await asyncio.wrap_future(loading)
        except Exception:
            log.exception("a worker cannot load the preprocessing of the model")
            os._exit(LOST_EXIT_CODE)
        settings = self.started.result().settings
        grounding = RemoteGrounding(self._pictures, grounder) if grounder else None
        captioning = RemoteCaptioning(self._pictures, captioner) if captioner else None
        scoring = RemoteScoring(self._pictures)
        self._engine = Engine(
            [preparer], self._backend, settings.limits, settings.decode_threads, grounding, captioning, scoring
        )
        self.stream.send(MessageType.PREPARED)

    def _receive_totals(self, body: bytearray) -> None:
        [number] = NUMBER_STRUCT.unpack_from(body)
        if (page := self._totals.get(number)) and not page.done():
            page.set_result(bytes(body[NUMBER_STRUCT.size :]))

    def _exit_when_lost(self) -> None:
        if not self.drained:
            os._exit(LOST_EXIT_CODE)


def warm_preparer(pickled: bytes) -> tuple[Preparer, GrounderInfo | None, CaptionerInfo | None]:
    """Load and run the preprocessing once: it may import torch, which takes seconds, and first items are slow."""
    preparer: Preparer
    grounder: GrounderInfo | None
    captioner: CaptionerInfo | None
    preparer, grounder, captioner = pickle.loads(pickled)
    if preparer.info.texts:
        preparer.prepare_text("warm-up")
    preparer.prepare_image(Image.new("RGB", WARM_UP_SIZE))
    return preparer, grounder, captioner


class RemoteBackend:
    """The `EncodingBackend` of a worker: sends items to the model's process and receives their rows.

    Every caller gets one result as long as the connection holds; without it the process ends.
    """

    def __init__(self, stream: FrameStream) -> None:
        self._stream = stream
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[EmbeddingResult]] = {}

    @contextmanager
    def announced(self, kind: ItemKind) -> Iterator[None]:
        """Announce that an item is being prepared and will be encoded next."""
        number = next(self._numbers)
        self._stream.send(MessageType.COMING, COMING_STRUCT.pack(number, ITEM_KINDS.index(kind)))
        try:
            yield
        finally:  # a turn of the loop later, so that the item itself is sent first: a batch would start without it
            asyncio.get_running_loop().call_soon(self._stream.send, MessageType.GONE, NUMBER_STRUCT.pack(number))

    async def encode(self, kind: ItemKind, owner: object, item: PreparedText | Pixels, key: bytes) -> EmbeddingResult:
        """Raises EncoderFailed, with the message of the model's process."""
        number = next(self._numbers)
        row: asyncio.Future[EmbeddingResult] = asyncio.get_running_loop().create_future()
        self._waiting[number] = row
        self._stream.send(MessageType.ITEM, *pack_item(ItemMessage(number, kind, id(owner), key, item)))
        try:
            await self._stream.room()
            return await row
        finally:
            del self._waiting[number]
            if not row.done() or row.cancelled():  # the caller left first
                self._stream.send(MessageType.GONE, NUMBER_STRUCT.pack(number))

    def row(self, body: bytearray) -> None:
        """Deliver a row that was received."""
        number, row = unpack_row(body)
        if (waiting := self._waiting.get(number)) and not waiting.done():
            waiting.set_result(row)

    def failed(self, body: bytearray) -> None:
        """Deliver an error that was received."""
        [number] = NUMBER_STRUCT.unpack_from(body)
        if (waiting := self._waiting.get(number)) and not waiting.done():
            waiting.set_exception(EncoderFailed(body[NUMBER_STRUCT.size :].decode()))


if __name__ == "__main__":
    main(*sys.argv[1:])
