"""The store of images in a real Weaviate: one collection, or one tenant of it. D dimensions"""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from weaviate import WeaviateClient
from weaviate.classes.query import Filter
from weaviate.exceptions import WeaviateInsertManyAllFailedError

from clip_vectorizer.collections import Stored, look_at
from clip_vectorizer.errors import Mismatch, WeaviateUnreachable
from clip_vectorizer.failures import sidecar_is_silent, sidecar_unreachable, weaviate_errors
from clip_vectorizer.identity import StoredModel
from clip_vectorizer.schema import DUPLICATE_OF, FIT, PATH, PHASH, SHA256, SOURCE, image_id
from ingest.columns import Columns
from ingest.items import Amendment, Held, ImageObject
from ingest.patches import THREADS, Patch, patch_all
from ingest.refusals import refusal_of
from ingest.scan import PAGE, PAGE_OF_IMAGES, Row, matching, path_of
from ingest.searchable import is_still_indexing, searchable
from ingest.store import Keep, Refusal, Twin
from ingest.weaviate_objects import COMPARED, NewObject, changes_of, data_object, each_made, held_of

ALL_ERRORS = "Here is the set of all errors: "  # weaviate-client, collections/batch/grpc_batch.py
LOOK_SECONDS = 2.0  # how long an ingest may write after a --reindex has begun
MOST_TWINS = 1000  # objects a look-up: a blank page may be there ten thousand times


