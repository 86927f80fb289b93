"""Rows of Weaviate's answers as hits. D dimensions"""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from weaviate.collections.classes.internal import Object

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.query.hits import Hit
from clip_vectorizer.query.searching.asking import Question
from clip_vectorizer.query.searching.calls import Plan, Searched
from clip_vectorizer.schema import CAPTION, LABEL, PATH, THUMBNAIL
from clip_vectorizer.vectors import Vectors, unit

Row = Object[Mapping[str, Any], Any]


def hit(row: Row, plan: Plan, searched: Searched) -> Hit:
    distance = distance_of(row, plan, searched)
    question = plan.question
    return Hit(
        text_of(row, PATH),
        1 - distance,
        distance,
        str(row.uuid),
        text_of(row, LABEL),
        text_of(row, CAPTION),
        getattr(row.metadata, "score", None) if question.captions else None,  # within a group it has none
        properties={name: row.properties.get(name) for name in question.properties},
        vector=vector_in(row, searched) if question.vectors else None,
        thumbnail=thumbnail_of(row, question),
    )


def text_of(row: Row, name: str) -> str:
    return str(row.properties.get(name) or "")


def distance_of(row: Row, plan: Plan, searched: Searched) -> float:
    """Weaviate's. A hybrid search tells none, or 0 within a group, so there it is worked out from the vectors."""
    if row.metadata.distance is not None and not plan.question.captions:
        return float(row.metadata.distance)
    vector_d = vector_in(row, searched)
    if vector_d is None or plan.vector is None:
        raise VectorizerError(f"Weaviate gave no distance for {row.uuid}; is its version at least 1.39?")
    return 1 - float(unit(vector_d) @ unit(plan.vector))


def vector_in(row: Row, searched: Searched) -> Vectors | None:
    vector = row.vector.get(searched.vector)
    return np.asarray(vector, dtype=np.float32) if vector else None


def thumbnail_of(row: Row, question: Question) -> bytes | None:
    text = row.properties.get(THUMBNAIL) if question.thumbnails else None
    return base64.b64decode(text) if text else None
