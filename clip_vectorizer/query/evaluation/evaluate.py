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

SEVEN_PROMPTS = "-7"  # how the prompt sets are called that classification takes


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one model does with one set of images."""

    model: ModelInfo
    labelled: LabelledImages
    answers: Sequence[ZeroShotResult]
    searches: Sequence[RetrievalResult]
    tables: Sequence[Table]
    notes: Sequence[str]  # what was left out, and why


def evaluate(
    labelled: LabelledImages,
    model: ModelInfo,
    encoder: TextEncoder,
    progress: Progress,
    whole: bool = False,
    other_names: Sequence[Mapping[str, str]] = (),
) -> Evaluation:
    """All tables. `whole`: those too that need very many texts. `other_names`: more names of the folders' classes."""
    captions = group_captions(labelled.items)
    asked = build_tasks(labelled, captions, other_names)
    answers, left_out = run_tasks(asked, model.model, encoder, progress, None if whole else MAX_PROMPTS)
    searches = measure_searches(answers)
    shown = select_shown_result(answers)
    tables = [build_zero_shot_table(answers), build_few_shot_table(shown, model.logit_scale, progress, probe=whole)]
    tables += [build_class_table(shown), build_confusion_table(shown)]
    if searches:
        tables.append(build_retrieval_table(searches))
    return Evaluation(model, labelled, answers, searches, tables, build_notes(labelled, left_out, bool(captions)))


def measure_searches(answers: Sequence[ZeroShotResult]) -> list[RetrievalResult]:
    return [
        found
        for answer in answers
        if answer.question.classes_are == CAPTION_CLASSES
        for found in measure_retrieval(answer)
    ]


def select_shown_result(answers: Sequence[ZeroShotResult]) -> ZeroShotResult:
    """The one whose classes are looked at one by one: by folder, with the seven prompts that classification takes."""
    by_folder = [answer for answer in answers if answer.question.classes_are == FOLDER_CLASSES]
    return next((answer for answer in by_folder if answer.prompts.endswith(SEVEN_PROMPTS)), by_folder[0])


def build_notes(labelled: LabelledImages, left_out: Sequence[str], captioned: bool) -> list[str]:
    notes = [f"left out for time (--all brings them): {', '.join(left_out)}"] if left_out else []
    if labelled.skipped:
        notes.append(labelled.skipped)
    if not captioned:
        notes.append("no image has a caption (photo.txt beside photo.jpg): no search by caption was measured")
    lone = [name for name, count in count_images(labelled).items() if count == 1]
    if lone:
        notes.append(f"classes of a single image, of which little can be said: {', '.join(lone)}")
    return notes


def count_images(labelled: LabelledImages) -> dict[str, int]:
    names = [item.label for item in labelled.items]
    return {name: names.count(name) for name in labelled.classes}
