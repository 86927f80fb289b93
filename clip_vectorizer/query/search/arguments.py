"""The keyword arguments of every search, and the checked request that they become."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from clip_vectorizer.boxes import CORNERS
from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError
from clip_vectorizer.near_strings import did_you_mean
from clip_vectorizer.query.choices import CORNER_MARK
from clip_vectorizer.query.filters.where import FilterInput
from clip_vectorizer.query.prompts import normalize_text

MAX_FORCE = 1e6  # past it nothing is left of the rest in float32
VECTOR_ONLY = 1.0  # alpha of a search without keywords


@dataclass(frozen=True, slots=True)
class Move:
    """A text to move a search towards or away from, as in Weaviate's nearText.

    >>> Move("the sea", 0.5)
    Move(text='the sea', force=0.5)

    `force` is 0..1 towards a text (1 goes half the way there), and 0 to a million away from one.
    Raises InputError for an empty text, and for a force outside of 0 to a million.
    """

    text: str
    force: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", normalize_text(self.text))
        object.__setattr__(self, "force", parse_number("force", self.force, 0, MAX_FORCE))
        if not self.text:
            raise InputError("the text to move to or away from is empty; give one, for example Move('the sea', 0.5)")


class SearchOptions(TypedDict, total=False):
    """The keyword arguments of every search, except `limit`. Names and meanings are those of weaviate-client."""

    offset: int  # how many of the best hits to skip; offset + limit <= 10,000
    filters: FilterInput  # "label=fruit", several of them (all must hold), or a Filter of weaviate-client
    min_similarity: float  # least cosine, -1..1
    auto_limit: int  # ends the results after this many jumps of the distance (Weaviate's autocut)
    diversity: float  # 0 only relevance .. 1 only difference from earlier hits (Weaviate's MMR)
    deduplicate: bool  # equal images become one hit that lists its `copies`
    alpha: float  # 1 (default) the vector only .. 0 only the words (BM25) in captions and other text, as in hybrid
    move_to: Move | None
    move_away: Move | None
    return_properties: Iterable[str]  # properties to return in Hit.properties
    include_vector: bool  # return Hit.vector
    include_thumbnail: bool  # return Hit.thumbnail
    # True: search the parts of images too (`clip-ingest --regions`), and return Hit.regions. "corner:bottom-right": the
    # query is a corner of a page, and is compared with the same corner of all others (`--regions corners`)
    regions: bool | str


class SearchArguments(SearchOptions, total=False):
    """The keyword arguments of a search: `search.find("owl", limit=5, filters="label=birds", deduplicate=True)`."""

    limit: int  # most results, 1..10,000; default 10


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """`SearchArguments` with defaults, checked. Raises InputError for a value that no search can take."""

    limit: int = 10
    offset: int = 0
    filters: FilterInput = None
    min_similarity: float | None = None
    auto_limit: int | None = None
    diversity: float | None = None
    deduplicate: bool = False
    alpha: float = VECTOR_ONLY
    move_to: Move | None = None
    move_away: Move | None = None
    return_properties: Iterable[str] = ()
    include_vector: bool = False
    include_thumbnail: bool = False
    regions: bool | str = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit", parse_integer("limit", self.limit, 1))  # numpy's numbers become Python's
        object.__setattr__(self, "offset", parse_integer("offset", self.offset, 0))
        check_limits(self.limit, self.offset)
        object.__setattr__(self, "return_properties", parse_property_names(self.return_properties))
        object.__setattr__(self, "alpha", parse_number("alpha", self.alpha, 0, 1))
        if self.min_similarity is not None:
            parse_number("min_similarity", self.min_similarity, -1, 1)
        if self.diversity is not None:
            parse_number("diversity", self.diversity, 0, 1)
        if self.auto_limit is not None:
            object.__setattr__(self, "auto_limit", parse_integer("auto_limit", self.auto_limit, 1))
        for name, move in (("move_to", self.move_to), ("move_away", self.move_away)):
            if not isinstance(move, Move | None):
                raise InputError(f"{name} {move!r}: expected a Move, for example Move('the sea', 0.5)")
        if self.move_to is not None and self.move_to.force > 1:
            raise InputError(f"force {self.move_to.force:g}: towards a text it is 0 to 1; 1 goes half the way")
        if self.regions:
            check_regions(self)
        if isinstance(self.regions, str):
            parse_corner(self.regions)

    @property
    def corner(self) -> str:
        """The corner of pages that is searched, "" for other searches."""
        return parse_corner(self.regions) if isinstance(self.regions, str) else ""

    @property
    def is_hybrid(self) -> bool:
        """Whether keywords count, next to the vector or alone."""
        return self.alpha < VECTOR_ONLY


def parse_corner(text: str) -> str:
    """Return the name in `corner:bottom-right`. Raises InputError.

    >>> parse_corner("corner:top-left")
    'top-left'
    """
    mark, _, name = text.partition(":")
    if mark != CORNER_MARK or name not in CORNERS:
        meant = did_you_mean(name or mark, CORNERS)
        raise InputError(f"regions {text!r}: {meant}write {', '.join(f'{CORNER_MARK}:{each}' for each in CORNERS)}")
    return name


def check_regions(request: SearchRequest) -> None:
    """Raise InputError for what a search of regions cannot do: images are ranked by two lists of similarities."""
    used = {
        "alpha": request.is_hybrid,
        "diversity": request.diversity is not None,
        "auto_limit": request.auto_limit is not None,
        "deduplicate": request.deduplicate,
    }
    if names := [name for name, is_used in used.items() if is_used]:
        raise InputError(f"regions are ranked by their similarity alone; remove {' and '.join(names)}, or regions")


def parse_property_names(properties: object) -> tuple[str, ...]:
    names = (properties,) if isinstance(properties, str) or not isinstance(properties, Iterable) else tuple(properties)
    if not all(isinstance(name, str) for name in names):
        raise InputError(
            f"return_properties {properties!r}: expected names of properties, for example ['size', 'mime']"
        )
    return names


def check_limits(limit: int, offset: int = 0) -> None:
    parse_integer("limit", limit, 1)
    parse_integer("offset", offset, 0)
    if limit > MAX_RESULTS:
        raise InputError(f"limit {limit}: expected 1 to {MAX_RESULTS} results")
    if offset + limit > MAX_RESULTS:
        raise InputError(
            f"offset {offset} and limit {limit} reach past Weaviate's {MAX_RESULTS} best; "
            "narrow the search by a filter, or list the whole collection (iterate in Python, --list in clip-search)"
        )


def parse_integer(name: str, value: object, least: int) -> int:
    """Return `value` as an int. Raises InputError unless it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        upto = f" to {MAX_RESULTS} results" if name == "limit" else " or more"
        raise InputError(f"{name} {value!r}: expected {least}{upto}")
    return int(value)


def parse_number(name: str, value: object, least: float, most: float) -> float:
    """Return `value` as a float. Raises InputError unless it is a finite number from `least` to `most`."""
    try:
        found = float(value)  # type: ignore[arg-type]  # anything may come in; numpy's numbers are welcome
    except (TypeError, ValueError):
        found = math.nan
    if isinstance(value, bool | str) or not math.isfinite(found) or not least <= found <= most:
        upto = "or more" if math.isinf(most) else f"to {most:g}"
        raise InputError(f"{name} {value!r}: expected a number, {least:g} {upto}")
    return found
