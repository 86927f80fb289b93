"""Rows of the pages experiment as Markdown tables, or as rows for JSON."""

from collections.abc import Iterator, Sequence

from clip_vectorizer.query.evaluation.pages import FAMILY, KIND, ORGANISATION, PagesRow
from clip_vectorizer.query.evaluation.pages_measures import Estimate

NO_FIGURE = ""


def format_report(rows: Sequence[PagesRow]) -> str:
    """Return a table for each task and column of the corpus, each below a sentence."""
    groups = dict.fromkeys((task, row.column) for task in (KIND, ORGANISATION, FAMILY) for row in rows)
    tables = [[row for row in rows if (row.task, row.column) == group] for group in groups]
    return "\n\n".join("\n".join(format_table(each)) for each in tables if each)


def format_table(rows: Sequence[PagesRow]) -> Iterator[str]:
    task, column = rows[0].task, rows[0].column
    pages = "pages" if task == KIND else "queries"
    yield f"{task[0].upper()}{task[1:]}, {column}: {rows[0].count} {pages} of {rows[0].files} files"
    yield ""
    names = list(rows[0].figures)
    yield format_line(["encoder", "looks at", *names])
    yield format_line(["---"] * (2 + len(names)))
    for row in rows:
        yield format_line([row.encoder.replace("|", "\\|"), row.looking, *map(format_estimate, row.figures.values())])


def format_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def format_estimate(figure: Estimate | None) -> str:
    """Return `.984 (.971 to .993)`; nothing where there is no figure."""
    if figure is None:
        return NO_FIGURE
    value, low, high = (format_share(each) for each in (figure.value, figure.low, figure.high))
    return f"{value} ({low} to {high})"


def format_share(value: float) -> str:
    """Return three decimals without the zero before the point.

    >>> format_share(0.9841), format_share(-0.02), format_share(1.0)
    ('.984', '-.020', '1.000')
    """
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 0.9995 else f"{value:.3f}"


def list_json_rows(rows: Sequence[PagesRow]) -> Iterator[dict[str, object]]:
    """Yield one object for each figure; `value` is null where there is none."""
    for row in rows:
        for name, figure in row.figures.items():
            numbers = (None, None, None) if figure is None else (figure.value, figure.low, figure.high)
            yield {
                **{"task": row.task, "encoder": row.encoder, "looks_at": row.looking, "column": row.column},
                **{"count": row.count, "files": row.files, "measure": name},
                **dict(zip(("value", "low", "high"), numbers, strict=True)),
            }
