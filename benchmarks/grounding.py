"""Where in the picture: phrases in scenes of drawings that the head never saw, against what needs no training.

    python benchmarks/grounding.py --work WORK_FOLDER

WORK_FOLDER is that of `clip-vectorizer train grounding`: it has the npm packages, and gets the rendered drawings. Each
scene has the phrases of all that it shows, and phrases of as many concepts that it does not show as `--absent`.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import click
import numpy as np
import torch
from PIL import Image

from benchmarks.common import Report, add_json_option
from clip_vectorizer.boxes import WHOLE, BoxArray, ScoreArray, grid, suppress
from clip_vectorizer.models.catalog import EMOJI_DIRECTORY, ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.grounder import Grounder, RegionVectors
from clip_vectorizer.models.grounding.head import HeadGrounder
from clip_vectorizer.models.grounding.head_file import load_head
from clip_vectorizer.query.evaluation.grounding import (
    PhraseResult,
    ProposalResult,
    bootstrap_precision,
    covers_truth,
    filter_present,
    has_alarm,
    has_answer,
    match_boxes,
    points_inside,
    rank_first_hits,
)
from clip_vectorizer.query.evaluation.statistics import BooleanArray, IntegerArray, Share
from clip_vectorizer.region_crops import cut_region
from clip_vectorizer.training.art_sets import HELD_OUT_SET
from clip_vectorizer.training.drawings import Concept, fetch_packages, load_concepts
from clip_vectorizer.training.grounding.captions import Thing, name_things
from clip_vectorizer.training.grounding.plan import ScenePlan
from clip_vectorizer.training.grounding.scene_art import map_art
from clip_vectorizer.training.grounding.scenes import Scene, compose_scene, list_shown
from clip_vectorizer.training.knowledge import LANGUAGES
from clip_vectorizer.vectors import Vectors, unit

DRAWING_SIDE = 128  # pixels of a rendered drawing: more than the largest in a scene
PHRASE_OVERLAP = 0.5  # most of two boxes of a phrase
THRESHOLD = 0.5  # probability from which a box is an answer; of cosines it means little
STORED_REGIONS = 10  # of a scene: as many as `clip-ingest --regions objects` stores
SMALL = 32.0  # pixels of the longer side: smaller things are small
TILE_SCALES = (2, 3, 4, 6, 8)  # tiles along a side; neighbours overlap by half
GROUND_DISTANCE = 24  # grey levels from the colour of the ground, from which a pixel is no ground
LEAST_COMPONENT = 8  # pixels of its longer side
RETRIEVAL_SCENES = 300
WARM_SCENES = 5  # before the clock starts
RESAMPLES = 200  # of the interval of AP50


@dataclass(frozen=True, slots=True)
class Question:
    """A scene with concepts that it shows, and others that it does not."""

    scene: Scene
    present: tuple[int, ...]
    absent: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    boxes_n4: BoxArray
    scores_pn: ScoreArray
    seconds: float  # from the decoded picture and the vectors of the phrases, which a sidecar keeps


class Finder(Protocol):
    """Finds boxes for phrases."""

    def __call__(self, image: Image.Image, phrases: Sequence[Sequence[str]]) -> Answer: ...


@click.command()
@click.option("--work", type=click.Path(path_type=Path, file_okay=False), required=True, help="Packages and drawings.")
@click.option(
    "--model", type=click.Path(path_type=Path), default=EMOJI_DIRECTORY, help="Folder of a model with a head."
)
@click.option("--scenes", default=1000, show_default=True, help="Of each seed.")
@click.option("--seeds", default="1,2,3", show_default=True, help="Of the scenes.")
@click.option("--absent", default=20, show_default=True, help="Phrases of a scene that name nothing in it.")
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True)
@click.option("--baseline-scenes", default=100, show_default=True, help="For tiles, which take long.")
@click.option("--threads", default=2, show_default=True)
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True)
@add_json_option
def main(
    work: Path,
    model: Path,
    scenes: int,
    seeds: str,
    absent: int,
    language: str,
    baseline_scenes: int,
    threads: int,
    precision: str,
    json_file: Path | None,
) -> None:
    """Measure the head, the head with crops, stored regions, tiles, connected components and random boxes.

    \b
    Example:
      python benchmarks/grounding.py --work ~/emoji --scenes 200 --seeds 1
    """
    torch.set_num_threads(threads)
    report = Report("Phrases in scenes of held-out drawings")
    report.begin()
    concepts, ask = load_scenes(work, absent)
    encoder = load_encoder(ModelName(f"local-dir:{model}"), Placement(precision=precision))
    questions = {int(seed): ask(scenes, int(seed)) for seed in seeds.split(",")}
    first = next(iter(questions.values()))
    report.note(f"{HELD_OUT_SET}, {scenes} scenes a seed, {absent} absent phrases a scene, {language}, {precision}")
    report.note(HEADING)
    head, with_crops = (load_head(encoder, model, crops=crops) for crops in (False, True))
    finders = {"head": find_by(head), "head + crop": find_by(with_crops), "stored crops": find_by_stored(head)}
    for name, finder in finders.items():
        for seed, asked in questions.items():
            for line in measure(f"{name}, seed {seed}", finder, asked, concepts, language):
                report.note(line)
    baselines: dict[str, Finder] = {
        "tiles": find_by_crops(encoder, lambda image: cut_tiles()),
        "connected components": find_by_crops(encoder, find_components),
        "true boxes, crops": find_by_truth(encoder, first),
        "random box": find_at_random(random.Random(0)),
    }
    for name, finder in baselines.items():
        for line in measure(name, finder, first[:baseline_scenes], concepts, language):
            report.note(line)
    report.note(measure_proposals(head, first))
    for line in measure_retrieval(encoder, head, first[:RETRIEVAL_SCENES], concepts, language):
        report.note(line)
    report.write(json_file)


HEADING = (
    "| boxes | scenes | R@1 | R@5 | R@10 | pointing | AP50 | AP | R@1 small | R@1 white / gradient / blurred "
    "| false alarms at .5, answers at .5 | ms a scene |\n|" + " --- |" * 12
)


def load_scenes(work: Path, absent: int) -> tuple[list[Concept], Callable[[int, int], list[Question]]]:
    """Return the concepts, and a function that composes scenes from their number and a seed."""
    packages = fetch_packages(work / "packages")
    concepts = load_concepts(packages)
    art = map_art(work, packages, concepts, (HELD_OUT_SET,), {"drawn": 1.0}, size=DRAWING_SIDE)

    def ask(count: int, seed: int) -> list[Question]:
        rng = random.Random(f"held out {seed}")
        return [add_phrases(compose_scene(art, ScenePlan(), rng), len(concepts), absent, rng) for _ in range(count)]

    return concepts, ask


def add_phrases(scene: Scene, concepts: int, absent: int, rng: random.Random) -> Question:
    shown = list_shown(scene)
    others = [each for each in rng.sample(range(concepts), absent + len(shown)) if each not in shown]
    return Question(scene, tuple(shown), tuple(others[:absent]))


def measure(
    name: str, find: Finder, questions: Sequence[Question], concepts: Sequence[Concept], language: str
) -> Iterator[str]:
    """Yield a row of the table."""
    results: list[PhraseResult] = []
    seconds = 0.0
    for number, question in enumerate(questions):
        asked = (*question.present, *question.absent)
        phrases = [[name_concept(concepts[each], language)] for each in asked]
        answer = find(question.scene.image, phrases)
        seconds += answer.seconds * (number >= WARM_SCENES)
        results += list(collect_results(number, question, answer))
    ranks = rank_first_hits(results)
    present = filter_present(results)
    matched = match_boxes(results)
    alarms, answers = (Share.of(has(results, THRESHOLD)).value for has in (has_alarm, has_answer))
    grounds = " / ".join(
        f"{Share.of(ranks[[each.ground == kind for each in present]] == 1).value:.3f}"
        for kind in ("white", "gradient", "blurred")
    )
    small = Share.of(ranks[[each.size < SMALL for each in present]] == 1)
    yield (
        f"| {name} | {len(questions)} | {format_share(Share.of(ranks <= 1))} | {Share.of(ranks <= 5).value:.3f} "
        f"| {Share.of(ranks <= 10).value:.3f} | {Share.of(points_inside(results)).value:.3f} "
        f"| {bootstrap_precision(matched.at(0), RESAMPLES)} | {matched.measure_precision().mean():.3f} "
        f"| {small.value:.3f} "
        f"| {grounds} | {alarms:.3f}, {answers:.3f} "
        f"| {1000 * seconds / max(1, len(questions) - WARM_SCENES):.0f} |"
    )


def name_concept(concept: Concept, language: str) -> str:
    return name_things(Thing(str(getattr(concept, f"name_{language}")), 1), language)


def format_share(share: Share) -> str:
    low, high = share.interval
    return f"{share.value:.3f} ({low:.3f}-{high:.3f})"


def collect_results(number: int, question: Question, answer: Answer) -> Iterator[PhraseResult]:
    scene, shown = question.scene, np.array(question.scene.concepts)
    for concept, scores_n in zip((*question.present, *question.absent), answer.scores_pn, strict=True):
        kept = suppress(answer.boxes_n4, scores_n, PHRASE_OVERLAP)
        own = shown == concept
        sides = (scene.boxes_n4[own, 2:] - scene.boxes_n4[own, :2]).max(initial=0.0)
        yield PhraseResult(
            answer.boxes_n4[kept], scores_n[kept], scene.shares_n4[own], number, scene.ground, float(sides)
        )


def find_by(head: HeadGrounder) -> Finder:
    def find(image: Image.Image, phrases: Sequence[Sequence[str]]) -> Answer:
        phrases_pd, started = head.encode_phrases(phrases), time.perf_counter()
        regions, found = head.compare(image, phrases_pd)
        probabilities_pn = head.estimate(found)
        return Answer(regions.boxes_n4, probabilities_pn, time.perf_counter() - started)

    return find


def find_by_stored(head: HeadGrounder) -> Finder:
    """Return a finder in regions as `clip-ingest --regions objects` stores them; its time is that of the question."""

    def find(image: Image.Image, phrases: Sequence[Sequence[str]]) -> Answer:
        regions = head.propose(image, STORED_REGIONS)
        stored = RegionVectors(head.encode_crops(image, regions.boxes_n4), regions.objectness_n)
        phrases_pd, started = head.encode_phrases(phrases), time.perf_counter()
        _, probabilities_pn = head.compare_stored(stored, phrases_pd)
        return Answer(regions.boxes_n4, probabilities_pn, time.perf_counter() - started)

    return find


def find_by_crops(encoder: Encoder, cut: Callable[[Image.Image], BoxArray]) -> Finder:
    """Return a finder that compares the crops of boxes; its scores are cosines."""

    def find(image: Image.Image, phrases: Sequence[Sequence[str]]) -> Answer:
        phrases_pd, started = encode_prompts(encoder, phrases), time.perf_counter()
        boxes_n4 = cut(image)
        scores_pn = phrases_pd @ encode_crops(encoder, image, boxes_n4).T
        return Answer(boxes_n4, scores_pn, time.perf_counter() - started)

    return find


def encode_prompts(encoder: Encoder, phrases: Sequence[Sequence[str]]) -> Vectors:
    return encoder.encode_texts([encoder.prepare_text(prompts[0]) for prompts in phrases])


def encode_crops(encoder: Encoder, image: Image.Image, boxes_n4: BoxArray) -> Vectors:
    crops = [cut_region(image, box) for box in boxes_n4.tolist()]
    return unit(encoder.encode_images([encoder.prepare_image(crop) for crop in crops]))


def find_by_truth(encoder: Encoder, questions: Sequence[Question]) -> Finder:
    """Return the upper bound of recognition by crops: the true boxes of each scene."""
    truths = {id(question.scene.image): question.scene.shares_n4 for question in questions}
    return find_by_crops(encoder, lambda image: truths[id(image)])


def cut_tiles() -> BoxArray:
    """Return square tiles of several sizes, each half a tile from the next, and the whole picture."""
    counts = [(2 * scale - 1, (2 * scale - 1) / scale - 1) for scale in (1, *TILE_SCALES)]
    return np.concatenate([grid(count, count, overlap) for count, overlap in counts])


def find_components(image: Image.Image) -> BoxArray:
    """Return the boxes of what differs from the ground, whose colour is that of the picture's rim."""
    pixels_hw3 = np.asarray(image).astype(np.int16)
    rim = np.concatenate([pixels_hw3[0], pixels_hw3[-1], pixels_hw3[:, 0], pixels_hw3[:, -1]])
    differs_hw = (np.abs(pixels_hw3 - np.median(rim, axis=0)) > GROUND_DISTANCE).any(-1)
    labels_hw = label_components(differs_hw)
    boxes = [box for label in np.unique(labels_hw[differs_hw]) if (box := bound(labels_hw == label))]
    return np.array(boxes or [WHOLE], dtype=np.float32)


