"""Self-training as in GLIP: boxes for a tenth of the scenes, captions for the others, for which a teacher finds boxes.

    python benchmarks/self_training.py --work WORK_FOLDER

WORK_FOLDER is that of `clip-vectorizer train grounding`; its folder `self-training` gets heads and results, and what is
there is not done again. A teacher learns from the scenes with boxes. Three students continue from it, all for as many
steps at the same rates, and differ in their scenes alone: again those of the teacher, these and all others with the
teacher's boxes, and all scenes with their true boxes. So the first student is what the steps alone bring.

All are measured on scenes of drawings that are in no training, by the head alone: alignment and objectness as it has
learned them, without crops and without a calibration, which would need boxes of its own. Intervals are over scenes.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from benchmarks.common import Report, add_json_option
from benchmarks.grounding import Answer, Question, collect_results, encode_prompts, load_scenes, name_concept
from clip_vectorizer.models.catalog import EMOJI_DIRECTORY, ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.comparison import Calibration, Comparison, HeadParts, Vocabulary
from clip_vectorizer.models.grounding.head import HeadGrounder
from clip_vectorizer.models.grounding.network import RegionNetwork
from clip_vectorizer.phrase_probability import sigmoid
from clip_vectorizer.query.evaluation.grounding import (
    FloatArray,
    Interval,
    MatchedBoxes,
    PhraseResult,
    filter_present,
    match_boxes,
    rank_first_hits,
)
from clip_vectorizer.query.evaluation.statistics import SEED, BooleanArray, IntegerArray
from clip_vectorizer.training.art_sets import HELD_OUT_SET, TRAINING_SETS
from clip_vectorizer.training.drawings import Concept, fetch_packages, load_concepts
from clip_vectorizer.training.emoji import flush_denormals
from clip_vectorizer.training.grounding.phrase_vectors import PhraseVectors
from clip_vectorizer.training.grounding.plan import TRAINING_SCENES, HeadStage, SelfTraining
from clip_vectorizer.training.grounding.run import TURN, build_network, train_head
from clip_vectorizer.training.grounding.scene_art import SCENE_STYLES, SceneArt, map_art
from clip_vectorizer.training.grounding.scene_pool import ScenePool, Teacher
from clip_vectorizer.training.stage_files import load_or_train
from clip_vectorizer.vectors import Vectors

REGIONS = 30  # of a held-out scene: the ten best have nine of ten things
RESAMPLES = 300  # of an interval
NEVER = 1 << 30  # steps until the first checkpoint
STUDENTS = 1000  # added to a seed: students draw their scenes in another order than their teacher
TEACHER, WITHOUT, WITH, ALL = "teacher", "without", "with", "all"
ARMS = {
    TEACHER: "teacher: the scenes with boxes",
    WITHOUT: "student without pseudo labels: the same scenes again",
    WITH: "student with pseudo labels: all scenes",
    ALL: "student with all true boxes",
}


@dataclass(frozen=True, slots=True)
class ArmResult:
    """What a head found. Q phrases that are there."""

    boxes: MatchedBoxes  # at an overlap of .5
    right_q: BooleanArray  # the best box overlaps a thing of the phrase by half
    pictures_q: IntegerArray

    def measure(self, weights_p: FloatArray) -> FloatArray:
        """Return (2,) recall@1 and AP50 where each picture counts `weights_p` times."""
        weights_q = weights_p[self.pictures_q]
        return np.array([weights_q @ self.right_q / weights_q.sum(), self.boxes.measure_precision(weights_p)[0]])


@dataclass(frozen=True, slots=True)
class SelfTrainingBench:
    """What all heads have in common."""

    folder: Path  # gets weights and results
    encoder: Encoder
    art: SceneArt
    phrases: PhraseVectors
    questions: Sequence[Question]
    names_nd: Vectors  # of all concepts, as a phrase names one of them
    pool: SelfTraining
    stage: HeadStage  # of the teacher
    student_steps: int

    def train(self, arm: str, seed: int) -> RegionNetwork:
        """Return the trained head of an arm, after the teacher of its seed."""
        student = replace(self.stage, seed=seed + STUDENTS, steps=self.student_steps)
        stage = replace(self.stage, seed=seed) if arm == TEACHER else student
        network, file = build_network(EMOJI_DIRECTORY, stage), self.folder / f"{arm}-{seed}.safetensors"
        teach = self.learn if arm == TEACHER else self.continue_teacher
        network.load_state_dict(load_or_train(file, stage.steps, lambda: teach(network, stage, arm, seed)))
        return network.eval()

    def continue_teacher(self, network: RegionNetwork, stage: HeadStage, arm: str, seed: int) -> Mapping[str, Tensor]:
        """Return the weights of a student, and store the counts of the teacher's labels, if it has any."""
        first = self.train(TEACHER, seed)
        network.load_state_dict(first.state_dict())
        if arm != WITH:
            return self.learn(network, stage, arm, seed)
        teacher = Teacher(first, self.phrases, self.pool.threshold)
        state = self.learn(network, stage, arm, seed, teacher)
        self.labels_file(seed).write_text(json.dumps(teacher.labels))
        return state

    def learn(
        self, network: RegionNetwork, stage: HeadStage, arm: str, seed: int, teacher: Teacher | None = None
    ) -> Mapping[str, Tensor]:
        logging.info("%s, seed %d", ARMS[arm], seed)
        share = 1.0 if arm == ALL else self.pool.labels_share
        pool = replace(self.pool, labels_share=share, first=seed * self.pool.scenes)
        scenes = ScenePool(self.art, stage.scenes, pool, teacher)
        return train_head(network, scenes, self.phrases, stage, self.folder / f"{arm}-{seed}.checkpoint")

    def labels_file(self, seed: int) -> Path:
        return self.folder / f"labels-{seed}.json"

    def measure(self, arm: str, seed: int) -> ArmResult:
        """Return the results of an arm, from its file if they are there."""
        file = self.folder / f"{arm}-{seed}-{len(self.questions)}-{len(self.questions[0].absent)}.npz"
        if not file.exists():
            found = list(self.find(self.train(arm, seed)))
            boxes, present = match_boxes(found, np.array([0.5])), filter_present(found)
            pictures_q = np.array([each.picture for each in present])
            arrays = (boxes.right_tn, boxes.pictures_n, boxes.truths_p, rank_first_hits(found) == 1, pictures_q)
            np.savez(file, *arrays)
        with np.load(file, allow_pickle=False) as stored:
            right_tn, pictures_n, truths_p, right_q, pictures_q = (stored[name] for name in stored.files)
        return ArmResult(MatchedBoxes(right_tn, pictures_n, truths_p), right_q, pictures_q)

    def find(self, network: RegionNetwork) -> Iterator[PhraseResult]:
        """Yield what the head finds for each phrase of the held-out scenes."""
        head = HeadGrounder(network, self.encoder, HeadParts(Vocabulary(self.names_nd), {}), crops=False)
        own = Calibration((network.log_scale.exp().item(), 0.0, 1.0), network.shift.item())
        for number, question in enumerate(self.questions):
            regions = head.propose(question.scene.image, REGIONS)
            assert regions.vectors_nd is not None
            cosines_pn = self.names_nd[[*question.present, *question.absent]] @ regions.vectors_nd.T
            objectness_n = regions.objectness_n
            logits_pn = own.compute_logits(Comparison(objectness_n, cosines_pn, np.zeros_like(objectness_n)))
            yield from collect_results(number, question, Answer(regions.boxes_n4, sigmoid(logits_pn), 0.0))


