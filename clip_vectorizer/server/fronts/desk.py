"""The engine's side of one front: what it asks for, and what it announces."""

from contextlib import AbstractContextManager

from clip_vectorizer.errors import EncoderFailed
from clip_vectorizer.server.fronts.decider import Decider, Leave
from clip_vectorizer.server.fronts.line import Line
from clip_vectorizer.server.fronts.words import COMING, NUMBER, Word, item_of, row_parts
from clip_vectorizer.server.lanes import KINDS, Row


class Desk:
    """Holds what one front has in flight. When the front is gone, nothing of it stays in the queue."""

    def __init__(self, line: Line, decider: Decider) -> None:
        self._line, self._decider = line, decider
        self._coming: dict[int, AbstractContextManager[None]] = {}
        self._asked: dict[int, Leave] = {}

    def coming(self, body: bytearray) -> None:
        number, kind = COMING.unpack(body)
        ticket = self._coming[number] = self._decider.batcher.announced(KINDS[kind])
        ticket.__enter__()

    def item(self, body: bytearray) -> None:
        item = item_of(body)
        number = item.number

        def tell(answer: Row | EncoderFailed) -> None:
            self._asked.pop(number, None)
            if isinstance(answer, Row):
                self._line.send(Word.ROW, *row_parts(number, answer))
            else:
                self._line.send(Word.FAILED, NUMBER.pack(number), str(answer).encode())

        if leave := self._decider.ask(item, (id(self), item.owner), tell):
            self._asked[number] = leave

    def gone(self, body: bytearray) -> None:
        """An item that was answered meanwhile is none of ours any more."""
        [number] = NUMBER.unpack(body)
        if ticket := self._coming.pop(number, None):
            ticket.__exit__(None, None, None)
        elif leave := self._asked.pop(number, None):
            leave()

    def close(self) -> None:
        for number in (*self._coming, *self._asked):
            self.gone(bytearray(NUMBER.pack(number)))
