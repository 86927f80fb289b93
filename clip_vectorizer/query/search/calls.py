"""The steps of a search, and search requests as such steps: calls of weaviate-client's `collection.query`. No I/O here.

A `SearchFlow` is a generator that yields steps, receives their results, and returns its own result. Every search is
written once as a flow; both clients run it, in this thread or in an event loop, and `explain` records its steps.

D dimensions
"""

from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from weaviate.classes.config import DataType
from weaviate.classes.query import Diversity, Filter, FilterReturn, GroupBy, MetadataQuery
from weaviate.classes.query import Move as WeaviateMove

from clip_vectorizer.address_guard import PUBLIC_ONLY, AddressGuard
from clip_vectorizer.database.collections import FULL
from clip_vectorizer.database.schema import CAPTION, DUPLICATE_OF, LABEL, PATH, SHA256, THUMBNAIL, VECTOR
from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError, SidecarRefused
from clip_vectorizer.images.line_grid import LineGrid
from clip_vectorizer.near_strings import suggest
from clip_vectorizer.query.filters.where import build_filter
from clip_vectorizer.query.image_inputs import CornerPicture, ImageInput, embed_image, read_corner
from clip_vectorizer.query.search.arguments import Move, SearchRequest
from clip_vectorizer.vectors import Vectors

ResultT = TypeVar("ResultT")
DEFAULT_PROPERTIES = (PATH, LABEL, CAPTION)
CANDIDATES_PER_RESULT = 8  # nearest images from which diversity chooses one
MIN_CANDIDATES = 100


@dataclass(frozen=True, slots=True)
class EmbedTexts:
    """A step whose result is (N, D) float32."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EmbedImage:
    """A step whose result is (D,) float32."""

    image: ImageInput


@dataclass(frozen=True, slots=True)
class CutCorner:
    """A step whose result is a CornerPicture: an image that is a corner of a page, such as a title block."""

    image: ImageInput
    corner: str


@dataclass(frozen=True, slots=True)
class WeaviateCall:
    """A step that calls a method of weaviate-client's `collection.query`; its result is what that returns."""

    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    part: str = "query"  # attribute of the collection: query, aggregate or generate
    collection: str = ""  # "": that of the images

    def __call__(self, collection: Any) -> Any:
        """Call the method. A collection of the async client returns an awaitable."""
        return getattr(getattr(collection, self.part), self.method)(**self.arguments)

    def with_arguments(self, **arguments: Any) -> "WeaviateCall":
        return replace(self, arguments={**self.arguments, **arguments})


@dataclass(frozen=True, slots=True)
class OpenRegions:
    """A step whose result is the SearchTarget of the images' regions."""


SearchStep = EmbedTexts | EmbedImage | CutCorner | WeaviateCall | OpenRegions
SearchFlow = Generator[SearchStep, Any, ResultT]


class QueryEncoder(Protocol):
    """The sidecar, as far as a search needs it."""

    def embed_texts(self, texts: Sequence[str]) -> Vectors: ...
    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]: ...


def run_flow(flow: SearchFlow[ResultT], run_step: Callable[[SearchStep], Any]) -> ResultT:
    """Run a flow to its result. An error of `run_step` ends it."""
    reply = None
    try:
        while True:
            reply = run_step(flow.send(reply))
    except StopIteration as end:
        result: ResultT = end.value
        return result


async def run_flow_async(flow: SearchFlow[ResultT], run_step: Callable[[SearchStep], Awaitable[Any]]) -> ResultT:
    """Run a flow to its result, awaiting each step. An error of `run_step` ends it."""
    reply = None
    try:
        while True:
            reply = await run_step(flow.send(reply))
    except StopIteration as end:
        result: ResultT = end.value
        return result


def embed_step(
    step: EmbedTexts | EmbedImage | CutCorner, encoder: QueryEncoder, guard: AddressGuard = PUBLIC_ONLY
) -> Vectors | CornerPicture:
    """Return (N, D) for texts, (D,) for an image. Raises InputError for an image that cannot be read."""
    match step:
        case CutCorner(image, corner):
            return read_corner(image, corner, guard)
        case EmbedTexts(texts):
            return encoder.embed_texts(texts)
        case EmbedImage(image):
            return embed_image(image, encoder, guard)


def record_steps(flow: SearchFlow[ResultT], steps: list[SearchStep]) -> SearchFlow[ResultT]:
    """Run the same flow, and append each of its steps to `steps`."""
    reply = None
    try:
        while True:
            step = flow.send(reply)
            steps.append(step)
            reply = yield step
    except StopIteration as end:
        result: ResultT = end.value
        return result


@dataclass(frozen=True, slots=True)
class SearchTarget:
    """The collection to search, as far as a call depends on it."""

    collection: str
    properties: Mapping[str, DataType]
    text_properties: tuple[str, ...] = (CAPTION,)  # those that a hybrid search looks for words in
    vector: str = VECTOR  # name of the vector to search
    by_module: bool = True  # whether Weaviate can embed a text itself
    tenant: str | None = None
    consistency_level: str | None = None  # ONE, QUORUM or ALL; None: Weaviate's default
    keep: str = FULL  # what is stored of an image: full, thumbnail, hash, none
    generative: tuple[str, ...] = ()  # modules of the server that answer questions: ollama, openai, ...


class SearchableCollection(Protocol):
    """A collection that runs calls."""

    @property
    def target(self) -> SearchTarget: ...
    def execute(self, call: WeaviateCall) -> Any: ...
    def open_regions(self) -> SearchTarget:
        """The collection of its regions. Raises InputError if there is none, Mismatch for those of another model."""


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """The call of one search without its limit and offset, which `build_window_call` adds."""

    call: WeaviateCall
    request: SearchRequest
    vector: Vectors | None = None  # (D,) the query's, where Weaviate does not compute it itself
    regions: "RegionPlan | None" = None  # of a search with regions


