"""Captions by regions: how many of the things that they name are in the picture, and how many of those in it they name.

    python benchmarks/captions.py --work WORK_FOLDER

WORK_FOLDER is that of `clip-vectorizer train grounding`. Scenes are composed of the held-out drawings; regions and
labels are named as `clip-caption --by regions` names them, with crops as `clip-ingest --regions` cuts them.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.common import Report, add_json_option
from benchmarks.grounding import DRAWING_SIDE, encode_crops, format_share
from clip_vectorizer.boxes import BoxArray, ScoreArray, grid
from clip_vectorizer.models.catalog import EMOJI_DIRECTORY, ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.grounder import Grounder
from clip_vectorizer.models.grounding.head_file import load_head
from clip_vectorizer.models.names import EMOJI
from clip_vectorizer.phrase_probability import BACKGROUND
from clip_vectorizer.query.captions.captioned import ImageRegions
from clip_vectorizer.query.captions.ways import RegionRules, RegionWay
from clip_vectorizer.query.evaluation.statistics import Share
from clip_vectorizer.query.labels.label_store import build_labels, compute_label_vectors
from clip_vectorizer.training.art_sets import HELD_OUT_SET
from clip_vectorizer.training.drawings import Concept, fetch_packages, load_concepts
from clip_vectorizer.training.grounding.plan import ScenePlan
from clip_vectorizer.training.grounding.scene_art import MappedSet, SceneArt, map_set
from clip_vectorizer.training.grounding.scenes import Scene, compose_scene
from clip_vectorizer.vectors import Vectors

REGIONS = 10  # of a scene, as many as clip-ingest --regions objects takes
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)
SIZES = ((20.0, 100.0), (40.0, 100.0))  # of the longer side of a drawing in pixels, in scenes of 192 x 192
AIM_PRECISION, AIM_RECALL = 0.7, 0.6

FindBoxes = Callable[[Scene], tuple[BoxArray, ScoreArray]]


@dataclass(frozen=True, slots=True)
class SceneRegions:
    """The regions of one scene and the names of what it shows."""

    regions: ImageRegions
    shown: frozenset[str]


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """Texts to vectors, as the client of a sidecar does."""

    encoder: Encoder

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return self.encoder.encode_texts([self.encoder.prepare_text(text) for text in texts])


@click.command()
@click.option("--work", type=click.Path(path_type=Path, file_okay=False), required=True, help="Packages and drawings.")
@click.option(
    "--model", type=click.Path(path_type=Path), default=EMOJI_DIRECTORY, help="Folder of a model with a head."
)
@click.option("--scenes", default=300, show_default=True)
@click.option("--seed", default=1, show_default=True, help="Of the scenes.")
@click.option(
    "--labels",
    default="all,200,50",
    show_default=True,
    help="How many names compete; scenes are composed of these drawings alone.",
)
@click.option("--threads", default=2, show_default=True)
@add_json_option
def main(work: Path, model: Path, scenes: int, seed: int, labels: str, threads: int, json_file: Path | None) -> None:
    """Measure captions by regions: true boxes, the head's, a grid.

    \b
    Example:
      python benchmarks/captions.py --work ~/emoji --scenes 100
    """
    torch.set_num_threads(threads)
    report = Report(f"Captions by regions: precision >= {AIM_PRECISION} and recall >= {AIM_RECALL} are aimed at")
    report.begin()
    packages = fetch_packages(work / "packages")
    concepts = load_concepts(packages)
    art = map_set(work, packages, concepts, HELD_OUT_SET, ("drawn",), DRAWING_SIDE)
    encoder = load_encoder(ModelName(f"local-dir:{model}"), Placement())
    report.note(HEADING)
    for count, sizes in product(map(parse_count, labels.split(",")), SIZES):
        chosen = choose_concepts(concepts, count)
        pictures = compose_scenes(art, chosen, ScenePlan(sizes=sizes), scenes, seed)
        way = build_way(encoder, [name for name, _ in chosen])
        for source, find in list_sources(encoder, model).items():
            found = [read_scene(encoder, scene, find, way.names) for scene in pictures]
            for least in THRESHOLDS:
                row = measure(source, replace(way, rules=RegionRules(least)), found)
                report.note(f"| {len(way.names)} | {sizes[0]:.0f}-{sizes[1]:.0f} {row}")
    report.write(json_file)


HEADING = "| labels | pixels | regions | least | precision | recall | things named a scene |\n|" + " --- |" * 7


def parse_count(text: str) -> int | None:
    """None for all."""
    return None if text == "all" else int(text)


def choose_concepts(concepts: Sequence[Concept], count: int | None) -> list[tuple[str, int]]:
    """Return names and numbers of all concepts, or of so many at random; of equal names the first."""
    numbers: dict[str, int] = {}
    for number, concept in enumerate(concepts):
        if ":" not in concept.name_en:  # `keycap: 1` would be a label with a description
            numbers.setdefault(concept.name_en.casefold(), number)
    names = sorted(numbers) if count is None else sorted(random.Random(0).sample(sorted(numbers), count))
    return [(name, numbers[name]) for name in names]


def compose_scenes(
    art: MappedSet, chosen: Sequence[tuple[str, int]], plan: ScenePlan, count: int, seed: int
) -> list[Scene]:
    """Return scenes of the chosen concepts alone; `Scene.concepts` has their places in `chosen`."""
    rows = {place: art.rows[number] for place, (_, number) in enumerate(chosen)}
    own = SceneArt([MappedSet(rows, art.styles)], len(chosen), {"drawn": 1.0}, 0.0)
    rng = random.Random(f"captions {seed}")
    return [compose_scene(own, plan, rng) for _ in range(count)]


def list_sources(encoder: Encoder, model: Path) -> Mapping[str, FindBoxes]:
    head = load_head(encoder, model)
    return {
        "true boxes": lambda scene: without_objectness(scene.shares_n4),
        "objects": lambda scene: propose(head, scene),
        "grid=3x3": lambda scene: without_objectness(grid(3, 3)),
    }


def without_objectness(boxes_n4: BoxArray) -> tuple[BoxArray, ScoreArray]:
    return boxes_n4, np.ones(len(boxes_n4), np.float32)


def propose(head: Grounder, scene: Scene) -> tuple[BoxArray, ScoreArray]:
    found = head.propose(scene.image, REGIONS)
    return found.boxes_n4, found.objectness_n


def read_scene(encoder: Encoder, scene: Scene, find: FindBoxes, names: Sequence[str]) -> SceneRegions:
    boxes_n4, objectness_n = find(scene)
    regions = ImageRegions(boxes_n4, encode_crops(encoder, scene.image, boxes_n4), objectness_n)
    return SceneRegions(regions, frozenset(names[each] for each in scene.concepts))


def build_way(encoder: Encoder, names: Sequence[str]) -> RegionWay:
    texts = TextEncoder(encoder)
    info = replace(encoder.info, model=EMOJI)  # whatever folder it is in: prompts depend on it
    labels_ld = compute_label_vectors(build_labels(names, None, info), texts)
    return RegionWay("", names, labels_ld, texts.embed_texts(BACKGROUND), info)


def measure(source: str, way: RegionWay, scenes: Sequence[SceneRegions]) -> str:
    """Return a row: each name counts once a scene."""
    pairs = [(set(way.name_things(scene.regions)), scene.shown) for scene in scenes]
    right, named, shown = (sum(map(len, each)) for each in zip(*((a & b, a, b) for a, b in pairs), strict=True))
    shares = " | ".join(format_share(Share(right, total)) for total in (named, shown))
    return f"| {source} | {way.rules.least} | {shares} | {named / len(scenes):.1f} |"


if __name__ == "__main__":
    main()
