"""Regions of stored images, as `clip-ingest --regions` made them: boxes and the vectors of their crops.

N regions · D dimensions
"""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from weaviate.classes.config import DataType
from weaviate.classes.query import Filter

from clip_vectorizer.client import ModelInfo, RegionVectors
from clip_vectorizer.database.regions import BOX, OBJECTNESS
from clip_vectorizer.database.schema import DUPLICATE_OF, IMAGE, PATH, THUMBNAIL, image_id
from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.near_strings import did_you_mean
from clip_vectorizer.query.grounding.image_names import exists, list_near_files
from clip_vectorizer.query.grounding.region_reader import StoredRegions
from clip_vectorizer.query.image_inputs import shorten_name
from clip_vectorizer.query.search.calls import SearchableCollection, SearchTarget, WeaviateCall
from clip_vectorizer.query.search.results import WeaviateObject, read_text
from clip_vectorizer.query.search.stored_images import find_object, is_uuid
from clip_vectorizer.vectors import unit

MAKE_REGIONS = "make them with `clip-ingest SOURCE --regions grid`"


class CollectionRegionReader:
    """The regions of one collection of images: a RegionReader. After the first call, an image is one query."""

    def __init__(self, images: SearchableCollection, info: ModelInfo) -> None:
        self._images, self._info = images, info
        self._regions: SearchTarget | None = None

    def fetch(self, key: str) -> StoredRegions:
        """See RegionReader."""
        regions = self._open(key)
        path = key if not is_uuid(key) else self._find_image(key)[0]
        objects = self._query(regions, path)
        if not objects:  # an equal image may have them
            path, original = self._find_image(path)
            objects = self._query(regions, original) if original else []
        if not objects:
            raise build_no_regions_error(path)
        return read_regions(path, objects, regions.vector, self._info.dimension)

    def fetch_picture(self, path: str) -> bytes:
        """See RegionReader. Of an image that is stored as a hash only the thumbnail is there."""
        properties = self._images.target.properties
        names = [name for name in (IMAGE, THUMBNAIL) if properties.get(name) is DataType.BLOB]
        found = self._find_object(path, [PATH, *names])
        stored = next((value for name in names if (value := found.properties.get(name))), None)
        if not stored:
            raise InputError(f"{path}: stored without a picture and without a thumbnail; give its file instead")
        return base64.b64decode(str(stored))

    def _open(self, key: str) -> SearchTarget:
        """The collection of regions, looked up once. Raises InputError where none were ever made, or no such image."""
        if self._regions is None:
            try:
                self._regions = self._images.open_regions()
            except InputError:
                raise build_no_regions_error(self._find_image(key)[0]) from None
        return self._regions

    def _query(self, regions: SearchTarget, path: str) -> Sequence[WeaviateObject]:
        return self._fetch_objects(
            regions.collection,
            filters=Filter.by_property(PATH).equal(path),
            include_vector=[regions.vector],
            return_properties=[*BOX, OBJECTNESS],
        )

    def _find_image(self, key: str) -> tuple[str, str]:
        """The path of a stored image and that of the one it is a copy of, or "". Raises InputError."""
        found = self._find_object(key, [PATH, DUPLICATE_OF])
        return read_text(found, PATH), read_text(found, DUPLICATE_OF)

    def _find_object(self, key: str, properties: Sequence[str]) -> WeaviateObject:
        """The stored image, which may have any id if another program made it. Raises InputError."""
        by_id = Filter.by_id().equal(key if is_uuid(key) else image_id(key))
        condition = by_id if is_uuid(key) else by_id | Filter.by_property(PATH).equal(key)
        names = [name for name in properties if name in self._images.target.properties]
        found = find_object(key, self._fetch_objects(filters=condition, return_properties=names))
        if found is None:
            raise self._build_missing_error(key)
        return found

    def _build_missing_error(self, key: str) -> InputError:
        stored = [read_text(each, PATH) for each in self._fetch_objects(return_properties=[PATH])]
        collection, name = self._images.target.collection, shorten_name(key)
        if exists(key):
            return InputError(
                f"no image of the collection {collection} is called {name}; {did_you_mean(key, stored)}"
                "it is a file: remove --stored, or give a path as `clip-search --list` prints it"
            )
        meant = did_you_mean(key, [*stored, *list_near_files(key)])
        return InputError(
            f"no file and no image of the collection {collection} is called {name}; {meant}"
            "give a file, or a path as `clip-search --list` prints it"
        )

    def _fetch_objects(self, collection: str = "", **arguments: Any) -> Sequence[WeaviateObject]:
        call = WeaviateCall("fetch_objects", {"limit": MAX_RESULTS, **arguments}, collection=collection)
        return list(self._images.execute(call).objects)


def build_no_regions_error(path: str) -> InputError:
    return InputError(f"{path}: no regions are stored; {MAKE_REGIONS}, or give a file")


def read_regions(path: str, objects: Sequence[WeaviateObject], vector: str, dimension: int) -> StoredRegions:
    """Raises Mismatch for vectors of another dimension, of zeros or NaN, or none.

    The objectness of a region that has none, as of a grid, is NaN.
    """
    rows = [each.vector.get(vector) or () for each in objects]
    if any(len(row) != dimension for row in rows):
        raise Mismatch(
            f"{path}: a region has a vector of {min(map(len, rows))} dimensions, and the model {dimension}; "
            f"{MAKE_REGIONS}"
        )
    vectors_nd = np.array(rows, dtype=np.float32)
    if not (np.isfinite(vectors_nd).all() and vectors_nd.any(axis=1).all()):
        raise Mismatch(f"{path}: a region has a vector of zeros or NaN; {MAKE_REGIONS}")
    boxes_n4 = np.array([[each.properties[name] for name in BOX] for each in objects], dtype=np.float32)
    scores = [each.properties.get(OBJECTNESS) for each in objects]
    objectness_n = np.array([np.nan if each is None else each for each in scores], dtype=np.float32).clip(0, 1)
    return StoredRegions(path, boxes_n4, RegionVectors(unit(vectors_nd), objectness_n))
