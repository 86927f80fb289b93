"""A front process: all of HTTP, decoding and tokenising, for a model in the process that started it.

`python -m clip_vectorizer.server.fronts.front LINE CONNECTIONS`: two sockets, inherited. It ends when its standard
input does, for that is how it hears that the process that started it is gone, however that ended.
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

from PIL import Image

from clip_vectorizer.models.encoder import Preparer
from clip_vectorizer.server.ending import Server
from clip_vectorizer.server.engine import Engine
from clip_vectorizer.server.fronts.connections import HandedListener
from clip_vectorizer.server.fronts.line import Line
from clip_vectorizer.server.fronts.remote import RemoteRows
from clip_vectorizer.server.fronts.start import Start
from clip_vectorizer.server.fronts.words import NUMBER, Word
from clip_vectorizer.server.logs import set_up
from clip_vectorizer.server.serve import config_of
from clip_vectorizer.server.service import Service
from clip_vectorizer.threads import DaemonThreads

log = logging.getLogger(__name__)
LOST = 1  # exit code
USUAL_SIZE = (640, 480)  # of the picture to warm up with


def main(line: str, connections: str) -> None:
    threading.Thread(target=end_with_parent, name="parent", daemon=True).start()
    asyncio.run(serve_front(socket.socket(fileno=int(line)), HandedListener(fileno=int(connections))))


def end_with_parent() -> None:
    """In a thread: an event loop that hangs must not make an orphan."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(LOST)


async def serve_front(line: socket.socket, connections: socket.socket) -> None:
    """Until SIGTERM; before there is anything to drain, its default action will do."""
    front = Front()
    await asyncio.get_running_loop().create_unix_connection(lambda: front.line, sock=line)
    start = await front.started
    server = Server(config_of(front.service, start.settings))
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it once more when it has stopped
    await server.serve(sockets=[connections])
    front.drained = True


class Front:
    """What the engine's process tells, and what this one asks it."""

    def __init__(self) -> None:
        self.line = Line(self._hear, self._lost)
        self.started: asyncio.Future[Start] = asyncio.get_running_loop().create_future()
        self.service: Service
        self.drained = False
        self._rows = RemoteRows(self.line)
        self._engine: Engine
        self._preparing: asyncio.Task[None]
        self._numbers = itertools.count()
        self._totals: dict[int, asyncio.Future[bytes]] = {}

    async def totals(self) -> bytes:
        """The metrics of all processes."""
        number = next(self._numbers)
        page: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._totals[number] = page
        self.line.send(Word.ASK_TOTALS, NUMBER.pack(number))
        try:
            return await page
        finally:
            del self._totals[number]

    def _hear(self, word: int, body: bytearray) -> None:
        match word:
            case Word.ROW:
                self._rows.row(body)
            case Word.FAILED:
                self._rows.failed(body)
            case Word.START:
                self._start(pickle.loads(body))
            case Word.READY:
                self._preparing = asyncio.create_task(self._prepare(bytes(body)))
            case Word.OPEN:
                self.service.take(self._engine)
            case Word.REFUSE:
                self.service.refuse(body.decode())
            case Word.ASK_PAGE:
                self.line.send(Word.PAGE, self.service.metrics.page())
            case Word.TOTALS:
                self._heard_totals(body)

    def _start(self, start: Start) -> None:
        """At once: the next word may be about the service."""
        set_up(start.settings.log_level)
        self.service = Service(start.settings.limits, start.settings.decode_threads)
        self.service.status, self.service.totals = start.status, self.totals
        self.started.set_result(start)

    async def _prepare(self, pickled: bytes) -> None:
        try:
            preparer = await asyncio.wrap_future(DaemonThreads(1, "preparer").submit(warm_preparer, pickled))
        except Exception:
            log.exception("a front end cannot prepare what the model takes")
            os._exit(LOST)
        start = self.started.result()
        self._engine = Engine([preparer], self._rows, start.settings.limits, start.settings.decode_threads)
        self.line.send(Word.PREPARED)

    def _heard_totals(self, body: bytearray) -> None:
        [number] = NUMBER.unpack_from(body)
        if (page := self._totals.get(number)) and not page.done():
            page.set_result(bytes(body[NUMBER.size :]))

    def _lost(self) -> None:
        if not self.drained:
            os._exit(LOST)


def warm_preparer(pickled: bytes) -> Preparer:
    """Imports what it needs, torch perhaps, which takes seconds; and what makes first items slow happens now."""
    preparer: Preparer = pickle.loads(pickled)
    preparer.prepare_text("warm-up")
    preparer.prepare_image(Image.new("RGB", USUAL_SIZE))
    return preparer


if __name__ == "__main__":
    main(*sys.argv[1:])
