"""Questions as calls of weaviate-client's `collection.query`. Pure: nothing is asked here. D dimensions"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weaviate.classes.config import DataType
from weaviate.classes.query import Diversity, Filter, FilterReturn, GroupBy, MetadataQuery
from weaviate.classes.query import Move as WeaviateMove

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.filters.where import where_filter
from clip_vectorizer.query.lookup import did_you_mean
from clip_vectorizer.query.searching.asking import MAX_RESULTS, Move, Question
from clip_vectorizer.query.searching.steps import Call
from clip_vectorizer.schema import CAPTION, DUPLICATE_OF, LABEL, PATH, SHA256, THUMBNAIL, VECTOR
from clip_vectorizer.vectors import Vectors

SHOWN = (PATH, LABEL, CAPTION)
CANDIDATES = 8  # for one that diversity takes: Weaviate chooses among so many of the nearest
LEAST_CANDIDATES = 100


@dataclass(frozen=True, slots=True)
class Searched:
    """The collection that is searched, as far as a call depends on it."""

    collection: str
    properties: Mapping[str, DataType]
    words: tuple[str, ...] = (CAPTION,)  # the text that can be searched by words
    vector: str = VECTOR  # the name of the one that is searched
    by_module: bool = True  # whether Weaviate can embed a text itself
    tenant: str | None = None
    consistency: str | None = None  # ONE, QUORUM or ALL; None: what Weaviate takes


@dataclass(frozen=True, slots=True)
class Plan:
    """What one search sends, but for how much of it: see `window`."""

    call: Call
    question: Question
    vector: Vectors | None = None  # (D,) what is searched with, where Weaviate does not make it itself


def near_text(words: str, question: Question, searched: Searched, but: Sequence[str] = ()) -> Plan:
    """Weaviate has its own sidecar make the vector, and moves it."""
    moves = {name: weaviates(move) for name, move in moves_of(question).items()}
    arguments = common(question, searched, but) | within("distance", question)
    return Plan(Call("near_text", {"query": words, **moves, **arguments}), question)


def near_vector(vector_d: Vectors, question: Question, searched: Searched, but: Sequence[str] = ()) -> Plan:
    arguments = common(question, searched, but) | within("distance", question)
    return Plan(Call("near_vector", {"near_vector": vector_d.tolist(), **arguments}), question, vector_d)


def hybrid(words: str, vector_d: Vectors, question: Question, searched: Searched, but: Sequence[str] = ()) -> Plan:
    """`words` are looked for in the collection's text, the vector among its images; Weaviate adds up both scores."""
    arguments: dict[str, Any] = {
        "query": words,
        "vector": vector_d.tolist(),
        "alpha": 1 - question.captions,
        "query_properties": list(searched.words),
        **common(question, searched, but),
        **within("max_vector_distance", question),
        "return_metadata": MetadataQuery(score=True),
        "include_vector": [searched.vector],  # for the similarity: what only the words found comes without a distance
    }
    return Plan(Call("hybrid", arguments), question, vector_d)


def window(plan: Plan, limit: int, offset: int = 0) -> tuple[Call, int]:
    """The call that finds results `offset` .. `offset + limit`, and how many at its beginning are to be left out.

    What is diverse depends on all that was chosen before, so that choice begins at the first one every time.
    """
    if plan.question.diversity is None:
        return plan.call.changed(limit=limit, **({"offset": offset} if offset else {})), 0
    chosen = offset + limit
    pool = min(max(CANDIDATES * chosen, LEAST_CANDIDATES), MAX_RESULTS)
    mmr = Diversity.mmr(limit=chosen, balance=1 - plan.question.diversity)
    return plan.call.changed(limit=pool, diversity_selection=mmr), offset


def group_call(plan: Plan, by: str, per_group: int, groups: int) -> Call:
    return plan.call.changed(
        limit=plan.question.limit,
        group_by=GroupBy(prop=by, objects_per_group=per_group, number_of_groups=groups),
    )


def common(question: Question, searched: Searched, but: Sequence[str] = ()) -> dict[str, Any]:
    """Arguments of every search. `but`: ids that are not to be found."""
    filters = all_of([where_filter(question.where, searched.properties), *(Filter.by_id().not_equal(id) for id in but)])
    arguments: dict[str, Any] = {
        "target_vector": searched.vector,
        "return_metadata": MetadataQuery(distance=True),
        "return_properties": returned(question, searched),
    }
    if filters is not None:
        arguments["filters"] = filters
    if question.auto_limit is not None:
        arguments["auto_limit"] = question.auto_limit
    if question.vectors:
        arguments["include_vector"] = [searched.vector]
    return arguments


def within(argument: str, question: Question) -> dict[str, float]:
    return {} if question.min_similarity is None else {argument: 1 - question.min_similarity}


def moves_of(question: Question) -> dict[str, Move]:
    """Those that have a force."""
    moves = {"move_to": question.move_to, "move_away": question.move_away}
    return {name: move for name, move in moves.items() if move is not None and move.force > 0}


def weaviates(move: Move) -> WeaviateMove:
    return WeaviateMove(force=move.force, concepts=[move.text])


def all_of(filters: Iterable[FilterReturn | None]) -> FilterReturn | None:
    given = [each for each in filters if each is not None]
    return Filter.all_of(given) if len(given) > 1 else given[0] if given else None


def returned(question: Question, searched: Searched) -> list[str]:
    """The properties that are read. Raises InputError for one that the collection does not have."""
    more = [THUMBNAIL] if question.thumbnails else []
    more += [SHA256, DUPLICATE_OF] if question.fold else []
    ours = [name for name in (*SHOWN, *more) if name in searched.properties]
    return list(dict.fromkeys([*ours, *(known(name, searched) for name in question.properties)]))


def known(name: str, searched: Searched) -> str:
    if name not in searched.properties:
        raise InputError(
            f"the collection {searched.collection} has no property {name}; {did_you_mean(name, searched.properties)}"
            f"it has {', '.join(sorted(searched.properties))}"
        )
    return name
