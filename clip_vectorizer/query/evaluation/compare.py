"""Two models over the same images: what differs, and whether these images can show it.

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

RanksByTask = Mapping[
    tuple[str, str], IntegerArray
]  # by what is asked and in which language: each image's or query's rank


@dataclass(frozen=True, slots=True)
class ModelRanks:
    """One model's ranks."""

    name: str
    paths: tuple[str, ...]  # of the images it could use
    ranks: RanksByTask


def rank_images(
    name: str, labelled: LabelledImages, model: str, encoder: TextEncoder, progress: Progress
) -> ModelRanks:
    """With the seven prompts of each language that suit the model."""
    asked = build_tasks(labelled, group_captions(labelled.items))
    answers, _ = run_tasks(asked, model, encoder, progress, most=None, wanted=SEVEN_PROMPTS)
    ranks = {(describe_classes(each), each.question.language): each.ranks_n for each in answers}
    searches = {(each.direction, each.language): each.ranks_q for each in measure_searches(answers)}
    return ModelRanks(name, tuple(item.path for item in labelled.items), ranks | searches)


def describe_classes(answer: ZeroShotResult) -> str:
    return f"{len(answer.question.classes)} classes by {answer.question.classes_are}"


def compare_models(first: ModelRanks, second: ModelRanks) -> Table:
    """A row a question: both shares, first less second with its 95 % interval and p, and what that means.

    Raises InputError when the two could not use the same images.
    """
    if first.paths != second.paths:
        apart = sorted(set(first.paths) ^ set(second.paths))
        raise InputError(
            f"{first.name} and {second.name} could not read the same images ({', '.join(apart[:3])} ...); "
            "take those away, so that both are measured on the same"
        )
    rows = [
        build_compare_row(question, language, k, first, second)
        for question, language in first.ranks
        if (question, language) in second.ranks
        for k in list_depths(question)
    ]
    title = f"{first.name} less {second.name}, on the same {len(first.paths)} images"
    return Table("compare", title, rows)


def list_depths(question: str) -> Sequence[int]:
    return RECALL_DEPTHS if "->" in question else (1, 5)


def build_compare_row(
    question: str, language: str, k: int, first: ModelRanks, second: ModelRanks
) -> dict[str, CellValue]:
    ours_n, theirs_n = (is_right_at(side.ranks[question, language], k) for side in (first, second))
    difference = paired_bootstrap(ours_n, theirs_n)
    return {
        "question": question,
        "language": language,
        "measure": f"{'recall@' if '->' in question else 'top-'}{k}",
        "first": Share.of(ours_n),
        "second": Share.of(theirs_n),
        "difference": difference.mean,
        "low": difference.low,
        "high": difference.high,
        "p": difference.p,
        "verdict": format_comparison(difference, first.name, second.name, len(ours_n)),
    }


def format_comparison(difference: Difference, first: str, second: str, count: int) -> str:
    if not difference.shown:
        return f"no difference that these {count} images could show"
    return f"{first if np.sign(difference.mean) > 0 else second} is better"
