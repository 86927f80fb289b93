"""Search by caption and the reverse, each against all: recall@k. Q queries"""

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
    """At which place each query found what belongs to it, among `candidates`."""

    direction: str
    language: str
    prompts: str
    ranks_q: IntegerArray
    candidates: int


def measure_retrieval(answer: ZeroShotResult) -> list[RetrievalResult]:
    """Both directions, of an answer whose classes are captions.

    A caption that several images have is one text: any of them answers it, and it answers all of them.
    """
    question, texts = answer.question, np.arange(len(answer.classes_ld))
    to_image = rank_candidates(answer.classes_ld, question.vectors_nd, texts, question.truth_n)
    return [
        RetrievalResult(TEXT_TO_IMAGE, question.language, answer.prompts, to_image, len(question.vectors_nd)),
        RetrievalResult(IMAGE_TO_TEXT, question.language, answer.prompts, answer.ranks_n, len(texts)),
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
