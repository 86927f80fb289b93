"""The report: plots as PNG files, and one self-contained HTML page with all plots and tables."""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

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
PLOT_OF_TABLE = {  # table -> the plot above it
    "zero-shot": "zero-shot",
    "few-shot": "few-shot",
    "class": "classes",
    "confusion": "confusion",
    "retrieval": "recall",
}


def write_report(evaluation: Evaluation, folder: Path, command: str) -> Path:
    """Write the page and its plots to `folder`; return the page. Raises InputError without matplotlib, OSError."""
    drawn = draw_plots(evaluation)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in drawn.items():
        (folder / f"{name}.png").write_bytes(content)
    page = folder / PAGE_NAME
    page.write_text(format_page(evaluation, drawn, command), encoding="utf-8")
    return page


def format_page(evaluation: Evaluation, drawn: Mapping[str, bytes], command: str) -> str:
    """Return HTML that needs no other file."""
    parts = [format_section(table, drawn) for table in evaluation.tables]
    title = f"Evaluation of {evaluation.model.model} on {evaluation.labelled.source}"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(title)}</title><style>{STYLE}</style></head><body>
<h1>{escape(title)}</h1>
{format_facts(evaluation, command)}
<p>Figures in brackets are 95 % intervals: Wilson's for shares, from a paired bootstrap over images for gains.
Ties count as errors.</p>
{"".join(parts)}
</body></html>
"""


def format_facts(evaluation: Evaluation, command: str) -> str:
    model, labelled = evaluation.model, evaluation.labelled
    lines = {
        "command": f"<code>{escape(command)}</code>",
        "model": escape(f"{model.model}, revision {model.revision}, {model.dimension} dimensions, {model.precision}"),
        "data": escape(f"{len(labelled.items)} images in {len(labelled.classes)} classes of {labelled.source}"),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "notes": "<br>".join(escape(note) for note in evaluation.notes),
        "left out": "<br>".join(escape(f"{path}: {reason}") for path, reason in labelled.left_out),
    }
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in lines.items() if text) + "</dl>"


def format_section(table: Table, drawn: Mapping[str, bytes]) -> str:
    content = drawn.get(PLOT_OF_TABLE.get(table.name, ""))
    picture = f'<img alt="{escape(table.title)}" src="{format_data_uri(content)}">' if content else ""
    return f"<h2>{escape(table.title)}</h2>{picture}{format_html_table(table.head, table.cells())}"


def format_data_uri(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def format_html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = ("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{heads}</tr>{"".join(lines)}</table></div>'
