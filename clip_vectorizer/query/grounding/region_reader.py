"""What grounding needs of stored regions, without weaviate-client, which takes a second to import.

N regions
"""

from dataclasses import dataclass
from typing import Protocol

from clip_vectorizer.boxes import BoxArray
from clip_vectorizer.client import RegionVectors


@dataclass(frozen=True, slots=True)
class StoredRegions:
    """The regions of one stored image."""

    path: str
    boxes_n4: BoxArray
    vectors: RegionVectors


class RegionReader(Protocol):
    def fetch(self, key: str) -> StoredRegions:
        """The regions of the image with this path or id.

        Raises InputError: no such image, or none of its regions; Mismatch: they have vectors of another model.
        """

    def fetch_picture(self, path: str) -> bytes:
        """The file of the image at `path`, or its thumbnail. Raises InputError where neither is stored."""