@click.command()
@click.option("--work", type=click.Path(path_type=Path, file_okay=False), required=True, help="Packages and drawings.")
@click.option("--seeds", default="0,1,2", show_default=True, help="Of the trainings, separated by commas.")
@click.option("--steps", default=600, show_default=True, type=click.IntRange(1), help="Of a teacher.")
@click.option("--student-steps", default=300, show_default=True, type=click.IntRange(1), help="Of a student.")
@click.option("--pool", default=2000, show_default=True, type=click.IntRange(2), help="Scenes that there are.")
@click.option("--labels-share", default=0.1, show_default=True, type=click.FloatRange(0, 1, True), help="With boxes.")
@click.option("--threshold", default=0.1, show_default=True, help="Score from which a teacher's box is a label.")
@click.option("--side", default=128, show_default=True, help="Pixels of a scene of the pool, a multiple of 32.")
@click.option("--scenes", default=200, show_default=True, type=click.IntRange(1), help="Held out.")
@click.option("--absent", default=10, show_default=True, help="Phrases of a held-out scene that name nothing in it.")
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1))
@add_json_option
def main(
    work: Path,
    seeds: str,
    steps: int,
    student_steps: int,
    pool: int,
    labels_share: float,
    threshold: float,
    side: int,
    scenes: int,
    absent: int,
    threads: int,
    json_file: Path | None,
) -> None:
    """Train a teacher and three students for each seed, and compare them on scenes of held-out drawings.

    \b
    Example:
      python benchmarks/self_training.py --work ~/emoji --seeds 0 --steps 100
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    report = Report("Self-training: boxes for some scenes, captions for the others")
    report.begin()
    report.note(
        f"{pool} scenes of {side} pixels, {round(pool * labels_share)} with boxes; {steps} steps of a teacher, then "
        f"{student_steps} of a student; "
        f"{scenes} scenes of {HELD_OUT_SET}, {absent} absent phrases each; means over seeds {seeds} (least-most)"
    )
    folder = work / "self-training" / f"{pool}-{labels_share:g}-{threshold:g}-{side}-{steps}-{student_steps}"
    experiment = SelfTraining(pool, labels_share, threshold=threshold)
    with flush_denormals():
        bench = prepare_bench(work, folder, experiment, scenes, absent, plan_stage(steps, side), student_steps)
        for line in compare_arms(bench, [int(seed) for seed in seeds.split(",")]):
            report.note(line)
    report.write(json_file)


def plan_stage(steps: int, side: int) -> HeadStage:
    """Return the stage of all trainings: short steps, and a trunk that does not forget names for few scenes.

    It makes no checkpoint: a training in two parts would count labels twice.
    """
    scenes = replace(TRAINING_SCENES, size=(side, side), counts=(2, 6), sizes=(16.0, 0.7 * side))
    return HeadStage(steps=steps, batch=4, tuned=(), checkpoint_steps=NEVER, scenes=scenes)


def prepare_bench(
    work: Path, folder: Path, pool: SelfTraining, scenes: int, absent: int, stage: HeadStage, student_steps: int
) -> SelfTrainingBench:
    folder.mkdir(parents=True, exist_ok=True)
    packages = fetch_packages(work / "packages")
    concepts = load_concepts(packages)
    encoder = load_encoder(ModelName(f"local-dir:{EMOJI_DIRECTORY}"), Placement())
    phrases = PhraseVectors.load(work / f"phrases-{encoder.info.revision}.npz", encoder, concepts)
    art = map_art(work, packages, concepts, TRAINING_SETS, SCENE_STYLES, TURN)
    _, ask = load_scenes(work, absent)
    names_nd = encode_names(encoder, concepts)
    return SelfTrainingBench(folder, encoder, art, phrases, ask(scenes, 1), names_nd, pool, stage, student_steps)


def encode_names(encoder: Encoder, concepts: Sequence[Concept]) -> Vectors:
    """Return (N, D) unit rows."""
    names = [[name_concept(each, "en")] for each in concepts]
    return np.concatenate([encode_prompts(encoder, names[start : start + 256]) for start in range(0, len(names), 256)])


def compare_arms(bench: SelfTrainingBench, seeds: Sequence[int]) -> Iterator[str]:
    """Yield the table, the differences between the students, and the counts of the teachers' labels."""
    found = {(arm, seed): bench.measure(arm, seed) for seed in seeds for arm in ARMS}
    results = {arm: [found[arm, seed] for seed in seeds] for arm in ARMS}
    yield "| arm | R@1 | AP50 |\n| --- | --- | --- |"
    for arm, of_seeds in results.items():
        figures_s2 = np.stack([each.measure(np.ones(len(bench.questions))) for each in of_seeds])
        yield f"| {ARMS[arm]} | {' | '.join(map(format_range, figures_s2.T))} |"
    for better, worse in ((WITHOUT, TEACHER), (WITH, WITHOUT), (ALL, WITH)):
        recall, precision = measure_gain(results[better], results[worse])
        yield f"{better} against {worse}: R@1 {format_gain(recall)}, AP50 {format_gain(precision)}"
    for seed in seeds:
        yield f"labels of the teacher, seed {seed}: {describe_labels(json.loads(bench.labels_file(seed).read_text()))}"


