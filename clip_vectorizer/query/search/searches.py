"""Every search of one collection as a flow, from the arguments to the answer: what both clients run.

The searches, as flows: what is asked of Weaviate and what is made of its answers.

From what is looked for to the call that looks for it. P parts · D dimensions
"""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
from weaviate.classes.config import DataType

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.query.filters.suggestions import (
    explain_empty,
    group_by_arguments,
    list_filter_values,
    read_group_values,
)
from clip_vectorizer.query.filters.where import FilterInput
from clip_vectorizer.query.hits import Group, Hit
from clip_vectorizer.query.search.arguments import SearchArguments, SearchRequest, check_limits, parse_integer
from clip_vectorizer.query.search.calls import (
    SearchPlan,
    SearchTarget,
    build_group_call,
    build_window_call,
    check_property,
    common_arguments,
    list_moves,
    plan_hybrid,
    plan_near_text,
    plan_near_vector,
)
from clip_vectorizer.query.search.listing import CollectionListing
from clip_vectorizer.query.search.query import (
    ImagePart,
    Query,
    QueryInput,
    QueryPart,
    StoredPart,
    TextPart,
    VectorPart,
    blend,
    move_away_from,
    move_towards,
    to_query,
)
from clip_vectorizer.query.search.results import WeaviateObject, merge_duplicates, read_hit
from clip_vectorizer.query.search.steps import (
    EmbedImage,
    EmbedTexts,
    SearchFlow,
    SearchStep,
    WeaviateCall,
    record_steps,
)
from clip_vectorizer.query.search.stored_images import fetch_stored_images, read_stored_vector
from clip_vectorizer.vectors import Vectors

GROUP_CANDIDATES = 1_000  # images among which groups are made
ROUNDING = 1e-5  # between the similarities of equal images
GROWTH_FACTOR = 4  # so many times as much is asked for, when equal images took the places
SPECIAL_TOKENS = 2  # tokens that every text has beside its own


@dataclass(frozen=True, slots=True)
class PlannedSearch:
    """A search that stops before its last call."""

    plan: SearchPlan
    steps: tuple[SearchStep, ...]  # what was done to make the plan
    grouping: WeaviateCall | None = None  # the last call, where groups are made


@dataclass(frozen=True, slots=True)
class Searches:
    searched: SearchTarget
    info: ModelInfo

    def find(self, what: QueryInput, **asked: Unpack[SearchArguments]) -> SearchFlow[list[Hit]]:
        plan = yield from self.plan(what, SearchRequest(**asked))
        return (yield from self.page(plan, plan.question.limit, plan.question.offset))

    def groups(
        self, what: QueryInput, by: str, per_group: int, groups: int, **asked: Unpack[SearchArguments]
    ) -> SearchFlow[list[Group]]:
        plan = yield from self.group_plan(what, by, per_group, groups, **asked)
        made = yield from fetch_groups(plan, self.searched, by, per_group, groups)
        if not made:
            yield from explain_no_hits(plan.question, self.searched)
        return made

    def explain(self, what: QueryInput, **asked: Unpack[SearchArguments]) -> SearchFlow[PlannedSearch]:
        steps: list[SearchStep] = []
        plan = yield from record_steps(self.plan(what, SearchRequest(**asked)), steps)
        return PlannedSearch(plan, tuple(steps))

    def explain_groups(
        self, what: QueryInput, by: str, per_group: int, groups: int, **asked: Unpack[SearchArguments]
    ) -> SearchFlow[PlannedSearch]:
        steps: list[SearchStep] = []
        plan = yield from record_steps(self.group_plan(what, by, per_group, groups, **asked), steps)
        return PlannedSearch(plan, tuple(steps), build_group_call(plan, by, per_group, groups))

    def group_plan(
        self, what: QueryInput, by: str, per_group: int, groups: int, **asked: Unpack[SearchArguments]
    ) -> SearchFlow[SearchPlan]:
        asked.setdefault("limit", GROUP_CANDIDATES)
        question = SearchRequest(**asked)
        check_grouping(question, self.searched, by, per_group, groups)
        return (yield from self.plan(what, question))

    def all_pages(self, what: QueryInput, **asked: Unpack[SearchArguments]) -> SearchFlow[SearchPlan]:
        """What all pages have in common: their vector is made once."""
        offset = parse_integer("offset", asked.get("offset", 0), 0)
        check_limits(1, offset)
        asked.setdefault("limit", MAX_RESULTS - offset)
        return (yield from self.plan(what, SearchRequest(**asked)))

    def page(self, plan: SearchPlan, limit: int, offset: int) -> SearchFlow[list[Hit]]:
        hits = yield from fetch_hits(plan, self.searched, limit, offset)
        if not hits and not offset:
            yield from explain_no_hits(plan.question, self.searched)
        return hits

    def plan(self, what: QueryInput, question: SearchRequest) -> SearchFlow[SearchPlan]:
        return (yield from plan_search(to_query(what), question, self.searched, self.info))

    def listing(
        self, where: FilterInput, properties: Iterable[str], vectors: bool, thumbnails: bool
    ) -> CollectionListing:
        return CollectionListing.of(self.searched, where, properties, vectors, thumbnails)


