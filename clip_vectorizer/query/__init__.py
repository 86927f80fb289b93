"""Reads Weaviate: search by text, image or vector, and zero-shot classification. numpy, no torch."""

from clip_vectorizer.query.hits import Hit
from clip_vectorizer.query.prompts import PROMPTS
from clip_vectorizer.query.search import ImageSearch
from clip_vectorizer.query.zeroshot import Classification

__all__ = ["PROMPTS", "Classification", "Hit", "ImageSearch"]
