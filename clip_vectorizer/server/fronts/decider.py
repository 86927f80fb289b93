"""Where rows are decided for all fronts: one cache, one pass for equal work at the same time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from clip_vectorizer.errors import EncoderFailed
from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.server.batcher import Batcher
from clip_vectorizer.server.cache import VectorCache
from clip_vectorizer.server.fronts.words import Item
from clip_vectorizer.server.lanes import Kind, Row
from clip_vectorizer.vectors import Pixels

Tell = Callable[[Row | EncoderFailed], None]
Leave = Callable[[], None]


@dataclass(slots=True, eq=False)
class Work:
    """One item on its way through the batcher, and who waits for its row."""

    key: bytes
    row: "asyncio.Future[Row]"
    tells: dict[object, Tell] = field(default_factory=dict)


class Decider:
    """Equal keys get bit-equal rows, whichever front asks, as long as the cache holds them.

    No task of its own for an item: this is the one place that every item of every front goes through. Work goes on as
    long as anybody waits for it.
    """

    def __init__(self, batcher: Batcher, cache: VectorCache) -> None:
        self.batcher, self.cache = batcher, cache
        self._under_way: dict[bytes, Work] = {}

    def ask(self, item: Item, owner: object, tell: Tell) -> Leave | None:
        """`tell` hears the row, or why there is none: now, and None is returned; or later, or never for who leaves."""
        known = self.cache.get(item.key)
        if known is not None:
            tell(Row(known, cached=True))
            return None
        try:
            work = self._under_way.get(item.key) or self._started(item.key, item.kind, owner, item.content)
        except EncoderFailed as error:
            tell(error)
            return None
        place = object()
        work.tells[place] = tell
        return partial(self._leave, work, place)

    def _started(self, key: bytes, kind: Kind, owner: object, content: PreparedText | Pixels) -> Work:
        work = Work(key, self.batcher.hand_in(kind, owner, content))
        work.row.add_done_callback(partial(self._done, work))
        self._under_way[key] = work
        return work

    def _leave(self, work: Work, place: object) -> None:
        work.tells.pop(place, None)
        if not work.tells and not work.row.done():
            self._land(work)  # at once: nobody may join what is being cancelled
            work.row.cancel()

    def _done(self, work: Work, row: "asyncio.Future[Row]") -> None:
        self._land(work)
        if row.cancelled():
            return
        answer = self._answer(work.key, row)
        tells, work.tells = list(work.tells.values()), {}
        for tell in tells:
            tell(answer)

    def _answer(self, key: bytes, row: "asyncio.Future[Row]") -> Row | EncoderFailed:
        if error := row.exception():
            return error if isinstance(error, EncoderFailed) else EncoderFailed(str(error))
        self.cache.put(key, row.result().vector)
        return row.result()

    def _land(self, work: Work) -> None:
        if self._under_way.get(work.key) is work:
            del self._under_way[work.key]
