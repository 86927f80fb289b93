"""What goes from step to step: Ray sees bytes, so that it cannot make anything else of them."""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from ingest.embed import Change


@dataclass(frozen=True, slots=True)
class Row:
    """The `number`th group of a part, and what has become of its items so far.

    A part that is read a second time makes the same groups of the same items, though perhaps other things of them.
    """

    part: int
    number: int
    changes: Sequence[Change] = ()  # of which nothing has been decided yet
    events: Sequence[object] = field(default_factory=list)  # Outcome, Listed, Skipped
    is_last: bool = False  # of its part
    error: Exception | None = None  # what ended the run


class Packed(TypedDict):
    row: bytes


def pack(row: Row) -> Packed:
    return {"row": pickle.dumps(row, protocol=5)}


def unpack(packed: Packed) -> Row:
    row = pickle.loads(packed["row"])
    assert isinstance(row, Row)
    return row