logger = logging.getLogger(__name__)


def fetch_hits(plan: SearchPlan, searched: SearchTarget, limit: int, offset: int = 0) -> SearchFlow[list[Hit]]:
    """Hits `offset` .. `offset + limit`, best first; fewer where there are no more."""
    if plan.question.fold or needs_similarity_filter(plan.question):
        return (yield from fetch_distinct_hits(plan, searched, limit, offset))
    call, left_out = build_window_call(plan, limit, offset)
    answer = yield call
    return read_hits(answer.objects, plan, searched)[left_out:]


def fetch_distinct_hits(plan: SearchPlan, searched: SearchTarget, limit: int, offset: int) -> SearchFlow[list[Hit]]:
    """The same, counted in images that are kept. Asks from the beginning, for more and more, until there are enough."""
    wanted = offset + limit
    asked = first_fetch_size(limit, offset)
    while True:
        call, _ = build_window_call(plan, asked)
        answer = yield call
        kept = read_hits(answer.objects, plan, searched)
        if has_all_copies(kept, wanted, plan.question) or len(answer.objects) < asked or asked == MAX_RESULTS:
            return kept[offset:wanted]
        asked = min(GROWTH_FACTOR * asked, MAX_RESULTS)


def needs_similarity_filter(question: SearchRequest) -> bool:
    """A hybrid search bounds what the vector finds; what the words find may be anywhere."""
    return bool(question.captions) and question.min_similarity is not None


def has_all_copies(kept: Sequence[Hit], wanted: int, question: SearchRequest) -> bool:
    """Whether all copies of the `wanted` first are seen: equal images are equally near, so by one that is less near.

    Where hits are not in the order of their similarity, one more has to do.
    """
    if len(kept) <= wanted or question.captions or question.diversity is not None:
        return len(kept) > wanted
    return kept[-1].similarity < kept[wanted - 1].similarity - ROUNDING


def first_fetch_size(limit: int, offset: int) -> int:
    """How many images are fetched where equal ones will be folded."""
    return min(offset + 2 * limit, MAX_RESULTS)


def build_first_call(plan: SearchPlan) -> WeaviateCall:
    question = plan.question
    if question.fold or needs_similarity_filter(question):
        return build_window_call(plan, first_fetch_size(question.limit, question.offset))[0]
    return build_window_call(plan, question.limit, question.offset)[0]


def fetch_groups(
    plan: SearchPlan, searched: SearchTarget, by: str, per_group: int, count: int
) -> SearchFlow[list[Group]]:
    """The best `count` values of the property `by`, each with its best hits."""
    answer = yield build_group_call(plan, by, per_group, count)
    named = ((name, read_hits(group.objects, plan, searched)) for name, group in answer.groups.items())
    of_text = searched.properties[by] in (DataType.TEXT, DataType.TEXT_ARRAY)
    return [Group(decode_group_name(name) if of_text else name, tuple(members)) for name, members in named if members]


def decode_group_name(name: str) -> str:
    """A group's name, which Weaviate writes as JSON does, but for the quotes around it: `rock \\u0026 roll`."""
    try:
        return str(json.loads(f'"{name}"', strict=False))
    except ValueError:
        return name


def read_hits(rows: Sequence[WeaviateObject], plan: SearchPlan, searched: SearchTarget) -> list[Hit]:
    """In the order of the rows, equal ones folded where that is asked."""
    rows_of = [(read_hit(row, plan, searched), row) for row in rows]
    if needs_similarity_filter(plan.question):
        least = plan.question.min_similarity
        rows_of = [(each, row) for each, row in rows_of if least is not None and each.similarity >= least]
    return merge_duplicates(rows_of) if plan.question.fold else [each for each, _ in rows_of]


def check_grouping(question: SearchRequest, searched: SearchTarget, by: str, per_group: int, count: int) -> None:
    """Raises InputError for what cannot be grouped."""
    check_property(by, searched)
    if searched.properties[by] is DataType.BLOB:
        raise InputError(f"{by} holds files, of which no two need be equal; group by another property")
    parse_integer("per_group", per_group, 1)
    parse_integer("groups", count, 1)
    if question.diversity is not None:
        raise InputError("groups are made of the nearest images; leave diversity away")
    if question.offset or question.auto_limit:
        raise InputError("Weaviate makes groups from the nearest image on; leave offset and auto_limit away")


