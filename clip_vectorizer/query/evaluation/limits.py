"""The limits of a model: what CLIP is known to be bad at, measured on pictures made by code, each beside chance."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.choices import COUNTING, DIGITS, LIMIT_TASKS, LOOK_ALIKES, PLACES, WORDING
from clip_vectorizer.query.evaluation.dataset import Progress
from clip_vectorizer.query.evaluation.limits_choices import PictureEncoder
from clip_vectorizer.query.evaluation.limits_composition import (
    CountingResult,
    PlacesResult,
    build_composition_differences,
    build_counting_table,
    build_places_table,
    measure_counting,
    measure_places,
)
from clip_vectorizer.query.evaluation.limits_digits import (
    DigitsResult,
    build_digits_differences,
    build_digits_table,
    load_digit_images,
    measure_digits,
)
from clip_vectorizer.query.evaluation.limits_naming import (
    LookAlikeResult,
    WordingResult,
    build_look_alike_difference,
    build_look_alike_table,
    build_spread_table,
    build_wording_table,
    measure_look_alikes,
    measure_wording,
)
from clip_vectorizer.query.evaluation.limits_phrases import PHRASES
from clip_vectorizer.query.evaluation.limits_scenes import DrawingFolder
from clip_vectorizer.query.evaluation.tables import Table

ResultT = TypeVar("ResultT")


class LimitEncoder(PictureEncoder, Protocol):
    """A sidecar that describes its model, as VectorizerClient does."""

    def meta(self) -> ModelInfo: ...


@dataclass(frozen=True, slots=True)
class LimitFindings:
    """Results of one model; None for a task that was not wanted or not possible."""

    model: ModelInfo
    language: str
    folder: DrawingFolder | None
    counting: CountingResult | None
    places: PlacesResult | None
    look_alikes: LookAlikeResult | None
    wording: WordingResult | None
    digits: DigitsResult | None
    notes: Sequence[str]  # what was left out, and why

    @property
    def tables(self) -> list[Table]:
        """A table per task, a second one of the spread over wordings, and one of all differences."""
        tables = [
            self.counting and build_counting_table(self.counting),
            self.places and build_places_table(self.places),
            self.look_alikes and build_look_alike_table(self.look_alikes),
            self.wording and build_wording_table(self.wording),
            self.wording and build_spread_table(self.wording),
            self.digits and build_digits_table(self.digits),
            build_difference_table(self),
        ]
        return [table for table in tables if table and table.rows]


@dataclass(frozen=True, slots=True)
class LimitRun:
    """Which tasks are wanted, and what became of those that cannot be measured."""

    tasks: Collection[str]
    strict: bool  # raise where a task is impossible, instead of a note
    notes: list[str] = field(default_factory=list)

    def attempt(self, task: str, measure: Callable[[], ResultT]) -> ResultT | None:
        """Return the result; None, and a note, where it is not possible. Raises InputError instead if `strict`."""
        if task not in self.tasks:
            return None
        try:
            return measure()
        except InputError as error:
            if self.strict:
                raise
            self.notes.append(f"left out: {error}")
            return None


def measure_limits(
    folder: DrawingFolder | None,
    encoder: LimitEncoder,
    progress: Progress,
    tasks: Sequence[str] = (),
    language: str = "en",
) -> LimitFindings:
    """Measure `tasks`; without any, all that the drawings and the installed packages allow, with a note on the others.

    `folder`: drawings with names in `language`; None is enough for the digits. Raises InputError where a task of
    `tasks` is impossible, or all are.
    """
    run, phrases = LimitRun(tasks or LIMIT_TASKS, strict=bool(tasks)), PHRASES[language]
    parts = (folder.drawings if folder else (), phrases, encoder, progress)
    findings = LimitFindings(
        encoder.meta(),
        language,
        folder,
        run.attempt(COUNTING, lambda: measure_counting(*parts)),
        run.attempt(PLACES, lambda: measure_places(*parts)),
        run.attempt(LOOK_ALIKES, lambda: measure_look_alikes(*parts)),
        run.attempt(WORDING, lambda: measure_wording(*parts)),
        run.attempt(DIGITS, lambda: measure_digits(load_digit_images(), phrases, encoder, progress)),
        run.notes,
    )
    if not findings.tables:
        raise InputError(f"nothing could be measured: {'; '.join(run.notes)}")
    return findings


def build_difference_table(findings: LimitFindings) -> Table:
    """Return every comparison on the same pictures, with its interval and p."""
    rows = build_composition_differences(findings.counting, findings.places)
    if findings.look_alikes:
        rows.append(build_look_alike_difference(findings.look_alikes))
    if findings.digits:
        rows += build_digits_differences(findings.digits)
    return Table("differences", "Differences on the same pictures", rows)
