"""Counting and places: scenes composed of drawings, whose captions differ in a number or in an order alone.

Each task has its counterpart on the same pictures with as many options, which differ in a name instead: it shows that
the model recognises what is in the scene. Each drawing is in one scene of a task only, so scenes are independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from clip_vectorizer.counts import format_count
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.evaluation.dataset import Progress
from clip_vectorizer.query.evaluation.limits_choices import (
    ChoiceResult,
    MultipleChoice,
    PictureEncoder,
    build_difference_row,
    build_share_row,
    run_choices,
)
from clip_vectorizer.query.evaluation.limits_phrases import AXES, LEFT_RIGHT, LimitPhrases
from clip_vectorizer.query.evaluation.limits_scenes import (
    LEAST_DRAWINGS,
    NamedDrawing,
    SceneRandom,
    compose_copies,
    compose_pair,
    encode_scene,
)
from clip_vectorizer.query.evaluation.statistics import SEED, IntegerArray, count_confusion
from clip_vectorizer.query.evaluation.tables import CellValue, Table

NUMBERS = (1, 2, 3, 4, 5)
HOW_MANY, WHICH_COPIES = "how many", "which thing"
WHICH_PAIR = "which thing is second"


@dataclass(frozen=True, slots=True)
class CountingResult:
    """Both tasks on the same scenes."""

    number_n: IntegerArray  # how many things are in each scene
    how_many: ChoiceResult
    which: ChoiceResult

    @property
    def confusion_ll(self) -> IntegerArray:
        """(5, 5) counts: row = number of things, column = number chosen."""
        return count_confusion(self.how_many.truth_n, self.how_many.chosen_n, len(NUMBERS))


@dataclass(frozen=True, slots=True)
class PlacesResult:
    """For each axis both orders of every pair, and which of two things is second in the first order."""

    orders: dict[str, tuple[ChoiceResult, ChoiceResult]]
    which: ChoiceResult


def select_countable(drawings: Sequence[NamedDrawing], phrases: LimitPhrases, task: str) -> list[NamedDrawing]:
    """Return the drawings with a short name of one thing. Raises InputError for too few."""
    countable = [each for each in drawings if phrases.is_countable(each.name)]
    if len(countable) < LEAST_DRAWINGS:
        raise InputError(
            f"{task}: {format_count(len(countable), 'image')} with a short name of one thing, such as `cat`, as "
            f"caption in {phrases.language!r}; at least {LEAST_DRAWINGS} are needed"
        )
    return countable


def measure_counting(
    drawings: Sequence[NamedDrawing], phrases: LimitPhrases, encoder: PictureEncoder, progress: Progress
) -> CountingResult:
    """Place 1 to 5 copies of each countable drawing in a scene, and choose its number, and its name among five.

    Raises InputError for too few countable drawings.
    """
    things, random = select_countable(drawings, phrases, "counting"), np.random.default_rng(SEED)
    how_many, which = [], []
    for index, thing in enumerate(things):
        number = NUMBERS[index % len(NUMBERS)]
        scene = encode_scene(compose_copies(thing.picture, number, random))
        names = [thing.name, *draw_other_names(things, index, len(NUMBERS) - 1, random)]
        how_many.append(
            MultipleChoice(scene, tuple(phrases.count(each, thing.name) for each in NUMBERS), NUMBERS.index(number))
        )
        which.append(MultipleChoice(scene, tuple(phrases.count(number, name) for name in names), 0))
    return CountingResult(
        np.array([NUMBERS[choice.truth] for choice in how_many]),
        run_choices(how_many, encoder, progress, "counting"),
        run_choices(which, encoder, progress, "counting"),
    )


def draw_other_names(things: Sequence[NamedDrawing], index: int, count: int, random: SceneRandom) -> list[str]:
    others = np.delete(np.arange(len(things)), index)
    return [things[int(each)].name for each in random.choice(others, size=count, replace=False)]


def build_counting_table(result: CountingResult) -> Table:
    """Return one row per number, one of all, and one of the names on the same scenes."""
    numbers = np.array(NUMBERS)[result.how_many.chosen_n]
    parts = [(describe_number(each), result.number_n == each) for each in NUMBERS]
    rows: list[dict[str, CellValue]] = [
        build_share_row(task, result.how_many.right_n[of_n], 1 / len(NUMBERS))
        | {"mean_answer": float(numbers[of_n].mean())}
        for task, of_n in [*parts, (HOW_MANY, result.number_n > 0)]
    ]
    rows.append(build_share_row(WHICH_COPIES, result.which.right_n, result.which.chance) | {"mean_answer": ""})
    return Table("counting", "Counting: scenes of 1 to 5 copies of one drawing, and five captions", rows)


def describe_number(number: int) -> str:
    return f"{number} thing{'s' if number > 1 else ''}"


def measure_places(
    drawings: Sequence[NamedDrawing], phrases: LimitPhrases, encoder: PictureEncoder, progress: Progress
) -> PlacesResult:
    """Compose each pair of countable drawings in both orders, on both axes.

    Raises InputError for too few countable drawings.
    """
    things = select_countable(drawings, phrases, "places")
    pairs = list(zip(things[::2], things[1::2], strict=False))
    orders = {axis: measure_axis(pairs, axis, phrases, encoder, progress) for axis in AXES}
    which = [
        MultipleChoice(
            encode_scene(compose_pair(first.picture, second.picture, LEFT_RIGHT)),
            (
                phrases.place(LEFT_RIGHT, first.name, second.name),
                phrases.place(LEFT_RIGHT, first.name, pairs[index - 1][1].name),
            ),
            0,
        )
        for index, (first, second) in enumerate(pairs)
    ]
    return PlacesResult(orders, run_choices(which, encoder, progress, "places"))


def measure_axis(
    pairs: Sequence[tuple[NamedDrawing, NamedDrawing]],
    axis: str,
    phrases: LimitPhrases,
    encoder: PictureEncoder,
    progress: Progress,
) -> tuple[ChoiceResult, ChoiceResult]:
    """Return the results of both orders; both choose between the same two captions."""
    captions = [
        (phrases.place(axis, first.name, second.name), phrases.place(axis, second.name, first.name))
        for first, second in pairs
    ]
    forward = [compose_pair(first.picture, second.picture, axis) for first, second in pairs]
    backward = [compose_pair(second.picture, first.picture, axis) for first, second in pairs]
    first_order, second_order = (
        run_choices(combine_scenes(scenes, captions, truth), encoder, progress, "places")
        for truth, scenes in enumerate((forward, backward))
    )
    return first_order, second_order


def combine_scenes(
    scenes: Sequence[Image.Image], captions: Sequence[tuple[tuple[str, ...], ...]], truth: int
) -> list[MultipleChoice]:
    return [
        MultipleChoice(encode_scene(scene), options, truth) for scene, options in zip(scenes, captions, strict=True)
    ]


def build_places_table(result: PlacesResult) -> Table:
    """Return two rows per axis: one picture of each pair, and both pictures of it; and one of the names."""
    rows: list[dict[str, CellValue]] = []
    for axis, (first, second) in result.orders.items():
        rows.append(build_share_row(axis, first.right_n, first.chance))
        rows.append(build_share_row(f"{axis}, both orders", first.right_n & second.right_n, first.chance**2))
    rows.append(build_share_row(WHICH_PAIR, result.which.right_n, result.which.chance))
    return Table("places", "Places: two drawings, and two captions that differ in their order", rows)


def build_composition_differences(
    counting: CountingResult | None, places: PlacesResult | None
) -> list[dict[str, CellValue]]:
    """Return what the names are recognised better than the number, and than the place."""
    rows = []
    if counting:
        rows.append(
            build_difference_row(f"{WHICH_COPIES}, less {HOW_MANY}", counting.which.right_n, counting.how_many.right_n)
        )
    if places:
        theirs_n = places.orders[LEFT_RIGHT][0].right_n
        rows.append(build_difference_row(f"{WHICH_PAIR}, less {LEFT_RIGHT}", places.which.right_n, theirs_n))
    return rows
