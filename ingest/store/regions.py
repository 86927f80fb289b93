"""Regions in Weaviate: those of an image are replaced, removed, and follow its label, caption and source."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from weaviate import WeaviateClient
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter
from weaviate.exceptions import WeaviateInsertManyAllFailedError

from clip_vectorizer.database.connection import find_outage, weaviate_errors
from clip_vectorizer.database.regions import (
    AREA,
    BOX,
    COPIED,
    CORNER,
    LINE_GRID,
    METHOD,
    OBJECTNESS,
    RANK,
    RegionCollectionState,
    region_id,
)
from clip_vectorizer.database.schema import CAPTION, LABEL, MODEL, PATH, SOURCE
from clip_vectorizer.vectors import unit
from ingest.items import Amendment
from ingest.store.base import Refusal, RegionObject
from ingest.store.objects import (
    NewObject,
    ObjectProperties,
    StoredObject,
    get_path,
    is_still_indexing,
    iterate_matching,
)

PAGE_SIZE = 5000
INSERT_BATCH = 500  # objects of some 6 KB each
CHECK_BATCH = 1000
PATCH_THREADS = 4  # more gain nothing [measured with 1.39.0]
DECIMALS = 6  # of a share: a hundredth of a pixel in the widest pictures
LOST = Refusal("Weaviate accepted its regions, but does not find them; run the same command again")


class WeaviateRegionStore:
    """The ImageRegionStore of one collection of regions, or of one tenant of it."""

    def __init__(
        self,
        client: WeaviateClient,
        url: str,
        state: RegionCollectionState,
        model: str,
        unstamp: Callable[[Sequence[str]], None],
        tenant: str | None = None,
    ) -> None:
        """`unstamp`: removes what images (by key) record of their regions. `model`: its name, for the objects."""
        self.state = state
        self._client, self._url, self._model, self._unstamp = client, url, model, unstamp
        whole = client.collections.use(state.name)
        self._collection = whole.with_tenant(tenant) if tenant else whole

    @property
    def born(self) -> str:
        return self.state.born

    def replace(self, regions: Mapping[str, Sequence[RegionObject]], stamped: Sequence[str]) -> Mapping[str, Refusal]:
        """See ImageRegionStore. Images lose their stamp, then get the new regions, then lose the others."""
        if stamped:
            self._unstamp(stamped)
        new = {find_id(each): each for found in regions.values() for each in found}
        refused = self._write(new)
        kept = {id for id, each in new.items() if each.key not in refused}
        self._delete([row for row in self._find(list(regions)) if str(row.uuid) not in kept])
        return refused

    def discard(self, keys: Sequence[str]) -> int:
        """Remove all regions of these images; before that, what the images record of them."""
        rows = self._find(keys)
        if rows:
            self._unstamp(sorted({get_path(row) for row in rows}))
            self._delete(rows)
        return len(rows)

    def copy_facts(self, amendments: Sequence[Amendment]) -> None:
        """Give regions the label, caption and source that their images are about to get."""
        wanted = {each.key: build_copied(each) for each in amendments}
        changed = [row for row in self._find(list(wanted), *COPIED) if not has_values(row, wanted[get_path(row)])]
        vectors = self._fetch_vectors([str(row.uuid) for row in changed])
        with weaviate_errors(self._url), ThreadPoolExecutor(PATCH_THREADS) as pool:
            list(pool.map(lambda row: self._patch(row, wanted[get_path(row)], vectors), changed))

    def _fetch_vectors(self, ids: Sequence[str]) -> dict[str, Any]:
        """The vectors of regions by their ids. They are sent with every patch: in a tenant the module would make them
        anew, from nothing [tried with 1.39.0]."""
        found: dict[str, Any] = {}
        for start in range(0, len(ids), CHECK_BATCH):
            part = list(ids[start : start + CHECK_BATCH])
            with weaviate_errors(self._url):
                rows = self._collection.query.fetch_objects_by_ids(
                    part, limit=len(part), include_vector=True, return_properties=[PATH]
                ).objects
            found |= {str(row.uuid): row.vector for row in rows}
        return found

    def _patch(self, row: StoredObject, properties: Mapping[str, Any], vectors: Mapping[str, Any]) -> None:
        self._collection.data.update(row.uuid, properties=dict(properties), vector=vectors.get(str(row.uuid)))

    def keys(self, sources: Sequence[str]) -> Iterator[str]:
        """Yield the images of these sources that have regions; each once."""
        seen: set[str] = set()
        with weaviate_errors(self._url):
            where = Filter.by_property(SOURCE).contains_any(list(sources))
            for row in iterate_matching(self._collection, where, [], PAGE_SIZE):
                if (path := get_path(row)) not in seen:
                    seen.add(path)
                    yield path

    def _find(self, keys: Sequence[str], *properties: str) -> list[StoredObject]:
        """The regions of these images."""
        if not keys:
            return []
        with weaviate_errors(self._url):
            where = Filter.by_property(PATH).contains_any(list(keys))
            return list(iterate_matching(self._collection, where, properties, PAGE_SIZE))

    def _write(self, regions: Mapping[str, RegionObject]) -> dict[str, Refusal]:
        """Insert regions by id, and check that searches find them: see `find_searchable`. Return refusals by key."""
        refused = self._insert(regions)
        lost = self._find_lost({id: each for id, each in regions.items() if each.key not in refused})
        if lost:
            self._delete_ids(list(lost))
            refused |= self._insert(lost)
            refused |= {each.key: LOST for each in self._find_lost(lost).values() if each.key not in refused}
        return refused

    def _insert(self, regions: Mapping[str, RegionObject]) -> dict[str, Refusal]:
        refused: dict[str, Refusal] = {}
        items = list(regions.items())
        for start in range(0, len(items), INSERT_BATCH):
            part = items[start : start + INSERT_BATCH]
            for index, reason in self._insert_batch([self._build(id, each) for id, each in part]).items():
                if outage := find_outage(reason, self._url):
                    raise outage
                refused[part[index][1].key] = Refusal(reason)
        return refused

    def _insert_batch(self, objects: Sequence[NewObject]) -> dict[int, str]:
        """Return the reasons of those that Weaviate refused, by index."""
        with weaviate_errors(self._url):
            try:
                result = self._collection.data.insert_many(list(objects))
            except WeaviateInsertManyAllFailedError as failed:
                return dict.fromkeys(range(len(objects)), str(failed.message))
        return {index: error.message for index, error in result.errors.items()}

    def _build(self, id: str, region: RegionObject) -> NewObject:
        x0, y0, x1, y1 = box = [round(value, DECIMALS) for value in region.box]
        properties: ObjectProperties = {
            PATH: region.key,
            **dict(zip(BOX, box, strict=True)),
            AREA: round((x1 - x0) * (y1 - y0), DECIMALS),
            RANK: region.rank,
            METHOD: region.method,
            LABEL: region.label,
            CAPTION: region.caption,
            SOURCE: region.source,
            MODEL: self._model,
        }
        if region.objectness is not None:
            properties[OBJECTNESS] = region.objectness
        properties |= {CORNER: region.corner, LINE_GRID: region.line_grid} if region.corner else {}
        return DataObject(uuid=id, properties=properties, vector={self.state.vector: region.vector_d.tolist()})

    def _find_lost(self, regions: Mapping[str, RegionObject]) -> dict[str, RegionObject]:
        """Return those that are not in the index of vectors, or not in that of paths."""
        ids, found = list(regions), set[str]()
        for start in range(0, len(ids), CHECK_BATCH):
            part = ids[start : start + CHECK_BATCH]
            with weaviate_errors(self._url):
                found.update(str(row.uuid) for row in self._search(part, {regions[id].key for id in part}))
        lost = {id: each for id, each in regions.items() if id not in found}
        with weaviate_errors(self._url):
            return {} if lost and is_still_indexing(self._client, self.state.name) else lost

    def _search(self, ids: Sequence[str], keys: set[str]) -> Sequence[StoredObject]:
        """So few allowed ids make Weaviate compare with them all."""
        return self._collection.query.near_vector(
            unit(np.ones(self.state.model.dimension, np.float32)).tolist(),
            target_vector=self.state.vector,
            filters=Filter.by_id().contains_any(list(ids)) & Filter.by_property(PATH).contains_any(sorted(keys)),
            limit=len(ids),
            return_properties=False,
        ).objects

    def _delete(self, rows: Sequence[StoredObject]) -> None:
        self._delete_ids([str(row.uuid) for row in rows])

    def _delete_ids(self, ids: Sequence[str]) -> None:
        """By id, not by filter: an index may have lost them."""
        with weaviate_errors(self._url), ThreadPoolExecutor(PATCH_THREADS) as pool:
            list(pool.map(self._collection.data.delete_by_id, ids))


def find_id(region: RegionObject) -> str:
    return region_id(region.key, region.method, region.box)


def build_copied(amendment: Amendment) -> dict[str, Any]:
    properties: dict[str, Any] = {SOURCE: amendment.source}
    if amendment.facts:
        properties |= {LABEL: amendment.facts.label, CAPTION: amendment.facts.caption}
    return properties


def has_values(row: StoredObject, properties: Mapping[str, Any]) -> bool:
    return all(row.properties.get(name) == value for name, value in properties.items())
