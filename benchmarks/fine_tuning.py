"""Fine-tuning on the drawings of one more artist: what is gained on drawings of that artist, and lost elsewhere.

    clip-vectorizer train emoji --work WORK --output WORK/less --without streamline-emojis
    python benchmarks/fine_tuning.py --work WORK --art streamline-emojis --model local-dir:WORK/less

The start is a model that has never seen the artist. Half of the artist's concepts are learned from, by
`clip-vectorizer train contrastive` with the English and the Chinese name of each as captions. The other half, other
concepts by the same artist, is measured, and so are the drawings of the art set that no model here learns from.
Recall@1 among the names, or the drawings, of the same set; every gain is over the model as it was, on the same queries,
with the 95 % interval of a paired bootstrap.
"""

import csv
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
import numpy as np
from safetensors.torch import load_file

from benchmarks.common import Report, add_json_option
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.local_dir import WEIGHTS
from clip_vectorizer.progress import StepDisplay
from clip_vectorizer.query.evaluation.statistics import BooleanArray, paired_bootstrap
from clip_vectorizer.training.art_sets import HELD_OUT_SET, PACKAGES, TRAINING_SETS
from clip_vectorizer.training.contrastive_plan import ContrastivePlan
from clip_vectorizer.training.contrastive_run import interpolate_weights, train_contrastive
from clip_vectorizer.training.drawings import (
    Concept,
    fetch_packages,
    load_concepts,
    match_icons,
    read_json,
    render_set,
)
from clip_vectorizer.training.evaluation import encode_drawings, encode_texts, place_on_white
from clip_vectorizer.training.trainable import TrainableClip, TrainingMode, load_starting_point
from clip_vectorizer.vectors import Pixels

SIDE = 128  # pixels of a drawing, twice those of the bundled model
LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True)
class DrawnConcepts:
    """Concepts with one drawing each: (N, H, H, 4) uint8 RGBA."""

    concepts: Sequence[Concept]
    drawings_nhh4: Pixels


@click.command()
@click.option("--work", type=click.Path(path_type=Path, file_okay=False), required=True, help="Packages and models.")
@click.option("--art", type=click.Choice(TRAINING_SETS), required=True, help="The artist's drawings.")
@click.option("--model", required=True, help="Start, trained `--without` that art; as `train contrastive` takes it.")
@click.option("--interpolate", multiple=True, type=click.FloatRange(0, 1), default=(0.5,), show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=12, show_default=True)
@click.option("--batch", type=click.IntRange(2), default=64, show_default=True)
@click.option("--learning-rate", type=float, default=2e-4, show_default=True)
@click.option(
    "--freeze",
    type=click.Choice(("none", "image", "text")),
    default="text",
    show_default=True,
    help="Tower that does not change.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the halves and of the training.")
@add_json_option
def main(
    work: Path,
    art: str,
    model: str,
    interpolate: tuple[float, ...],
    epochs: int,
    batch: int,
    learning_rate: float,
    freeze: Literal["none", "image", "text"],
    seed: int,
    json_file: Path | None,
) -> None:
    """Fine-tune a model, and print its gain and its loss. About 10 minutes on two cores with the bundled model."""
    report = Report("Fine-tuning on another artist's drawings")
    report.begin()
    packages = fetch_packages(work / "packages")
    learned, measured = split_concepts(list_drawn(packages, art), seed)
    report.note(f"{PACKAGES[art]}, {read_licence(packages / art)}")
    report.note(f"{len(learned)} concepts learned, {len(measured)} measured")
    shutil.rmtree(work / "fine-tuning", ignore_errors=True)
    table = write_drawings(draw_concepts(packages, art, learned), work / "fine-tuning" / "drawings")
    plan = ContrastivePlan(
        table,
        work / "fine-tuning" / "model",
        model,
        freeze=None if freeze == "none" else freeze,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        seed=seed,
        validation_share=0.0,  # the measured half is validation enough; every drawing counts
    )
    with StepDisplay() as progress:
        train_contrastive(plan, progress)
    models = {"fine-tuned": f"local-dir:{plan.output}"}
    for share in interpolate:
        folder = work / "fine-tuning" / f"interpolated-{share:g}"
        models[f"fine-tuned, {share:g} of the start"] = interpolate_model(plan, share, folder)
    sets = {
        f"{art}, other concepts": draw_concepts(packages, art, measured),
        HELD_OUT_SET: draw_concepts(packages, HELD_OUT_SET, load_concepts(packages)),
    }
    for line in format_gains(model, models, sets):
        report.note(line)
    report.write(json_file)


