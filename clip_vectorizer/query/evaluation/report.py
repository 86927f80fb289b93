"""The report: plots as PNG files, and one self-contained HTML page with all plots and tables."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.query.evaluation.evaluate import Evaluation
from clip_vectorizer.query.evaluation.plots import draw_plots
from clip_vectorizer.query.evaluation.tables import Table

PAGE_NAME = "index.html"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
code { background: #f2f2f2; padding: .1em .3em; border-radius: 3px }
img { max-width: 100%; margin: .5rem 0 1rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: 13px; margin: .5rem 0 1.5rem }
th { text-align: left; border-bottom: 2px solid #888; padding: .2rem .7rem .2rem 0; vertical-align: bottom }
td { border-bottom: 1px solid #ddd; padding: .2rem .7rem .2rem 0; white-space: nowrap }
dt { font-weight: 600 }
dd { margin: 0 0 .4rem }
"""
PLOTS_OF_TABLE = {  # table -> the plots above it
    "zero-shot": ("zero-shot",),
    "few-shot": ("few-shot",),
    "class": ("classes",),
    "confusion": ("confusion",),
    "retrieval": ("recall",),
}


@dataclass(frozen=True, slots=True)
class ReportPage:
    """What a page consists of."""

    title: str
    facts: Mapping[str, str]  # name -> HTML; empty ones are not shown
    explanation: str  # of the figures, as HTML
    tables: Sequence[Table]
    plots: Mapping[str, bytes]  # PNG files by name
    plots_of_table: Mapping[str, Sequence[str]]  # those above each table, if they are there


def write_report(evaluation: Evaluation, folder: Path, command: str) -> Path:
    """Write the page and its plots to `folder`; return the page. Raises InputError without matplotlib, OSError."""
    page = ReportPage(
        f"Evaluation of {evaluation.model.model} on {evaluation.labelled.source}",
        list_facts(evaluation, command),
        "Figures in brackets are 95 % intervals: Wilson's for shares, from a paired bootstrap over images for gains.\n"
        "Ties count as errors.",
        evaluation.tables,
        draw_plots(evaluation),
        PLOTS_OF_TABLE,
    )
    return write_page(page, folder)


def write_page(page: ReportPage, folder: Path) -> Path:
    """Write the page and its plots as files of `folder`; return the page. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in page.plots.items():
        (folder / f"{name}.png").write_bytes(content)
    file = folder / PAGE_NAME
    file.write_text(format_page(page), encoding="utf-8")
    return file


def format_page(page: ReportPage) -> str:
    """Return HTML that needs no other file."""
    parts = [format_section(table, page) for table in page.tables]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(page.title)}</title><style>{STYLE}</style></head><body>
<h1>{escape(page.title)}</h1>
{format_facts(page.facts)}
<p>{page.explanation}</p>
{"".join(parts)}
</body></html>
"""


def list_facts(evaluation: Evaluation, command: str) -> dict[str, str]:
    labelled = evaluation.labelled
    return {
        **list_model_facts(evaluation.model, command),
        "data": escape(f"{len(labelled.items)} images in {len(labelled.classes)} classes of {labelled.source}"),
        "notes": format_lines(evaluation.notes),
        "left out": format_lines(f"{path}: {reason}" for path, reason in labelled.left_out),
    }


def list_model_facts(model: ModelInfo, command: str) -> dict[str, str]:
    return {
        "command": f"<code>{escape(command)}</code>",
        "model": escape(f"{model.model}, revision {model.revision}, {model.dimension} dimensions, {model.precision}"),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def format_lines(lines: Iterable[str]) -> str:
    return "<br>".join(escape(line) for line in lines)


def format_facts(facts: Mapping[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts.items() if text) + "</dl>"


def format_section(table: Table, page: ReportPage) -> str:
    contents = [page.plots[name] for name in page.plots_of_table.get(table.name, ()) if name in page.plots]
    pictures = "".join(f'<img alt="{escape(table.title)}" src="{format_data_uri(content)}">' for content in contents)
    return f"<h2>{escape(table.title)}</h2>{pictures}{format_html_table(table.head, table.cells())}"


def format_data_uri(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def format_html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = ("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{heads}</tr>{"".join(lines)}</table></div>'
