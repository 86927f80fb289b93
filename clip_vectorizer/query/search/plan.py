"""Planning: from a query to the call that searches for it.

D dimensions
"""

from collections.abc import Mapping, Sequence

import numpy as np

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.query.search.arguments import SearchRequest
from clip_vectorizer.query.search.calls import (
    EmbedImage,
    EmbedTexts,
    SearchFlow,
    SearchPlan,
    SearchTarget,
    common_arguments,
    list_moves,
    plan_hybrid,
    plan_near_text,
    plan_near_vector,
)
from clip_vectorizer.query.search.query import (
    ImagePart,
    Query,
    QueryPart,
    StoredPart,
    TextPart,
    VectorPart,
    blend,
    move_away_from,
    move_towards,
)
from clip_vectorizer.query.search.results import WeaviateObject
from clip_vectorizer.query.search.stored_images import fetch_stored_images, read_stored_vector
from clip_vectorizer.vectors import Vectors

SPECIAL_TOKENS = 2  # start and end, in every tokenized text


def plan_search(query: Query, request: SearchRequest, target: SearchTarget, info: ModelInfo) -> SearchFlow[SearchPlan]:
    """Plan nearText where Weaviate can embed the query itself, else nearVector; hybrid where keywords count."""
    check_no_texts(query, request, info)
    text = query.only_text
    if text and target.by_module and not request.is_hybrid:
        plan = plan_near_text(text, request, target)
        yield from warn_of_truncated_texts((text, *list_move_texts(request)), info)
        return plan
    if request.is_hybrid:
        check_keyword_search(query, target)
    common_arguments(request, target)  # raises for a bad argument before anything is embedded
    objects = yield from fetch_stored_images(query, target)
    vector_d = yield from compute_query_vector(query, request, target, info, objects)
    excluded_ids = [str(found.uuid) for part, found in objects.items() if not part.include_self]
    if request.is_hybrid:
        return plan_hybrid(query.keywords, vector_d, request, target, excluded_ids)
    return plan_near_vector(vector_d, request, target, excluded_ids)


def check_no_texts(query: Query, request: SearchRequest, info: ModelInfo) -> None:
    """Raises InputError for texts where the model has no text tower."""
    words = [*list_texts(query), *list_move_texts(request)]
    if words and not info.texts:
        raise InputError(
            f"{words[0]!r} cannot be searched with {info.model}: it is an image-only model; search by image (--image "
            "FILE, --like PATH), or with the sidecar of a CLIP (--vectorizer-url)"
        )


def check_keyword_search(query: Query, target: SearchTarget) -> None:
    if not query.keywords:
        raise InputError("a hybrid search needs words: add a text to the query, or remove alpha (--captions)")
    if not target.text_properties:  # Weaviate would search paths and hashes
        raise InputError(
            f"the collection {target.collection} has no text to search by words; remove alpha (--captions)"
        )


def warn_of_truncated_texts(texts: Sequence[str], info: ModelInfo) -> SearchFlow[None]:
    """Embed long texts once here: the sidecar's warnings reach the user, and nearText finds the vectors cached."""
    long = tuple(text for text in texts if len(text.encode()) + SPECIAL_TOKENS > info.context_length)
    if long:  # of shorter ones no tokenizer makes too many tokens
        yield EmbedTexts(long)


def compute_query_vector(
    query: Query,
    request: SearchRequest,
    target: SearchTarget,
    info: ModelInfo,
    objects: Mapping[StoredPart, WeaviateObject],
) -> SearchFlow[Vectors]:
    """Return (D,) float32: the blend of the parts, moved by the arithmetic of nearText."""
    texts = tuple(dict.fromkeys([*list_texts(query), *list_move_texts(request)]))
    vectors: dict[str, Vectors] = dict(zip(texts, (yield EmbedTexts(texts)), strict=True)) if texts else {}
    parts: list[Vectors] = []
    for _, part in query.parts:
        parts.append((yield from compute_part_vector(part, vectors, objects, target, info)))
    vector_d = blend([weight for weight, _ in query.parts], np.stack(parts))
    moves = list_moves(request)
    if move := moves.get("move_to"):
        vector_d = move_towards(vector_d, vectors[move.text], move.force)
    if move := moves.get("move_away"):
        vector_d = move_away_from(vector_d, vectors[move.text], move.force)
    return vector_d


def list_texts(query: Query) -> list[str]:
    return [part.text for _, part in query.parts if isinstance(part, TextPart)]


def list_move_texts(request: SearchRequest) -> list[str]:
    return [move.text for move in list_moves(request).values()]


def compute_part_vector(
    part: QueryPart,
    text_vectors: Mapping[str, Vectors],
    objects: Mapping[StoredPart, WeaviateObject],
    target: SearchTarget,
    info: ModelInfo,
) -> SearchFlow[Vectors]:
    match part:
        case TextPart(text):
            return text_vectors[text]
        case ImagePart(image):
            embedded: Vectors = yield EmbedImage(image)
            return embedded
        case StoredPart(key):
            return read_stored_vector(objects[part], target, key)
        case VectorPart(vector_d):
            return check_dimension(vector_d, info)


def check_dimension(vector_d: Vectors, info: ModelInfo) -> Vectors:
    if vector_d.shape != (info.dimension,):
        raise Mismatch(
            f"the vector has the shape {vector_d.shape}, but {info.model}, the model of this collection, makes "
            f"({info.dimension},); embed it with that model"
        )
    return vector_d
