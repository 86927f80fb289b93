"""Result tables, for the terminal, JSON and the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clip_vectorizer.query.evaluation.statistics import Share

CellValue = str | int | float | Share | Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of named values. `name` is the key of machine-readable rows, `title` a sentence above it."""

    name: str
    title: str
    rows: Sequence[Mapping[str, CellValue]]

    @property
    def head(self) -> list[str]:
        return [head for key, value in self.rows[0].items() for head in format_heads(key, value)] if self.rows else []

    def cells(self) -> list[list[str]]:
        return [[cell for value in row.values() for cell in format_cells(value)] for row in self.rows]

    def json_rows(self) -> list[dict[str, object]]:
        return [{"table": self.name} | flatten_row(row) for row in self.rows]


def format_heads(key: str, value: CellValue) -> list[str]:
    """Return column heads. Counts by name take one numbered column each, because names would be too wide."""
    if isinstance(value, Mapping):
        return [str(number) for number in range(1, len(value) + 1)]
    return [key.replace("_", " ")]


def format_cells(value: CellValue) -> list[str]:
    """Return cells as text; a share as `0.443 (0.419-0.468)`, with its 95 % interval in brackets."""
    if isinstance(value, Mapping):
        return [str(count) if count else "." for count in value.values()]
    if isinstance(value, Share):
        low, high = value.interval
        return [f"{value.value:.3f} ({low:.3f}-{high:.3f})"]
    return [f"{value:.3f}" if isinstance(value, float) else str(value)]


def flatten_row(row: Mapping[str, CellValue]) -> dict[str, object]:
    """Return a row for JSON: a share becomes its value, `..._low` and `..._high`."""
    flat: dict[str, object] = {}
    for key, value in row.items():
        if isinstance(value, Share):
            low, high = value.interval
            flat |= {key: round(value.value, 6), f"{key}_low": round(low, 6), f"{key}_high": round(high, 6)}
        else:
            flat[key] = round(value, 6) if isinstance(value, float) else value
    return flat
