"""Search by caption and the reverse, each against all: recall@k. Q queries"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clip_vectorizer.query.evaluation.intervals import Share
from clip_vectorizer.query.evaluation.metrics import Numbers, retrieval_ranks, right_at
from clip_vectorizer.query.evaluation.tables import Table, Value
from clip_vectorizer.query.evaluation.zero_shot import Answer

TEXT_TO_IMAGE, IMAGE_TO_TEXT = "text->image", "image->text"
AT = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class Retrieved:
    """At which place each query found what belongs to it, among `candidates`."""

    direction: str
    language: str
    prompts: str
    ranks_q: Numbers
    candidates: int


def retrieved(answer: Answer) -> list[Retrieved]:
    """Both directions, of an answer whose classes are captions.

    A caption that several images have is one text: any of them answers it, and it answers all of them.
    """
    question, texts = answer.question, np.arange(len(answer.classes_ld))
    to_image = retrieval_ranks(answer.classes_ld, question.vectors_nd, texts, question.truth_n)
    return [
        Retrieved(TEXT_TO_IMAGE, question.language, answer.prompts, to_image, len(question.vectors_nd)),
        Retrieved(IMAGE_TO_TEXT, question.language, answer.prompts, answer.ranks_n, len(texts)),
    ]


def retrieval_table(found: Sequence[Retrieved]) -> Table:
    return Table(
        "retrieval", "Search, each caption and each image against all others", [row_of(each) for each in found]
    )


def row_of(each: Retrieved) -> dict[str, Value]:
    row: dict[str, Value] = {
        "query": each.direction,
        "language": each.language,
        "prompts": each.prompts,
        "against": each.candidates,
    }
    for k in AT:
        row[f"recall@{k}"] = Share.of(right_at(each.ranks_q, k))
    return row