def split_pages(question: SearchRequest, size: int) -> Iterator[tuple[int, int]]:
    """Limit and offset of each page, until the question's own limit."""
    parse_integer("size", size, 1)
    end = question.offset + question.limit
    for offset in range(question.offset, end, size):
        yield min(size, end - offset), offset


def explain_no_hits(question: SearchRequest, searched: SearchTarget) -> SearchFlow[None]:
    """Nothing was found: logs which value of `where` no image has. Raises InputError where another one was meant."""
    asked = list_filter_values(question.where, searched.properties)
    held: dict[str, list[str]] = {}
    for name in asked:
        held[name] = read_group_values((yield WeaviateCall("over_all", group_by_arguments(name), part="aggregate")))
    if hint := explain_empty(asked, held):
        logger.warning("%s", hint)


def plan_search(
    what: Query, question: SearchRequest, searched: SearchTarget, info: ModelInfo
) -> SearchFlow[SearchPlan]:
    """nearText where Weaviate can make the vector itself, else nearVector; hybrid where captions count."""
    words = what.only_text
    if words and searched.by_module and not question.captions:
        plan = plan_near_text(words, question, searched)
        yield from warn_of_truncated_texts((words, *list_move_texts(question)), info)
        return plan
    if question.captions:
        check_text_search(what, searched)
    common_arguments(question, searched)  # what cannot be asked is refused before anything is embedded
    rows = yield from fetch_stored_images(what, searched)
    vector_d = yield from compute_query_vector(what, question, searched, info, rows)
    but = [str(row.uuid) for source, row in rows.items() if not source.itself]
    if question.captions:
        return plan_hybrid(what.words, vector_d, question, searched, but)
    return plan_near_vector(vector_d, question, searched, but)


def check_text_search(what: Query, searched: SearchTarget) -> None:
    if not what.words:
        raise InputError("captions are searched by words: give a text, or leave captions away")
    if not searched.words:  # Weaviate would look into paths and hashes
        raise InputError(f"the collection {searched.collection} has no text to search by words; leave captions away")


def warn_of_truncated_texts(texts: Sequence[str], info: ModelInfo) -> SearchFlow[None]:
    """Asks the sidecar for its warnings, which Weaviate drops; nearText then finds the vectors cached."""
    long = tuple(text for text in texts if len(text.encode()) + SPECIAL_TOKENS > info.context_length)
    if long:  # else no tokenizer makes too many tokens
        yield EmbedTexts(long)


def list_move_texts(question: SearchRequest) -> list[str]:
    return [move.text for move in list_moves(question).values()]


def compute_query_vector(
    what: Query,
    question: SearchRequest,
    searched: SearchTarget,
    info: ModelInfo,
    rows: "dict[StoredPart, WeaviateObject]",
) -> SearchFlow[Vectors]:
    """(D,): the parts' blend, moved as the question says, by the arithmetic of nearText."""
    texts = tuple(dict.fromkeys([*list_texts(what), *list_move_texts(question)]))
    vectors: dict[str, Vectors] = dict(zip(texts, (yield EmbedTexts(texts)), strict=True)) if texts else {}
    parts: list[Vectors] = []
    for _, source in what.parts:
        parts.append((yield from compute_part_vector(source, vectors, rows, searched, info)))
    vector_d = blend([weight for weight, _ in what.parts], np.stack(parts))
    moves = list_moves(question)
    if move := moves.get("move_to"):
        vector_d = move_towards(vector_d, vectors[move.text], move.force)
    if move := moves.get("move_away"):
        vector_d = move_away_from(vector_d, vectors[move.text], move.force)
    return vector_d


def list_texts(what: Query) -> list[str]:
    return [source.text for _, source in what.parts if isinstance(source, TextPart)]


def compute_part_vector(
    source: QueryPart,
    texts: dict[str, Vectors],
    rows: "dict[StoredPart, WeaviateObject]",
    searched: SearchTarget,
    info: ModelInfo,
) -> SearchFlow[Vectors]:
    match source:
        case TextPart(text):
            return texts[text]
        case ImagePart(image):
            embedded: Vectors = yield EmbedImage(image)
            return embedded
        case StoredPart(key):
            return read_stored_vector(rows[source], searched, key)
        case VectorPart(vector_d):
            return check_dimension(vector_d, info)


def check_dimension(vector_d: Vectors, info: ModelInfo) -> Vectors:
    if vector_d.shape != (info.dimension,):
        raise Mismatch(
            f"a vector of shape {vector_d.shape}; the model of this collection, {info.model}, makes ({info.dimension},)"
        )
    return vector_d
