"""How cost grows: with images stored, with labels, with requests in flight. `docs/performance.md` shows the curves."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.common import Figure, Report, Spread, add_json_option, describe_machine, format_number, format_today
from benchmarks.growth import designs, flight, images, labels
from benchmarks.growth.curves import Panel, describe_bend, draw_panels
from benchmarks.page_sections import fill_sections
from clip_vectorizer.defaults import QUANTIZERS

CLAIM = "how cost grows, and where it first bends"
PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
KINDS = ("images", "labels", "flight")
DESIGNS = "designs"
LEAST = {"images": images.STEPS[0], "labels": labels.STEPS[0], "flight": flight.STEPS[0], DESIGNS: images.STEPS[0]}


@dataclass(frozen=True, slots=True)
class GrowthTable:
    """One kind of growth: a row for each size or design, and the curves."""

    kind: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[float]]]
    panels: Sequence[Panel] = ()


@dataclass(frozen=True, slots=True)
class GrowthOptions:
    most: int | None  # sizes above it are left out
    queries: int
    quantizer: str
    seconds: float
    data: Path

    def limit(self, largest: int) -> int:
        return largest if self.most is None else min(self.most, largest)


@click.command()
@click.option("--only", multiple=True, type=click.Choice((*KINDS, DESIGNS)), help="May be given several times.")
@click.option("--most", type=click.IntRange(1), help="Leave out sizes above this one.")
@click.option("--queries", default=500, show_default=True, type=click.IntRange(20), help="Searches at each size.")
@click.option("--quantizer", default="rq-8", show_default=True, type=click.Choice(list(QUANTIZERS)))
@click.option("--seconds", default=10.0, show_default=True, help="At least, with each number of requests in flight.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Keeps the filled collections, which the next run then only measures.",
)
@click.option("--write", is_flag=True, help="Write tables and plots of docs/performance.md anew.")
@add_json_option
def main(
    only: tuple[str, ...],
    most: int | None,
    queries: int,
    quantizer: str,
    seconds: float,
    data: Path | None,
    write: bool,
    json_file: Path | None,
) -> None:
    """Measure at each size, print a table, and where each curve first bends.

    A million images take some two hours to fill on two cores, and 10 GB of disk.

    \b
    Example:
      python -m benchmarks.growth --only images --most 10000
      python -m benchmarks.growth --only designs --most 100000 --data build/growth
      python -m benchmarks.growth --data build/growth --write
    """
    kinds = only or KINDS
    check_sizes(kinds, most)
    report = Report(CLAIM)
    report.begin()
    with ExitStack() as opened:
        folder = data or Path(opened.enter_context(TemporaryDirectory()))
        options = GrowthOptions(most, queries, quantizer, seconds, folder)
        tables = [MEASUREMENTS[kind](options) for kind in kinds]
        for table in tables:
            show_table(report, table)
    if write:
        write_page({f"growth-{table.kind}": "\n".join(format_section(table)) for table in tables})
        for table in (each for each in tables if each.panels):
            PAGE.with_name(name_picture(table)).write_bytes(draw_panels(table.panels))
    report.write(json_file)


def check_sizes(kinds: Sequence[str], most: int | None) -> None:
    """Raises UsageError where `most` leaves nothing."""
    for kind in kinds:
        least = LEAST[kind]
        if most is not None and most < least:
            raise click.UsageError(f"--most {most}: the smallest size of {kind} is {least}")


def measure_image_growth(options: GrowthOptions) -> GrowthTable:
    steps = images.measure_images(
        options.limit(images.STEPS[-1]), options.quantizer, options.queries, options.data, show_progress
    )
    return GrowthTable("images", images.COLUMNS, name_rows(images.list_rows(steps)), images.build_panels(steps))


def measure_label_growth(options: GrowthOptions) -> GrowthTable:
    steps = labels.measure_labels(options.limit(labels.STEPS[-1]), show_progress)
    return GrowthTable("labels", labels.COLUMNS, name_rows(labels.list_rows(steps)), labels.build_panels(steps))


def measure_flight_growth(options: GrowthOptions) -> GrowthTable:
    steps = flight.measure_flight(options.limit(flight.STEPS[-1]), options.seconds, show_progress)
    return GrowthTable("flight", flight.COLUMNS, name_rows(flight.list_rows(steps)), flight.build_panels(steps))


def measure_design_growth(options: GrowthOptions) -> GrowthTable:
    found = designs.measure_designs(
        options.limit(images.STEPS[-1]), options.quantizer, options.queries, options.data, show_progress
    )
    return GrowthTable(DESIGNS, designs.DESIGN_COLUMNS, list(found))


def name_rows(rows: Iterator[tuple[float, ...]]) -> list[tuple[str, Sequence[float]]]:
    """Take the first value of each row as its name."""
    return [(f"{size:,.0f}", values) for size, *values in rows]


MEASUREMENTS: Mapping[str, Callable[[GrowthOptions], GrowthTable]] = {
    "images": measure_image_growth,
    "labels": measure_label_growth,
    "flight": measure_flight_growth,
    DESIGNS: measure_design_growth,
}


def show_progress(sentence: str) -> None:
    click.echo(sentence, err=True)


def show_table(report: Report, table: GrowthTable) -> None:
    for name, values in table.rows:
        for what, value in zip(table.columns[1:], values, strict=True):
            report.figures.append(Figure(f"{table.kind}, {name}: {what}", "", None, Spread.of([value]), None))
    for line in format_section(table):
        report.note(line)


def format_section(table: GrowthTable) -> Iterator[str]:
    """Yield lines of Markdown: the table, the plot, where the curves bend."""
    yield f"{describe_machine()}, {format_today()}.\n"
    yield f"| {' | '.join(table.columns)} |"
    yield f"| {' | '.join(['---'] * len(table.columns))} |"
    for name, values in table.rows:
        yield f"| {' | '.join([name, *map(format_value, values)])} |"
    if table.panels:
        yield f"\n![The same as curves]({name_picture(table)})\n"
    for panel in table.panels:
        yield from (f"- {panel.title}, {describe_bend(curve)}" for curve in panel.curves if len(curve.xs) > 1)


def name_picture(table: GrowthTable) -> str:
    return f"growth-{table.kind}.png"


def format_value(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else format_number(value)


def write_page(contents: Mapping[str, str]) -> None:
    PAGE.write_text(fill_sections(PAGE.read_text(encoding="utf-8"), contents), encoding="utf-8")


if __name__ == "__main__":
    main()