def read_licence(package: Path) -> str:
    return f"licence {read_json(package / 'package.json')['license']}"


def list_drawn(packages: Path, name: str) -> list[Concept]:
    concepts = load_concepts(packages)
    return [concepts[index] for index in match_icons(packages, name, concepts)]


def split_concepts(concepts: Sequence[Concept], seed: int) -> tuple[list[Concept], list[Concept]]:
    """Return two halves. Concepts with a name in common stay in one: else a name would be known."""
    groups: dict[str, list[Concept]] = {}
    for concept in concepts:
        groups.setdefault(concept.name_en, []).append(concept)
    names = sorted(groups)
    random.Random(seed).shuffle(names)
    halves = (names[::2], names[1::2])
    learned, measured = ([concept for name in half for concept in groups[name]] for half in halves)
    return learned, measured


def draw_concepts(packages: Path, name: str, concepts: Sequence[Concept]) -> DrawnConcepts:
    return DrawnConcepts(concepts, render_set(packages, name, concepts, SIDE))


def write_drawings(drawn: DrawnConcepts, folder: Path) -> Path:
    """Write the drawings on white, and a table of them with the name in each language; return the table."""
    folder.mkdir(parents=True)
    table = folder / "captions.csv"
    with table.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("path", "caption"))
        for concept, drawing in zip(drawn.concepts, drawn.drawings_nhh4, strict=True):
            place_on_white(drawing).save(folder / f"{concept.hexcode}.png")
            rows.writerows((f"{concept.hexcode}.png", getattr(concept, f"name_{each}")) for each in LANGUAGES)
    return table


def interpolate_model(plan: ContrastivePlan, share: float, folder: Path) -> str:
    """What `train contrastive --interpolate` writes, from the training that has been done."""
    clip = TrainableClip(load_starting_point(plan.model, plan.architecture, plan.seed), TrainingMode())
    trained = load_file(plan.output / WEIGHTS)
    clip.export(interpolate_weights(trained, clip.copy_weights(), share), folder)
    return f"local-dir:{folder}"


def format_gains(model: str, models: dict[str, str], sets: dict[str, DrawnConcepts]) -> Iterator[str]:
    before = {title: measure_hits(model, drawn) for title, drawn in sets.items()}
    yield "| drawings | recall@1 | queries | as it was | model | after | gain | 95 % interval |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for title, name in models.items():
        for drawings, drawn in sets.items():
            for query, right_n in measure_hits(name, drawn).items():
                old_n = before[drawings][query]
                gain = paired_bootstrap(right_n, old_n)
                yield (
                    f"| {drawings} | {query} | {len(right_n)} | {old_n.mean():.3f} | {title} | {right_n.mean():.3f} "
                    f"| {gain.mean:+.3f} | {gain.low:+.3f} to {gain.high:+.3f} |"
                )


def measure_hits(name: str, drawn: DrawnConcepts) -> dict[str, BooleanArray]:
    """Whether each query finds its own first, by direction and language; a tie is an error."""
    encoder = load_encoder(ModelName(name), Placement())
    images_nd = encode_drawings(encoder, drawn.drawings_nhh4)
    hits: dict[str, BooleanArray] = {}
    for language in LANGUAGES:
        texts_nd = encode_texts(encoder, [getattr(concept, f"name_{language}") for concept in drawn.concepts])
        similarity_nn = images_nd @ texts_nd.T
        own_n1 = np.diagonal(similarity_nn)[:, None]
        hits[f"drawing -> name, {language}"] = (similarity_nn >= own_n1).sum(axis=1) == 1
        hits[f"name -> drawing, {language}"] = (similarity_nn >= own_n1.T).sum(axis=0) == 1
    return hits


if __name__ == "__main__":
    main()
