"""Deep fusion on top of the frozen head, as GLIP has it: does a question get better answers if regions read phrases?

    python benchmarks/grounding_fusion.py --work WORK_FOLDER [--model FOLDER]

WORK_FOLDER is that of `clip-vectorizer train grounding`; it gets the regions of some thousand training scenes. Each
design is trained on them and measured on the scenes of `benchmarks/grounding.py`: drawings that no training saw. The
controls have the same weights without any exchange between regions and phrases. Intervals are of a paired bootstrap
over scenes.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmarks.common import Report, add_json_option
from benchmarks.grounding import THRESHOLD, Answer, Question, collect_results, load_scenes, name_concept
from clip_vectorizer.models.catalog import EMOJI_DIRECTORY, ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.grounding.comparison import Calibration
from clip_vectorizer.models.grounding.head import HeadGrounder
from clip_vectorizer.models.grounding.head_file import load_head
from clip_vectorizer.query.evaluation.grounding import (
    MatchedBoxes,
    filter_present,
    has_alarm,
    has_answer,
    match_boxes,
    rank_first_hits,
)
from clip_vectorizer.query.evaluation.statistics import SEED, Share
from clip_vectorizer.training.art_sets import HELD_OUT_SET, TRAINING_SETS
from clip_vectorizer.training.drawings import fetch_packages
from clip_vectorizer.training.grounding.fusion import (
    FusionDesign,
    FusionInput,
    FusionNetwork,
    FusionTraining,
    Mixing,
    Start,
    compete,
    prepare,
    train_fusion,
)
from clip_vectorizer.training.grounding.phrase_vectors import PhraseVectors
from clip_vectorizer.training.grounding.plan import TRAINING_SCENES
from clip_vectorizer.training.grounding.run import TURN
from clip_vectorizer.training.grounding.scene_art import SCENE_STYLES, map_art
from clip_vectorizer.training.grounding.scene_regions import SceneRegions, load_regions, load_training_regions
from clip_vectorizer.training.knowledge import LANGUAGES

RESAMPLES = 500
HEADING = (
    "| design | weights | R@1 | gain over the head | gain over the control | AP50 | gain over the head "
    "| R@1, caption alone | R@1, one phrase | false alarms, answers at .5 | ms a question |\n|" + " --- |" * 11
)
Matrix = npt.NDArray[np.float64]
Score = Callable[[FusionInput], Tensor]

SHARES = "shares: its logits, and the logarithm of each phrase's share of a region"
ACROSS, WITHIN, ALONE = Mixing.ACROSS, Mixing.WITHIN, Mixing.ALONE
CONTROLS = {
    "control: each side by itself, 2 layers": FusionDesign((WITHIN, WITHIN)),
    "control: each row by itself, 2 layers": FusionDesign((ALONE, ALONE)),
    "control: each side by itself, 2 layers, from shares": FusionDesign((WITHIN, WITHIN), Start.SHARES),
}
PLAIN, _, SHARED = CONTROLS
FUSED = {  # design and its control
    "cross attention from the head's logits, 2 layers": (FusionDesign((ACROSS, ACROSS), Start.SCORES), PLAIN),
    "cross attention from the head's logits, 1 layer": (FusionDesign((ACROSS,), Start.SCORES), PLAIN),
    "cross attention, 2 layers": (FusionDesign((ACROSS, ACROSS)), PLAIN),
    "cross attention from shares, 2 layers": (FusionDesign((ACROSS, ACROSS), Start.SHARES), SHARED),
    "cross attention from shares, 1 layer": (FusionDesign((ACROSS,), Start.SHARES), SHARED),
    "cross attention, 2 layers, S' alone": (FusionDesign((ACROSS, ACROSS), Start.NONE), PLAIN),
}


@dataclass(frozen=True, slots=True)
class Comparison:
    work: Path
    model: Path
    training_scenes: int
    steps: int
    training_seeds: tuple[int, ...]
    scenes: int  # of each seed, to measure
    seeds: tuple[int, ...]
    absent: int  # phrases
    language: str


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Scenes with their questions, and the regions of the head."""

    questions: Sequence[Question]
    regions: SceneRegions


