"""The table of `clip-vectorizer models`: selected, sorted, as text for people or as JSON."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clip_vectorizer.models.facts import ModelFacts, is_cached, read_architectures, read_facts
from clip_vectorizer.models.names import OPENAI_NAMES

MEGA = 10**6
CACHED_MARK, GAP = "*", "  "

JsonValue = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class ListedModel:
    facts: ModelFacts
    cached: bool


@dataclass(frozen=True, slots=True)
class ListingColumn:
    """A column by its name in --sort and --json. `head` and `cell` are of the table; numbers are right-aligned."""

    name: str
    value: Callable[[ListedModel], JsonValue]
    head: str
    cell: Callable[[ListedModel], str]
    numeric: bool = False
    largest_first: bool = False  # when sorted


def format_count(value: float | None) -> str:
    """Format a number of millions or of GFLOP; "" for None.

    >>> format_count(2.4361), format_count(151.28), format_count(None)
    ('2.4', '151', '')
    """
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def round_gflop(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def format_top1(top1: float | None) -> str:
    """Format an accuracy in per cent; "" for None."""
    return "" if top1 is None else f"{100 * top1:.1f}"


COLUMNS = (
    ListingColumn("name", lambda row: row.facts.name, "name", lambda row: row.facts.name),
    ListingColumn("architecture", lambda row: row.facts.architecture, "", lambda row: ""),
    ListingColumn("tag", lambda row: row.facts.tag, "", lambda row: ""),
    ListingColumn(
        "parameters", lambda row: row.facts.parameters, "M", lambda row: format_count(row.facts.parameters / MEGA), True
    ),
    ListingColumn(
        "gflop", lambda row: round_gflop(row.facts.gflop), "GFLOP", lambda row: format_count(row.facts.gflop), True
    ),
    ListingColumn("image_gflop", lambda row: row.facts.image_gflop, "", lambda row: ""),
    ListingColumn("text_gflop", lambda row: row.facts.text_gflop, "", lambda row: ""),
    ListingColumn("resolution", lambda row: row.facts.resolution, "px", lambda row: str(row.facts.resolution), True),
    ListingColumn("dimension", lambda row: row.facts.dimension, "dim", lambda row: str(row.facts.dimension), True),
    ListingColumn("context", lambda row: row.facts.context, "context", lambda row: str(row.facts.context), True),
    ListingColumn("tokenizer", lambda row: row.facts.tokenizer, "tokenizer", lambda row: row.facts.tokenizer),
    ListingColumn(
        "top1", lambda row: row.facts.top1, "top-1", lambda row: format_top1(row.facts.top1), True, largest_first=True
    ),
    ListingColumn("top1_source", lambda row: row.facts.top1_source, "source", lambda row: row.facts.top1_source),
    ListingColumn("licence", lambda row: row.facts.licence, "licence", lambda row: row.facts.licence),
    ListingColumn("licence_source", lambda row: row.facts.licence_source, "", lambda row: ""),
    ListingColumn("cached", lambda row: row.cached, "", lambda row: "", largest_first=True),
)
SORT_NAMES = tuple(column.name for column in COLUMNS)
NARROW = ("name", "parameters", "gflop", "resolution", "top1")  # 80 columns with the longest name and the mark
WIDE = tuple(column.name for column in COLUMNS if column.head)


def list_rows(words: Sequence[str], store: Path, url_store: Path, random: bool = False) -> list[ListedModel]:
    """Return the models whose names contain all `words`; with `random`, the architectures with random weights.

    A word may be one of OpenAI's names: `ViT-B/32` finds `ViT-B-32::openai`.
    """
    models = read_architectures() if random else read_facts()
    parts = [(OPENAI_NAMES.get(word, word) if "/" in word else word).lower() for word in words]
    return [
        ListedModel(facts, is_cached(facts, store, url_store))
        for facts in models
        if all(part in facts.name.lower() for part in parts)
    ]


def sort_rows(rows: Iterable[ListedModel], name: str) -> list[ListedModel]:
    """Return `rows` by the column `name`: accuracies and what is cached from the top, all others upwards.

    Rows without a value are last, and equal ones keep their order.
    """
    [column] = [each for each in COLUMNS if each.name == name]
    known = [row for row in rows if column.value(row) not in (None, "")]
    unknown = [row for row in rows if column.value(row) in (None, "")]
    return [*sorted(known, key=lambda row: sort_key(column.value(row)), reverse=column.largest_first), *unknown]


def sort_key(value: JsonValue) -> tuple[float, str]:
    return (0.0, value.lower()) if isinstance(value, str) else (float(value or 0), "")


def row_to_json(row: ListedModel) -> dict[str, JsonValue]:
    return {column.name: column.value(row) for column in COLUMNS}


def format_listing(rows: Sequence[ListedModel], names: Collection[str]) -> list[str]:
    """Return the lines of the table, its head first; a mark begins the lines of models that are on this machine."""
    columns = [column for column in COLUMNS if column.name in names]
    cells = [[column.head for column in columns], *([column.cell(row) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    marks = [" ", *(CACHED_MARK if row.cached else " " for row in rows)]
    return [
        f"{mark} {GAP.join(align(*each) for each in zip(line, widths, columns, strict=True))}".rstrip()
        for mark, line in zip(marks, cells, strict=True)
    ]


def align(cell: str, width: int, column: ListingColumn) -> str:
    return cell.rjust(width) if column.numeric else cell.ljust(width)
