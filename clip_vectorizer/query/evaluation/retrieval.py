"""Recall@k of search by caption and by image, each against all others.

Q queries
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clip_vectorizer.query.evaluation.statistics import IntegerArray, Share, is_right_at, rank_candidates
from clip_vectorizer.query.evaluation.tables import CellValue, Table
from clip_vectorizer.query.evaluation.zero_shot import ZeroShotResult

TEXT_TO_IMAGE, IMAGE_TO_TEXT = "text->image", "image->text"
RECALL_DEPTHS = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class RetrievalResult:
    """Rank of the first relevant candidate of each query, among `candidates`."""

    direction: str
    language: str
    prompts: str
    ranks_q: IntegerArray
    candidates: int


def measure_retrieval(result: ZeroShotResult) -> list[RetrievalResult]:
    """Measure both directions, from a result whose classes are captions.

    A caption that several images share is one text: each of these images is relevant to it, and it to each of them.
    """
    task, texts = result.task, np.arange(len(result.classes_ld))
    to_image = rank_candidates(result.classes_ld, task.vectors_nd, texts, task.truth_n)
    return [
        RetrievalResult(TEXT_TO_IMAGE, task.language, result.prompts, to_image, len(task.vectors_nd)),
        RetrievalResult(IMAGE_TO_TEXT, task.language, result.prompts, result.ranks_n, len(texts)),
    ]


def build_retrieval_table(found: Sequence[RetrievalResult]) -> Table:
    return Table(
        "retrieval",
        "Search, each caption and each image against all others",
        [build_retrieval_row(each) for each in found],
    )


def build_retrieval_row(each: RetrievalResult) -> dict[str, CellValue]:
    row: dict[str, CellValue] = {
        "query": each.direction,
        "language": each.language,
        "prompts": each.prompts,
        "against": each.candidates,
    }
    for k in RECALL_DEPTHS:
        row[f"recall@{k}"] = Share.of(is_right_at(each.ranks_q, k))
    return row