@dataclass(frozen=True, slots=True)
class Measured:
    """What one network found. S scenes: hits and phrases of each."""

    hits_s: Matrix
    phrases_s: Matrix
    matched: MatchedBoxes
    caption: float  # R@1 of questions without absent phrases
    single: float  # R@1 of questions of one phrase
    alarms: float  # share of absent phrases with a probability of THRESHOLD
    answers: float  # share of present phrases
    milliseconds: float

    def recall(self, weights_s: Matrix) -> float:
        return float(weights_s @ self.hits_s / (weights_s @ self.phrases_s))

    def precision(self, weights_s: Matrix) -> float:
        return float(self.matched.measure_precision(weights_s).mean())


@click.command()
@click.option("--work", type=click.Path(path_type=Path, file_okay=False), required=True, help="Packages and drawings.")
@click.option(
    "--model", type=click.Path(path_type=Path), default=EMOJI_DIRECTORY, help="Folder of a model with a head."
)
@click.option("--training-scenes", default=2000, show_default=True)
@click.option("--steps", default=400, show_default=True)
@click.option("--training-seeds", default="0,1,2", show_default=True, help="Of each design.")
@click.option("--scenes", default=300, show_default=True, help="Of each seed, to measure.")
@click.option("--seeds", default="1,2", show_default=True, help="Of the scenes to measure.")
@click.option("--absent", default=20, show_default=True, help="Phrases of a scene that name nothing in it.")
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True)
@click.option("--threads", default=2, show_default=True)
@add_json_option
def main(
    work: Path,
    model: Path,
    training_scenes: int,
    steps: int,
    training_seeds: str,
    scenes: int,
    seeds: str,
    absent: int,
    language: str,
    threads: int,
    json_file: Path | None,
) -> None:
    """Train and measure the designs of deep fusion, their controls, and the head as it is.

    \b
    Example:
      python benchmarks/grounding_fusion.py --work ~/emoji --training-scenes 500 --scenes 100 --training-seeds 0
    """
    torch.set_num_threads(threads)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    report = Report("Deep fusion of regions and phrases, in scenes of held-out drawings")
    report.begin()
    fusion_seeds, scene_seeds = read_numbers(training_seeds), read_numbers(seeds)
    for line in compare_designs(
        Comparison(work, model, training_scenes, steps, fusion_seeds, scenes, scene_seeds, absent, language)
    ):
        report.note(line)
    report.write(json_file)


def read_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(","))


def compare_designs(plan: Comparison) -> Iterator[str]:
    """Yield a line for what is measured, and the rows of the table."""
    concepts, ask = load_scenes(plan.work, plan.absent)
    encoder = load_encoder(ModelName(f"local-dir:{plan.model}"), Placement())
    head = load_head(encoder, plan.model)
    phrases = PhraseVectors.load(plan.work / f"phrases-{encoder.info.revision}.npz", encoder, concepts)
    art = map_art(plan.work, fetch_packages(plan.work / "packages"), concepts, TRAINING_SETS, SCENE_STYLES, TURN)
    learned = load_training_regions(plan.work, head, art, TRAINING_SCENES, plan.training_scenes)
    held_out = join_held_out([see(plan.work, head, ask(plan.scenes, seed), seed) for seed in plan.seeds])
    names_cd = torch.from_numpy(head.encode_phrases([[name_concept(each, plan.language)] for each in concepts]))
    measure = partial(measure_scores, held_out, names_cd, head.calibration)
    yield f"{HELD_OUT_SET}, {len(held_out.questions)} scenes, {plan.absent} absent phrases a scene, {plan.language}"
    yield f"{plan.training_scenes} training scenes, {plan.steps} steps, training seeds {plan.training_seeds}"
    yield HEADING
    plain = [measure(lambda given: given.logits_bpn)]
    yield format_row("the head with crops, as it is", 0, plain, ())
    yield format_row(SHARES, 0, [measure(lambda given: compete(given.logits_bpn))], plain)
    found: dict[str, list[Measured]] = {}
    for name, (design, control) in ({name: (each, "") for name, each in CONTROLS.items()} | FUSED).items():
        plans = [FusionTraining(steps=plan.steps, seed=seed) for seed in plan.training_seeds]
        networks = [train_fusion(learned, phrases, head.calibration, design, each) for each in plans]
        found[name] = [measure(network) for network in networks]
        yield format_row(name, count_weights(networks[0]), found[name], plain, found.get(control, ()))


def see(work: Path, head: HeadGrounder, questions: Sequence[Question], seed: int) -> HeldOut:
    name = f"held-out-{seed}-{len(questions)}"
    return HeldOut(questions, load_regions(work, name, head, lambda: (each.scene for each in questions)))


def join_held_out(parts: Sequence[HeldOut]) -> HeldOut:
    questions = [question for part in parts for question in part.questions]
    return HeldOut(questions, SceneRegions.join([part.regions for part in parts]))