def label_components(mask_hw: BooleanArray) -> IntegerArray:
    """Return a number for each pixel of the mask, equal where pixels touch; 0 elsewhere.

    The highest number of the neighbours spreads until none changes: one step a pixel of the longest way.
    """
    labels_hw = np.where(mask_hw, np.arange(1, mask_hw.size + 1).reshape(mask_hw.shape), 0)
    while True:
        padded = np.pad(labels_hw, 1)
        rows = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
        spread = np.where(mask_hw, np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:]), 0)
        if (spread == labels_hw).all():
            return labels_hw
        labels_hw = spread


def bound(mask_hw: BooleanArray) -> tuple[float, float, float, float] | None:
    """Return the box of a component; None of a speck."""
    rows, columns = (np.flatnonzero(mask_hw.any(axis=axis)) for axis in (1, 0))
    (top, bottom), (left, right) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    if max(bottom - top, right - left) < LEAST_COMPONENT:
        return None
    high, wide = mask_hw.shape
    return left / wide, top / high, right / wide, bottom / high


def find_at_random(rng: random.Random) -> Finder:
    def find(image: Image.Image, phrases: Sequence[Sequence[str]]) -> Answer:
        sides = sorted([rng.random(), rng.random()]), sorted([rng.random(), rng.random()])
        box = [sides[0][0], sides[1][0], sides[0][1], sides[1][1]]
        return Answer(np.array([box], np.float32), np.array([[rng.random()] for _ in phrases], np.float32), 0.0)

    return find


