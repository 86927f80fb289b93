"""The store of images in Weaviate: its objects, patches of them, and the reasons of refusals. D dimensions"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from weaviate import WeaviateClient
from weaviate.classes.query import Filter
from weaviate.collections import Collection
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateInsertManyAllFailedError

from clip_vectorizer.database.collections import CollectionState, read_collection
from clip_vectorizer.database.connection import (
    GATEWAY_STATUSES,
    UNAUTHORISED_STATUSES,
    find_outage,
    weaviate_errors,
)
from clip_vectorizer.database.regions import RegionCollectionState
from clip_vectorizer.database.schema import (
    DUPLICATE_OF,
    FIT,
    PATH,
    PHASH,
    REGIONS,
    SHA256,
    SOURCE,
    StoredModel,
    image_id,
)
from clip_vectorizer.errors import Mismatch, WeaviateUnreachable
from clip_vectorizer.protocol import parse_image_problem
from ingest.choices import Keep
from ingest.items import Amendment, ImageObject, RegionResult, StoredState
from ingest.store.base import Refusal, StoredDuplicate
from ingest.store.objects import (
    COMPARED_PROPERTIES,
    IMAGE_PAGE_SIZE,
    PAGE_SIZE,
    CollectionProperties,
    NewObject,
    ObjectProperties,
    StoredObject,
    build_amendment_properties,
    build_data_object,
    build_each,
    get_path,
    is_still_indexing,
    iterate_matching,
    read_stored_state,
)
from ingest.store.regions import WeaviateRegionStore
from ingest.store.state_query import StateQuery

ERROR_LIST_MARK = "Here is the set of all errors: "  # weaviate-client, collections/batch/grpc_batch.py
MODEL_CHECK_SECONDS = 2.0  # how long an ingest may still write after a --reindex has started
MAX_DUPLICATES = 1000  # objects in a response: there may be ten thousand blank pages
PATCH_THREADS = 4  # more gain nothing [measured with 1.39.0]
NOT_FOUND = 404
OBJECT_VANISHED = Refusal("it vanished from the database meanwhile; run the same command again")
TRANSIENT_REASONS = re.compile(
    r"status (429|502|503|504)|Client\.Timeout|deadline exceeded|timed? ?out|context canceled|shut(ting)? ?down"
    r"|resolve node name|no read replica"
    r"|not enough memory|memory pressure|too many requests",
    re.IGNORECASE,
)
# Weaviate's text in front of the message of the sidecar, or of the component that refused the object.
SIDECAR_REASON = re.compile(r"^.*\bfail(?:ed)? with status \d+: ", re.DOTALL)
REASON_PREFIX = re.compile(
    r"^(?:(?:vectorize target vector \S+|update vector|put object|import into index \S+|shard \S+): )+"
)
MAX_REASON_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Patch:
    """Properties and vectors to set; None removes a property."""

    properties: ObjectProperties
    vectors: Mapping[str, Any] = field(default_factory=dict)  # by name


class WeaviateStore:
    """The ImageStore of one collection, or of one tenant of it. Regions follow their images."""

    def __init__(
        self,
        client: WeaviateClient,
        url: str,
        collection: str,
        stored: CollectionState,
        tenant: str | None = None,
        regions: RegionCollectionState | None = None,
        pixel_check: str = "",
    ) -> None:
        """`regions`: their collection, if there is one. `pixel_check`: of the sidecar that makes the vectors."""
        self.pixel_check = pixel_check
        self.url, self.name, self._stored, self._description = url, collection, stored, stored.description
        self._client = client
        self._next_model_check = 0.0  # by the monotonic clock
        whole = client.collections.use(collection)
        self._collection = whole.with_tenant(tenant) if tenant else whole
        self._columns = CollectionProperties(whole.config, stored.properties)
        # A dry run may find a collection of an earlier version, without the newest properties.
        self._compared = [name for name in COMPARED_PROPERTIES if name in stored.properties]
        vector, dimension = self._description.vector, self._description.model.dimension
        self._states = StateQuery(self._collection, vector, dimension, self._compared)
        self.regions = (
            WeaviateRegionStore(client, url, regions, self._description.model.model, self._unstamp, tenant)
            if regions
            else None
        )

    @property
    def model(self) -> StoredModel:
        return self._description.model

    @property
    def keep(self) -> Keep:
        return Keep(self._description.keep)

    def states(self, keys: Sequence[str]) -> Mapping[str, StoredState]:
        """Return only objects that a search can find: one that is stored and not indexed must be sent again."""
        ids = [image_id(key) for key in keys]
        with weaviate_errors(self.url):
            found = self._states.find(ids)
            if len(found) < len(ids) and is_still_indexing(self._client, self.name):
                stored = self._collection.query.fetch_objects_by_ids(
                    ids, limit=len(ids), return_properties=self._compared
                )
                return {get_path(row): read_stored_state(row.properties) for row in stored.objects}
        return found

    def find_duplicates(self, contents: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], StoredDuplicate]:
        found: dict[tuple[str, str], StoredDuplicate] = {}
        lacking = {sha256 for sha256, _ in contents if sha256}
        while lacking:
            rows = self._find_contents(lacking)
            for row in sorted(rows, key=sort_originals_first):
                state = read_stored_state(row.properties)
                if vector := row.vector.get(self._description.vector):
                    duplicate = StoredDuplicate(
                        get_path(row), np.asarray(vector, np.float32), str(row.properties[DUPLICATE_OF] or "")
                    )
                    found.setdefault((state.sha256, state.fit), duplicate)
            # One content may fill a whole response: request the others again.
            lacking = lacking - {row.properties[SHA256] for row in rows} if len(rows) == MAX_DUPLICATES else set()
        return {content: found[content] for content in contents if content in found}

    def put(self, objects: Sequence[ImageObject]) -> Mapping[str, Refusal]:
        with weaviate_errors(self.url):  # a new column becomes a property here
            made, refused = build_each(objects, lambda item: build_data_object(item, self._description, self._columns))
        self._check_model()
        if self.regions:
            self.regions.discard([item.key for item in objects if not isinstance(item.regions, RegionResult)])
        reasons = self._insert(made)
        for reason in reasons.values():
            # For all of them: a Weaviate that is read-only refuses a batch, and names its first object only [1.39.0].
            if outage := find_outage(reason, self.url):
                raise outage
        return refused | {key: build_refusal(reason) for key, reason in reasons.items()}

    def amend(self, amendments: Sequence[Amendment]) -> Mapping[str, Refusal]:
        with weaviate_errors(self.url):
            made, refused = build_each(amendments, lambda each: Patch(build_amendment_properties(each, self._columns)))
        if self.regions:
            self.regions.discard([each.key for each in amendments if each.regions == RegionResult("")])
            self.regions.copy_facts([each for each in amendments if each.key in made and each.regions is None])
        return refused | self._patch(made)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete by id, not by filter: a Weaviate that was killed may hold an object that its index has lost, and an
        equal object sent again does not repair the index [tried with 1.39.0]."""
        if self.regions:
            self.regions.discard(keys)
        with weaviate_errors(self.url), ThreadPoolExecutor(PATCH_THREADS) as pool:
            list(pool.map(self._collection.data.delete_by_id, map(image_id, keys)))

    def keys(self, sources: Sequence[str]) -> Iterator[str]:
        """Also of images that are gone, and have left regions behind: a run was killed between the two."""
        seen: set[str] = set()
        for row in self._iterate(Filter.by_property(SOURCE).contains_any(list(sources))):
            seen.add(get_path(row))
            yield get_path(row)
        if self.regions:
            yield from (key for key in self.regions.keys(sources) if key not in seen)

    def phashes(self) -> Iterator[tuple[str, str]]:
        for row in self._iterate(Filter.by_property(PHASH).greater_or_equal("0"), PHASH, DUPLICATE_OF):
            if not row.properties[DUPLICATE_OF]:
                yield get_path(row), str(row.properties[PHASH])

    def unlink(self, keys: Sequence[str]) -> None:
        linked = list(self._iterate(Filter.by_property(DUPLICATE_OF).contains_any(list(keys))))
        self._patch({get_path(row): Patch({DUPLICATE_OF: None}) for row in linked})

    def _unstamp(self, keys: Sequence[str]) -> None:
        """Remove what images record of their regions, which are about to change. Some may not exist yet."""
        self._patch({key: Patch({REGIONS: None}) for key in keys})

    def check_ports(self) -> None:
        """Raise WeaviateUnreachable if the gRPC port belongs to another Weaviate than the HTTP port."""
        with weaviate_errors(self.url):
            by_grpc = self._collection.query.fetch_objects(limit=1, return_properties=False).objects
            if by_grpc and not self._collection.data.exists(by_grpc[0].uuid):
                raise WeaviateUnreachable(
                    f"the gRPC port belongs to another Weaviate than {self.url}; "
                    "set WEAVIATE_GRPC_PORT (or --weaviate-grpc-port) to the GRPC_PORT of this one"
                )

    def _check_model(self) -> None:
        """Raise Mismatch if the collection is moving to another model, or has moved."""
        now = time.monotonic()
        if now < self._next_model_check:
            return
        with weaviate_errors(self.url):
            current = read_collection(self._client, self.name).description
        if (current.vector, current.moving_to) != (self._description.vector, None):
            raise Mismatch(
                f"the collection {self.name} is being moved to the model {current.moving_to or current.model}; "
                "wait for `clip-ingest --reindex` to end, then run the same command again"
            )
        self._next_model_check = now + MODEL_CHECK_SECONDS

    def _iterate(self, where: Any, *properties: str) -> Iterator[StoredObject]:
        with weaviate_errors(self.url):
            page = IMAGE_PAGE_SIZE if self.keep is Keep.FULL else PAGE_SIZE
            yield from iterate_matching(self._collection, where, properties, page)

    def _find_contents(self, hashes: set[str]) -> Sequence[StoredObject]:
        with weaviate_errors(self.url):
            found = self._collection.query.fetch_objects(
                filters=Filter.by_property(SHA256).contains_any(sorted(hashes)),
                limit=MAX_DUPLICATES,
                include_vector=[self._description.vector],
                return_properties=[PATH, SHA256, FIT, DUPLICATE_OF],
            )
        return found.objects

    def _patch(self, patches: Mapping[str, Patch]) -> dict[str, Refusal]:
        """Patch objects; in a tenant together with their vectors. Otherwise Weaviate makes these anew, from a hash or
        nothing, because it looks for the object outside of the tenant [tried with 1.39.0]."""
        if self._stored.tenants and self._stored.by_module:
            with weaviate_errors(self.url):
                ids = [image_id(key) for key in patches]
                found = self._collection.query.fetch_objects_by_ids(
                    ids, limit=len(ids), include_vector=True, return_properties=[PATH]
                )
            vectors = {get_path(row): row.vector for row in found.objects}
            patches = {key: Patch(patch.properties, vectors.get(key, {})) for key, patch in patches.items()}
        return apply_patches(self._collection, self.url, patches)

    def _insert(self, objects: Mapping[str, NewObject]) -> dict[str, str]:
        """Insert objects and return the reasons of those that Weaviate refused, by key."""
        if not objects:
            return {}
        keys = list(objects)
        with weaviate_errors(self.url):
            try:
                result = self._collection.data.insert_many(list(objects.values()))
            except WeaviateInsertManyAllFailedError as failed:
                return self._reasons(objects, str(failed.message).partition(ERROR_LIST_MARK)[2])
        return {keys[index]: error.message for index, error in result.errors.items()}

    def _reasons(self, objects: Mapping[str, NewObject], reasons: str) -> dict[str, str]:
        """If all failed, the client returns a set of reasons without keys: if there are several, insert singly."""
        if len(objects) == 1 or "\n" not in reasons or find_outage(reasons, self.url):
            return dict.fromkeys(objects, reasons)
        return {key: reason for one in objects.items() for key, reason in self._insert(dict([one])).items()}


