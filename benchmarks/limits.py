"""The tables and pictures of docs/limits.md: what the bundled model cannot do, as `clip-eval limits` measures it.

    python benchmarks/limits.py --write

Without --write it prints the tables as the page has them.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from benchmarks.common import describe_machine, format_today
from clip_vectorizer.query.choices import MAX_DRAWINGS
from clip_vectorizer.query.evaluation.limits import LimitFindings, measure_limits
from clip_vectorizer.query.evaluation.limits_composition import select_countable
from clip_vectorizer.query.evaluation.limits_phrases import PHRASES
from clip_vectorizer.query.evaluation.limits_report import draw_scenes, list_counting_samples, list_pair_samples
from clip_vectorizer.query.evaluation.limits_scenes import DrawingFolder, load_drawings
from clip_vectorizer.query.evaluation.plots import encode_png, prepare_matplotlib
from clip_vectorizer.query.evaluation.sidecars import connect_sidecar
from clip_vectorizer.query.evaluation.tables import Table

REPOSITORY = Path(__file__).parents[1]
EXAMPLES = REPOSITORY / "examples" / "images"
PAGE = REPOSITORY / "docs" / "limits.md"
MODEL, LANGUAGE = "emoji", "en"
COMMAND = "python benchmarks/limits.py --write"
END = "<!-- end -->"
MADE_BY = "made-by"  # the name of the lines that state model, machine, date and command


@click.command()
@click.option("--write", is_flag=True, help="Write tables and pictures of docs/limits.md anew.")
def main(write: bool) -> None:
    """Measure the bundled model on the example drawings: about a minute on two free cores.

    \b
    Example:
      python benchmarks/limits.py --write
    """
    folder = load_drawings(EXAMPLES, LANGUAGE, MAX_DRAWINGS, show_progress)
    with connect_sidecar(MODEL, None, show_progress) as sidecar:
        findings = measure_limits(folder, sidecar, show_progress, language=LANGUAGE)
    if write:
        PAGE.write_text(replace_blocks(PAGE.read_text(encoding="utf-8"), list_blocks(findings)), encoding="utf-8")
        write_pictures(folder)
    else:
        click.echo("\n\n".join(f"{name}\n\n{text}" for name, text in list_blocks(findings)))


def show_progress(sentence: str) -> None:
    click.echo(sentence, err=True)


def replace_blocks(page: str, blocks: Iterable[tuple[str, str]]) -> str:
    """Return the page with new `blocks`, each with its name. Raises ValueError for a page that lacks one."""
    for name, text in blocks:
        before, _, rest = page.partition(begin_of(name))
        _, end, after = rest.partition(END)
        if not end:
            raise ValueError(f"{PAGE.name} lacks {begin_of(name)} ... {END}")
        page = f"{before}{begin_of(name)}\n\n{text}\n\n{END}{after}"
    return page


def write_pictures(folder: DrawingFolder) -> None:
    """Write docs/limits-counting.png and docs/limits-places.png: scenes as every model gets them."""
    prepare_matplotlib()
    phrases = PHRASES[LANGUAGE]
    things = select_countable(folder.drawings, phrases, "scenes")
    for name, list_samples in (("counting", list_counting_samples), ("places", list_pair_samples)):
        PAGE.with_name(f"limits-{name}.png").write_bytes(encode_png(draw_scenes(list_samples(things, phrases))))


def begin_of(name: str) -> str:
    return f"<!-- {name}: {COMMAND} -->"


def list_blocks(findings: LimitFindings) -> Iterator[tuple[str, str]]:
    model = findings.model
    yield (
        MADE_BY,
        (
            f"Model `{model.model}`, revision `{model.revision}`, inputs of {model.image_size} pixels;\n"
            f"{describe_machine()}; {format_today()};\n`{COMMAND}`."
        ),
    )
    yield from ((table.name, "\n".join(format_markdown(table))) for table in findings.tables)


def format_markdown(table: Table) -> Iterator[str]:
    yield format_line(table.head)
    yield format_line(["---"] * len(table.head))
    yield from (format_line(cells) for cells in table.cells())


def format_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
