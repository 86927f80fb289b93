"""What the tests of searches share: all that the collection holds, to work out what must be found.

N images · D dimensions
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from weaviate.classes.query import Filter

from clip_vectorizer.query import (
    Hit,
    ImageSearch,
    Move,
    StoredImage,
    stored,
    text,
    vector,
)
from clip_vectorizer.query.search.arguments import SearchArguments
from clip_vectorizer.query.search.query import QueryInput
from clip_vectorizer.vectors import Vectors, unit
from tests.stack.support import EXAMPLES, Stack

BANANA, LEMON, OWL = (EXAMPLES / name for name in ("fruit/banana.png", "fruit/lemon.png", "birds/owl.png"))
ROUNDING = 1e-5


@dataclass(frozen=True)
class Held:
    """All that the collection of examples holds."""

    images: list[StoredImage]
    vectors_nd: Vectors

    def nearest(self, vector_d: Vectors, limit: int) -> list[str]:
        """Paths, exactly."""
        return [self.images[i].path for i in np.argsort(-self.cosines(vector_d), kind="stable")[:limit]]

    def cosines(self, vector_d: Vectors) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = self.vectors_nd.astype(np.float64) @ unit(vector_d)
        return found

    def of(self, path: str) -> Vectors:
        return self.vectors_nd[[image.path for image in self.images].index(path)]


def connect(stack: Stack, collection: str, tenant: str | None = None, consistency: str | None = None) -> ImageSearch:
    return ImageSearch.connect(
        stack.weaviate_url,
        stack.grpc_port,
        stack.api_key,
        stack.vectorizer_url,
        collection,
        tenant=tenant,
        consistency=consistency,
    )


def paths(hits: list[Hit]) -> list[str]:
    return [hit.path for hit in hits]


QUESTIONS: list[tuple[QueryInput, SearchArguments]] = [
    ("a red apple", {"limit": 4, "where": ["label=fruit|vegetables", "size>=1000"], "min_similarity": 0.05}),
    ('it\'s "quoted"', {"offset": 2, "move_to": Move("the sea"), "move_away": Move("a dog", 2.0), "auto_limit": 3}),
    (text("banana") - "dog", {"where": "path~*an*", "vectors": True, "properties": ["size", "location"]}),
    (stored("birds/owl.png"), {"where": ~Filter.by_property("label").equal("birds"), "limit": 3}),
    ("violin", {"captions": 0.6, "limit": 5, "min_similarity": 0.1}),
    (vector(np.ones(192)), {"where": Filter.by_property("label").contains_none(["birds", "fruit"]), "fold": True}),
    ("owl", {"diversity": 0.3, "limit": 5}),
]
