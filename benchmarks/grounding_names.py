"""What competing names and a least objectness add to the head: the same regions and vectors, scored in several ways.

    python benchmarks/grounding_names.py --work WORK_FOLDER

Each way of scoring is a logistic regression, fitted on scenes of the training art and measured on held-out drawings.
With half of the names, the phrases are also measured apart: those that are among the names, and those that are not.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.common import Report, add_json_option
from benchmarks.grounding import (
    RESAMPLES,
    Answer,
    Question,
    add_phrases,
    collect_results,
    format_share,
    load_scenes,
    name_concept,
)
from clip_vectorizer.boxes import BoxArray, ScoreArray
from clip_vectorizer.models.catalog import EMOJI_DIRECTORY, ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.grounding.comparison import Comparison, Vocabulary
from clip_vectorizer.models.grounding.head import FEWEST, MOST_COMPARED, HeadGrounder
from clip_vectorizer.models.grounding.head_file import load_head
from clip_vectorizer.models.grounding.scores import compute_logits
from clip_vectorizer.query.evaluation.grounding import (
    PhraseResult,
    bootstrap_precision,
    filter_present,
    match_boxes,
    rank_first_hits,
)
from clip_vectorizer.query.evaluation.statistics import Share
from clip_vectorizer.training.art_sets import TRAINING_SETS
from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.training.grounding.calibrate import find_right, fit_logistic
from clip_vectorizer.training.grounding.plan import TRAINING_SCENES
from clip_vectorizer.training.grounding.run import TURN
from clip_vectorizer.training.grounding.scene_art import SCENE_STYLES, map_art
from clip_vectorizer.training.grounding.scenes import compose_scene
from clip_vectorizer.vectors import Vectors, unit

ABSENT = 20  # phrases of a scene that name nothing in it
OBJECTNESS = (0.0, 0.1, 0.25, 0.4)


@dataclass(frozen=True, slots=True)
class ComparedScene:
    """Regions of a scene and the vectors of its phrases."""

    question: Question
    boxes_n4: BoxArray
    objectness_n: ScoreArray
    head_nd: Vectors
    crops_nd: Vectors
    phrases_pd: Vectors

    @property
    def asked(self) -> tuple[int, ...]:
        return (*self.question.present, *self.question.absent)

    @property
    def right_pn(self) -> ScoreArray:
        return find_right(self.question.scene, self.asked, self.boxes_n4).astype(np.float32)


Features = Callable[[ComparedScene], ScoreArray]  # (P, N, F)


@click.command()
@click.option("--work", type=click.Path(path_type=Path, file_okay=False), required=True, help="Packages and drawings.")
@click.option(
    "--model", type=click.Path(path_type=Path), default=EMOJI_DIRECTORY, help="Folder of a model with a head."
)
@click.option("--scenes", default=150, show_default=True, help="Of each seed.")
@click.option("--seeds", default="1,2", show_default=True, help="Of the scenes.")
@click.option("--fitted", default=300, show_default=True, help="Scenes of the training art.")
@click.option("--threads", default=2, show_default=True)
@add_json_option
def main(work: Path, model: Path, scenes: int, seeds: str, fitted: int, threads: int, json_file: Path | None) -> None:
    """Measure the ways of scoring.

    \b
    Example:
      python benchmarks/grounding_names.py --work ~/emoji --scenes 100 --seeds 1
    """
    torch.set_num_threads(threads)
    report = Report("Scores of regions with and without competing names")
    report.begin()
    head = load_head(load_encoder(ModelName(f"local-dir:{model}"), Placement()), model)
    concepts, ask = load_scenes(work, ABSENT)
    held_out = [compare(head, question, concepts) for seed in seeds.split(",") for question in ask(scenes, int(seed))]
    learned = [compare(head, question, concepts) for question in compose_training_scenes(work, concepts, fitted)]
    for line in measure_designs(learned, held_out, encode_names(head, concepts)):
        report.note(line)
    report.write(json_file)


def compose_training_scenes(work: Path, concepts: Sequence[Concept], count: int) -> Iterator[Question]:
    art = map_art(work, work / "packages", concepts, TRAINING_SETS, SCENE_STYLES, TURN)
    rng = random.Random("names")
    for _ in range(count):
        yield add_phrases(compose_scene(art, TRAINING_SCENES, rng), len(concepts), ABSENT, rng)


def compare(head: HeadGrounder, question: Question, concepts: Sequence[Concept]) -> ComparedScene:
    image = question.scene.image
    regions = head.propose(image, MOST_COMPARED)
    assert regions.vectors_nd is not None
    asked = (*question.present, *question.absent)
    phrases_pd = head.encode_phrases([[name_concept(concepts[each], "en")] for each in asked])
    crops_nd = head.encode_crops(image, regions.boxes_n4)
    return ComparedScene(question, regions.boxes_n4, regions.objectness_n, regions.vectors_nd, crops_nd, phrases_pd)


def encode_names(head: HeadGrounder, concepts: Sequence[Concept]) -> Vectors:
    return head.encode_phrases([[name_concept(each, "en")] for each in concepts])


def measure_designs(
    learned: Sequence[ComparedScene], held_out: Sequence[ComparedScene], names_vd: Vectors
) -> Iterator[str]:
    half = np.random.default_rng(0).permutation(len(names_vd))[: len(names_vd) // 2]
    inside = frozenset(half.tolist())
    yield f"{len(held_out)} held-out scenes, {ABSENT} absent phrases each; fitted on {len(learned)} scenes"
    yield "| compared | objectness from | regions | phrases | R@1 | AP50 |\n| --- | --- | --- | --- | --- | --- |"
    designs: dict[str, Features] = {
        "two cosines and objectness": describe_plainly,
        "and half of the names": lambda scene: describe_by_names(scene, Vocabulary(names_vd[half])),
        "and all names": lambda scene: describe_by_names(scene, Vocabulary(names_vd)),
    }
    for name, describe in designs.items():
        weights = fit(describe, learned)
        for least in OBJECTNESS if "all" in name else (0.0,):
            yield measure(name, describe, weights, held_out, least, "all", lambda concept: True)
        if "all" not in name:
            yield measure(name, describe, weights, held_out, 0.0, "among that half", lambda concept: concept in inside)
            yield measure(name, describe, weights, held_out, 0.0, "others", lambda concept: concept not in inside)


def describe_plainly(scene: ComparedScene) -> ScoreArray:
    cosines = [scene.phrases_pd @ rows_nd.T for rows_nd in (scene.head_nd, scene.crops_nd)]
    return np.stack(np.broadcast_arrays(*cosines, compute_logits(scene.objectness_n)), axis=-1)


def describe_by_names(scene: ComparedScene, vocabulary: Vocabulary) -> ScoreArray:
    """As `Comparison` has them."""
    both_nd = unit(scene.head_nd + scene.crops_nd)
    cosines_pn = scene.phrases_pd @ both_nd.T
    return Comparison(scene.objectness_n, cosines_pn, vocabulary.measure(both_nd)).features_pn3


def fit(describe: Features, scenes: Sequence[ComparedScene]) -> list[float]:
    features = [describe(scene) for scene in scenes]
    rows = np.concatenate([each.reshape(-1, each.shape[-1]) for each in features]).astype(np.float64)
    return fit_logistic(rows, np.concatenate([scene.right_pn.reshape(-1) for scene in scenes]).astype(np.float64))


def measure(
    name: str,
    describe: Features,
    weights: Sequence[float],
    scenes: Sequence[ComparedScene],
    least: float,
    phrases: str,
    counts: Callable[[int], bool],
) -> str:
    """Return a row of the table. `counts`: whether a phrase is measured."""
    results: list[PhraseResult] = []
    kept = []
    for number, scene in enumerate(scenes):
        some = max(FEWEST, int((scene.objectness_n >= least).sum()))
        scores_pn = (describe(scene)[:, :some] @ np.array(weights[:-1]) + weights[-1]).astype(np.float32)
        answer = Answer(scene.boxes_n4[:some], scores_pn, 0.0)
        found = collect_results(number, scene.question, answer)
        results += [each for each, concept in zip(found, scene.asked, strict=True) if counts(concept)]
        kept.append(min(some, len(scene.boxes_n4)))
    share = format_share(Share.of(rank_first_hits(results) <= 1))
    present = len(filter_present(results))
    precision = bootstrap_precision(match_boxes(results).at(0), RESAMPLES)
    return f"| {name} | {least} | {np.mean(kept):.1f} | {phrases}, {present} | {share} | {precision} |"


if __name__ == "__main__":
    main()
