"""Objects gathered into bounded batches and sent, a few batches at once, with another try where it may help."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from clip_vectorizer.errors import Unreachable
from ingest.items import Fate, ImageObject, Outcome
from ingest.store import ImageStore, Refusal


@dataclass(frozen=True, slots=True)
class UploadLimits:
    batch_objects: int = 32
    batch_bytes: int = 12_000_000  # on the wire; in memory a batch is five times that, and gRPC takes 104,858,000 bytes
    batches_at_once: int = 2  # while one waits for its last image, the other keeps the model busy
    # Waits before another try, longer each time: 15 s in all let a sidecar or a server restart.
    retry_seconds: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)


class Uploads:
    """One owner (the thread that calls `add` and `finish`); every object added comes out as exactly one outcome.

    At most `batches_at_once` batches are under way and one is being filled: memory stays flat.
    """

    def __init__(self, store: ImageStore, limits: UploadLimits, sleep: Callable[[float], None] = time.sleep) -> None:
        self._store, self._limits, self._sleep = store, limits, sleep
        self._pool = ThreadPoolExecutor(limits.batches_at_once, thread_name_prefix="upload")
        self._filling: list[ImageObject] = []
        self._sent: deque[Future[list[Outcome]]] = deque()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def add(self, item: ImageObject) -> Iterator[Outcome]:
        """Takes `item`; yields what batches came to, waiting for one when too many are under way."""
        if self._filling and not self._fits(item):
            yield from self._send()
        self._filling.append(item)

    def finish(self) -> Iterator[Outcome]:
        yield from self._send()
        while self._sent:
            yield from self._sent.popleft().result()

    def _fits(self, item: ImageObject) -> bool:
        total = sum(other.wire_bytes for other in self._filling) + item.wire_bytes
        return len(self._filling) < self._limits.batch_objects and total <= self._limits.batch_bytes

    def _send(self) -> Iterator[Outcome]:
        while len(self._sent) >= self._limits.batches_at_once:
            yield from self._sent.popleft().result()
        batch, self._filling = self._filling, []
        if batch:
            self._sent.append(self._pool.submit(self._upload, batch))

    def _upload(self, batch: list[ImageObject]) -> list[Outcome]:
        refused = put_patiently(self._store, batch, self._limits.retry_seconds, self._sleep)
        return [outcome(item, refused.get(item.key)) for item in batch]


def put_patiently(
    store: ImageStore, batch: Sequence[ImageObject], waits: Sequence[float], sleep: Callable[[float], None]
) -> dict[str, Refusal]:
    """Sends `batch`, and again what may pass the next time. Raises Unreachable when nobody came back in the end."""
    refused: dict[str, Refusal] = {}
    for wait in (*waits, None):
        try:
            answer = store.put(batch)
        except Unreachable:
            if wait is None:
                raise
        else:
            refused |= {key: refusal for key, refusal in answer.items() if not refusal.passing}
            passing = {key: refusal for key, refusal in answer.items() if refusal.passing}
            batch = [item for item in batch if item.key in passing]
            if not batch or wait is None:
                return refused | passing
        sleep(wait)
    return refused


def outcome(item: ImageObject, refusal: Refusal | None) -> Outcome:
    if refusal:
        return Outcome(item.key, Fate.FAILED, refusal.reason)
    return Outcome(item.key, Fate.UPDATED if item.replaces else Fate.ADDED, sha256=item.fingerprint.sha256)
