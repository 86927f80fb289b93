"""Every search of one collection as a flow, from the arguments to the hits. Both clients run these."""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Unpack

from weaviate.classes.config import DataType

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.filters.suggestions import (
    explain_empty,
    group_by_arguments,
    list_filter_values,
    read_group_values,
)
from clip_vectorizer.query.filters.where import FilterInput, build_filter
from clip_vectorizer.query.hits import Group, Hit, StoredImage
from clip_vectorizer.query.search.arguments import SearchArguments, SearchRequest, check_limits, parse_integer
from clip_vectorizer.query.search.calls import (
    SearchFlow,
    SearchPlan,
    SearchStep,
    SearchTarget,
    WeaviateCall,
    build_group_call,
    build_window_call,
    check_property,
    record_steps,
)
from clip_vectorizer.query.search.counting import (
    ValueCount,
    count_images,
    count_period,
    count_values,
    list_periods,
)
from clip_vectorizer.query.search.listing import (
    CollectionListing,
    fetch_newest,
    fetch_stored_image,
    fetch_stored_page,
)
from clip_vectorizer.query.search.plan import check_no_texts, compute_query_vector, plan_search
from clip_vectorizer.query.search.query import QueryInput, to_query
from clip_vectorizer.query.search.regions import fetch_region_hits, list_region_calls, plan_regions
from clip_vectorizer.query.search.results import needs_similarity_filter, read_hits
from clip_vectorizer.query.search.sampling import fetch_sample_ids
from clip_vectorizer.query.search.stored_images import fetch_stored_images, is_uuid
from clip_vectorizer.vectors import Vectors

logger = logging.getLogger(__name__)

GROUP_CANDIDATES = 1_000  # images among which groups are made
ROUNDING = 1e-5  # between the similarities of equal images
GROWTH_FACTOR = 4  # of the fetch size, when equal images took the places


@dataclass(frozen=True, slots=True)
class PlannedSearch:
    """A search that stopped before its last call."""

    plan: SearchPlan
    steps: tuple[SearchStep, ...]  # those that were run to make the plan
    last_call: WeaviateCall
    region_calls: tuple[WeaviateCall, ...] = ()  # those after it, of a search with regions, as far as they are known


