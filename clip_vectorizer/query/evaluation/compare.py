"""Compares two models on the same images: the differences, and whether they are significant.

N images or queries
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.evaluation.dataset import LabelledImages, Progress, group_captions
from clip_vectorizer.query.evaluation.evaluate import SEVEN_PROMPTS, measure_searches
from clip_vectorizer.query.evaluation.prompt_vectors import TextEncoder
from clip_vectorizer.query.evaluation.retrieval import RECALL_DEPTHS
from clip_vectorizer.query.evaluation.statistics import Difference, IntegerArray, Share, is_right_at, paired_bootstrap
from clip_vectorizer.query.evaluation.tables import CellValue, Table
from clip_vectorizer.query.evaluation.zero_shot import ZeroShotResult, build_tasks, run_tasks

RanksByTask = Mapping[tuple[str, str], IntegerArray]  # (task, language) -> rank of each image or query


@dataclass(frozen=True, slots=True)
class ModelRanks:
    """One model's ranks."""

    name: str
    paths: tuple[str, ...]  # of the images it could use
    ranks: RanksByTask


def rank_images(
    name: str, labelled: LabelledImages, model: str, encoder: TextEncoder, progress: Progress
) -> ModelRanks:
    """Rank the images of one model, with the seven prompts of each language that suit it."""
    tasks = build_tasks(labelled, group_captions(labelled.items))
    results, _ = run_tasks(tasks, model, encoder, progress, max_prompts=None, suffix=SEVEN_PROMPTS)
    ranks = {(describe_classes(each), each.task.language): each.ranks_n for each in results}
    searches = {(each.direction, each.language): each.ranks_q for each in measure_searches(results)}
    return ModelRanks(name, tuple(item.path for item in labelled.items), ranks | searches)


def describe_classes(result: ZeroShotResult) -> str:
    return f"{len(result.task.classes)} classes by {result.task.class_source}"


def compare_models(first: ModelRanks, second: ModelRanks) -> Table:
    """Return one row per task: both shares, first minus second with its 95 % interval and p, and a verdict.

    Raises InputError when the two models could not use the same images.
    """
    if first.paths != second.paths:
        apart = sorted(set(first.paths) ^ set(second.paths))
        raise InputError(
            f"{first.name} and {second.name} could not read the same images ({', '.join(apart[:3])} ...); "
            "remove those, so that both are measured on the same images"
        )
    rows = [
        build_compare_row(task, language, k, first, second)
        for task, language in first.ranks
        if (task, language) in second.ranks
        for k in list_depths(task)
    ]
    title = f"{first.name} less {second.name}, on the same {len(first.paths)} images"
    return Table("compare", title, rows)


def list_depths(task: str) -> Sequence[int]:
    return RECALL_DEPTHS if "->" in task else (1, 5)


def build_compare_row(task: str, language: str, k: int, first: ModelRanks, second: ModelRanks) -> dict[str, CellValue]:
    ours_n, theirs_n = (is_right_at(side.ranks[task, language], k) for side in (first, second))
    difference = paired_bootstrap(ours_n, theirs_n)
    return {
        "question": task,
        "language": language,
        "measure": f"{'recall@' if '->' in task else 'top-'}{k}",
        "first": Share.of(ours_n),
        "second": Share.of(theirs_n),
        "difference": difference.mean,
        "low": difference.low,
        "high": difference.high,
        "p": difference.p,
        "verdict": format_comparison(difference, first.name, second.name, len(ours_n)),
    }


def format_comparison(difference: Difference, first: str, second: str, count: int) -> str:
    if not difference.significant:
        return f"no significant difference on these {count} images"
    return f"{first if np.sign(difference.mean) > 0 else second} is better"