class WeaviateStore:
    """Obeys ImageStore."""

    def __init__(
        self, client: WeaviateClient, url: str, collection: str, stored: Stored, tenant: str | None = None
    ) -> None:
        self.url, self.name, self._stored, self._description = url, collection, stored, stored.description
        self._client = client
        self._look_again = 0.0  # at the collection: when, by the monotonic clock
        whole = client.collections.use(collection)
        self._collection = whole.with_tenant(tenant) if tenant else whole
        self._columns = Columns(whole.config, stored.properties)

    @property
    def model(self) -> StoredModel:
        return self._description.model

    @property
    def keep(self) -> Keep:
        return Keep(self._description.keep)

    def held(self, keys: Sequence[str]) -> Mapping[str, Held]:
        """What a search can find of it: what is stored only is to be sent again."""
        ids = [image_id(key) for key in keys]
        vector, dimension = self._description.vector, self._description.model.dimension
        with weaviate_errors(self.url):
            found = searchable(self._collection, vector, dimension, ids, COMPARED)
            if len(found) < len(ids) and is_still_indexing(self._client, self.name):
                found = self._collection.query.fetch_objects_by_ids(
                    ids, limit=len(ids), return_properties=COMPARED
                ).objects
        return {path_of(row): held_of(row.properties) for row in found}

    def twins(self, contents: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Twin]:
        found: dict[tuple[str, str], Twin] = {}
        lacking = {sha256 for sha256, _ in contents if sha256}
        while lacking:
            rows = self._of_contents(lacking)
            for row in sorted(rows, key=originals_first):
                held = held_of(row.properties)
                if vector := row.vector.get(self._description.vector):
                    twin = Twin(path_of(row), np.asarray(vector, np.float32), str(row.properties[DUPLICATE_OF] or ""))
                    found.setdefault((held.sha256, held.fit), twin)
            # One content may fill an answer all alone: the others are asked for again.
            lacking = lacking - {row.properties[SHA256] for row in rows} if len(rows) == MOST_TWINS else set()
        return {content: found[content] for content in contents if content in found}

    def put(self, objects: Sequence[ImageObject]) -> Mapping[str, Refusal]:
        made, refused = each_made(objects, lambda item: data_object(item, self._description, self._columns))
        self._check_model()
        reasons = self._insert(made)
        for reason in reasons.values():
            if sidecar_is_silent(reason):
                raise sidecar_unreachable(self.url, reason)
        return refused | {key: refusal_of(reason) for key, reason in reasons.items()}

    def amend(self, amendments: Sequence[Amendment]) -> Mapping[str, Refusal]:
        made, refused = each_made(amendments, lambda each: Patch(changes_of(each, self._columns)))
        return refused | self._patch(made)

    def forget(self, keys: Sequence[str]) -> None:
        """By id, past the index: a Weaviate that was killed may hold an object that its index has lost, and an equal
        object sent again does not mend the index [tried with 1.39.0]."""
        with weaviate_errors(self.url), ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(self._collection.data.delete_by_id, map(image_id, keys)))

    def keys(self, sources: Sequence[str]) -> Iterator[str]:
        return map(path_of, self._matching(Filter.by_property(SOURCE).contains_any(list(sources))))

    def phashes(self) -> Iterator[tuple[str, str]]:
        for row in self._matching(Filter.by_property(PHASH).greater_or_equal("0"), PHASH, DUPLICATE_OF):
            if not row.properties[DUPLICATE_OF]:
                yield path_of(row), str(row.properties[PHASH])

    def unlink(self, keys: Sequence[str]) -> None:
        linked = list(self._matching(Filter.by_property(DUPLICATE_OF).contains_any(list(keys))))
        self._patch({path_of(row): Patch({DUPLICATE_OF: None}) for row in linked})

    def check_ports(self) -> None:
        """Raises WeaviateUnreachable when the gRPC port belongs to another Weaviate than the HTTP port."""
        with weaviate_errors(self.url):
            by_grpc = self._collection.query.fetch_objects(limit=1, return_properties=False).objects
            if by_grpc and not self._collection.data.exists(by_grpc[0].uuid):
                raise WeaviateUnreachable(
                    f"the gRPC port belongs to another Weaviate than {self.url}; "
                    "set WEAVIATE_GRPC_PORT (or --weaviate-grpc-port) to the GRPC_PORT of this one"
                )

    def _check_model(self) -> None:
        """Raises Mismatch when somebody has begun to move the collection to another model, or has done so."""
        now = time.monotonic()
        if now < self._look_again:
            return
        with weaviate_errors(self.url):
            there = look_at(self._client, self.name).description
        if (there.vector, there.moving_to) != (self._description.vector, None):
            raise Mismatch(
                f"the collection {self.name} is being moved to the model {there.moving_to or there.model}; wait for "
                "`clip-ingest --reindex` to end, then run the same command again"
            )
        self._look_again = now + LOOK_SECONDS

    def _matching(self, where: Any, *properties: str) -> Iterator[Row]:
        with weaviate_errors(self.url):
            page = PAGE_OF_IMAGES if self.keep is Keep.FULL else PAGE
            yield from matching(self._collection, where, properties, page)

    def _of_contents(self, hashes: set[str]) -> Sequence[Row]:
        with weaviate_errors(self.url):
            found = self._collection.query.fetch_objects(
                filters=Filter.by_property(SHA256).contains_any(sorted(hashes)),
                limit=MOST_TWINS,
                include_vector=[self._description.vector],
                return_properties=[PATH, SHA256, FIT, DUPLICATE_OF],
            )
        return found.objects

    def _patch(self, patches: Mapping[str, Patch]) -> dict[str, Refusal]:
        """In a tenant each with the vectors that the object has: else Weaviate makes them anew, of a hash or of
        nothing, because it looks for the object outside of the tenant [tried with 1.39.0]."""
        if self._stored.tenants and self._stored.by_module:
            with weaviate_errors(self.url):
                ids = [image_id(key) for key in patches]
                found = self._collection.query.fetch_objects_by_ids(
                    ids, limit=len(ids), include_vector=True, return_properties=[PATH]
                )
            vectors = {path_of(row): row.vector for row in found.objects}
            patches = {key: Patch(patch.properties, vectors.get(key, {})) for key, patch in patches.items()}
        return patch_all(self._collection, self.url, patches)

    def _insert(self, objects: Mapping[str, NewObject]) -> dict[str, str]:
        """The reasons of those that Weaviate did not take, by key."""
        if not objects:
            return {}
        keys = list(objects)
        with weaviate_errors(self.url):
            try:
                answer = self._collection.data.insert_many(list(objects.values()))
            except WeaviateInsertManyAllFailedError as failed:
                return self._reasons(objects, str(failed.message).partition(ALL_ERRORS)[2])
        return {keys[index]: error.message for index, error in answer.errors.items()}

    def _reasons(self, objects: Mapping[str, NewObject], reasons: str) -> dict[str, str]:
        """When all failed, the client tells the set of reasons, not whose they are: with several, ask again singly."""
        if len(objects) == 1 or "\n" not in reasons or sidecar_is_silent(reasons):
            return dict.fromkeys(objects, reasons)
        return {key: reason for one in objects.items() for key, reason in self._insert(dict([one])).items()}


def originals_first(row: Row) -> tuple[bool, str]:
    return bool(row.properties[DUPLICATE_OF]), path_of(row)
