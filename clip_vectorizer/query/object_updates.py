"""Properties merged into objects that are there, without changing their vectors."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from weaviate import WeaviateClient
from weaviate.exceptions import UnexpectedStatusCodeError

from clip_vectorizer.database.connection import extract_reason, read_message, weaviate_errors
from clip_vectorizer.query.connect import select_partition
from clip_vectorizer.query.search.calls import SearchTarget

PARALLEL_WRITES = 4  # 500 a second with one, 790 with four, fewer with eight [1.39.0, two cores]
ACCESS_DENIED_STATUSES = (401, 403)  # a failure of the whole run, not of one object
NOT_FOUND = 404
REMOVED_MEANWHILE = "removed from the collection in the meantime"

Properties = Mapping[str, Any]


class ObjectUpdates:
    """Updates of one collection, or of a tenant of it."""

    def __init__(self, client: WeaviateClient, url: str, target: SearchTarget) -> None:
        self._url, self._target = url, target
        self._collection = select_partition(client.collections.use(target.collection), target)

    def write(
        self, wanted: Mapping[str, Properties], names: Sequence[str], is_same: Callable[[Properties, Properties], bool]
    ) -> Mapping[str, str]:
        """Merge properties by id, where `is_same` of what is stored of `names` and of what is wanted is false.

        Return the reason of each failure, by id. Raises Unreachable.
        """
        if not wanted:
            return {}
        stored = self._fetch(list(wanted), names)
        removed = {id: REMOVED_MEANWHILE for id in wanted if id not in stored}
        changed = {id: wanted[id] for id, row in stored.items() if not is_same(row.properties, wanted[id])}
        with ThreadPoolExecutor(PARALLEL_WRITES) as pool:
            reasons = pool.map(lambda id: self._patch(id, changed[id], stored[id].vector), changed)
            return removed | {id: reason for id, reason in zip(changed, reasons, strict=True) if reason}

    def _fetch(self, ids: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
        """Objects by id. In a tenant with all vectors, which `_patch` must send back: without them Weaviate computes
        new ones, of a hash or of nothing, because it looks for the object outside the tenant [tried with 1.39.0]."""
        with weaviate_errors(self._url):
            found = self._collection.query.fetch_objects_by_ids(
                list(ids),
                limit=len(ids),
                include_vector=self._target.tenant is not None,
                return_properties=list(names),
            )
        return {str(row.uuid): row for row in found.objects}

    def _patch(self, id: str, properties: Properties, vectors: Mapping[str, Any]) -> str:
        """Update one object. Returns the reason of a failure, "" on success."""
        with weaviate_errors(self._url):
            try:
                self._collection.data.update(id, properties=properties, vector=dict(vectors) or None)
            except UnexpectedStatusCodeError as error:
                if error.status_code in ACCESS_DENIED_STATUSES:
                    raise
                return REMOVED_MEANWHILE if error.status_code == NOT_FOUND else extract_reason(read_message(error))
        return ""
