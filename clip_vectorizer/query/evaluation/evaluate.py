"""One evaluation: all tables of one model over one set of labelled images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.query.evaluation.dataset import LabelledImages, Progress, group_captions
from clip_vectorizer.query.evaluation.few_shot import build_few_shot_table
from clip_vectorizer.query.evaluation.prompt_vectors import TextEncoder
from clip_vectorizer.query.evaluation.retrieval import RetrievalResult, build_retrieval_table, measure_retrieval
from clip_vectorizer.query.evaluation.tables import Table
from clip_vectorizer.query.evaluation.zero_shot import (
    CAPTION_CLASSES,
    FOLDER_CLASSES,
    MAX_PROMPTS,
    ZeroShotResult,
    build_class_table,
    build_confusion_table,
    build_tasks,
    build_zero_shot_table,
    run_tasks,
)

SEVEN_PROMPTS = "-7"  # suffix of the prompt sets that classification uses


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results of one model on one set of images."""

    model: ModelInfo
    labelled: LabelledImages
    results: Sequence[ZeroShotResult]
    searches: Sequence[RetrievalResult]
    tables: Sequence[Table]
    notes: Sequence[str]  # what was skipped, and why


def evaluate(
    labelled: LabelledImages,
    model: ModelInfo,
    encoder: TextEncoder,
    progress: Progress,
    whole: bool = False,
    other_names: Sequence[Mapping[str, str]] = (),
) -> Evaluation:
    """Measure all tables. `whole`: also rows that need very many texts. `other_names`: more names of the classes.

    `other_names` has one mapping per language, from the folder's name to its name in that language.
    """
    captions = group_captions(labelled.items)
    tasks = build_tasks(labelled, captions, other_names)
    results, left_out = run_tasks(tasks, model.model, encoder, progress, None if whole else MAX_PROMPTS)
    searches = measure_searches(results)
    shown = select_shown_result(results)
    tables = [build_zero_shot_table(results), build_few_shot_table(shown, model.logit_scale, progress, probe=whole)]
    tables += [build_class_table(shown), build_confusion_table(shown)]
    if searches:
        tables.append(build_retrieval_table(searches))
    return Evaluation(model, labelled, results, searches, tables, build_notes(labelled, left_out, bool(captions)))


def measure_searches(results: Sequence[ZeroShotResult]) -> list[RetrievalResult]:
    return [
        found
        for result in results
        if result.task.class_source == CAPTION_CLASSES
        for found in measure_retrieval(result)
    ]


def select_shown_result(results: Sequence[ZeroShotResult]) -> ZeroShotResult:
    """Return the result that is shown class by class: by folder, with the seven prompts that classification uses."""
    by_folder = [result for result in results if result.task.class_source == FOLDER_CLASSES]
    return next((result for result in by_folder if result.prompts.endswith(SEVEN_PROMPTS)), by_folder[0])


def build_notes(labelled: LabelledImages, left_out: Sequence[str], captioned: bool) -> list[str]:
    notes = [f"skipped to save time (--all includes them): {', '.join(left_out)}"] if left_out else []
    if labelled.skipped:
        notes.append(labelled.skipped)
    if not captioned:
        notes.append("no image has a caption (photo.txt next to photo.jpg): search by caption was not measured")
    lone = [name for name, count in count_images(labelled).items() if count == 1]
    if lone:
        notes.append(f"classes of a single image, too few to measure: {', '.join(lone)}")
    return notes


def count_images(labelled: LabelledImages) -> dict[str, int]:
    names = [item.label for item in labelled.items]
    return {name: names.count(name) for name in labelled.classes}
