"""Images and texts a second, and one request alone: ours against one at a time, and against the upstream container.

Weaviate's load: one item per request, 8 in flight, all items different. All servers stay up and are measured in turns.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import click

from benchmarks.common import Report, add_json_option, list_fast_precisions, side_by_side
from benchmarks.load import drive_load, make_image_bodies, make_text_bodies
from benchmarks.model_alone import ModelAlone
from benchmarks.photographs import make_photographs, read_files
from benchmarks.servers import MODEL, Server, start_one_at_a_time, start_own_server, start_upstream
from benchmarks.texts import make_captions
from clip_vectorizer.server.settings import PRECISIONS

CLAIM = "images/s, texts/s and p50, 640x480 JPEG, one item a request, every item another"
IMAGES, ALONE, TEXTS = 400, 120, 2000  # bodies of a round; one that has used them up ends early
AGAINST_SERVERS = {"fp32": {"images/s": ">= 2.2", "texts/s": ">= 8"}, "int8": {"images/s": ">= 3.5"}}
AGAINST_MODELS = {"fp32": {"p50 ms": "<= 1.05"}}
Values = dict[str, list[float]]  # by metric, one a round


@dataclass(frozen=True, slots=True)
class Measured:
    """By the name of who was measured."""

    of: dict[str, Values] = field(default_factory=dict)

    def note(self, name: str, metric: str, value: float) -> None:
        self.of.setdefault(name, {}).setdefault(metric, []).append(value)


@dataclass(frozen=True, slots=True)
class Plan:
    rounds: int
    seconds: float
    in_flight: int
    model: str
    photos: Path | None


@click.command()
@click.option("--precision", "precisions", multiple=True, type=click.Choice(PRECISIONS), default=list_fast_precisions)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=5.0, show_default=True, help="For each rate of each server in each round.")
@click.option("--in-flight", default=8, show_default=True, type=click.IntRange(1))
@click.option("--model", default=MODEL, show_default=True, help="ARCHITECTURE::random.")
@click.option("--photos", type=click.Path(exists=True, path_type=Path), help="A folder of photographs to send.")
@click.option(
    "--upstream", "source", type=click.Path(exists=True, path_type=Path), help="The upstream container's code."
)
@click.option("--upstream-python", type=click.Path(exists=True, path_type=Path), help="A Python that can run it.")
@add_json_option
def main(
    precisions: tuple[str, ...],
    source: Path | None,
    upstream_python: Path | None,
    json_file: Path | None,
    **plan: object,
) -> None:
    """Compare rates and latencies side by side.

    \b
    Example:
      python benchmarks/throughput.py --precision fp32 --rounds 3
    """
    report, measured = Report(CLAIM), Measured()
    report.begin()
    with ExitStack() as stack:
        settings = Plan(**plan)  # type: ignore[arg-type]  # click has checked them
        rivals = [stack.enter_context(start_one_at_a_time(settings.model))]
        if source and upstream_python:
            kinds = ("open_clip", "transformers")
            architecture = settings.model.partition("::")[0]
            rivals += [
                stack.enter_context(start_upstream(source, upstream_python, kind, architecture)) for kind in kinds
            ]
        own = [stack.enter_context(start_own_server(precision, settings.model)) for precision in precisions]
        models = [stack.enter_context(ModelAlone(each, settings.model)) for each in ("open_clip", *precisions)]
        for images, texts in list_supplies(settings):
            measure_round(settings, measured, [*rivals, *own], models, images, texts)
    print_measurements(report, measured, [each.name for each in rivals], precisions)
    report.write(json_file)


def list_supplies(plan: Plan) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """Bodies of each round. All servers see the same, and none sees one twice."""
    files = read_files(plan.photos) if plan.photos else None
    for number in range(plan.rounds):
        count = IMAGES + ALONE
        pictures = list(islice(files, count)) if files else make_photographs(count, number * count)
        if len(pictures) < plan.in_flight * 4:
            raise click.UsageError(f"--photos: {count} a round are needed, {plan.rounds} rounds; the folder has fewer")
        yield make_image_bodies(pictures), make_text_bodies(make_captions(TEXTS, number * TEXTS))


def measure_round(
    plan: Plan,
    measured: Measured,
    servers: Sequence[Server],
    models: Sequence[ModelAlone],
    images: list[bytes],
    texts: list[bytes],
) -> None:
    some = max(len(images) - ALONE, len(images) // 2)
    for model in models:
        measured.note(model.name, "p50 ms", statistics.median(model.measure("image", 1, plan.seconds / 2)))
        best_batch = model.measure("image", plan.in_flight, plan.seconds / 2)
        measured.note(model.name, "images/s", plan.in_flight * 1000 / statistics.median(best_batch))
    for server in servers:
        measured.note(server.name, "images/s", drive_load(server.url, images[:some], plan.in_flight, plan.seconds).rate)
        measured.note(server.name, "texts/s", drive_load(server.url, texts, plan.in_flight, plan.seconds / 2).rate)
        measured.note(server.name, "p50 ms", drive_load(server.url, images[some:], 1, plan.seconds / 2).p50)


def print_measurements(report: Report, measured: Measured, rivals: Sequence[str], precisions: Sequence[str]) -> None:
    for rival in rivals[1:]:
        compare_servers(report, measured, rival, rivals[0], {})
    for precision in precisions:
        own, models = f"ours, {precision}", ("model alone, open_clip", f"model alone, {precision}")
        for rival in rivals:
            compare_servers(report, measured, rival, own, AGAINST_SERVERS.get(precision, {}))
        for model in models:
            compare_servers(report, measured, model, own, AGAINST_MODELS.get(precision, {}))


def compare_servers(report: Report, measured: Measured, rival: str, own: str, targets: Mapping[str, str]) -> None:
    for metric, theirs in measured.of[rival].items():
        mine = measured.of[own][metric]
        report.add(side_by_side(f"{metric}, {own}", metric.split()[-1], theirs, mine, rival, targets.get(metric, "")))


if __name__ == "__main__":
    main()
