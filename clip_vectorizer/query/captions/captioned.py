"""Stored images, as far as captions need them, and captions written back.

N regions · D dimensions
"""

import base64
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from weaviate import WeaviateClient
from weaviate.classes.config import DataType
from weaviate.classes.query import Filter

from clip_vectorizer.boxes import BoxArray, ScoreArray
from clip_vectorizer.database.collections import FULL, ensure_caption_properties
from clip_vectorizer.database.collections import THUMBNAIL as KEEP_THUMBNAIL
from clip_vectorizer.database.connection import weaviate_errors
from clip_vectorizer.database.regions import BOX, OBJECTNESS
from clip_vectorizer.database.schema import (
    CAPTION,
    CAPTION_BY,
    CAPTION_PROPERTIES,
    DUPLICATE_OF,
    IMAGE,
    PATH,
    PREDICTED_CAPTION,
    THUMBNAIL,
    caption_properties,
)
from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.connect import WeaviateImages
from clip_vectorizer.query.filters.where import FilterInput, build_filter
from clip_vectorizer.query.object_updates import ObjectUpdates
from clip_vectorizer.query.search.calls import SearchTarget, WeaviateCall
from clip_vectorizer.query.search.regions import MAX_IMAGE_REGIONS
from clip_vectorizer.query.search.results import WeaviateObject, read_text, read_vector
from clip_vectorizer.query.zeroshot.sources import WeaviateCollectionReader
from clip_vectorizer.vectors import Vectors, unit


@dataclass(frozen=True, slots=True)
class CaptionSubject:
    """One image and what it has. Fields that were not read are None."""

    id: str
    path: str
    given: str  # its own caption
    written: str  # by an earlier run
    by: str  # that run's way
    vector: Vectors | None = None  # (D,)
    picture: bytes | None = None
    regions: "ImageRegions | None" = None


@dataclass(frozen=True, slots=True)
class ImageRegions:
    boxes_n4: BoxArray
    vectors_nd: Vectors  # unit rows
    objectness_n: ScoreArray  # 0..1; 1 of a method that knows none, such as a grid


class CaptionStore(Protocol):
    """Every method raises Unreachable, or VectorizerError with Weaviate's message."""

    def prepare(self) -> None:
        """Add what the collection lacks for captions. Called once, before the first `write`."""

    def list_ids(self, filters: FilterInput) -> Iterator[Sequence[str]]:
        """Yield the ids of all images, page by page; with filters possibly more than match."""

    def fetch(self, ids: Sequence[str], filters: FilterInput) -> list[CaptionSubject]:
        """Return those that exist and match, in the order of `ids`, with their captions alone."""

    def add_vectors(self, images: Sequence[CaptionSubject]) -> list[CaptionSubject]: ...

    def add_pictures(self, images: Sequence[CaptionSubject]) -> list[CaptionSubject]: ...

    def add_regions(self, images: Sequence[CaptionSubject]) -> list[CaptionSubject]: ...

    def find_captions(self, vector_d: Vectors, count: int) -> list[str]:
        """Return the given captions of the nearest images that have one, nearest first."""

    def write(self, captions: Mapping[str, str], by: str) -> Mapping[str, str]:
        """Store captions by id. Return the reason of each failure, by id."""


