"""Reads Weaviate: search by text, image or vector, and zero-shot classification. numpy, no torch."""

from clip_vectorizer.query.adapting.boosts import few_shot, linear_probe, remove_means
from clip_vectorizer.query.asynchronous import AsyncImageSearch
from clip_vectorizer.query.hits import Group, Hit, Listed
from clip_vectorizer.query.prompts import PROMPTS
from clip_vectorizer.query.search import ImageSearch
from clip_vectorizer.query.searching.asking import Move
from clip_vectorizer.query.searching.mixture import Mixture, image, stored, text, vector
from clip_vectorizer.query.zeroshot import Classification

__all__ = [
    "PROMPTS",
    "AsyncImageSearch",
    "Classification",
    "Group",
    "Hit",
    "ImageSearch",
    "Listed",
    "Mixture",
    "Move",
    "few_shot",
    "image",
    "linear_probe",
    "remove_means",
    "stored",
    "text",
    "vector",
]
