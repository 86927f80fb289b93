"""Two models over the same images: what differs, and whether these images can show it.

N images or queries
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.evaluation.data import Labelled, Progress, captions_by_language
from clip_vectorizer.query.evaluation.evaluate import SEVEN, searches_of
from clip_vectorizer.query.evaluation.intervals import Difference, Share, paired_bootstrap
from clip_vectorizer.query.evaluation.metrics import Numbers, right_at
from clip_vectorizer.query.evaluation.retrieval import AT
from clip_vectorizer.query.evaluation.tables import Table, Value
from clip_vectorizer.query.evaluation.texts import TextEncoder
from clip_vectorizer.query.evaluation.zero_shot import Answer, answered, questions

Measured = Mapping[tuple[str, str], Numbers]  # by what is asked and in which language: each image's or query's rank


@dataclass(frozen=True, slots=True)
class Side:
    """One model's ranks."""

    name: str
    paths: tuple[str, ...]  # of the images it could use
    ranks: Measured


def side_of(name: str, labelled: Labelled, model: str, encoder: TextEncoder, progress: Progress) -> Side:
    """With the seven prompts of each language that suit the model."""
    asked = questions(labelled, captions_by_language(labelled.items))
    answers, _ = answered(asked, model, encoder, progress, most=None, wanted=SEVEN)
    ranks = {(described_classes(each), each.question.language): each.ranks_n for each in answers}
    searches = {(each.direction, each.language): each.ranks_q for each in searches_of(answers)}
    return Side(name, tuple(item.path for item in labelled.items), ranks | searches)


def described_classes(answer: Answer) -> str:
    return f"{len(answer.question.classes)} classes by {answer.question.classes_are}"


def comparison(first: Side, second: Side) -> Table:
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
        row_of(question, language, k, first, second)
        for question, language in first.ranks
        if (question, language) in second.ranks
        for k in depths(question)
    ]
    title = f"{first.name} less {second.name}, on the same {len(first.paths)} images"
    return Table("compare", title, rows)


def depths(question: str) -> Sequence[int]:
    return AT if "->" in question else (1, 5)


def row_of(question: str, language: str, k: int, first: Side, second: Side) -> dict[str, Value]:
    ours_n, theirs_n = (right_at(side.ranks[question, language], k) for side in (first, second))
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
        "verdict": verdict(difference, first.name, second.name, len(ours_n)),
    }


def verdict(difference: Difference, first: str, second: str, count: int) -> str:
    if not difference.shown:
        return f"no difference that these {count} images could show"
    return f"{first if np.sign(difference.mean) > 0 else second} is better"
