"""The table of formats in docs/models.md."""

from collections.abc import Iterable, Mapping

from benchmarks.page_sections import SECTION, fill_sections, list_sections
from tests.models.conformance.agreement import Agreement, Format

NAME = "conformance"  # of the section
HEAD = ("format", "reference", "1 - cos, texts", "1 - cos, images", "grey levels", "token ids")
SMALL = 1e-12  # smaller figures are the same to the last bits of float32


def render(agreements: Mapping[str, Agreement], formats: Iterable[Format]) -> str:
    rows = [HEAD, ("---",) * len(HEAD), *(render_row(each, agreements[each.name]) for each in formats)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def render_row(each: Format, found: Agreement) -> tuple[str, ...]:
    equal = "equal" if found.ids_equal else "differ"
    return (
        each.name,
        each.reference,
        format_small(found.texts),
        format_small(found.images),
        f"{found.levels:.3f}",
        equal,
    )


def format_small(value: float) -> str:
    """
    >>> format_small(3.2e-9), format_small(4e-16)
    ('3e-09', '< 1e-12')
    """
    return f"< {SMALL:.0e}" if value < SMALL else f"{value:.0e}"


def fill_page(page: str, table: str) -> str:
    """Return `page` with `table` in its section. Raises ValueError where it has none."""
    if NAME not in list_sections(page):
        raise ValueError(f"the page has no section {NAME}")
    return fill_sections(page, {NAME: table})


def list_rows(page: str) -> list[tuple[str, str]]:
    """Return format and reference of the rows of the section."""
    [content] = [found[3] for found in SECTION.finditer(page) if found[2] == NAME]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in content.strip().splitlines()[2:]]
    return [(row[0], row[1]) for row in cells]
