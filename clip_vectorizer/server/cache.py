"""Rows of what was asked before, by content: the same input gets the same bits, whatever else is in its batch.

D dimensions
"""

import hashlib
from collections import OrderedDict

import numpy as np

from clip_vectorizer.vectors import Vectors

KEY_BYTES = 16  # 128 bits: two inputs of equal key are less likely than a memory error
ENTRY_BYTES = 300  # what Python adds to the numbers of one row: key, array object, place in the table


class VectorCache:
    """The rows used last, within `max_bytes`; 0 keeps none."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rows: OrderedDict[bytes, Vectors] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: bytes) -> Vectors | None:
        """The row (D,) of `key`, read-only."""
        row = self._rows.get(key)
        if row is not None:
            self._rows.move_to_end(key)
        return row

    def put(self, key: bytes, row: Vectors) -> None:
        kept = np.array(row)  # of its own: a view would keep its whole batch alive
        kept.flags.writeable = False
        if key in self._rows:
            self.size_bytes -= cost(self._rows.pop(key))
        self._rows[key] = kept
        self.size_bytes += cost(kept)
        while self.size_bytes > self._max_bytes:
            self.size_bytes -= cost(self._rows.popitem(last=False)[1])


def cost(row: Vectors) -> int:
    return row.nbytes + ENTRY_BYTES


def key_of(kind: bytes, content: bytes) -> bytes:
    """`kind` (at most 16 bytes) keeps a text and an image of equal bytes apart."""
    return hashlib.blake2b(content, digest_size=KEY_BYTES, person=kind).digest()
