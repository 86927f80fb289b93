"""A value of a table or of a .json file as the value of a property."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from ingest.facts import zoned
from ingest.items import UnusableFile, Value
from ingest.sources.base import Column

TRUE, FALSE = ("true", "yes", "1"), ("false", "no", "0")
INT64 = range(-(2**63), 2**63)  # what Weaviate's int holds


def properties_of(row: Mapping[str, object], columns: Sequence[Column]) -> dict[str, Value]:
    """By property. A column that is missing or empty in this row gives none.

    Raises UnusableFile, naming the column, for a value that is not of the column's type.
    """
    values: dict[str, Value] = {}
    for column in columns:
        value = value_of(row.get(column.name), column)
        if value is not None:
            values[column.property] = value
    return values


def value_of(raw: object, column: Column) -> Value | None:
    if raw is None or raw == "" or (isinstance(raw, float) and math.isnan(raw)):
        return None
    try:
        return READERS[column.type](raw)
    except (ValueError, TypeError, OverflowError) as error:
        wanted = f"no {column.type}" if column.type else "neither text nor a number, boolean or date"
        way_out = f"; to take it as text, --property {shown_option(column)}:text"
        raise UnusableFile(f"its column {column.name!r} is {wanted}: {shown(raw)}{way_out}") from error


def shown_option(column: Column) -> str:
    return column.name if column.name == column.property else f"{column.name}={column.property}"


def shown(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= 60 else f"{text[:57]}..."


def text_of(raw: object) -> str:
    """A field as a label or a caption: what is no text is written as JSON writes it."""
    if raw is None:
        return ""
    text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, default=str)
    return text.encode("utf-8", "replace").decode("utf-8").strip()  # JSON can escape half a character: \ud83d


def as_it_is(raw: object) -> Value:
    if isinstance(raw, str):
        return text_of(raw)
    if isinstance(raw, date):  # a datetime is one too
        return as_date(raw)
    if isinstance(raw, int):
        return raw if isinstance(raw, bool) else as_int(raw)
    if isinstance(raw, float):
        return as_number(raw)
    raise TypeError


def as_int(raw: object) -> int:
    number = int(raw) if isinstance(raw, str | int) and not isinstance(raw, bool) else whole(raw)
    if number not in INT64:
        raise OverflowError
    return number


def whole(raw: object) -> int:
    if not isinstance(raw, float) or not raw.is_integer():
        raise TypeError
    return int(raw)


def as_number(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise TypeError
    number = float(raw)
    if not math.isfinite(number):  # JSON has no word for it
        raise ValueError
    return number


def as_boolean(raw: object) -> bool:
    word = str(raw).strip().lower()
    if isinstance(raw, float) or word not in TRUE + FALSE:
        raise ValueError
    return word in TRUE


def as_date(raw: object) -> datetime:
    """ISO 8601; without an offset it counts as UTC."""
    if isinstance(raw, date) and not isinstance(raw, datetime):
        raw = datetime(raw.year, raw.month, raw.day)
    when = raw if isinstance(raw, datetime) else datetime.fromisoformat(str(raw).strip())
    return zoned(when)


READERS = {
    "": as_it_is,
    "text": text_of,
    "int": as_int,
    "number": as_number,
    "boolean": as_boolean,
    "date": as_date,
}
