"""Zero-shot classification against the truth: which prompts, which language. N images · L classes · D dimensions"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clip_vectorizer.query.evaluation.data import Captions, Labelled, Progress, language_of
from clip_vectorizer.query.evaluation.intervals import Share
from clip_vectorizer.query.evaluation.metrics import Numbers, confusion, predicted, retrieval_ranks, right_at
from clip_vectorizer.query.evaluation.tables import Table, Value
from clip_vectorizer.query.evaluation.texts import TextEncoder, ensembles, prompt_sets
from clip_vectorizer.query.prompts import PROMPTS
from clip_vectorizer.vectors import Vectors

KINDS, NAMES = "folder", "caption"  # where the classes come from
MAX_PROMPTS = 4000  # that one line may take by default: two seconds of a small model on two cores


@dataclass(frozen=True, slots=True)
class Question:
    """Images, and the classes that they are to be told apart by."""

    classes_are: str
    language: str
    classes: tuple[str, ...]
    vectors_nd: Vectors
    truth_n: Numbers


@dataclass(frozen=True, slots=True)
class Answer:
    """What one prompt set makes of one question."""

    question: Question
    prompts: str
    classes_ld: Vectors  # unit rows
    ranks_n: Numbers  # the place of each image's true class, from 1

    @property
    def similarities_nl(self) -> Vectors:
        return self.question.vectors_nd @ self.classes_ld.T

    @property
    def confusion_ll(self) -> Numbers:
        truth_n = self.question.truth_n
        return confusion(truth_n, predicted(self.similarities_nl, truth_n), len(self.question.classes))


def questions(
    labelled: Labelled, captions: Sequence[Captions], other_names: Sequence[Mapping[str, str]] = ()
) -> list[Question]:
    """By the folders' names, and by the captions where there are any."""
    folders = [labelled.classes, *(tuple(names[each] for each in labelled.classes) for names in other_names)]
    kinds = [Question(KINDS, majority(names), names, labelled.vectors_nd, labelled.class_n) for names in folders]
    names = [
        Question(NAMES, each.language, each.names, labelled.vectors_nd[each.image_n], each.name_n)
        for each in captions
        if len(each.names) > 1
    ]
    return kinds + names


def majority(names: Sequence[str]) -> str:
    languages = [language_of(name) for name in names]
    return max(sorted(set(languages)), key=languages.count)


def answered(
    asked: Iterable[Question],
    model: str,
    encoder: TextEncoder,
    progress: Progress,
    most: int | None = MAX_PROMPTS,
    wanted: str = "",
) -> tuple[list[Answer], list[str]]:
    """An answer for each prompt set, and sentences about those left out for needing more than `most` prompts.

    `wanted`: how the names of the sets end.
    """
    answers, left_out = [], []
    for question in asked:
        for prompts in (name for name in prompt_sets(question.language, model) if name.endswith(wanted)):
            count = len(question.classes) * len(PROMPTS[prompts])
            if most is not None and count > most:
                left_out.append(f"{prompts} for {len(question.classes)} names in {question.language} ({count} texts)")
                continue
            classes_ld = ensembles(question.classes, prompts, encoder, progress)
            ranks_n = retrieval_ranks(
                question.vectors_nd, classes_ld, question.truth_n, np.arange(len(question.classes))
            )
            answers.append(Answer(question, prompts, classes_ld, ranks_n))
    return answers, left_out


def zero_shot_table(answers: Sequence[Answer]) -> Table:
    return Table("zero-shot", "Zero-shot classification, by prompts and language", [row_of(each) for each in answers])


def row_of(answer: Answer) -> dict[str, Value]:
    return {
        "classes": f"{len(answer.question.classes)} by {answer.question.classes_are}",
        "language": answer.question.language,
        "prompts": answer.prompts,
        "templates": len(PROMPTS[answer.prompts]),
        "images": len(answer.question.truth_n),
        "top_1": Share.of(right_at(answer.ranks_n, 1)),
        "top_5": Share.of(right_at(answer.ranks_n, 5)),
    }


def class_table(answer: Answer) -> Table:
    """How each class fares, and what it is taken for most often."""
    counts_ll = answer.confusion_ll
    rows = [class_row(answer, counts_ll, number) for number in range(len(counts_ll))]
    return Table("class", f"Each class, {described(answer)}", rows)


def class_row(answer: Answer, counts_ll: Numbers, number: int) -> dict[str, Value]:
    names = answer.question.classes
    right, mistakes_l = int(counts_ll[number, number]), np.array(counts_ll[number])
    mistakes_l[number] = 0
    worst = int(mistakes_l.argmax())
    taken, total = int(counts_ll[:, number].sum()), int(counts_ll[number].sum())
    ranks_n = answer.ranks_n[answer.question.truth_n == number]
    return {
        "class": names[number],
        "images": total,
        "top_1": Share(right, total),
        "top_5": Share.of(right_at(ranks_n, 5)),
        "precision": Share(right, taken),  # of those taken for it; of none nothing is known: 0 to 1
        "mostly_taken_for": f"{names[worst]} ({int(mistakes_l[worst])})" if mistakes_l.any() else "",
    }


def confusion_table(answer: Answer) -> Table:
    """Row: what it is; column: what it was taken for, by the number of its row."""
    names = answer.question.classes
    rows: list[dict[str, Value]] = [
        {"number": number, "is": name, "taken_for": dict(zip(names, counts.tolist(), strict=True))}
        for number, (name, counts) in enumerate(zip(names, answer.confusion_ll, strict=True), start=1)
    ]
    return Table("confusion", f"What each class (row) was taken for (column), {described(answer)}", rows)


def described(answer: Answer) -> str:
    return f"{len(answer.question.classes)} classes by {answer.question.classes_are}, prompts {answer.prompts}"