def measure_gain(ours: Sequence[ArmResult], theirs: Sequence[ArmResult]) -> list[Interval]:
    """Return the differences of recall@1 and AP50, means over seeds, with intervals over scenes: all draw the same."""
    pictures = len(ours[0].boxes.truths_p)
    drawn = np.random.default_rng(SEED).multinomial(pictures, np.full(pictures, 1 / pictures), size=RESAMPLES)

    def compare(weights_p: FloatArray) -> FloatArray:
        pairs = zip(ours, theirs, strict=True)
        gain: FloatArray = np.mean(
            [mine.measure(weights_p) - other.measure(weights_p) for mine, other in pairs], axis=0
        )
        return gain

    low, high = np.quantile([compare(weights_p) for weights_p in drawn.astype(np.float64)], (0.025, 0.975), axis=0)
    return [Interval(*map(float, each)) for each in zip(compare(np.ones(pictures)), low, high, strict=True)]


def describe_labels(labels: Mapping[str, int]) -> str:
    counts = Counter(labels)
    found = counts["right"] + counts["wrong"]
    return (
        f"{counts['right']} right, {counts['wrong']} wrong ({counts['wrong'] / max(1, found):.1%} of {found}), "
        f"{counts['missing']} things without"
    )


def format_range(values: FloatArray) -> str:
    return f"{values.mean():.3f} ({values.min():.3f}-{values.max():.3f})"


def format_gain(gain: Interval) -> str:
    return f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"


if __name__ == "__main__":
    main()
