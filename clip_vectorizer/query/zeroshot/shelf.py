"""What classification keeps in the database, and reads there."""

from dataclasses import dataclass

from weaviate import WeaviateClient

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.query.labels.database import WeaviateLabels
from clip_vectorizer.query.labels.label_sets import LabelSetStore
from clip_vectorizer.query.labels.label_store import LabelStore
from clip_vectorizer.query.labels.set_database import WeaviateLabelSets
from clip_vectorizer.query.searching.calls import Searched
from clip_vectorizer.query.zeroshot.collection import Collected, WeaviateCollected
from clip_vectorizer.query.zeroshot.writing import Predictions, WeaviatePredictions


@dataclass(frozen=True, slots=True)
class Shelf:
    labels: LabelStore
    sets: LabelSetStore
    images: Collected | None = None  # None: connected without a collection
    predictions: Predictions | None = None


def open_shelf(client: WeaviateClient, url: str, info: ModelInfo, searched: Searched | None) -> Shelf:
    """Asks nothing yet."""
    labels, sets = WeaviateLabels(client, url, info), WeaviateLabelSets(client, url)
    if searched is None:
        return Shelf(labels, sets)
    collected = WeaviateCollected(client, url, searched)
    return Shelf(labels, sets, collected, WeaviatePredictions(client, url, searched))