@dataclass(frozen=True, slots=True)
class RegionPlan:
    """The same search among regions."""

    call: WeaviateCall
    target: SearchTarget
    only: bool  # a filter is about regions alone, so that whole pictures do not count
    has_filters: bool
    corner: str = ""  # only this corner of pages is searched
    line_grid: LineGrid | None = None  # of the query's corner, to order the nearest ones by
    is_cut: bool = False  # that corner was cut out by hand


def plan_near_text(text: str, request: SearchRequest, target: SearchTarget) -> SearchPlan:
    """Let Weaviate's own sidecar embed the text, and Weaviate move it."""
    moves = {name: to_weaviate_move(move) for name, move in list_moves(request).items()}
    arguments = common_arguments(request, target) | distance_argument("distance", request)
    return SearchPlan(WeaviateCall("near_text", {"query": text, **moves, **arguments}), request)


def plan_near_vector(
    vector_d: Vectors, request: SearchRequest, target: SearchTarget, excluded_ids: Sequence[str] = ()
) -> SearchPlan:
    arguments = common_arguments(request, target, excluded_ids) | distance_argument("distance", request)
    return SearchPlan(WeaviateCall("near_vector", {"near_vector": vector_d.tolist(), **arguments}), request, vector_d)


def plan_hybrid(
    keywords: str, vector_d: Vectors, request: SearchRequest, target: SearchTarget, excluded_ids: Sequence[str] = ()
) -> SearchPlan:
    """Look for `keywords` in the collection's text and for the vector among its images; Weaviate adds both scores."""
    arguments: dict[str, Any] = {
        "query": keywords,
        "vector": vector_d.tolist(),
        "alpha": request.alpha,
        "query_properties": list(target.text_properties),
        **common_arguments(request, target, excluded_ids),
        **distance_argument("max_vector_distance", request),
        "return_metadata": MetadataQuery(score=True),
        "include_vector": [target.vector],  # for the similarity: a hit of the keywords alone comes without a distance
    }
    return SearchPlan(WeaviateCall("hybrid", arguments), request, vector_d)


def build_window_call(plan: SearchPlan, limit: int, offset: int = 0) -> tuple[WeaviateCall, int]:
    """Return the call for results `offset` .. `offset + limit`, and how many of its first results to drop.

    With diversity each choice depends on all earlier ones, so that call always starts at the first result.
    """
    if plan.request.diversity is None:
        return plan.call.with_arguments(limit=limit, **({"offset": offset} if offset else {})), 0
    chosen = offset + limit
    pool = min(max(CANDIDATES_PER_RESULT * chosen, MIN_CANDIDATES), MAX_RESULTS)
    mmr = Diversity.mmr(limit=chosen, balance=1 - plan.request.diversity)
    return plan.call.with_arguments(limit=pool, diversity_selection=mmr), offset


def build_group_call(plan: SearchPlan, by: str, per_group: int, groups: int) -> WeaviateCall:
    return plan.call.with_arguments(
        limit=plan.request.limit,
        group_by=GroupBy(prop=by, objects_per_group=per_group, number_of_groups=groups),
    )


def common_arguments(request: SearchRequest, target: SearchTarget, excluded_ids: Sequence[str] = ()) -> dict[str, Any]:
    """Return the arguments that all kinds of search share. Raises InputError for a bad filter or property."""
    excluded = [Filter.by_id().not_equal(id) for id in excluded_ids]
    filters = combine_filters([build_filter(request.filters, target.properties), *excluded])
    arguments: dict[str, Any] = {
        "target_vector": target.vector,
        "return_metadata": MetadataQuery(distance=True),
        "return_properties": list_returned_properties(request, target),
    }
    if filters is not None:
        arguments["filters"] = filters
    if request.auto_limit is not None:
        arguments["auto_limit"] = request.auto_limit
    if request.include_vector:
        arguments["include_vector"] = [target.vector]
    return arguments


def distance_argument(argument: str, request: SearchRequest) -> dict[str, float]:
    return {} if request.min_similarity is None else {argument: 1 - request.min_similarity}


def list_moves(request: SearchRequest) -> dict[str, Move]:
    """Return the moves with a force above 0, by argument name."""
    moves = {"move_to": request.move_to, "move_away": request.move_away}
    return {name: move for name, move in moves.items() if move is not None and move.force > 0}


def to_weaviate_move(move: Move) -> WeaviateMove:
    return WeaviateMove(force=move.force, concepts=[move.text])


def combine_filters(filters: Iterable[FilterReturn | None]) -> FilterReturn | None:
    given = [each for each in filters if each is not None]
    return Filter.all_of(given) if len(given) > 1 else given[0] if given else None


def list_returned_properties(request: SearchRequest, target: SearchTarget) -> list[str]:
    """Return the properties to read. Raises InputError for one that the collection does not have."""
    more = [THUMBNAIL] if request.include_thumbnail else []
    more += [SHA256, DUPLICATE_OF] if request.deduplicate else []
    ours = [name for name in (*DEFAULT_PROPERTIES, *more) if name in target.properties]
    return list(dict.fromkeys([*ours, *(check_property(name, target) for name in request.return_properties)]))


def check_property(name: str, target: SearchTarget) -> str:
    if name not in target.properties:
        near = suggest(name, target.properties)
        raise InputError(
            f"the collection {target.collection} has no property {name}; {near or ''}"
            f"it has {', '.join(sorted(target.properties))}",
            near,
        )
    return name