def count_weights(network: FusionNetwork) -> int:
    return sum(each.numel() for each in network.parameters())


def measure_scores(held_out: HeldOut, names_cd: Tensor, calibration: Calibration, score: Score) -> Measured:
    """`names_cd`: a vector for each concept."""
    ask = partial(answer, held_out, names_cd, calibration, score)
    started = time.perf_counter()
    answers = [ask(number, (*each.present, *each.absent)) for number, each in enumerate(held_out.questions)]
    seconds = time.perf_counter() - started
    results = [
        result
        for number, (question, found) in enumerate(zip(held_out.questions, answers, strict=True))
        for result in collect_results(number, question, found)
    ]
    right, pictures = rank_first_hits(results) == 1, [each.picture for each in filter_present(results)]
    count = len(held_out.questions)
    return Measured(
        np.bincount(pictures, right, count).astype(np.float64),
        np.bincount(pictures, minlength=count).astype(np.float64),
        match_boxes(results).at(0),
        measure_recall(held_out, ask, lambda question: [question.present]),
        measure_recall(held_out, ask, lambda question: [(each,) for each in question.present]),
        Share.of(has_alarm(results, THRESHOLD)).value,
        Share.of(has_answer(results, THRESHOLD)).value,
        1000 * seconds / count,
    )


def answer(
    held_out: HeldOut,
    names_cd: Tensor,
    calibration: Calibration,
    score: Score,
    number: int,
    asked: Sequence[int],
) -> Answer:
    """Return the boxes and probabilities of a scene for concepts."""
    with torch.inference_mode():
        given = prepare(held_out.regions, [number], names_cd[list(asked)][None], calibration)
        found_pn = score(given)[0].sigmoid().numpy()
    real_n = ~given.padding_bn[0].numpy()
    return Answer(held_out.regions.boxes_sn4[number][real_n], found_pn[:, real_n], 0.0)


def measure_recall(
    held_out: HeldOut,
    ask: Callable[[int, Sequence[int]], Answer],
    divide: Callable[[Question], Sequence[tuple[int, ...]]],
) -> float:
    """Return R@1 of present phrases, each scene's in questions of its own."""
    results = [
        result
        for number, question in enumerate(held_out.questions)
        for asked in divide(question)
        for result in collect_results(number, Question(question.scene, asked, ()), ask(number, asked))
    ]
    return Share.of(rank_first_hits(results) == 1).value


def format_row(
    name: str,
    weights: int,
    ours: Sequence[Measured],
    plain: Sequence[Measured],
    control: Sequence[Measured] = (),
) -> str:
    """Return a row of the table: means over the trainings."""
    even = np.ones(len(ours[0].hits_s))
    recalls = [each.recall(even) for each in ours]
    each_recall = f" ({', '.join(f'{each:.3f}' for each in recalls)})" if len(recalls) > 1 else ""
    cells = (
        name,
        f"{weights:,}",
        f"{np.mean(recalls):.3f}{each_recall}",
        format_gain(ours, plain, Measured.recall),
        format_gain(ours, control, Measured.recall),
        f"{np.mean([each.precision(even) for each in ours]):.3f}",
        format_gain(ours, plain, Measured.precision),
        f"{np.mean([each.caption for each in ours]):.3f}",
        f"{np.mean([each.single for each in ours]):.3f}",
        ", ".join(f"{np.mean([getattr(each, share) for each in ours]):.3f}" for share in ("alarms", "answers")),
        f"{np.mean([each.milliseconds for each in ours]):.1f}",
    )
    return f"| {' | '.join(cells)} |"


def format_gain(
    ours: Sequence[Measured], theirs: Sequence[Measured], measure: Callable[[Measured, Matrix], float]
) -> str:
    """Return the difference of the means over the trainings, with its interval over scenes drawn with replacement."""
    if not theirs:
        return "-"
    count = len(ours[0].hits_s)
    drawn = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)

    def compare(weights_s: Matrix) -> float:
        sides = ([measure(each, weights_s) for each in side] for side in (ours, theirs))
        our_mean, their_mean = (float(np.mean(side)) for side in sides)
        return our_mean - their_mean

    low, high = np.quantile([compare(weights_s.astype(np.float64)) for weights_s in drawn], (0.025, 0.975))
    return f"{compare(np.ones(count)):+.3f} ({low:+.3f} to {high:+.3f})"


if __name__ == "__main__":
    main()
