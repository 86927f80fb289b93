"""Filters with counts: the values of a few properties, each a link that adds it to the filters or removes it."""

import asyncio
import re
import time
from collections import OrderedDict
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
LONG_SECONDS = 0.2  # counts that took less are not kept: they are up to date
REUSE_FACTOR = 10
KEPT_COUNTS = 500
# collection and tenant, a property, the filters, and a period of a time line
CountKey = tuple[tuple[str, str | None], str, tuple[str, ...], str | None]
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


class FacetCounts:
    """Counts of values that took long, in memory: Weaviate reads each image to count, and many pages need the same.

    They are used again for ten times as long as they took, so that counting takes a tenth of the time at most.
    """

    def __init__(self) -> None:
        self._tasks: OrderedDict[CountKey, asyncio.Task[list[ValueCount]]] = OrderedDict()
        self._fresh_until: dict[CountKey, float] = {}

    def start(
        self, name: str, filters: Sequence[str], search: AsyncImageSearch, within: str | None = None
    ) -> "asyncio.Task[list[ValueCount]]":
        """Return a task with the counts, which goes on when the page that began it ends.

        `within`: a period, to count times as ImageSearch.count_times does.
        """
        key = (search.partition, name, tuple(filters), within)
        task = self._tasks.get(key)
        if task is None or (task.done() and time.monotonic() > self._fresh_until.get(key, 0)):
            task = asyncio.create_task(self._count(key, search))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # a page may have gone meanwhile
            self._tasks[key] = task
        self._tasks.move_to_end(key)
        while len(self._tasks) > KEPT_COUNTS:
            dropped, _ = self._tasks.popitem(last=False)
            self._fresh_until.pop(dropped, None)
        return task

    async def _count(self, key: CountKey, search: AsyncImageSearch) -> list[ValueCount]:
        _, name, filters, within = key
        began = time.monotonic()
        found = (
            await search.count_values(name, list(filters), MOST_VALUES)
            if within is None
            else await search.count_times(name, list(filters), within)
        )
        took = time.monotonic() - began
        self._fresh_until[key] = time.monotonic() + (REUSE_FACTOR * took if took > LONG_SECONDS else 0.0)
        return found


async def read_facets(
    address: Address, search: AsyncImageSearch, counts: FacetCounts, patience_seconds: float | None = None
) -> list[Facet] | None:
    """Return the facets that can narrow the results, None where counting takes longer. Raises InputError for a bad
    filter.
    """
    names = [name for name in FACETS if name in search.properties]
    tasks = [counts.start(name, list_other_filters(address, name), search) for name in names]
    _, pending = await asyncio.wait(tasks, timeout=patience_seconds) if tasks else (None, None)
    if pending:
        return None
    facets = [build_facet(name, task.result(), address) for name, task in zip(names, tasks, strict=True)]
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