@dataclass(frozen=True, slots=True)
class Searches:
    """The searches of one collection; their methods return flows."""

    target: SearchTarget
    info: ModelInfo

    def find(self, what: QueryInput, **arguments: Unpack[SearchArguments]) -> SearchFlow[list[Hit]]:
        plan = yield from self.plan(what, SearchRequest(**arguments))
        return (yield from self.page(plan, plan.request.limit, plan.request.offset))

    def groups(
        self, what: QueryInput, by: str, per_group: int, groups: int, **arguments: Unpack[SearchArguments]
    ) -> SearchFlow[list[Group]]:
        plan = yield from self.plan_groups(what, by, per_group, groups, **arguments)
        found = yield from fetch_groups(plan, self.target, by, per_group, groups)
        if not found:
            yield from explain_no_hits(plan.request, self.target)
        return found

    def plan_pages(self, what: QueryInput, **arguments: Unpack[SearchArguments]) -> SearchFlow[SearchPlan]:
        """Plan what all pages have in common: their vector is computed once."""
        offset = parse_integer("offset", arguments.get("offset", 0), 0)
        check_limits(1, offset)
        arguments.setdefault("limit", MAX_RESULTS - offset)
        return (yield from self.plan(what, SearchRequest(**arguments)))

    def page(self, plan: SearchPlan, limit: int, offset: int) -> SearchFlow[list[Hit]]:
        if plan.regions:
            return (yield from fetch_region_hits(plan, plan.regions, self.target, limit, offset))
        hits = yield from fetch_hits(plan, self.target, limit, offset)
        if not hits and not offset:
            yield from explain_no_hits(plan.request, self.target)
        return hits

    def explain(self, what: QueryInput, **arguments: Unpack[SearchArguments]) -> SearchFlow[PlannedSearch]:
        steps: list[SearchStep] = []
        plan = yield from record_steps(self.plan(what, SearchRequest(**arguments)), steps)
        if plan.regions:
            first, *others = list_region_calls(plan, plan.regions)
            return PlannedSearch(plan, tuple(steps), first, tuple(others))
        return PlannedSearch(plan, tuple(steps), build_first_call(plan))

    def explain_groups(
        self, what: QueryInput, by: str, per_group: int, groups: int, **arguments: Unpack[SearchArguments]
    ) -> SearchFlow[PlannedSearch]:
        steps: list[SearchStep] = []
        plan = yield from record_steps(self.plan_groups(what, by, per_group, groups, **arguments), steps)
        return PlannedSearch(plan, tuple(steps), build_group_call(plan, by, per_group, groups))

    def plan(self, what: QueryInput, request: SearchRequest) -> SearchFlow[SearchPlan]:
        if request.regions:
            return (yield from plan_regions(to_query(what), request, self.target, self.info))
        return (yield from plan_search(to_query(what), request, self.target, self.info))

    def plan_groups(
        self, what: QueryInput, by: str, per_group: int, groups: int, **arguments: Unpack[SearchArguments]
    ) -> SearchFlow[SearchPlan]:
        arguments.setdefault("limit", GROUP_CANDIDATES)
        request = SearchRequest(**arguments)
        check_grouping(request, self.target, by, per_group, groups)
        return (yield from self.plan(what, request))

    def listing(
        self,
        filters: FilterInput,
        return_properties: Iterable[str],
        include_vector: bool,
        include_thumbnail: bool,
        page_size: int | None = None,
    ) -> CollectionListing:
        return CollectionListing.create(
            self.target, filters, return_properties, include_vector, include_thumbnail, page_size
        )

    def embed(self, what: QueryInput) -> SearchFlow[Vectors]:
        query, request = to_query(what), SearchRequest()
        check_no_texts(query, request, self.info)
        objects = yield from fetch_stored_images(query, self.target)
        return (yield from compute_query_vector(query, request, self.target, self.info, objects))

    def stored(
        self, key: str, return_properties: Iterable[str], include_vector: bool, include_thumbnail: bool
    ) -> SearchFlow[StoredImage]:
        listing = self.listing(None, return_properties, include_vector, include_thumbnail)
        return (yield from fetch_stored_image(key, listing))

    def count(self, filters: FilterInput) -> SearchFlow[int]:
        return (yield from count_images(self.target, filters))

    def newest(
        self,
        limit: int,
        filters: FilterInput,
        return_properties: Iterable[str],
        include_vector: bool,
        include_thumbnail: bool,
    ) -> SearchFlow[list[StoredImage]]:
        """Return the images that were stored last. Raises InputError for a limit below 1."""
        if limit < 1:
            raise InputError(f"limit={limit}: expected at least 1 image")
        listing = self.listing(filters, return_properties, include_vector, include_thumbnail)
        return (yield from fetch_newest(limit, listing))

    def stored_page(self, ids: Sequence[str], listing: CollectionListing) -> SearchFlow[list[StoredImage]]:
        return (yield from fetch_stored_page(ids, listing))

    def explain_nothing(self, filters: FilterInput) -> SearchFlow[str]:
        build_filter(filters, self.target.properties)
        return (yield from find_missing_value(filters, self.target))

    def count_values(self, name: str, filters: FilterInput, limit: int) -> SearchFlow[list[ValueCount]]:
        return (yield from count_values(self.target, name, filters, limit))

    def periods(self, name: str, filters: FilterInput, within: str) -> SearchFlow[list[str]]:
        return (yield from list_periods(self.target, name, filters, within))

    def count_period(self, name: str, filters: FilterInput, period: str) -> SearchFlow[ValueCount]:
        return (yield from count_period(self.target, name, filters, period))

    def sample_ids(self, listing: CollectionListing, limit: int) -> SearchFlow[list[str]]:
        return (yield from fetch_sample_ids(listing, limit))


def fetch_hits(plan: SearchPlan, target: SearchTarget, limit: int, offset: int = 0) -> SearchFlow[list[Hit]]:
    """Return hits `offset` .. `offset + limit`, best first; fewer where there are no more."""
    if drops_hits(plan.request):
        return (yield from fetch_remaining_hits(plan, target, limit, offset))
    call, to_drop = build_window_call(plan, limit, offset)
    answer = yield call
    return read_hits(answer.objects, plan, target)[to_drop:]


def drops_hits(request: SearchRequest) -> bool:
    """Whether some of the images that Weaviate returns are dropped here, so that more must be fetched."""
    return request.deduplicate or needs_similarity_filter(request)