def sort_originals_first(row: StoredObject) -> tuple[bool, str]:
    return bool(row.properties[DUPLICATE_OF]), get_path(row)


def apply_patches(collection: Collection[Any, Any], url: str, patches: Mapping[str, Patch]) -> dict[str, Refusal]:
    """Change the objects with these keys, one by one: Weaviate has no batch that keeps other properties.

    Return the refused ones by key. Raises Unreachable.
    """
    with weaviate_errors(url), ThreadPoolExecutor(PATCH_THREADS) as pool:
        refusals = pool.map(lambda each: apply_patch(collection, url, *each), patches.items())
        return {key: refusal for key, refusal in zip(patches, refusals, strict=True) if refusal}


def apply_patch(collection: Collection[Any, Any], url: str, key: str, patch: Patch) -> Refusal | None:
    vectors = dict(patch.vectors) or None
    try:
        collection.data.update(image_id(key), properties=patch.properties, vector=vectors)
    except UnexpectedStatusCodeError as error:
        if error.status_code in (*UNAUTHORISED_STATUSES, *GATEWAY_STATUSES):
            raise
        return OBJECT_VANISHED if error.status_code == NOT_FOUND else build_refusal_or_raise(read_reason(error), url)
    return None


def build_refusal_or_raise(reason: str, url: str) -> Refusal:
    """Return the refusal of one object. Raises Unreachable if the object is not the cause."""
    if outage := find_outage(reason, url):
        raise outage
    return build_refusal(reason)


def read_reason(error: UnexpectedStatusCodeError) -> str:
    """Return Weaviate's message: `{"error": [{"message": "..."}]}`."""
    body: Any = error.error
    try:
        return "; ".join(str(each["message"]) for each in body["error"])
    except (TypeError, KeyError):
        return str(error)


def build_refusal(reason: str) -> Refusal:
    return Refusal(format_reason(reason), bool(TRANSIENT_REASONS.search(reason)))


def format_reason(reason: str) -> str:
    """Return the message of the sidecar or of Weaviate without the text around it, at most MAX_REASON_LENGTH long."""
    text = " ".join(reason.split())
    message = (
        parse_image_problem(SIDECAR_REASON.sub("", text)) if SIDECAR_REASON.match(text) else REASON_PREFIX.sub("", text)
    )
    return message[:MAX_REASON_LENGTH] or "Weaviate refused it without a reason"
