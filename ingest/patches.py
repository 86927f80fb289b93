"""Objects that are there, changed one by one: Weaviate has no other way that leaves alone what is not named."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from weaviate.collections import Collection
from weaviate.exceptions import UnexpectedStatusCodeError

from clip_vectorizer.failures import UNAUTHORISED, sidecar_is_silent, sidecar_unreachable, weaviate_errors
from clip_vectorizer.schema import image_id
from ingest.refusals import refusal_of
from ingest.store import Refusal
from ingest.weaviate_objects import Properties

THREADS = 4  # more gain nothing [measured with 1.39.0]
NOT_FOUND = 404
VANISHED = Refusal("it vanished from the database meanwhile; run the same command again")


@dataclass(frozen=True, slots=True)
class Patch:
    """Properties and vectors that an object gets; None takes a property away."""

    properties: Properties
    vectors: Mapping[str, Any] = field(default_factory=dict)  # by name


def patch_all(collection: Collection[Any, Any], url: str, patches: Mapping[str, Patch]) -> dict[str, Refusal]:
    """Changes the objects with these keys. Answers the refused ones. Raises Unreachable."""
    with weaviate_errors(url), ThreadPoolExecutor(THREADS) as pool:
        answers = pool.map(lambda each: patched(collection, url, *each), patches.items())
        return {key: refusal for key, refusal in zip(patches, answers, strict=True) if refusal}


def patched(collection: Collection[Any, Any], url: str, key: str, patch: Patch) -> Refusal | None:
    vectors = dict(patch.vectors) or None
    try:
        collection.data.update(image_id(key), properties=patch.properties, vector=vectors)
    except UnexpectedStatusCodeError as error:
        if error.status_code in UNAUTHORISED:
            raise
        return VANISHED if error.status_code == NOT_FOUND else refused(reason_in(error), url)
    return None


def refused(reason: str, url: str) -> Refusal:
    if sidecar_is_silent(reason):
        raise sidecar_unreachable(url, reason)
    return refusal_of(reason)


def reason_in(error: UnexpectedStatusCodeError) -> str:
    """Weaviate's own words: `{"error": [{"message": "..."}]}`."""
    body: Any = error.error
    try:
        return "; ".join(str(each["message"]) for each in body["error"])
    except (TypeError, KeyError):
        return str(error)
