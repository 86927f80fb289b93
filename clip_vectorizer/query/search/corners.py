"""A search by one corner of a page among the same corner of all others: pages with the same title block.

The nearest corners by their vectors are put in order by their rules too (images/line_grid.py), where the query is one
picture: a title block has its rules at the same places, whatever is written in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from weaviate.classes.query import Filter

from clip_vectorizer.database.regions import CORNER, LINE_GRID
from clip_vectorizer.database.schema import PATH
from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError
from clip_vectorizer.images.line_grid import LineGrid, compare_line_grids
from clip_vectorizer.query.hits import Hit
from clip_vectorizer.query.search.calls import CutCorner, SearchFlow, SearchTarget, WeaviateCall
from clip_vectorizer.query.search.query import ImagePart, Query, QueryPart, StoredPart, VectorPart
from clip_vectorizer.query.search.results import WeaviateObject, read_text
from clip_vectorizer.query.search.stored_images import fetch_stored_images, read_stored_vector

# Pages, nearest first, that are put in order by their rules. Of 300 pages of examples/drawings, the 50 nearest by the
# vectors of `emoji` have 45 % of those with the same block; a line grid is a kilobyte, and 500 are compared in 25 ms.
RERANKED = 500
LINES_SHARE = 0.9  # of a page's score; the rest is the cosine, which decides between pages without rules


@dataclass(frozen=True, slots=True)
class CornerQuery:
    """A query of which each picture is a corner."""

    query: Query
    excluded_ids: tuple[str, ...] = ()  # pages of the query, which are no hits
    line_grid: LineGrid | None = None  # where the query is one picture
    is_file: bool = False  # that picture is no stored corner: it may have been cut out in another way


def build_no_corners_error(what: str) -> InputError:
    return InputError(f"{what} has no corners stored; make them with clip-ingest SOURCE --regions corners")


def read_corner_query(
    query: Query, corner: str, target: SearchTarget, regions: SearchTarget
) -> SearchFlow[CornerQuery]:
    """Replace stored pages by their corners, and images by what is embedded of a corner.

    Raises InputError for a page without stored corners, or an image that cannot be read.
    """
    if CORNER not in regions.properties:
        raise build_no_corners_error(f"the collection {target.collection}")
    pages = yield from fetch_stored_images(query, target)
    corners = yield from fetch_corners([read_text(page, PATH) for page in pages.values()], corner, regions)
    parts: list[tuple[float, QueryPart]] = []
    grids: list[LineGrid | None] = []
    for weight, part in query.parts:
        if isinstance(part, StoredPart):
            found = find_corner(corners, read_text(pages[part], PATH))
            parts.append((weight, VectorPart(read_stored_vector(found, regions, part.key))))
            grids.append(LineGrid.from_text(read_text(found, LINE_GRID)))
        elif isinstance(part, ImagePart):
            picture = yield CutCorner(part.image, corner)
            parts.append((weight, ImagePart(picture.file)))
            grids.append(picture.line_grid)
        else:
            parts.append((weight, part))
    excluded = tuple(str(page.uuid) for part, page in pages.items() if not part.include_self)
    is_file = isinstance(query.parts[0][1], ImagePart)
    return CornerQuery(Query(tuple(parts)), excluded, grids[0] if len(grids) == len(parts) == 1 else None, is_file)


def fetch_corners(paths: Sequence[str], corner: str, regions: SearchTarget) -> SearchFlow[Mapping[str, WeaviateObject]]:
    """Return the corner of each page, by its path; pages without corners are absent."""
    if not paths:
        return {}
    where = Filter.by_property(PATH).contains_any(list(paths)) & Filter.by_property(CORNER).equal(corner)
    answer = yield WeaviateCall(
        "fetch_objects",
        {
            "filters": where,
            "limit": MAX_RESULTS,
            "include_vector": [regions.vector],
            "return_properties": [PATH, LINE_GRID],
        },
        collection=regions.collection,
    )
    return {read_text(found, PATH): found for found in answer.objects}


def find_corner(corners: Mapping[str, WeaviateObject], path: str) -> WeaviateObject:
    if path not in corners:
        raise build_no_corners_error(path)
    return corners[path]


def order_by_lines(hits: Sequence[Hit], query: LineGrid, texts: Mapping[str, str], free: bool) -> list[Hit]:
    """Return the hits, the first RERANKED of them with a `score` and in its order.

    `texts`: the stored line grids by path. `free`: the query was cut out by hand.
    """
    nearest = hits[:RERANKED]
    grids = [LineGrid.from_text(texts.get(hit.path, "")) for hit in nearest]
    agreements = iter(compare_line_grids(query, [grid for grid in grids if grid], free).tolist())
    scored = [score_hit(hit, next(agreements) if grid else 0.0) for hit, grid in zip(nearest, grids, strict=True)]
    return [*sorted(scored, key=lambda hit: (-(hit.score or 0.0), hit.path)), *hits[RERANKED:]]


def score_hit(hit: Hit, lines: float) -> Hit:
    regions = tuple(replace(region, lines=lines) for region in hit.regions)
    return replace(hit, score=LINES_SHARE * lines + (1 - LINES_SHARE) * hit.similarity, regions=regions)
