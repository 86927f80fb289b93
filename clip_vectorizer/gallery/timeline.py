"""/timeline: how many images each year has, each month of a year, each day of a month. What is chosen is a filter."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import click
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from weaviate.classes.config import DataType

from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.gallery.address import PLACE, Address, make_image_path, make_path
from clip_vectorizer.gallery.facets import FacetCounts, list_chosen_values, list_other_filters
from clip_vectorizer.gallery.pages import GalleryPages, lines_response
from clip_vectorizer.gallery.results import Card
from clip_vectorizer.query.async_image_search import AsyncImageSearch
from clip_vectorizer.query.search.counting import MAX_PERIODS, ValueCount

FIRST_CHOICE = "taken_at"  # of several properties with times
BY = "by"  # a parameter of this page: the property
SHOWN = 12  # images below the chart
PERIOD = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
PATH = "/timeline"


@dataclass(frozen=True, slots=True)
class TimeBar:
    """A period with its images. `path`: the time line with it as a filter."""

    title: str  # 2024, Jan, 5
    spoken: str  # 2024, January 2024, 5 January 2024
    count: int
    height: int  # of the bar, 0..100
    chosen: bool
    path: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """What the page shows of one property."""

    name: str
    period: str  # the chosen year, month or day, "" for all
    within: str  # the year or month whose parts are the bars, in words, "" for all years
    bars: tuple[TimeBar, ...]
    unit: str  # what a bar is: year, month, day
    steps: tuple[tuple[str, str], ...]  # the periods around it, from all years on: title and address
    counted: int  # images of all bars
    total: int  # images that match the other filters
    without: int  # of these without a time, where all years are shown
    without_path: str
    earlier: int  # images before the first bar
    earlier_path: str
    names: tuple[tuple[str, bool, str], ...]  # properties with times: name, whether it is shown, address
    takes_back: str  # the same search without the chosen period


@dataclass(frozen=True, slots=True)
class FirstImages:
    """The first images of a search, or the sentence of its failure."""

    cards: tuple[Card, ...] = ()
    total: int | None = None
    problem: str = ""


class TimelinePages(GalleryPages):
    """/timeline, and /timeline.json with the counts."""

    @property
    def routes(self) -> list[Route]:
        return [Route(PATH, self.show_timeline), Route(f"{PATH}.json", self.show_counts)]

    async def show_timeline(self, request: Request) -> Response:
        address = Address()
        try:
            name, address = read_timeline_address(request)
            search = await self.gallery.connection.open(address)
            timeline, results = await asyncio.gather(
                self.gallery.connection.watch(read_timeline(name, address, search, self.gallery.counts)),
                self.find_some(address, search),
            )
        except (VectorizerError, click.UsageError) as error:
            return await self.respond_to_error(error, address=address)
        return self.render("timeline.html", 200, address, timeline=timeline, results=results)

    async def find_some(self, address: Address, search: AsyncImageSearch) -> FirstImages:
        """Return the first images of the search. The chart is there without them."""
        try:
            found = await self.find(address.with_only("limit", str(SHOWN)), search)
        except (VectorizerError, click.UsageError) as error:
            return FirstImages(problem=(await self.describe(error))[0])
        cards = (replace(card, details=make_image_path(card.id, address)) for card in found.cards[:SHOWN])
        return FirstImages(tuple(cards), found.total)

    async def show_counts(self, request: Request) -> Response:
        """One line for each bar: its period and its count."""
        try:
            name, address = read_timeline_address(request)
            search = await self.gallery.connection.open(address)
            name = choose_property(name, search)
            others, within = list_other_filters(address, name), choose_within(choose_period(address, name))
            counts = await self.gallery.counts.start(name, others, search, within)
        except (VectorizerError, click.UsageError) as error:
            return await self.respond_in_json(error)
        return lines_response([{"period": each.value, "count": each.count} for each in counts])


def read_timeline_address(request: Request) -> tuple[str, Address]:
    """Return the property and the search. Raises InputError for another parameter."""
    pairs = request.query_params.multi_items()
    name = next((value for key, value in reversed(pairs) if key == BY), "")
    query = "&".join(part for part in request.url.query.split("&") if part.partition("=")[0] != BY)
    address = Address.parse(query)
    return name, Address(tuple(pair for pair in address.pairs if pair[0] not in PLACE))


async def read_timeline(name: str, address: Address, search: AsyncImageSearch, kept: FacetCounts) -> Timeline:
    """Count. Images without a time are what is left: to look for them, Weaviate would read every time there is.

    Raises InputError where no property has times, and for a bad filter.
    """
    name = choose_property(name, search)
    period = choose_period(address, name)
    others = list_other_filters(address, name)
    counts, total = await asyncio.gather(kept.start(name, others, search, choose_within(period)), search.count(others))
    counted = sum(each.count for each in counts)
    first = counts[0].value if counts else ""
    earlier = await search.count([*others, f"{name}<{first}"]) if not period and len(counts) == MAX_PERIODS else 0
    without = 0 if period else max(total - counted - earlier, 0)
    return Timeline(
        name=name,
        period=period,
        within=format_period(choose_within(period)) if period else "",
        bars=build_bars(counts, name, period, address),
        unit=("year", "month", "day")[len(choose_within(period).split("-")) if period else 0],
        steps=tuple(list_steps(name, period, address)),
        counted=counted,
        total=total,
        without=without,
        without_path=make_path(add_filters(address, name, f"!{name}?")),
        earlier=earlier,
        earlier_path=link(address, name, *([f"{name}<{first}"] if first else [])),
        names=tuple((each, each == name, link_property(address, each)) for each in list_time_properties(search)),
        takes_back=make_path(add_filters(address, name)),
    )


def list_time_properties(search: AsyncImageSearch) -> list[str]:
    """Return the properties with times, `taken_at` first."""
    names = sorted(name for name, kind in search.properties.items() if kind is DataType.DATE)
    return sorted(names, key=lambda name: name != FIRST_CHOICE)


def choose_property(name: str, search: AsyncImageSearch) -> str:
    """Raises InputError for one without times, and where there is none."""
    names = list_time_properties(search)
    if not names:
        raise InputError(
            "no property of this collection holds times; `clip-ingest --exif` stores when photos were taken"
        )
    if name and name not in names:
        raise InputError(f"{BY}={name}: no property with times; choose one of {', '.join(names)}, or remove it")
    return name or names[0]


def choose_period(address: Address, name: str) -> str:
    """Return the chosen year, month or day, "" for none or several."""
    chosen = list_chosen_values(address, name)
    return chosen[0] if len(chosen) == 1 and PERIOD.fullmatch(chosen[0]) else ""


def choose_within(period: str) -> str:
    """Return the period whose parts are shown: a year's months, a month's days, and those beside a day.

    >>> choose_within(""), choose_within("2024"), choose_within("2024-06"), choose_within("2024-06-05")
    ('', '2024', '2024-06', '2024-06')
    """
    return period[:7]


def build_bars(counts: Sequence[ValueCount], name: str, period: str, address: Address) -> tuple[TimeBar, ...]:
    most = max((each.count for each in counts), default=0)
    chosen = list_chosen_values(address, name)
    return tuple(
        TimeBar(
            title=format_part(each.value),
            spoken=format_period(each.value),
            count=each.count,
            height=scale(each.count, most),
            chosen=each.value in chosen,
            path=link(address, name, f"{name}={each.value}"),
        )
        for each in counts
    )


def scale(count: int, most: int) -> int:
    """Return the height of a bar: one image is seen beside very many.

    >>> scale(0, 10), scale(1, 1000), scale(10, 10)
    (0, 2, 100)
    """
    return max(2, round(100 * count / most)) if count else 0


def format_part(period: str) -> str:
    """
    >>> format_part("2024"), format_part("2024-06"), format_part("2024-06-05")
    ('2024', 'Jun', '5')
    """
    year, month, day = split_period(period)
    return str(int(day)) if day else MONTHS[int(month) - 1][:3] if month else year


def format_period(period: str) -> str:
    """
    >>> format_period("2024-06-05")
    '5 June 2024'
    """
    year, month, day = split_period(period)
    words = [str(int(day))] if day else []
    words += [MONTHS[int(month) - 1]] if month and 1 <= int(month) <= 12 else []
    return " ".join([*words, year])


def split_period(period: str) -> tuple[str, str, str]:
    parts = PERIOD.fullmatch(period)
    assert parts is not None, "a period is a year, a month or a day"
    year, month, day = parts.groups("")
    return year, month, day


def list_steps(name: str, period: str, address: Address) -> list[tuple[str, str]]:
    """Return the way down to the chosen period, with it as the last one."""
    if not period:
        return []
    year, month, day = split_period(period)
    steps = [year, *([f"{year}-{month}"] if month else []), *([period] if day else [])]
    return [
        ("All years", link(address, name)),
        *((format_period(each), link(address, name, f"{name}={each}")) for each in steps),
    ]


def add_filters(address: Address, name: str, *expressions: str) -> Address:
    """The search with these filters in place of those that choose a period."""
    return address.with_only("where", *list_other_filters(address, name), *expressions)


def link(address: Address, name: str, *expressions: str) -> str:
    """The time line with these filters in place of those that choose a period."""
    path = make_path(add_filters(address, name, *expressions), PATH)
    return path if name == FIRST_CHOICE else f"{path}{'&' if '?' in path else '?'}{BY}={name}"


def link_property(address: Address, name: str) -> str:
    """The time line of another property, with all filters."""
    chosen = [each for each in address.all("where") if each not in list_other_filters(address, name)]
    return link(address, name, *chosen)
