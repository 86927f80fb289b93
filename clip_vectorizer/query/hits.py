"""What a search and a listing return.

D dimensions
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clip_vectorizer.vectors import Box, Vectors


@dataclass(frozen=True, slots=True)
class RegionHit:
    """A region of an image found by a search."""

    box: Box  # x0, y0, x1, y1: shares of the upright picture's width and height, from its top left
    similarity: float  # cosine of its crop
    method: str  # how the box was found: grid, corners, objects, boxes, owlv2
    rank: int  # from 0, in the order of that method
    objectness: float | None  # 0..1; None where the method knows none
    id: str  # UUID of the region's object
    corner: str = ""  # of a page, such as bottom-right, in a search by a corner
    lines: float | None = None  # how well its rules agree with those of the query's corner, 0..1


@dataclass(frozen=True, slots=True)
class Hit:
    """One image found by a search. Fields that were not requested are None or empty."""

    path: str  # relative to the folder that was ingested
    similarity: float  # cosine, -1..1: 1 - distance. Between a text and a good image about 0.2 to 0.35
    distance: float  # cosine distance 0..2, as Weaviate returns it
    id: str  # UUID of the object
    label: str
    caption: str
    # Of a hybrid search: Weaviate's, words and vector together; of a search by a corner: its vector and its rules
    # together. Larger is better.
    score: float | None = None
    copies: tuple[str, ...] = ()  # paths of equal images, with `deduplicate`
    properties: Mapping[str, Any] = field(default_factory=dict)  # those of `return_properties`
    vector: Vectors | None = None  # (D,) float32, as stored; with `include_vector`
    thumbnail: bytes | None = None  # a JPEG file; with `include_thumbnail`
    regions: tuple[RegionHit, ...] = ()  # its best ones, nearest first; with `regions`
    whole: float | None = None  # similarity of the whole picture, with `regions`; `similarity` is the larger one


@dataclass(frozen=True, slots=True)
class Group:
    """The hits that share one value of a property, nearest first."""

    name: str  # the value
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image of the collection, from `iterate`. Fields that were not requested are None or empty."""

    path: str  # relative to the folder that was ingested
    id: str  # UUID of the object
    label: str
    caption: str
    properties: Mapping[str, Any] = field(default_factory=dict)  # those of `return_properties`
    vector: Vectors | None = None  # (D,) float32; with `include_vector`
    thumbnail: bytes | None = None  # a JPEG file; with `include_thumbnail`
