"""Zero-shot classification against the true classes, by prompts and language.

N images · L classes · D dimensions
"""

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

FOLDER_CLASSES, CAPTION_CLASSES = "folder", "caption"  # where the names of the classes come from
MAX_PROMPTS = 4000  # of one row by default: about two seconds of a small model on two cores


@dataclass(frozen=True, slots=True)
class ZeroShotTask:
    """Images, and the classes to choose from."""

    class_source: str
    language: str
    classes: tuple[str, ...]
    vectors_nd: Vectors
    truth_n: IntegerArray


@dataclass(frozen=True, slots=True)
class ZeroShotResult:
    """The result of one prompt set on one task."""

    task: ZeroShotTask
    prompts: str
    classes_ld: Vectors  # unit rows
    ranks_n: IntegerArray  # rank of the true class of each image, from 1

    @property
    def similarities_nl(self) -> Vectors:
        return self.task.vectors_nd @ self.classes_ld.T

    @property
    def confusion_ll(self) -> IntegerArray:
        truth_n = self.task.truth_n
        return count_confusion(truth_n, predict_classes(self.similarities_nl, truth_n), len(self.task.classes))


def build_tasks(
    labelled: LabelledImages, captions: Sequence[LanguageCaptions], other_names: Sequence[Mapping[str, str]] = ()
) -> list[ZeroShotTask]:
    """Return tasks by folder names, and by captions where there are any."""
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
    tasks: Iterable[ZeroShotTask],
    model: str,
    encoder: TextEncoder,
    progress: Progress,
    max_prompts: int | None = MAX_PROMPTS,
    suffix: str = "",
) -> tuple[list[ZeroShotResult], list[str]]:
    """Return a result per prompt set, and a sentence about each set skipped for needing more than `max_prompts` texts.

    `suffix`: only prompt sets whose names end with it.
    """
    results, left_out = [], []
    for task in tasks:
        for prompts in (name for name in list_prompt_sets(task.language, model) if name.endswith(suffix)):
            count = len(task.classes) * len(PROMPTS[prompts])
            if max_prompts is not None and count > max_prompts:
                left_out.append(f"{prompts} for {len(task.classes)} names in {task.language} ({count} texts)")
                continue
            classes_ld = embed_prompt_ensembles(task.classes, prompts, encoder, progress)
            ranks_n = rank_candidates(task.vectors_nd, classes_ld, task.truth_n, np.arange(len(task.classes)))
            results.append(ZeroShotResult(task, prompts, classes_ld, ranks_n))
    return results, left_out


def build_zero_shot_table(results: Sequence[ZeroShotResult]) -> Table:
    return Table(
        "zero-shot",
        "Zero-shot classification, by prompts and language",
        [build_zero_shot_row(each) for each in results],
    )


def build_zero_shot_row(result: ZeroShotResult) -> dict[str, CellValue]:
    return {
        "classes": f"{len(result.task.classes)} by {result.task.class_source}",
        "language": result.task.language,
        "prompts": result.prompts,
        "templates": len(PROMPTS[result.prompts]),
        "images": len(result.task.truth_n),
        "top_1": Share.of(is_right_at(result.ranks_n, 1)),
        "top_5": Share.of(is_right_at(result.ranks_n, 5)),
    }


def build_class_table(result: ZeroShotResult) -> Table:
    """Return one row per class: its accuracy, and the class it is most often mistaken for."""
    counts_ll = result.confusion_ll
    rows = [build_class_row(result, counts_ll, number) for number in range(len(counts_ll))]
    return Table("class", f"Each class, {describe_result(result)}", rows)


def build_class_row(result: ZeroShotResult, counts_ll: IntegerArray, number: int) -> dict[str, CellValue]:
    names = result.task.classes
    right, mistakes_l = int(counts_ll[number, number]), np.array(counts_ll[number])
    mistakes_l[number] = 0
    worst = int(mistakes_l.argmax())
    taken, total = int(counts_ll[:, number].sum()), int(counts_ll[number].sum())
    ranks_n = result.ranks_n[result.task.truth_n == number]
    return {
        "class": names[number],
        "images": total,
        "top_1": Share(right, total),
        "top_5": Share.of(is_right_at(ranks_n, 5)),
        "precision": Share(right, taken),  # of the images classified as it; 0 to 1 if there are none
        "mostly_taken_for": f"{names[worst]} ({int(mistakes_l[worst])})" if mistakes_l.any() else "",
    }


def build_confusion_table(result: ZeroShotResult) -> Table:
    """Return one row per true class; columns: predicted classes, by the number of their row."""
    names = result.task.classes
    rows: list[dict[str, CellValue]] = [
        {"number": number, "is": name, "taken_for": dict(zip(names, counts.tolist(), strict=True))}
        for number, (name, counts) in enumerate(zip(names, result.confusion_ll, strict=True), start=1)
    ]
    return Table("confusion", f"What each class (row) was taken for (column), {describe_result(result)}", rows)


def describe_result(result: ZeroShotResult) -> str:
    return f"{len(result.task.classes)} classes by {result.task.class_source}, prompts {result.prompts}"
