"""What the processes of one sidecar say to each other, as the content of frames.

T tokens · S input side · D dimensions
"""

import math
import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.server.fronts.line import Part
from clip_vectorizer.server.lanes import KINDS, Kind, Row
from clip_vectorizer.vectors import Pixels, Vectors


class Word(IntEnum):
    # a front says
    COMING = 1  # number, kind: an item is being prepared
    ITEM = 2  # number, kind, owner, key, content: its row is wanted
    GONE = 3  # number, of either: it does not come, or nobody wants its row any more
    PREPARED = 4  # it has what READY brought
    PAGE = 5  # its metrics
    ASK_TOTALS = 6  # number: the metrics of all processes are wanted
    # the engine says
    START = 17  # a pickled Start
    READY = 18  # a pickled Preparer
    OPEN = 19  # every front is prepared
    REFUSE = 20  # a sentence: there is no model any more
    ROW = 21  # number, seconds in the queue, seconds of the pass, cached, numbers
    FAILED = 22  # number, a sentence
    ASK_PAGE = 23
    TOTALS = 24  # number, a page


NUMBER = struct.Struct("<Q")
COMING = struct.Struct("<QB")
ITEM = struct.Struct("<QBQ16s")
ROW = struct.Struct("<Qdd?")


@dataclass(frozen=True, slots=True)
class Item:
    number: int  # the front's own
    kind: Kind
    owner: int  # the request, by the front's own number
    key: bytes
    content: PreparedText | Pixels


def item_parts(item: Item) -> tuple[Part, ...]:
    head = ITEM.pack(item.number, KINDS.index(item.kind), item.owner, item.key)
    if isinstance(item.content, PreparedText):
        return head, np.array(item.content.ids, np.int32).tobytes()
    return head, np.ascontiguousarray(item.content).reshape(-1).data


def item_of(body: bytearray) -> Item:
    number, kind, owner, key = ITEM.unpack_from(body)
    content = text_of(body) if KINDS[kind] == "text" else pixels_of(body)
    return Item(number, KINDS[kind], owner, key, content)


def text_of(body: bytearray) -> PreparedText:
    ids = np.frombuffer(body, np.int32, offset=ITEM.size).tolist()
    return PreparedText(tuple(ids), len(ids))  # how long it was before the cut is the front's business


def pixels_of(body: bytearray) -> Pixels:
    """(S, S, 3), writable, for torch warns of what is not."""
    pixels = np.frombuffer(body, np.uint8, offset=ITEM.size)
    side = math.isqrt(len(pixels) // 3)
    return pixels.reshape(side, side, 3)


def row_parts(number: int, row: Row) -> tuple[Part, ...]:
    head = ROW.pack(number, row.queue_seconds, row.encode_seconds, row.cached)
    return head, row.vector.astype(np.float32, copy=False).tobytes()


def row_of(body: bytearray) -> tuple[int, Row]:
    number, queue_seconds, encode_seconds, cached = ROW.unpack_from(body)
    vector: Vectors = np.frombuffer(body, np.float32, offset=ROW.size)  # 25 bytes in: numpy copes, the row is copied
    return number, Row(vector.copy(), queue_seconds, encode_seconds, cached)