class WeaviateCaptions:
    """A CaptionStore in Weaviate."""

    def __init__(self, client: WeaviateClient, url: str, images: WeaviateImages) -> None:
        self._client, self._url, self._images = client, url, images
        self._reader = WeaviateCollectionReader(client, url, images.target)
        self._updates = ObjectUpdates(client, url, images.target)

    def prepare(self) -> None:
        with weaviate_errors(self._url):
            ensure_caption_properties(self._client, self._images.target.collection)
        self._images.add_properties({each.name: each.dataType for each in caption_properties()})

    def list_ids(self, filters: FilterInput) -> Iterator[Sequence[str]]:
        self._reader.check(filters)
        return self._reader.ids(filters)

    def fetch(self, ids: Sequence[str], filters: FilterInput) -> list[CaptionSubject]:
        by_id = Filter.by_id().contains_any(list(ids))
        condition = build_filter(filters, self._images.target.properties)
        names = [PATH, CAPTION, *CAPTION_PROPERTIES]
        rows = self._rows(names, by_id if condition is None else by_id & condition, len(ids))
        return [read_captioned(rows[id]) for id in ids if id in rows]

    def add_vectors(self, images: Sequence[CaptionSubject]) -> list[CaptionSubject]:
        target = self._images.target
        rows = self._rows([], Filter.by_id().contains_any([each.id for each in images]), len(images), vectors=True)
        return [replace(each, vector=read_vector(rows[each.id], target)) for each in images if each.id in rows]

    def add_pictures(self, images: Sequence[CaptionSubject]) -> list[CaptionSubject]:
        name = choose_picture(self._images.target)
        rows = self._rows([name], Filter.by_id().contains_any([each.id for each in images]), len(images))
        return [replace(each, picture=read_picture(rows[each.id], name)) for each in images if each.id in rows]

    def add_regions(self, images: Sequence[CaptionSubject]) -> list[CaptionSubject]:
        """Of an image without any, those of the equal image that it is a copy of."""
        originals = self._find_originals(images)
        found = self._fetch_regions([*(each.path for each in images), *originals.values()])
        paths = {each.id: each.path if each.path in found else originals.get(each.id, "") for each in images}
        return [replace(each, regions=found.get(paths[each.id])) for each in images]

    def _find_originals(self, images: Sequence[CaptionSubject]) -> dict[str, str]:
        by_id = Filter.by_id().contains_any([each.id for each in images])
        rows = self._rows([DUPLICATE_OF], by_id, len(images))
        return {id: original for id, row in rows.items() if (original := read_text(row, DUPLICATE_OF))}

    def _fetch_regions(self, paths: Sequence[str]) -> dict[str, ImageRegions]:
        """Regions by the path of their image. Raises InputError where none were ever stored."""
        target = self._images.open_regions()
        rows: dict[str, list[WeaviateObject]] = defaultdict(list)
        step = MAX_RESULTS // MAX_IMAGE_REGIONS
        for start in range(0, len(paths), step):
            arguments: dict[str, Any] = {
                "filters": Filter.by_property(PATH).contains_any(list(paths[start : start + step])),
                "limit": MAX_RESULTS,
                "include_vector": [target.vector],
                "return_properties": [PATH, *BOX, OBJECTNESS],
            }
            answer = self._images.execute(WeaviateCall("fetch_objects", arguments, collection=target.collection))
            for row in answer.objects:
                rows[read_text(row, PATH)].append(row)
        return {path: read_regions(objects, target) for path, objects in rows.items()}

    def find_captions(self, vector_d: Vectors, count: int) -> list[str]:
        arguments = {
            "near_vector": vector_d.tolist(),
            "filters": Filter.by_property(CAPTION).like("*"),  # has any word
            "limit": count,
            "target_vector": self._images.target.vector,
            "return_properties": [CAPTION],
        }
        return [read_text(row, CAPTION) for row in self._images.execute(WeaviateCall("near_vector", arguments)).objects]

    def write(self, captions: Mapping[str, str], by: str) -> Mapping[str, str]:
        wanted = {id: {PREDICTED_CAPTION: text, CAPTION_BY: by} for id, text in captions.items()}
        return self._updates.write(wanted, CAPTION_PROPERTIES, lambda stored, new: dict(stored) == new)

    def _rows(self, names: Sequence[str], filters: Any, limit: int, vectors: bool = False) -> dict[str, WeaviateObject]:
        """Objects by id."""
        arguments: dict[str, Any] = {"filters": filters, "limit": limit, "return_properties": list(names) or False}
        if vectors:
            arguments["include_vector"] = [self._images.target.vector]
        answer = self._images.execute(WeaviateCall("fetch_objects", arguments))
        return {str(row.uuid): row for row in answer.objects}


def choose_picture(target: SearchTarget) -> str:
    """Return the property with the picture: the file, or where only that is kept, its thumbnail. Raises InputError."""
    if target.keep == FULL and target.properties.get(IMAGE) is DataType.BLOB:
        return IMAGE
    if target.keep in (FULL, KEEP_THUMBNAIL) and THUMBNAIL in target.properties:
        return THUMBNAIL
    raise InputError(
        f"the collection {target.collection} keeps no picture (clip-ingest --keep {target.keep}), so none can be shown "
        "to a model; fill another one with `clip-ingest SOURCE --keep full --collection NAME`"
    )


def read_picture(found: WeaviateObject, name: str) -> bytes | None:
    text = found.properties.get(name)
    return base64.b64decode(text) if text else None


def read_captioned(found: WeaviateObject) -> CaptionSubject:
    given, written, by = (read_text(found, name) for name in (CAPTION, PREDICTED_CAPTION, CAPTION_BY))
    return CaptionSubject(str(found.uuid), read_text(found, PATH), given.strip(), written, by)


def read_regions(objects: Sequence[WeaviateObject], target: SearchTarget) -> ImageRegions:
    """Those with a vector."""
    pairs = [(each, vector) for each in objects if (vector := read_vector(each, target)) is not None]
    if not pairs:
        return ImageRegions(*(np.empty(shape, np.float32) for shape in ((0, 4), (0, 0), 0)))
    boxes_n4 = np.array([[each.properties[name] for name in BOX] for each, _ in pairs], np.float32)
    known = [each.properties.get(OBJECTNESS) for each, _ in pairs]
    objectness_n = np.array([1 if each is None else each for each in known], np.float32)
    return ImageRegions(boxes_n4, unit(np.stack([vector for _, vector in pairs])), objectness_n)
