"""What a search finds. D dimensions"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clip_vectorizer.vectors import Vectors


@dataclass(frozen=True, slots=True)
class Hit:
    """One image found. What was not asked for is None or empty."""

    path: str  # relative to the folder that was ingested
    similarity: float  # cosine, -1..1: 1 - distance. Between a text and a good image about 0.2 to 0.35
    distance: float  # as Weaviate gives it
    id: str
    label: str
    caption: str
    score: float | None = None  # of a hybrid search: Weaviate's, words and vector together; larger is better
    copies: tuple[str, ...] = ()  # paths of equal images, where duplicates are folded
    properties: Mapping[str, Any] = field(default_factory=dict)  # those that were asked for
    vector: Vectors | None = None  # (D,), as stored
    thumbnail: bytes | None = None  # a JPEG


@dataclass(frozen=True, slots=True)
class Group:
    """The hits that share one value of a property, nearest first."""

    name: str
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image of the collection, as a listing names it. What was not asked for is None or empty."""

    path: str
    id: str
    label: str
    caption: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    vector: Vectors | None = None  # (D,)
    thumbnail: bytes | None = None  # a JPEG
