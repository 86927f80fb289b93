"""Regions of equal pictures, which are made once in a run."""

from collections import OrderedDict
from threading import Lock

from ingest.region_boxes import PlacedBoxes

MOST_REGIONS = 20_000  # of the pictures before: 41 MB of vectors with 512 dimensions


class RegionMemory:
    """The regions of the latest pictures, with their vectors, by the stamp that an image records. Thread-safe.

    Equal stamps are equal regions. `most`: regions that are remembered; the oldest pictures go first.
    """

    def __init__(self, most: int = MOST_REGIONS) -> None:
        self._most, self._count = most, 0
        self._made: OrderedDict[str, PlacedBoxes] = OrderedDict()
        self._lock = Lock()

    def find(self, stamp: str) -> PlacedBoxes | None:
        with self._lock:
            if stamp in self._made:
                self._made.move_to_end(stamp)
            return self._made.get(stamp)

    def remember(self, stamp: str, made: PlacedBoxes) -> None:
        with self._lock:
            if stamp in self._made:
                return
            self._made[stamp] = made
            self._count += count_places(made)
            while self._count > self._most:
                self._count -= count_places(self._made.popitem(last=False)[1])


def count_places(made: PlacedBoxes) -> int:
    """A picture without regions takes a place too, so that the number of pictures is limited."""
    return max(1, len(made.boxes))
