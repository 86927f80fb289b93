"""Search by text, image or vector, and zero-shot classification, over Weaviate. Needs numpy, not torch."""

from clip_vectorizer.query.adapt.boosts import few_shot, linear_probe, remove_means
from clip_vectorizer.query.async_image_search import AsyncImageSearch
from clip_vectorizer.query.hits import Group, Hit, StoredImage
from clip_vectorizer.query.image_search import ImageSearch
from clip_vectorizer.query.prompts import PROMPTS
from clip_vectorizer.query.search.arguments import Move
from clip_vectorizer.query.search.query import Query
from clip_vectorizer.query.zeroshot.results import Classification

__all__ = [
    "PROMPTS",
    "AsyncImageSearch",
    "Classification",
    "Group",
    "Hit",
    "ImageSearch",
    "Move",
    "Query",
    "StoredImage",
    "few_shot",
    "linear_probe",
    "remove_means",
]
