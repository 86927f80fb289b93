"""A search among images and their regions: one ranking of images, by the larger of two similarities.

An image's similarity is the larger one of its whole picture's and its best region's. The n best images by that are
among the n best by whole pictures and the n best by regions: were an image in neither list, n others would be at least
as near. So both lists are fetched to the end of the page, and what one of them lacks is looked up by id.

    whole pictures   nearText, the first n                         left out where a filter is about regions alone
    regions          nearText on the regions, until n images have one
    the other half   nearText on the images with these ids         for their whole pictures, and the images' filters
    boxes            nearText on the regions of the hits           where fewer than BOXES are known
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from weaviate.classes.config import DataType
from weaviate.classes.query import Filter, FilterReturn

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.database.regions import BOX, CORNER, LINE_GRID, METHOD, OBJECTNESS, RANK
from clip_vectorizer.database.schema import PATH, image_id
from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.filters.where import FilterInput, build_filter, list_expressions, parse_property
from clip_vectorizer.query.hits import Hit, RegionHit
from clip_vectorizer.query.search.arguments import SearchRequest
from clip_vectorizer.query.search.calls import (
    OpenRegions,
    RegionPlan,
    SearchFlow,
    SearchPlan,
    SearchTarget,
    WeaviateCall,
    combine_filters,
    plan_near_vector,
)
from clip_vectorizer.query.search.corners import (
    RERANKED,
    CornerQuery,
    build_no_corners_error,
    order_by_lines,
    read_corner_query,
)
from clip_vectorizer.query.search.plan import plan_search
from clip_vectorizer.query.search.query import Query
from clip_vectorizer.query.search.results import WeaviateObject, read_hit, read_text

logger = logging.getLogger(__name__)

BOXES = 3  # regions of a hit
FIRST_REGIONS, GROWTH = 100, 4  # regions fetched at first, at least; how many times more if their images are too few
REGIONS_PER_IMAGE = 4  # expected among the nearest
LOOKUP_IDS = 1000  # images looked up by id in one call
MAX_IMAGE_REGIONS = 100  # an image has no more
BOX_LOOKUP = MAX_RESULTS // MAX_IMAGE_REGIONS  # images whose regions fit a response
REGION_PROPERTIES = [PATH, *BOX, METHOD, RANK, OBJECTNESS]
DISTANCE = "distance"  # an argument of a call: the largest one of a result


def build_no_regions_error(images: str) -> InputError:
    return InputError(
        f"no regions of the collection {images} are stored; make them with clip-ingest SOURCE --regions grid, or "
        "remove --regions"
    )


def plan_regions(query: Query, request: SearchRequest, target: SearchTarget, info: ModelInfo) -> SearchFlow[SearchPlan]:
    """Plan the search of whole pictures and that of regions. Raises InputError for a filter that neither has."""
    regions: SearchTarget = yield OpenRegions()
    ours, theirs, only = split_filters(request.filters, target.properties, regions.properties)
    has_filters = bool(theirs)
    corner = CornerQuery(query)
    if request.corner:
        corner = yield from read_corner_query(query, request.corner, target, regions)
        query, theirs, only = corner.query, [*theirs, f"{CORNER}={request.corner}"], True
    plan = yield from plan_search(query, replace(request, filters=ours), target, info)
    plan = exclude_images(plan, corner.excluded_ids)
    region_request = SearchRequest(filters=theirs, min_similarity=request.min_similarity, regions=True)
    region_request = replace(region_request, move_to=request.move_to, move_away=request.move_away)
    if plan.vector is None:
        found = yield from plan_search(query, region_request, regions, info)
    else:
        found = plan_near_vector(plan.vector, region_request, regions)
    more = [CORNER, LINE_GRID] if request.corner else []
    arguments = {"return_properties": [*REGION_PROPERTIES, *more]}
    call = replace(found.call, collection=regions.collection).with_arguments(**arguments)
    of_corner = request.corner, corner.line_grid, corner.is_file
    return replace(plan, regions=RegionPlan(call, regions, only, has_filters, *of_corner))


def exclude_images(plan: SearchPlan, ids: Sequence[str]) -> SearchPlan:
    excluded = [Filter.by_id().not_equal(id) for id in ids]
    if not excluded:
        return plan
    return replace(
        plan, call=plan.call.with_arguments(filters=combine_filters([plan.call.arguments.get("filters"), *excluded]))
    )


def split_filters(
    filters: FilterInput, images: Mapping[str, DataType], regions: Mapping[str, DataType]
) -> tuple[list[str], list[str], bool]:
    """Return the filters of images, those of regions, and whether one is about regions alone.

    What both have, such as a label, filters both. Raises InputError.
    """
    if isinstance(filters, FilterReturn):
        raise InputError("with regions, write filters as texts, for example 'area<0.05': some are of images alone")
    expressions = [] if filters is None else list(list_expressions(filters))
    ours, theirs, only = [], [], False
    for expression in expressions:
        name = parse_property(expression)
        if name not in images and name not in regions:
            build_filter(expression, {**regions, **images})  # raises, and names what there is
        if name in images:
            ours.append(expression)
        if name in regions:
            theirs.append(expression)
        only = only or name not in images
    return ours, theirs, only


def list_region_calls(plan: SearchPlan, regions: RegionPlan) -> list[WeaviateCall]:
    """The calls of a search that are known before its first result."""
    wanted = count_wanted(plan.request.offset + plan.request.limit, regions)
    whole = [] if regions.only else [plan.call.with_arguments(limit=wanted)]
    return [*whole, regions.call.with_arguments(limit=choose_first_size(wanted))]


def choose_first_size(wanted: int) -> int:
    return min(MAX_RESULTS, max(FIRST_REGIONS, REGIONS_PER_IMAGE * wanted))


def fetch_region_hits(
    plan: SearchPlan, regions: RegionPlan, target: SearchTarget, limit: int, offset: int
) -> SearchFlow[list[Hit]]:
    """Return images `offset` .. `offset + limit` of the ranking, each with its best regions.

    Raises InputError if no regions are stored at all.
    """
    wanted = count_wanted(offset + limit, regions)
    ranking = ImageRanking()
    if not regions.only:
        answer = yield plan.call.with_arguments(limit=wanted)
        ranking.add_images(answer.objects, plan, target)
    least = yield from add_regions(ranking, plan, regions, target, wanted)
    hits = ranking.list_best(least)
    if regions.corner:
        return order_corners(hits, ranking, regions)[offset : offset + limit]
    hits = hits[offset:wanted]
    boxes = yield from fetch_boxes([hit.path for hit in hits], ranking, regions)
    return [replace(hit, regions=tuple(boxes.get(hit.path, ())[:BOXES])) for hit in hits]


def count_wanted(hits: int, regions: RegionPlan) -> int:
    """Return how many of the nearest images are needed to know the first `hits`."""
    return max(hits, RERANKED) if regions.line_grid else hits


def order_corners(hits: Sequence[Hit], ranking: "ImageRanking", regions: RegionPlan) -> list[Hit]:
    """Return the pages with their corner, by their rules too if those of the query are known."""
    framed = [replace(hit, regions=tuple(ranking.regions.get(hit.path, ())[:1])) for hit in hits]
    if regions.line_grid is None:
        return framed
    return order_by_lines(framed, regions.line_grid, ranking.line_grids, regions.is_cut)


@dataclass(slots=True)
class ImageRanking:
    """Images by path, and the regions known of each, nearest first."""

    images: dict[str, Hit] = field(default_factory=dict)  # with the similarity of the whole picture
    regions: dict[str, list[RegionHit]] = field(default_factory=dict)
    line_grids: dict[str, str] = field(default_factory=dict)  # of corners, by the path of their page
    absent: set[str] = field(default_factory=set)  # images of regions that a filter leaves out, or that are gone

    def add_images(self, objects: Iterable[WeaviateObject], plan: SearchPlan, target: SearchTarget) -> None:
        for found in objects:
            hit = read_hit(found, plan, target)
            self.images.setdefault(hit.path, replace(hit, whole=hit.similarity))

    def set_regions(self, objects: Sequence[WeaviateObject]) -> None:
        self.regions = group_regions(objects)
        self.line_grids = {read_text(each, PATH): read_text(each, LINE_GRID) for each in objects}

    def list_paths(self) -> list[str]:
        """Return the images of the regions, best first, that may be hits."""
        return [path for path in self.regions if path not in self.absent]

    def list_best(self, least: float) -> list[Hit]:
        """Return all images, best first; without those below `least`, whose regions are not all known."""
        hits = [self._score(hit) for hit in self.images.values()]
        return sorted((hit for hit in hits if hit.similarity >= least), key=lambda hit: (-hit.similarity, hit.path))

    def _score(self, hit: Hit) -> Hit:
        best = max((each.similarity for each in self.regions.get(hit.path, ())), default=-1.0)
        similarity = best if hit.whole is None else max(best, hit.whole)
        return replace(hit, similarity=similarity, distance=1 - similarity)


def add_regions(
    ranking: ImageRanking, plan: SearchPlan, regions: RegionPlan, target: SearchTarget, wanted: int
) -> SearchFlow[float]:
    """Add the nearest regions until `wanted` images have one, with these images.

    Return the similarity down to which all are known: where Weaviate's 10,000 best are of fewer images, that of the
    last one. Raises InputError if there are none at all.
    """
    size = choose_first_size(wanted)
    while True:
        answer = yield regions.call.with_arguments(limit=size)
        objects = answer.objects
        if not objects and not regions.has_filters and plan.request.min_similarity is None:
            raise (
                build_no_corners_error(f"the collection {target.collection}")
                if regions.corner
                else build_no_regions_error(target.collection)
            )
        ranking.set_regions(objects)
        yield from look_up_images(ranking, plan, regions, target)
        if len(ranking.list_paths()) >= wanted or len(objects) < size:
            return -1.0
        if size == MAX_RESULTS:
            logger.warning("the %d nearest regions are of %d images; the list ends there", size, len(ranking.regions))
            return 1 - float(objects[-1].metadata.distance or 0.0)
        size = min(GROWTH * size, MAX_RESULTS)


def look_up_images(
    ranking: ImageRanking, plan: SearchPlan, regions: RegionPlan, target: SearchTarget
) -> SearchFlow[None]:
    """Add the images of regions that are not known yet; what the filters leave out is absent."""
    missing = [path for path in ranking.list_paths() if path not in ranking.images]
    for start in range(0, len(missing), LOOKUP_IDS):
        part = missing[start : start + LOOKUP_IDS]
        answer = yield build_lookup_call(plan, part)
        ranking.add_images(answer.objects, plan, target)
        ranking.absent.update(path for path in part if path not in ranking.images)
    if regions.only:
        ranking.images = {path: replace(hit, whole=None) for path, hit in ranking.images.items()}


def build_lookup_call(plan: SearchPlan, paths: Sequence[str]) -> WeaviateCall:
    """The search of whole pictures, among the images with these paths, however far they are."""
    among = Filter.by_id().contains_any([image_id(path) for path in paths])
    arguments = {name: value for name, value in plan.call.arguments.items() if name != DISTANCE}
    filters = combine_filters([arguments.get("filters"), among])
    return replace(plan.call, arguments={**arguments, "filters": filters, "limit": len(paths)})


def fetch_boxes(
    paths: Sequence[str], ranking: ImageRanking, regions: RegionPlan
) -> SearchFlow[dict[str, list[RegionHit]]]:
    """Return the best regions of each image; fetch those of images of which fewer than BOXES are known."""
    boxes = {path: ranking.regions.get(path, []) for path in paths}
    missing = [path for path, known in boxes.items() if len(known) < BOXES]
    for start in range(0, len(missing), BOX_LOOKUP):
        part = missing[start : start + BOX_LOOKUP]
        answer = yield build_boxes_call(regions, part)
        boxes |= group_regions(answer.objects)
    return boxes


def build_boxes_call(regions: RegionPlan, paths: Sequence[str]) -> WeaviateCall:
    arguments = {name: value for name, value in regions.call.arguments.items() if name != DISTANCE}
    filters = combine_filters([arguments.get("filters"), Filter.by_property(PATH).contains_any(list(paths))])
    limit = min(MAX_RESULTS, MAX_IMAGE_REGIONS * len(paths))
    return replace(regions.call, arguments={**arguments, "filters": filters, "limit": limit})


def group_regions(objects: Iterable[WeaviateObject]) -> dict[str, list[RegionHit]]:
    """By the path of their image, in the order of the objects."""
    found: dict[str, list[RegionHit]] = {}
    for each in objects:
        found.setdefault(read_text(each, PATH), []).append(read_region(each))
    return found


def read_region(found: WeaviateObject) -> RegionHit:
    values = found.properties
    x0, y0, x1, y1 = (float(values[name]) for name in BOX)
    objectness = values.get(OBJECTNESS)
    return RegionHit(
        (x0, y0, x1, y1),
        1 - float(found.metadata.distance or 0.0),
        read_text(found, METHOD),
        int(values.get(RANK) or 0),
        None if objectness is None else float(objectness),
        str(found.uuid),
        read_text(found, CORNER),
    )
