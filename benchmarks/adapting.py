"""What goes beyond plain CLIP without training, on drawings of an art set that the model never saw.

    python benchmarks/adapting.py

Zero-shot by prompt set, with and without mean removal; a few-shot cache and a linear probe by shots a class, five-fold:
no shot is ever an image that it judges; and scores for "none of these". Top-1 with 95 % intervals: Wilson for a share,
a paired bootstrap over images for a gain.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import click
import numpy as np

from benchmarks.common import Report
from benchmarks.servers import start_own_server
from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.query.adapt.boosts import compute_mean, remove_mean
from clip_vectorizer.query.adapt.few_shot import tune_cache
from clip_vectorizer.query.adapt.linear_probe import LinearProbe
from clip_vectorizer.query.adapt.threshold import Threshold, auroc
from clip_vectorizer.query.evaluation.few_shot import CrossValidationFold, split_folds
from clip_vectorizer.query.evaluation.statistics import BooleanArray, IntegerArray, Share, paired_bootstrap
from clip_vectorizer.query.prompts import fill_templates, get_templates
from clip_vectorizer.query.zeroshot.scores import softmax
from clip_vectorizer.vectors import Vectors, ensemble

IMAGES = Path(__file__).parents[1] / "examples" / "images"
PROMPTS = ("word", "drawing", "drawing-7", "photo", "photo-7", "photo-80")
BEST = "drawing-7"
SHOTS = (1, 2, 4, 8, 16)
DRAWS = 40  # of which labels are known, in the question of "none of these"
KNOWN_LABELS = 20  # concepts of 317


@dataclass
class DrawingSet:
    """N images, each with its folder (L of them) and its name; vectors unit."""

    client: VectorizerClient
    logit_scale: float

    @cached_property
    def files(self) -> list[Path]:
        return sorted(IMAGES.rglob("*.png"))

    @cached_property
    def folders(self) -> list[str]:
        return sorted({file.parent.name for file in self.files})

    @cached_property
    def truth_n(self) -> IntegerArray:
        return np.array([self.folders.index(file.parent.name) for file in self.files])

    @cached_property
    def images_nd(self) -> Vectors:
        return self.client.embed_images([file.read_bytes() for file in self.files])

    def texts(self, names: list[str], prompts: str) -> Vectors:
        templates = get_templates(prompts)
        vectors = self.client.embed_texts([prompt for name in names for prompt in fill_templates(templates, name)])
        return ensemble(vectors.reshape(len(names), len(templates), -1))


@click.command()
def main() -> None:
    """Start a sidecar with the bundled model, embed examples/images, and print every table. About a minute."""
    report = Report("Beyond plain CLIP: prompts, few shots, probe, mean removal, none of these")
    report.begin()
    with start_own_server("fp32", model="emoji") as server, VectorizerClient(server.url) as client:
        drawings = DrawingSet(client, client.meta().logit_scale)
        measure_prompts(drawings, report.note)
        measure_shots(drawings, report.note)
        measure_threshold(drawings, report.note)


def measure_prompts(drawings: DrawingSet, print_line: Callable[[str], None]) -> None:
    print_line(f"\nzero-shot, {len(drawings.files)} drawings, {len(drawings.folders)} folders; chance {1 / 17:.3f}")
    moved_nd = remove_mean(drawings.images_nd, compute_mean([drawings.images_nd]))
    for prompts in PROMPTS:
        texts_ld = drawings.texts(drawings.folders, prompts)
        plain = (drawings.images_nd @ texts_ld.T).argmax(axis=1) == drawings.truth_n
        moved = (moved_nd @ remove_mean(texts_ld, compute_mean([texts_ld])).T).argmax(axis=1) == drawings.truth_n
        print_line(f"{prompts:10} {print_row(plain)}   means removed {print_row(moved)} {format_gain(moved, plain)}")


def measure_shots(drawings: DrawingSet, print_line: Callable[[str], None]) -> None:
    texts_ld = drawings.texts(drawings.folders, BEST)
    logits_nl = np.float32(drawings.logit_scale) * (drawings.images_nd @ texts_ld.T)
    plain = logits_nl.argmax(axis=1) == drawings.truth_n
    print_line(f"\nwith shots, beside prompts {BEST}; alone {print_row(plain)}")
    for shots in SHOTS:
        for name, method in (("cache", score_cache), ("probe", score_probe)):
            right = np.empty(len(plain), dtype=bool)
            for fold in split_folds(drawings.truth_n, shots):
                answers_nl = method(drawings, fold, texts_ld, logits_nl)
                right[fold.classified] = answers_nl.argmax(axis=1) == drawings.truth_n[fold.classified]
            print_line(f"{shots:2} shots, {name} {print_row(right)} {format_gain(right, plain)}")


def score_cache(drawings: DrawingSet, fold: CrossValidationFold, texts_ld: Vectors, logits_nl: Vectors) -> Vectors:
    shots = fold.shots
    cache = tune_cache(
        drawings.images_nd[shots], drawings.truth_n[shots], [str(shot) for shot in shots], logits_nl[shots]
    )
    return cache.logits(drawings.images_nd[fold.classified], [""] * len(fold.classified), logits_nl[fold.classified])


def score_probe(drawings: DrawingSet, fold: CrossValidationFold, texts_ld: Vectors, logits_nl: Vectors) -> Vectors:
    probe = LinearProbe.fit(drawings.images_nd[fold.shots], drawings.truth_n[fold.shots], texts_ld)
    return probe.logits(drawings.images_nd[fold.classified])


def measure_threshold(drawings: DrawingSet, print_line: Callable[[str], None]) -> None:
    """Known: drawings whose own name is among the labels. A threshold is chosen on one half, tried on the other."""
    print_line(
        f"\nnone of these: {KNOWN_LABELS} names known, "
        f"{len(drawings.files) - KNOWN_LABELS} drawings of others; {DRAWS} draws"
    )
    names = [file.stem.replace("-", " ") for file in drawings.files]
    texts_nd = drawings.texts(names, BEST)
    found: dict[str, list[float]] = {}
    achieved = []
    for known_n, scores in draw_shots(drawings, texts_nd):
        for name, scores_n in scores.items():
            found.setdefault(name, []).append(auroc(scores_n, known_n))
        achieved.append(try_method(scores["best cosine"], known_n))
    for name, values in sorted(found.items(), key=lambda item: -np.mean(item[1])):
        print_line(f"{name:34} AUROC {np.mean(values):.3f} (draws {np.min(values):.3f}-{np.max(values):.3f})")
    promised, kept = np.mean(achieved, axis=0)
    print_line(
        f"best cosine, threshold from one half: balanced accuracy {promised:.3f} there, {kept:.3f} on the other half"
    )


def draw_shots(drawings: DrawingSet, texts_nd: Vectors) -> Iterator[tuple[BooleanArray, dict[str, Vectors]]]:
    random, mean_d = np.random.default_rng(0), compute_mean([drawings.images_nd])
    for _ in range(DRAWS):
        known = random.permutation(len(texts_nd))[:KNOWN_LABELS]
        cosines = drawings.images_nd @ texts_nd[known].T
        moved = (
            remove_mean(drawings.images_nd, mean_d) @ remove_mean(texts_nd[known], compute_mean([texts_nd[known]])).T
        )
        yield np.isin(np.arange(len(texts_nd)), known), score_all(cosines, moved, drawings.logit_scale)


def score_all(cosines_nl: Vectors, moved_nl: Vectors, logit_scale: float) -> dict[str, Vectors]:
    top = np.sort(cosines_nl, axis=1)
    return {
        "best cosine": top[:, -1],
        "best cosine, means removed": moved_nl.max(axis=1),
        "margin": top[:, -1] - top[:, -2],
        "softmax of cosines (MCM)": softmax(cosines_nl).max(axis=1),
        "MCM, means removed": softmax(moved_nl).max(axis=1),
        "softmax with the logit scale": softmax(logit_scale * cosines_nl).max(axis=1),
        "energy": np.log(np.exp(logit_scale * cosines_nl).sum(axis=1)),
    }


def try_method(scores_n: Vectors, known_n: BooleanArray) -> tuple[float, float]:
    """Balanced accuracy where the threshold was chosen, and on the other half."""
    order = np.argsort(~known_n, kind="stable")  # so that both halves get known ones
    here, there = order[::2], order[1::2]
    threshold = Threshold.choose(scores_n[here], known_n[here])
    taken = scores_n[there] >= threshold.value
    return threshold.balanced_accuracy, float((taken[known_n[there]].mean() + (~taken[~known_n[there]]).mean()) / 2)


def print_row(right_n: BooleanArray) -> str:
    share = Share.of(right_n)
    return f"{share.value:.3f} ({share.interval[0]:.3f}-{share.interval[1]:.3f})"


def format_gain(ours_n: BooleanArray, theirs_n: BooleanArray) -> str:
    """In points of top-1."""
    difference = paired_bootstrap(ours_n, theirs_n)
    return f"{100 * difference.mean:+.1f} points ({100 * difference.low:+.1f} to {100 * difference.high:+.1f})"


if __name__ == "__main__":
    main()
