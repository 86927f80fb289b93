"""Values of filter expressions, parsed by the type of the property: texts, numbers, times, places.

Every parser raises InvalidFilterValue.
"""

import math
import re
from datetime import UTC, datetime, timedelta
from enum import Enum

from weaviate.classes.config import DataType
from weaviate.classes.query import GeoCoordinate

from clip_vectorizer.database.schema import (
    CAMERA,
    CAPTION_BY,
    EXACT_TEXT_PROPERTIES,
    PREDICTION_PROPERTIES,
    UNFILTERED_PROPERTIES,
)
from clip_vectorizer.errors import Suggestion

EXACT_INTEGERS = 2**53  # Weaviate's filters read numbers as doubles
MIN_DOUBLE = -1.7976931348623157e308
EARLIEST = datetime(1678, 1, 1, tzinfo=UTC)  # Weaviate counts nanoseconds in 64 bits
LATEST = datetime(2262, 1, 1, tzinfo=UTC)
EVERYWHERE = (GeoCoordinate(latitude=0, longitude=0), 2.1e7)  # radius in metres: beyond the other side of the earth
CIRCLE = re.compile(r"(\d+(?:\.\d+)?)\s*(m|km)\s*@\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)")
METRES_PER_UNIT = {"m": 1.0, "km": 1000.0}
DAY = re.compile(r"\d{4}-?\d{2}-?\d{2}")
BOOL_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
WORD = re.compile(r"[^\W_]+")
# Weaviate's list for English: a text with no other words cannot be searched.
ENGLISH_STOPWORDS = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this "
    "to was will with"
)
STOPWORDS = frozenset(ENGLISH_STOPWORDS.split())


class InvalidFilterValue(ValueError):
    """The reason why an expression is invalid; the caller adds the expression. `suggestion`: as in InputError."""

    def __init__(self, reason: str, suggestion: Suggestion | None = None) -> None:
        super().__init__(reason)
        self.suggestion = suggestion


class PropertyKind(Enum):
    """How the values of a property are compared; for a list, each element."""

    EXACT = "texts compared as a whole"
    WORDS = "texts compared by their words"
    INTEGER = "whole numbers"
    NUMBER = "numbers"
    DATE = "times"
    BOOL = "true or false"
    PLACE = "places"


KIND_BY_DATA_TYPE = {
    DataType.INT: PropertyKind.INTEGER,
    DataType.INT_ARRAY: PropertyKind.INTEGER,
    DataType.NUMBER: PropertyKind.NUMBER,
    DataType.NUMBER_ARRAY: PropertyKind.NUMBER,
    DataType.DATE: PropertyKind.DATE,
    DataType.DATE_ARRAY: PropertyKind.DATE,
    DataType.BOOL: PropertyKind.BOOL,
    DataType.BOOL_ARRAY: PropertyKind.BOOL,
    DataType.TEXT: PropertyKind.WORDS,
    DataType.TEXT_ARRAY: PropertyKind.WORDS,
    DataType.GEO_COORDINATES: PropertyKind.PLACE,
}


def find_kind(name: str, data_type: DataType) -> PropertyKind | None:
    """Return the kind of a property; None: it has no index to filter by."""
    if name in UNFILTERED_PROPERTIES:
        return None
    exact = data_type is DataType.TEXT and name in (*EXACT_TEXT_PROPERTIES, *PREDICTION_PROPERTIES, CAMERA, CAPTION_BY)
    return PropertyKind.EXACT if exact else KIND_BY_DATA_TYPE.get(data_type)


def check_pattern(text: str) -> str:
    """Return `text` if it is a pattern that words can match."""
    if not re.search(r"[^\W_]|[*?]", text):
        raise InvalidFilterValue(f"{text!r} has no letter, number, * or ?")
    return text


def check_words(text: str) -> str:
    """Return `text` if it has an indexed word."""
    if not any(word not in STOPWORDS for word in WORD.findall(text.lower())):
        raise InvalidFilterValue(f"{text!r} has no word that is indexed; words like 'a' and 'the' are not")
    return text


def parse_integer(text: str) -> int:
    """Parse a whole number that a double represents exactly.

    >>> parse_integer("1e3")
    1000
    """
    value = parse_number(text)
    if not value.is_integer():
        raise InvalidFilterValue(f"{text!r} is not a whole number, and the property has only whole numbers")
    if abs(value) > EXACT_INTEGERS:
        raise InvalidFilterValue(f"{text!r} is out of range; Weaviate compares whole numbers up to 2**53")
    return int(value)


def parse_number(text: str) -> float:
    """Parse a number; NaN and infinity are invalid."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidFilterValue(f"{text!r} is not a number; write 1000, -2.5 or 1e6")
    return value


def parse_bool(text: str) -> bool:
    """Parse true, yes, 1, false, no or 0."""
    if text.lower() not in BOOL_WORDS:
        raise InvalidFilterValue(f"{text!r} is neither true nor false")
    return BOOL_WORDS[text.lower()]


def parse_period(text: str) -> tuple[datetime, datetime]:
    """Return the start of a year, month or day (2024, 2024-06, 2024-06-01) and its end, exclusive.

    For a time both are the same. A time without a zone is UTC, as for stored images.
    """
    try:
        return check_range(*parse_span(text))
    except (ValueError, OverflowError):
        raise InvalidFilterValue(
            f"{text!r} is not a time that Weaviate can store; write 2024, 2024-06, 2024-06-01 or "
            f"2024-06-01T18:30:00+02:00, from {EARLIEST.year} to {LATEST.year - 1}"
        ) from None


def parse_span(text: str) -> tuple[datetime, datetime]:
    if re.fullmatch(r"\d{4}", text):
        return datetime(int(text), 1, 1, tzinfo=UTC), datetime(int(text) + 1, 1, 1, tzinfo=UTC)
    if re.fullmatch(r"\d{4}-\d{2}", text):
        first = datetime.fromisoformat(f"{text}-01").replace(tzinfo=UTC)
        return first, (first + timedelta(days=31)).replace(day=1)
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment, moment + timedelta(days=1) if DAY.fullmatch(text) else moment


def check_range(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    if not EARLIEST <= start <= end <= LATEST:
        raise ValueError
    return start, end


def parse_circle(text: str) -> tuple[GeoCoordinate, float]:
    """Return centre and radius in metres of `10km@52.5,13.4`."""
    parts = CIRCLE.fullmatch(text)
    if parts is None:
        raise InvalidFilterValue(
            f"{text!r} is not a circle; write 10km@52.5,13.4, a distance, then latitude and longitude"
        )
    radius, unit, *centre = parts.groups()
    latitude, longitude = map(float, centre)
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise InvalidFilterValue(f"{text!r}: latitudes go from -90 to 90, longitudes from -180 to 180")
    return GeoCoordinate(latitude=latitude, longitude=longitude), float(radius) * METRES_PER_UNIT[unit]