def fetch_remaining_hits(plan: SearchPlan, target: SearchTarget, limit: int, offset: int) -> SearchFlow[list[Hit]]:
    """Return the same, counted in images that remain. Fetch more and more from the start until there are enough."""
    wanted = offset + limit
    size = first_fetch_size(limit, offset)
    while True:
        call, _ = build_window_call(plan, size)
        answer = yield call
        hits = read_hits(answer.objects, plan, target)
        if has_all_copies(hits, wanted, plan.request) or len(answer.objects) < size or size == MAX_RESULTS:
            return hits[offset:wanted]
        size = min(GROWTH_FACTOR * size, MAX_RESULTS)


def has_all_copies(hits: Sequence[Hit], wanted: int, request: SearchRequest) -> bool:
    """Return whether all copies of the first `wanted` hits were fetched: equal images are equally near, so a less near
    hit ends them. Where hits are not in the order of their similarity, one more hit must do.
    """
    if len(hits) <= wanted or request.is_hybrid or request.diversity is not None:
        return len(hits) > wanted
    return hits[-1].similarity < hits[wanted - 1].similarity - ROUNDING


def first_fetch_size(limit: int, offset: int) -> int:
    """Return how many images to fetch first where some will be dropped."""
    return min(offset + 2 * limit, MAX_RESULTS)


def build_first_call(plan: SearchPlan) -> WeaviateCall:
    request = plan.request
    if drops_hits(request):
        return build_window_call(plan, first_fetch_size(request.limit, request.offset))[0]
    return build_window_call(plan, request.limit, request.offset)[0]


def fetch_groups(
    plan: SearchPlan, target: SearchTarget, by: str, per_group: int, count: int
) -> SearchFlow[list[Group]]:
    """Return the best `count` values of the property `by`, each with its best hits."""
    answer = yield build_group_call(plan, by, per_group, count)
    named = ((name, read_hits(group.objects, plan, target)) for name, group in answer.groups.items())
    of_text = target.properties[by] in (DataType.TEXT, DataType.TEXT_ARRAY)
    return [Group(decode_group_name(name) if of_text else name, tuple(hits)) for name, hits in named if hits]


def decode_group_name(name: str) -> str:
    """Decode a group's name, which Weaviate writes as a JSON string without its quotes: `rock \\u0026 roll`."""
    try:
        return str(json.loads(f'"{name}"', strict=False))
    except ValueError:
        return name


def check_grouping(request: SearchRequest, target: SearchTarget, by: str, per_group: int, count: int) -> None:
    """Raises InputError for a property that cannot group, and for arguments that do not go with groups."""
    check_property(by, target)
    if target.properties[by] is DataType.BLOB:
        raise InputError(f"{by} holds files, of which no two need be equal; group by another property")
    parse_integer("per_group", per_group, 1)
    parse_integer("groups", count, 1)
    if request.regions:
        raise InputError("images with regions are not grouped; remove regions, or the groups")
    if request.diversity is not None:
        raise InputError("groups are made of the nearest images; remove diversity")
    if request.offset or request.auto_limit:
        raise InputError("Weaviate makes groups from the nearest image on; remove offset and auto_limit")


def split_pages(request: SearchRequest, size: int) -> Iterator[tuple[int, int]]:
    """Yield limit and offset of each page, up to the request's own limit."""
    parse_integer("size", size, 1)
    end = request.offset + request.limit
    for offset in range(request.offset, end, size):
        yield min(size, end - offset), offset


def split_ids(ids: Sequence[str], listing: CollectionListing) -> Iterator[list[str]]:
    """Yield the ids in pages of the listing's size, in lower case. Raises InputError for what is no id."""
    for id in ids:
        if not is_uuid(id):
            raise InputError(f"{id!r} is not the id of an image; clip-search --json prints them")
    for start in range(0, len(ids), listing.size):
        yield [id.lower() for id in ids[start : start + listing.size]]


def explain_no_hits(request: SearchRequest, target: SearchTarget) -> SearchFlow[None]:
    """Log which value of the filters no image has. Raises InputError where another value was probably meant."""
    if hint := (yield from find_missing_value(request.filters, target)):
        logger.warning("%s", hint)


def find_missing_value(filters: FilterInput, target: SearchTarget) -> SearchFlow[str]:
    """Return a sentence about a value of the filters that no image has, "" without one. Raises InputError as above."""
    values = list_filter_values(filters, target.properties)
    stored: dict[str, list[str]] = {}
    for name in values:
        stored[name] = read_group_values((yield WeaviateCall("over_all", group_by_arguments(name), part="aggregate")))
    return explain_empty(values, stored)
