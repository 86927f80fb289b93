"""One evaluation: all tables of one model over one set of labelled images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.query.evaluation.data import Labelled, Progress, captions_by_language
from clip_vectorizer.query.evaluation.few_shot import few_shot_table
from clip_vectorizer.query.evaluation.retrieval import Retrieved, retrieval_table, retrieved
from clip_vectorizer.query.evaluation.tables import Table
from clip_vectorizer.query.evaluation.texts import TextEncoder
from clip_vectorizer.query.evaluation.zero_shot import (
    KINDS,
    MAX_PROMPTS,
    NAMES,
    Answer,
    answered,
    class_table,
    confusion_table,
    questions,
    zero_shot_table,
)

SEVEN = "-7"  # how the prompt sets are called that classification takes


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one model does with one set of images."""

    model: ModelInfo
    labelled: Labelled
    answers: Sequence[Answer]
    searches: Sequence[Retrieved]
    tables: Sequence[Table]
    notes: Sequence[str]  # what was left out, and why


def evaluate(
    labelled: Labelled,
    model: ModelInfo,
    encoder: TextEncoder,
    progress: Progress,
    whole: bool = False,
    other_names: Sequence[Mapping[str, str]] = (),
) -> Evaluation:
    """All tables. `whole`: those too that need very many texts. `other_names`: more names of the folders' classes."""
    captions = captions_by_language(labelled.items)
    asked = questions(labelled, captions, other_names)
    answers, left_out = answered(asked, model.model, encoder, progress, None if whole else MAX_PROMPTS)
    searches = searches_of(answers)
    shown = best_known(answers)
    tables = [zero_shot_table(answers), few_shot_table(shown, model.logit_scale, progress, probe=whole)]
    tables += [class_table(shown), confusion_table(shown)]
    if searches:
        tables.append(retrieval_table(searches))
    return Evaluation(model, labelled, answers, searches, tables, notes_of(labelled, left_out, bool(captions)))


def searches_of(answers: Sequence[Answer]) -> list[Retrieved]:
    return [found for answer in answers if answer.question.classes_are == NAMES for found in retrieved(answer)]


def best_known(answers: Sequence[Answer]) -> Answer:
    """The one whose classes are looked at one by one: by folder, with the seven prompts that classification takes."""
    by_folder = [answer for answer in answers if answer.question.classes_are == KINDS]
    return next((answer for answer in by_folder if answer.prompts.endswith(SEVEN)), by_folder[0])


def notes_of(labelled: Labelled, left_out: Sequence[str], captioned: bool) -> list[str]:
    notes = [f"left out for time (--all brings them): {', '.join(left_out)}"] if left_out else []
    if not captioned:
        notes.append("no image has a caption (photo.txt beside photo.jpg): no search by caption was measured")
    lone = [name for name, count in counts_of(labelled).items() if count == 1]
    if lone:
        notes.append(f"classes of a single image, of which little can be said: {', '.join(lone)}")
    return notes


def counts_of(labelled: Labelled) -> dict[str, int]:
    names = [item.label for item in labelled.items]
    return {name: names.count(name) for name in labelled.classes}
