"""Zero-shot classification against the truth: which prompts, which language. N images · L classes · D dimensions"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clip_vectorizer.query.evaluation.dataset import LabelledImages, LanguageCaptions, Progress, detect_language
from clip_vectorizer.query.evaluation.prompt_vectors import TextEncoder, embed_prompt_ensembles, list_prompt_sets
from clip_vectorizer.query.evaluation.statistics import (
    IntegerArray,
    Share,
    count_confusion,
    is_right_at,
    predict_classes,
    rank_candidates,
)
from clip_vectorizer.query.evaluation.tables import CellValue, Table
from clip_vectorizer.query.prompts import PROMPTS
from clip_vectorizer.vectors import Vectors

FOLDER_CLASSES, CAPTION_CLASSES = "folder", "caption"  # where the classes come from
MAX_PROMPTS = 4000  # that one line may take by default: two seconds of a small model on two cores


@dataclass(frozen=True, slots=True)
class ZeroShotTask:
    """Images, and the classes that they are to be told apart by."""

    classes_are: str
    language: str
    classes: tuple[str, ...]
    vectors_nd: Vectors
    truth_n: IntegerArray


@dataclass(frozen=True, slots=True)
class ZeroShotResult:
    """What one prompt set makes of one question."""

    question: ZeroShotTask
    prompts: str
    classes_ld: Vectors  # unit rows
    ranks_n: IntegerArray  # the place of each image's true class, from 1

    @property
    def similarities_nl(self) -> Vectors:
        return self.question.vectors_nd @ self.classes_ld.T

    @property
    def confusion_ll(self) -> IntegerArray:
        truth_n = self.question.truth_n
        return count_confusion(truth_n, predict_classes(self.similarities_nl, truth_n), len(self.question.classes))


def build_tasks(
    labelled: LabelledImages, captions: Sequence[LanguageCaptions], other_names: Sequence[Mapping[str, str]] = ()
) -> list[ZeroShotTask]:
    """By the folders' names, and by the captions where there are any."""
    folders = [labelled.classes, *(tuple(names[each] for each in labelled.classes) for names in other_names)]
    kinds = [
        ZeroShotTask(FOLDER_CLASSES, find_main_language(names), names, labelled.vectors_nd, labelled.class_n)
        for names in folders
    ]
    names = [
        ZeroShotTask(CAPTION_CLASSES, each.language, each.names, labelled.vectors_nd[each.image_n], each.name_n)
        for each in captions
        if len(each.names) > 1
    ]
    return kinds + names


def find_main_language(names: Sequence[str]) -> str:
    languages = [detect_language(name) for name in names]
    return max(sorted(set(languages)), key=languages.count)


def run_tasks(
    asked: Iterable[ZeroShotTask],
    model: str,
    encoder: TextEncoder,
    progress: Progress,
    most: int | None = MAX_PROMPTS,
    wanted: str = "",
) -> tuple[list[ZeroShotResult], list[str]]:
    """An answer for each prompt set, and sentences about those left out for needing more than `most` prompts.

    `wanted`: how the names of the sets end.
    """
    answers, left_out = [], []
    for question in asked:
        for prompts in (name for name in list_prompt_sets(question.language, model) if name.endswith(wanted)):
            count = len(question.classes) * len(PROMPTS[prompts])
            if most is not None and count > most:
                left_out.append(f"{prompts} for {len(question.classes)} names in {question.language} ({count} texts)")
                continue
            classes_ld = embed_prompt_ensembles(question.classes, prompts, encoder, progress)
            ranks_n = rank_candidates(
                question.vectors_nd, classes_ld, question.truth_n, np.arange(len(question.classes))
            )
            answers.append(ZeroShotResult(question, prompts, classes_ld, ranks_n))
    return answers, left_out


def build_zero_shot_table(answers: Sequence[ZeroShotResult]) -> Table:
    return Table(
        "zero-shot",
        "Zero-shot classification, by prompts and language",
        [build_zero_shot_row(each) for each in answers],
    )


def build_zero_shot_row(answer: ZeroShotResult) -> dict[str, CellValue]:
    return {
        "classes": f"{len(answer.question.classes)} by {answer.question.classes_are}",
        "language": answer.question.language,
        "prompts": answer.prompts,
        "templates": len(PROMPTS[answer.prompts]),
        "images": len(answer.question.truth_n),
        "top_1": Share.of(is_right_at(answer.ranks_n, 1)),
        "top_5": Share.of(is_right_at(answer.ranks_n, 5)),
    }


def build_class_table(answer: ZeroShotResult) -> Table:
    """How each class fares, and what it is taken for most often."""
    counts_ll = answer.confusion_ll
    rows = [build_class_row(answer, counts_ll, number) for number in range(len(counts_ll))]
    return Table("class", f"Each class, {describe_result(answer)}", rows)


def build_class_row(answer: ZeroShotResult, counts_ll: IntegerArray, number: int) -> dict[str, CellValue]:
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
        "top_5": Share.of(is_right_at(ranks_n, 5)),
        "precision": Share(right, taken),  # of those taken for it; of none nothing is known: 0 to 1
        "mostly_taken_for": f"{names[worst]} ({int(mistakes_l[worst])})" if mistakes_l.any() else "",
    }


def build_confusion_table(answer: ZeroShotResult) -> Table:
    """Row: what it is; column: what it was taken for, by the number of its row."""
    names = answer.question.classes
    rows: list[dict[str, CellValue]] = [
        {"number": number, "is": name, "taken_for": dict(zip(names, counts.tolist(), strict=True))}
        for number, (name, counts) in enumerate(zip(names, answer.confusion_ll, strict=True), start=1)
    ]
    return Table("confusion", f"What each class (row) was taken for (column), {describe_result(answer)}", rows)


def describe_result(answer: ZeroShotResult) -> str:
    return f"{len(answer.question.classes)} classes by {answer.question.classes_are}, prompts {answer.prompts}"
