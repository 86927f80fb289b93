"""Names: look-alikes, whose names share a word, and one caption in many wordings.

N pictures · T wordings · L names · D dimensions
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clip_vectorizer.counts import format_count
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.evaluation.dataset import Progress
from clip_vectorizer.query.evaluation.limits_choices import (
    ChoiceResult,
    MultipleChoice,
    PictureEncoder,
    build_difference_row,
    build_share_row,
    embed_captions,
    embed_pictures,
    run_choices,
)
from clip_vectorizer.query.evaluation.limits_phrases import LimitPhrases
from clip_vectorizer.query.evaluation.limits_scenes import LEAST_DRAWINGS, NamedDrawing, SceneRandom
from clip_vectorizer.query.evaluation.statistics import (
    SEED,
    BooleanArray,
    IntegerArray,
    Share,
    bootstrap_spread,
    predict_classes,
)
from clip_vectorizer.query.evaluation.tables import CellValue, Table
from clip_vectorizer.vectors import Vectors, ensemble

NAMING_WORDINGS = 3  # of the paraphrases: those that a name among look-alikes is put into
ALIKE, UNLIKE = "look-alikes", "as many unlike names"
AVERAGED = "all of them, averaged"


@dataclass(frozen=True, slots=True)
class LookAlikeResult:
    """Both tasks on the same pictures, each with as many options."""

    alike: ChoiceResult
    unlike: ChoiceResult


@dataclass(frozen=True, slots=True)
class WordingResult:
    """The name that each picture gets with each wording, and with their average."""

    templates: tuple[str, ...]
    chosen_tn: IntegerArray
    averaged_n: IntegerArray
    names: int  # how many there are to choose from

    @property
    def right_tn(self) -> BooleanArray:
        """(T, N): picture n shows name n."""
        right: BooleanArray = self.chosen_tn == np.arange(self.chosen_tn.shape[1])
        return right

    @property
    def changed_n(self) -> BooleanArray:
        """(N,): whether two wordings give the picture different names."""
        changed: BooleanArray = (self.chosen_tn != self.chosen_tn[0]).any(axis=0)
        return changed


def measure_look_alikes(
    drawings: Sequence[NamedDrawing], phrases: LimitPhrases, encoder: PictureEncoder, progress: Progress
) -> LookAlikeResult:
    """Choose each picture's name among those of its folder that share a word with it, and among names unlike it.

    Raises InputError for too few pictures with look-alikes.
    """
    random, alike, unlike = np.random.default_rng(SEED), [], []
    for drawing in drawings:
        similar = find_look_alikes(drawing, drawings, phrases)
        others = draw_unlike_names(drawing, drawings, len(similar), phrases, random)
        if similar and len(others) == len(similar):
            alike.append(build_naming_choice(drawing, similar, phrases))
            unlike.append(build_naming_choice(drawing, others, phrases))
    if len(alike) < LEAST_DRAWINGS:
        raise InputError(
            f"look-alikes: {format_count(len(alike), 'image')} with a word of the caption of another one of the "
            f"folder, as `red apple` and `green apple` do; at least {LEAST_DRAWINGS} are needed"
        )
    return LookAlikeResult(
        run_choices(alike, encoder, progress, "look-alikes"), run_choices(unlike, encoder, progress, "look-alikes")
    )


def find_look_alikes(drawing: NamedDrawing, drawings: Sequence[NamedDrawing], phrases: LimitPhrases) -> list[str]:
    """Return the other names of its folder that share a word with its own."""
    words = phrases.key_words(drawing.name)
    return [
        each.name
        for each in drawings
        if each.label == drawing.label and each.name != drawing.name and words & phrases.key_words(each.name)
    ]


def draw_unlike_names(
    drawing: NamedDrawing, drawings: Sequence[NamedDrawing], count: int, phrases: LimitPhrases, random: SceneRandom
) -> list[str]:
    """Return up to `count` names of other folders that share no word with its own."""
    words = phrases.key_words(drawing.name)
    names = [each.name for each in drawings if each.label != drawing.label and not words & phrases.key_words(each.name)]
    return [names[int(each)] for each in random.permutation(len(names))[:count]]


def build_naming_choice(drawing: NamedDrawing, others: Sequence[str], phrases: LimitPhrases) -> MultipleChoice:
    templates = phrases.paraphrases[:NAMING_WORDINGS]
    captions = [tuple(phrases.paraphrase(each, name) for each in templates) for name in (drawing.name, *others)]
    return MultipleChoice(drawing.png, tuple(captions), 0)


def build_look_alike_table(result: LookAlikeResult) -> Table:
    pairs = ((ALIKE, result.alike), (UNLIKE, result.unlike))
    rows = [build_share_row(task, each.right_n, each.chance) for task, each in pairs]
    return Table("look-alikes", "Look-alikes: names of one folder that share a word, and as many that do not", rows)


def build_look_alike_difference(result: LookAlikeResult) -> dict[str, CellValue]:
    return build_difference_row(f"{UNLIKE}, less {ALIKE}", result.unlike.right_n, result.alike.right_n)


def measure_wording(
    drawings: Sequence[NamedDrawing], phrases: LimitPhrases, encoder: PictureEncoder, progress: Progress
) -> WordingResult:
    """Name every picture, among all names, once per wording of the same caption."""
    pictures_nd = embed_pictures([each.png for each in drawings], encoder, progress, "wording")
    names_tld = np.stack([embed_wording(each, drawings, phrases, encoder, progress) for each in phrases.paraphrases])
    truth_n = np.arange(len(drawings))
    chosen_tn = np.stack([predict_classes(pictures_nd @ names_ld.T, truth_n) for names_ld in names_tld])
    averaged_n = predict_classes(pictures_nd @ ensemble(names_tld.swapaxes(0, 1)).T, truth_n)
    return WordingResult(phrases.paraphrases, chosen_tn, averaged_n, len(drawings))


def embed_wording(
    template: str, drawings: Sequence[NamedDrawing], phrases: LimitPhrases, encoder: PictureEncoder, progress: Progress
) -> Vectors:
    """Return (L, D): every name in that wording."""
    return embed_captions(
        [(phrases.paraphrase(template, each.name),) for each in drawings], encoder, progress, "wording"
    )


def build_wording_table(result: WordingResult) -> Table:
    chance = 1 / result.names
    rows = [
        build_share_row(template.replace("{}", "…"), right_n, chance)
        for template, right_n in zip(result.templates, result.right_tn, strict=True)
    ]
    rows.append(build_share_row(AVERAGED, result.averaged_n == np.arange(result.names), chance))
    return Table("wording", f"Wording: the same caption in {len(rows) - 1} ways, among {result.names} names", rows)


def build_spread_table(result: WordingResult) -> Table:
    """Return one row: best less worst wording, its interval, what it would be by chance, and how often names change."""
    spread = bootstrap_spread(result.right_tn)
    row: dict[str, CellValue] = {
        "best_less_worst": spread.value,
        "low": spread.low,
        "high": spread.high,
        "by_chance": spread.by_chance,
        "p": spread.p,
        "name_changes": Share.of(result.changed_n),
    }
    return Table("wording-spread", "Spread over the wordings, and pictures whose name depends on the wording", [row])
