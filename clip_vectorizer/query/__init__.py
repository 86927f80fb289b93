"""Search by text, image or vector, and zero-shot classification, over Weaviate. Needs numpy, not torch.

    from clip_vectorizer.query import ImageSearch

Names are imported at their first use: `clip-search --help` needs none of them, and weaviate-client takes a second.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clip_vectorizer.query.adapt.boosts import few_shot, linear_probe, remove_means
    from clip_vectorizer.query.async_image_search import AsyncImageSearch
    from clip_vectorizer.query.captions.answers import Answer
    from clip_vectorizer.query.captions.writing import Caption
    from clip_vectorizer.query.grounding.groundings import Grounding, PictureGroundings
    from clip_vectorizer.query.hits import Group, Hit, StoredImage
    from clip_vectorizer.query.image_search import ImageSearch
    from clip_vectorizer.query.prompts import PROMPTS
    from clip_vectorizer.query.search.arguments import Move
    from clip_vectorizer.query.search.query import Query
    from clip_vectorizer.query.zeroshot.scores import Classification

MODULES = {
    "few_shot": "adapt.boosts",
    "linear_probe": "adapt.boosts",
    "remove_means": "adapt.boosts",
    "AsyncImageSearch": "async_image_search",
    "Grounding": "grounding.groundings",
    "PictureGroundings": "grounding.groundings",
    "Answer": "captions.answers",
    "Caption": "captions.writing",
    "Group": "hits",
    "Hit": "hits",
    "StoredImage": "hits",
    "ImageSearch": "image_search",
    "PROMPTS": "prompts",
    "Move": "search.arguments",
    "Query": "search.query",
    "Classification": "zeroshot.scores",
}

__all__ = [
    "PROMPTS",
    "Answer",
    "AsyncImageSearch",
    "Caption",
    "Classification",
    "Grounding",
    "Group",
    "Hit",
    "ImageSearch",
    "Move",
    "PictureGroundings",
    "Query",
    "StoredImage",
    "few_shot",
    "linear_probe",
    "remove_means",
]


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