def measure_proposals(head: Grounder, questions: Sequence[Question]) -> str:
    results = [ProposalResult(head.propose(each.scene.image, 100).boxes_n4, each.scene.shares_n4) for each in questions]
    shares = ", ".join(f"{count}: {format_share(Share.of(covers_truth(results, count)))}" for count in (5, 10, 20, 100))
    return f"true boxes among the best regions of a scene, by their number: {shares}"


def measure_retrieval(
    encoder: Encoder, head: Grounder, questions: Sequence[Question], concepts: Sequence[Concept], language: str
) -> Iterator[str]:
    """Yield how often the first scene found for a concept shows it: by whole pictures, by ten regions, by the best."""
    shown = sorted({concept for question in questions for concept in question.present})
    phrases_qd = encode_prompts(encoder, [[name_concept(concepts[each], language)] for each in shown])
    whole = [np.array([WHOLE], np.float32)] * len(questions)
    regions = [head.propose(each.scene.image, 10).boxes_n4 for each in questions]
    both = [np.concatenate(pair) for pair in zip(whole, regions, strict=True)]
    relevant_qs = np.array([[each in question.present for question in questions] for each in shown])
    for name, boxes in (("whole picture", whole), ("best of ten regions", regions), ("best of both", both)):
        best_qs = np.stack(
            [
                (phrases_qd @ encode_crops(encoder, question.scene.image, boxes_n4).T).max(axis=1)
                for question, boxes_n4 in zip(questions, boxes, strict=True)
            ],
            axis=1,
        )
        right_q = relevant_qs[np.arange(len(shown)), best_qs.argmax(axis=1)]
        share = format_share(Share.of(right_q))
        yield f"the scene that has X, {len(questions)} scenes, {len(shown)} phrases, {name}: recall@1 {share}"


if __name__ == "__main__":
    main()
