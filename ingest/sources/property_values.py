"""Convert a value of a table or of a .json file to the value of a property."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from ingest.items import MetadataValue, UnusableFile, add_time_zone
from ingest.sources.base import PropertyColumn

TRUE_WORDS, FALSE_WORDS = ("true", "yes", "1"), ("false", "no", "0")
INT64_RANGE = range(-(2**63), 2**63)  # what Weaviate's int holds


def parse_properties(row: Mapping[str, object], columns: Sequence[PropertyColumn]) -> dict[str, MetadataValue]:
    """Return the values by property; a column that is missing or empty in this row is left out.

    Raises UnusableFile, with the column's name, for a value that is not of the column's type.
    """
    values: dict[str, MetadataValue] = {}
    for column in columns:
        value = parse_value(row.get(column.name), column)
        if value is not None:
            values[column.property] = value
    return values


def parse_value(raw: object, column: PropertyColumn) -> MetadataValue | None:
    if raw is None or raw == "" or (isinstance(raw, float) and math.isnan(raw)):
        return None
    try:
        return PARSERS[column.type](raw)
    except (ValueError, TypeError, OverflowError) as error:
        problem = f"no {column.type}" if column.type else "neither text nor a number, boolean or date"
        remedy = f"; to store it as text, use --property {format_option(column)}:text"
        raise UnusableFile(f"its column {column.name!r} is {problem}: {abbreviate(raw)}{remedy}") from error


def format_option(column: PropertyColumn) -> str:
    return column.name if column.name == column.property else f"{column.name}={column.property}"


def abbreviate(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= 60 else f"{text[:57]}..."


def parse_text(raw: object) -> str:
    """Return a field as text, for a label or a caption; values that are no text are written as JSON."""
    if raw is None:
        return ""
    text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, default=str)
    return text.encode("utf-8", "replace").decode("utf-8").strip()  # JSON can escape half of a character: \ud83d


def parse_untyped(raw: object) -> MetadataValue:
    if isinstance(raw, str):
        return parse_text(raw)
    if isinstance(raw, date):  # a datetime is one too
        return parse_date(raw)
    if isinstance(raw, int):
        return raw if isinstance(raw, bool) else parse_int(raw)
    if isinstance(raw, float):
        return parse_number(raw)
    raise TypeError


def parse_int(raw: object) -> int:
    number = int(raw) if isinstance(raw, str | int) and not isinstance(raw, bool) else parse_whole_float(raw)
    if number not in INT64_RANGE:
        raise OverflowError
    return number


def parse_whole_float(raw: object) -> int:
    if not isinstance(raw, float) or not raw.is_integer():
        raise TypeError
    return int(raw)


def parse_number(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise TypeError
    number = float(raw)
    if not math.isfinite(number):  # JSON cannot represent it
        raise ValueError
    return number


def parse_boolean(raw: object) -> bool:
    word = str(raw).strip().lower()
    if isinstance(raw, float) or word not in TRUE_WORDS + FALSE_WORDS:
        raise ValueError
    return word in TRUE_WORDS


def parse_date(raw: object) -> datetime:
    """Parse ISO 8601; a time without an offset is taken as UTC."""
    if isinstance(raw, date) and not isinstance(raw, datetime):
        raw = datetime(raw.year, raw.month, raw.day)
    when = raw if isinstance(raw, datetime) else datetime.fromisoformat(str(raw).strip())
    return add_time_zone(when)


PARSERS = {
    "": parse_untyped,
    "text": parse_text,
    "int": parse_int,
    "number": parse_number,
    "boolean": parse_boolean,
    "date": parse_date,
}
