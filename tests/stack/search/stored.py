"""What the tests of searches share: the content of the collection, to compute the expected hits from.

N images · D dimensions
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from weaviate.classes.query import Filter, GeoCoordinate

from clip_vectorizer.query import Hit, ImageSearch, Move, Query, StoredImage
from clip_vectorizer.query.search.arguments import SearchArguments
from clip_vectorizer.query.search.query import QueryInput
from clip_vectorizer.vectors import Vectors, unit
from tests.http_server import ALLOWED
from tests.stack.support import EXAMPLES, Stack

BANANA, LEMON, OWL = (EXAMPLES / name for name in ("fruit/banana.png", "fruit/lemon.png", "birds/owl.png"))
ROUNDING = 1e-5
NEAR_BERLIN = Filter.by_property("location").within_geo_range(GeoCoordinate(latitude=52.5, longitude=13.4), 1000)


@dataclass(frozen=True)
class StoredExamples:
    """All images of the collection of examples, with their vectors."""

    images: list[StoredImage]
    vectors_nd: Vectors

    def nearest(self, vector_d: Vectors, limit: int) -> list[str]:
        """Return the paths of the exact nearest images."""
        return [self.images[i].path for i in np.argsort(-self.cosines(vector_d), kind="stable")[:limit]]

    def cosines(self, vector_d: Vectors) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = self.vectors_nd.astype(np.float64) @ unit(vector_d)
        return found

    def vector(self, path: str) -> Vectors:
        return self.vectors_nd[[image.path for image in self.images].index(path)]


def connect(stack: Stack, collection: str, **options: Any) -> ImageSearch:
    return ImageSearch.connect(
        stack.weaviate_url,
        grpc_port=stack.grpc_port,
        api_key=stack.api_key,
        vectorizer_url=stack.vectorizer_url,
        collection=collection,
        allow_addresses=ALLOWED,
        **options,
    )


def paths(hits: list[Hit]) -> list[str]:
    return [hit.path for hit in hits]


SEARCHES: list[tuple[QueryInput, SearchArguments]] = [
    ("a red apple", {"limit": 4, "filters": ["label=fruit|vegetables", "size>=1000"], "min_similarity": 0.05}),
    ('it\'s "quoted"', {"offset": 2, "move_to": Move("the sea"), "move_away": Move("a dog", 2.0), "auto_limit": 3}),
    (
        Query.text("banana") - "dog",
        {"filters": "path~*an*", "include_vector": True, "return_properties": ["size", "location"]},
    ),
    (Query.stored("birds/owl.png"), {"filters": ~Filter.by_property("label").equal("birds"), "limit": 3}),
    ("violin", {"alpha": 0.4, "limit": 5, "min_similarity": 0.1}),
    (
        Query.vector(np.ones(256)),
        {"filters": Filter.by_property("label").contains_none(["birds", "fruit"]), "deduplicate": True},
    ),
    ("owl", {"diversity": 0.3, "limit": 5}),
    ("owl", {"filters": NEAR_BERLIN | Filter.by_property("label").equal("birds"), "limit": 3}),
]
