"""Filters with counts: the values of a few properties, each a link that adds it to the filters or removes it."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from clip_vectorizer.errors import InputError
from clip_vectorizer.gallery.address import Address, make_path
from clip_vectorizer.query.async_image_search import AsyncImageSearch
from clip_vectorizer.query.filters.where import parse_property, parse_values
from clip_vectorizer.query.filters.where_values import InvalidFilterValue
from clip_vectorizer.query.search.counting import ValueCount

FACETS = {
    "label": "Label",
    "predicted_label": "Predicted label",
    "taken_at": "Year",
    "camera": "Camera",
    "mime": "File type",
}
MOST_VALUES = 200  # of a property; a page shows the first ones, and the rest on demand
EQUAL = re.compile(r"\s*(\w+)\s*==?(?!=)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FacetValue:
    value: str
    count: int
    chosen: bool
    path: str  # the page with this value added, or removed


@dataclass(frozen=True, slots=True)
class Facet:
    """A property, its values among the images that the other filters leave, most frequent first."""

    name: str
    title: str
    values: tuple[FacetValue, ...]
    reset: str  # the page without this filter, "" where it is not set


async def read_facets(address: Address, search: AsyncImageSearch) -> list[Facet]:
    """Return the facets that can narrow the results. Raises InputError for a bad filter."""
    names = [name for name in FACETS if name in search.properties]
    counts = await asyncio.gather(
        *(search.count_values(name, list_other_filters(address, name), MOST_VALUES) for name in names)
    )
    facets = [build_facet(name, found, address) for name, found in zip(names, counts, strict=True)]
    return [facet for facet in facets if len(facet.values) > 1 or facet.reset]


def build_facet(name: str, counts: Sequence[ValueCount], address: Address) -> Facet:
    chosen = list_chosen_values(address, name)
    missing = [ValueCount(value, 0) for value in chosen if value not in {each.value for each in counts}]
    values = (
        FacetValue(each.value, each.count, each.value in chosen, toggle(address, name, chosen, each.value))
        for each in (*missing, *counts)
    )
    reset = make_path(address.with_only("where", *list_other_filters(address, name))) if chosen else ""
    return Facet(name, FACETS[name], tuple(values), reset)


def toggle(address: Address, name: str, chosen: Sequence[str], value: str) -> str:
    kept = [each for each in chosen if each != value] if value in chosen else [*chosen, value]
    expressions = [f"{name}={'|'.join(map(quote_value, kept))}"] if kept else []
    return make_path(address.with_only("where", *list_other_filters(address, name), *expressions))


def list_chosen_values(address: Address, name: str) -> list[str]:
    """Return the values of filters `name=value|value`."""
    found = (read_equal(expression) for expression in address.all("where"))
    return list(dict.fromkeys(value for each, values in found if each == name for value in values))


def list_other_filters(address: Address, name: str) -> list[str]:
    """Return the filters but those that `list_chosen_values` reads."""
    return [expression for expression in address.all("where") if read_equal(expression)[0] != name]


def read_equal(expression: str) -> tuple[str, tuple[str, ...]]:
    """Return the property and the values of `name=value|value`, "" for other filters.

    >>> read_equal("label=fruit|animals"), read_equal("size>=10")
    (('label', ('fruit', 'animals')), ('', ()))
    """
    parts = EQUAL.fullmatch(expression)
    if parts is None:
        return "", ()
    try:
        return parse_property(expression), parse_values(parts[2], parts[1], "=")
    except (InputError, InvalidFilterValue):
        return "", ()


def quote_value(value: str) -> str:
    r"""Return a value as a filter has it, so that it is read as it is.

    >>> print(quote_value("a|b"), quote_value(' "x" '))
    a\|b ' "x" '
    """
    escaped = value.replace("|", r"\|")
    if escaped == escaped.strip() and escaped[:1] not in ("'", '"') and escaped:
        return escaped
    mark = "'" if '"' in escaped else '"'
    return f"{mark}{escaped}{mark}"
