"""Questions as calls of weaviate-client's `collection.query`. Pure: nothing is asked here. D dimensions

Who answers the steps of a search: the sidecar embeds, Weaviate finds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from weaviate.classes.config import DataType
from weaviate.classes.query import Diversity, Filter, FilterReturn, GroupBy, MetadataQuery
from weaviate.classes.query import Move as WeaviateMove

from clip_vectorizer.database.schema import CAPTION, DUPLICATE_OF, LABEL, PATH, SHA256, THUMBNAIL, VECTOR
from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError, SidecarRefused
from clip_vectorizer.query.filters.where import build_filter
from clip_vectorizer.query.image_inputs import embed_image
from clip_vectorizer.query.near_strings import did_you_mean
from clip_vectorizer.query.search.arguments import Move, SearchRequest
from clip_vectorizer.query.search.steps import EmbedImage, EmbedTexts, SearchStep, WeaviateCall
from clip_vectorizer.vectors import Vectors

DEFAULT_PROPERTIES = (PATH, LABEL, CAPTION)
CANDIDATES_PER_RESULT = 8  # for one that diversity takes: Weaviate chooses among so many of the nearest
MIN_CANDIDATES = 100


@dataclass(frozen=True, slots=True)
class SearchTarget:
    """The collection that is searched, as far as a call depends on it."""

    collection: str
    properties: Mapping[str, DataType]
    words: tuple[str, ...] = (CAPTION,)  # the text that can be searched by words
    vector: str = VECTOR  # the name of the one that is searched
    by_module: bool = True  # whether Weaviate can embed a text itself
    tenant: str | None = None
    consistency: str | None = None  # ONE, QUORUM or ALL; None: what Weaviate takes


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """What one search sends, but for how much of it: see `build_window_call`."""

    call: WeaviateCall
    question: SearchRequest
    vector: Vectors | None = None  # (D,) what is searched with, where Weaviate does not make it itself


def plan_near_text(words: str, question: SearchRequest, searched: SearchTarget, but: Sequence[str] = ()) -> SearchPlan:
    """Weaviate has its own sidecar make the vector, and moves it."""
    moves = {name: to_weaviate_move(move) for name, move in list_moves(question).items()}
    arguments = common_arguments(question, searched, but) | distance_argument("distance", question)
    return SearchPlan(WeaviateCall("near_text", {"query": words, **moves, **arguments}), question)


def plan_near_vector(
    vector_d: Vectors, question: SearchRequest, searched: SearchTarget, but: Sequence[str] = ()
) -> SearchPlan:
    arguments = common_arguments(question, searched, but) | distance_argument("distance", question)
    return SearchPlan(WeaviateCall("near_vector", {"near_vector": vector_d.tolist(), **arguments}), question, vector_d)


def plan_hybrid(
    words: str, vector_d: Vectors, question: SearchRequest, searched: SearchTarget, but: Sequence[str] = ()
) -> SearchPlan:
    """`words` are looked for in the collection's text, the vector among its images; Weaviate adds up both scores."""
    arguments: dict[str, Any] = {
        "query": words,
        "vector": vector_d.tolist(),
        "alpha": 1 - question.captions,
        "query_properties": list(searched.words),
        **common_arguments(question, searched, but),
        **distance_argument("max_vector_distance", question),
        "return_metadata": MetadataQuery(score=True),
        "include_vector": [searched.vector],  # for the similarity: what only the words found comes without a distance
    }
    return SearchPlan(WeaviateCall("hybrid", arguments), question, vector_d)


def build_window_call(plan: SearchPlan, limit: int, offset: int = 0) -> tuple[WeaviateCall, int]:
    """The call that finds results `offset` .. `offset + limit`, and how many at its beginning are to be left out.

    What is diverse depends on all that was chosen before, so that choice begins at the first one every time.
    """
    if plan.question.diversity is None:
        return plan.call.changed(limit=limit, **({"offset": offset} if offset else {})), 0
    chosen = offset + limit
    pool = min(max(CANDIDATES_PER_RESULT * chosen, MIN_CANDIDATES), MAX_RESULTS)
    mmr = Diversity.mmr(limit=chosen, balance=1 - plan.question.diversity)
    return plan.call.changed(limit=pool, diversity_selection=mmr), offset


def build_group_call(plan: SearchPlan, by: str, per_group: int, groups: int) -> WeaviateCall:
    return plan.call.changed(
        limit=plan.question.limit,
        group_by=GroupBy(prop=by, objects_per_group=per_group, number_of_groups=groups),
    )


def common_arguments(question: SearchRequest, searched: SearchTarget, but: Sequence[str] = ()) -> dict[str, Any]:
    """Arguments of every search. `but`: ids that are not to be found."""
    filters = combine_filters(
        [build_filter(question.where, searched.properties), *(Filter.by_id().not_equal(id) for id in but)]
    )
    arguments: dict[str, Any] = {
        "target_vector": searched.vector,
        "return_metadata": MetadataQuery(distance=True),
        "return_properties": list_returned_properties(question, searched),
    }
    if filters is not None:
        arguments["filters"] = filters
    if question.auto_limit is not None:
        arguments["auto_limit"] = question.auto_limit
    if question.vectors:
        arguments["include_vector"] = [searched.vector]
    return arguments


def distance_argument(argument: str, question: SearchRequest) -> dict[str, float]:
    return {} if question.min_similarity is None else {argument: 1 - question.min_similarity}


def list_moves(question: SearchRequest) -> dict[str, Move]:
    """Those that have a force."""
    moves = {"move_to": question.move_to, "move_away": question.move_away}
    return {name: move for name, move in moves.items() if move is not None and move.force > 0}


def to_weaviate_move(move: Move) -> WeaviateMove:
    return WeaviateMove(force=move.force, concepts=[move.text])


def combine_filters(filters: Iterable[FilterReturn | None]) -> FilterReturn | None:
    given = [each for each in filters if each is not None]
    return Filter.all_of(given) if len(given) > 1 else given[0] if given else None


def list_returned_properties(question: SearchRequest, searched: SearchTarget) -> list[str]:
    """The properties that are read. Raises InputError for one that the collection does not have."""
    more = [THUMBNAIL] if question.thumbnails else []
    more += [SHA256, DUPLICATE_OF] if question.fold else []
    ours = [name for name in (*DEFAULT_PROPERTIES, *more) if name in searched.properties]
    return list(dict.fromkeys([*ours, *(check_property(name, searched) for name in question.properties)]))


def check_property(name: str, searched: SearchTarget) -> str:
    if name not in searched.properties:
        raise InputError(
            f"the collection {searched.collection} has no property {name}; {did_you_mean(name, searched.properties)}"
            f"it has {', '.join(sorted(searched.properties))}"
        )
    return name


class QueryEncoder(Protocol):
    def embed_texts(self, texts: Sequence[str]) -> Vectors: ...
    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]: ...


class SearchableCollection(Protocol):
    @property
    def searched(self) -> SearchTarget: ...
    def ask(self, call: WeaviateCall) -> Any: ...


def embed_step(step: EmbedTexts | EmbedImage, sidecar: QueryEncoder) -> Vectors:
    """(N, D) for texts, (D,) for an image. Raises InputError for an image that cannot be read."""
    match step:
        case EmbedTexts(texts):
            return sidecar.embed_texts(texts)
        case EmbedImage(image):
            return embed_image(image, sidecar)


def answer_step(step: SearchStep, sidecar: QueryEncoder, images: SearchableCollection) -> Any:
    return images.ask(step) if isinstance(step, WeaviateCall) else embed_step(step, sidecar)
