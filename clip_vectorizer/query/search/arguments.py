"""How a search is asked beside what it looks for: the keyword arguments of every search, checked."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.filters.where import FilterInput
from clip_vectorizer.query.prompts import normalize_text

MAX_FORCE = 1e6  # past it nothing is left of the rest in float32


@dataclass(frozen=True, slots=True)
class Move:
    """Where a search is moved to or away from, as Weaviate's nearText does: `Move("the sea", 0.5)`.

    `force` 0..1 towards a text: 1 goes half the way there. Away from one: 0 to a million.
    Raises InputError for an empty text or a force that is no such number.
    """

    text: str
    force: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", normalize_text(self.text))
        object.__setattr__(self, "force", parse_number("force", self.force, 0, MAX_FORCE))
        if not self.text:
            raise InputError("the text to move to or away from is empty; say one, for example Move('the sea', 0.5)")


class SearchOptions(TypedDict, total=False):
    """What every search may be asked beside how many it should find."""

    offset: int  # how many of the best are left out; offset + limit <= 10,000
    where: FilterInput  # "label=fruit", several of them (all must hold), or a Filter of weaviate-client
    min_similarity: float  # cosine, -1..1
    auto_limit: int  # ends the results at so many jumps of the distance (Weaviate's autocut)
    diversity: float  # 0 only relevance .. 1 only difference from what was taken already (Weaviate's MMR)
    fold: bool  # equal images become one hit that lists its `copies`
    captions: float  # share of a word search (BM25) over captions and other text, 0..1
    move_to: Move | None
    move_away: Move | None
    properties: Iterable[str]  # to be found in Hit.properties
    vectors: bool  # to be found in Hit.vector
    thumbnails: bool  # to be found in Hit.thumbnail


class SearchArguments(SearchOptions, total=False):
    """The keyword arguments of a search: `search.find("owl", limit=5, where="label=birds", fold=True)`."""

    limit: int  # most results, 1..10,000; default 10


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """`SearchArguments` with its defaults, checked. Raises InputError for what no search can be asked."""

    limit: int = 10
    offset: int = 0
    where: FilterInput = None
    min_similarity: float | None = None
    auto_limit: int | None = None
    diversity: float | None = None
    fold: bool = False
    captions: float = 0.0
    move_to: Move | None = None
    move_away: Move | None = None
    properties: Iterable[str] = ()
    vectors: bool = False
    thumbnails: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit", parse_integer("limit", self.limit, 1))  # numpy's numbers become Python's
        object.__setattr__(self, "offset", parse_integer("offset", self.offset, 0))
        check_limits(self.limit, self.offset)
        object.__setattr__(self, "properties", parse_property_names(self.properties))
        object.__setattr__(self, "captions", parse_number("captions", self.captions, 0, 1))
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


def parse_property_names(properties: object) -> tuple[str, ...]:
    names = (properties,) if isinstance(properties, str) or not isinstance(properties, Iterable) else tuple(properties)
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"properties {properties!r}: expected names of properties, for example ['size', 'mime']")
    return names


def check_limits(limit: int, offset: int = 0) -> None:
    parse_integer("limit", limit, 1)
    parse_integer("offset", offset, 0)
    if limit > MAX_RESULTS:
        raise InputError(f"limit {limit}: expected 1 to {MAX_RESULTS} results")
    if offset + limit > MAX_RESULTS:
        raise InputError(
            f"offset {offset} and limit {limit} ask for more than Weaviate's {MAX_RESULTS} best; "
            "narrow the search by a filter (where), or list the whole collection (everything)"
        )


def parse_integer(name: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        upto = f" to {MAX_RESULTS} results" if name == "limit" else " or more"
        raise InputError(f"{name} {value!r}: expected {least}{upto}")
    return int(value)


def parse_number(name: str, value: object, least: float, most: float) -> float:
    """`value` as a float. Raises InputError unless it is a finite number from `least` to `most`."""
    try:
        found = float(value)  # type: ignore[arg-type]  # whatever it is, numpy's numbers too
    except (TypeError, ValueError):
        found = math.nan
    if isinstance(value, bool | str) or not math.isfinite(found) or not least <= found <= most:
        upto = "or more" if math.isinf(most) else f"to {most:g}"
        raise InputError(f"{name} {value!r}: expected a number, {least:g} {upto}")
    return found
