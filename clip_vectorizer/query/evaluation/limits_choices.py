"""Multiple choice: a picture and several captions, of which one is right. Every task of `clip-eval limits` is one.

N choices · D dimensions
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from clip_vectorizer.query.evaluation.dataset import Progress
from clip_vectorizer.query.evaluation.prompt_vectors import TextEncoder
from clip_vectorizer.query.evaluation.statistics import (
    BooleanArray,
    IntegerArray,
    Share,
    paired_bootstrap,
    predict_classes,
)
from clip_vectorizer.query.evaluation.tables import CellValue
from clip_vectorizer.vectors import Vectors, ensemble

PICTURES_PER_STEP, TEXTS_PER_STEP = 64, 2048  # between two lines of progress
ABOVE, AT_CHANCE, BELOW = "above", "at chance", "below"


class PictureEncoder(TextEncoder, Protocol):
    """A sidecar: texts and image files in, unit vectors out."""

    def embed_images(self, images: Sequence[bytes]) -> Vectors: ...


@dataclass(frozen=True, slots=True)
class MultipleChoice:
    """Each option is a caption in several wordings; their vectors are averaged."""

    picture: bytes  # an image file
    options: tuple[tuple[str, ...], ...]
    truth: int  # the right option


@dataclass(frozen=True, slots=True)
class ChoiceResult:
    """The option that was chosen for each picture; of equal ones not the right one."""

    chosen_n: IntegerArray
    truth_n: IntegerArray
    options_n: IntegerArray  # how many there were

    @property
    def right_n(self) -> BooleanArray:
        right: BooleanArray = self.chosen_n == self.truth_n
        return right

    @property
    def chance(self) -> float:
        """The share that a guess gets right."""
        return float(np.mean(1 / self.options_n)) if len(self.options_n) else 0.0


def run_choices(
    choices: Sequence[MultipleChoice], encoder: PictureEncoder, progress: Progress, what: str
) -> ChoiceResult:
    """Choose the most similar option for each picture. `what` names the task in the progress."""
    pictures_nd = embed_pictures([each.picture for each in choices], encoder, progress, what)
    captions = list(dict.fromkeys(option for each in choices for option in each.options))
    captions_ld = embed_captions(captions, encoder, progress, what)
    number = {caption: index for index, caption in enumerate(captions)}
    chosen = [
        choose(picture_d, captions_ld[[number[option] for option in each.options]], each.truth)
        for picture_d, each in zip(pictures_nd, choices, strict=True)
    ]
    truth, options = [each.truth for each in choices], [len(each.options) for each in choices]
    return ChoiceResult(*(np.array(values, dtype=np.int64) for values in (chosen, truth, options)))


def choose(picture_d: Vectors, options_ld: Vectors, truth: int) -> int:
    return int(predict_classes((options_ld @ picture_d)[None], np.array([truth]))[0])


def embed_pictures(pictures: Sequence[bytes], encoder: PictureEncoder, progress: Progress, what: str) -> Vectors:
    """Return (N, D); a picture that occurs again is sent once."""
    different = list(dict.fromkeys(pictures))
    parts = []
    for start in range(0, len(different), PICTURES_PER_STEP):
        parts.append(encoder.embed_images(different[start : start + PICTURES_PER_STEP]))
        progress(f"{what}: {min(start + PICTURES_PER_STEP, len(different))} of {len(different)} pictures embedded")
    number = {picture: index for index, picture in enumerate(different)}
    return np.concatenate(parts)[[number[picture] for picture in pictures]]


def embed_captions(captions: Sequence[tuple[str, ...]], encoder: TextEncoder, progress: Progress, what: str) -> Vectors:
    """Return (L, D) unit rows, each the average of a caption's wordings."""
    texts = list(dict.fromkeys(text for caption in captions for text in caption))
    parts = []
    for start in range(0, len(texts), TEXTS_PER_STEP):
        parts.append(encoder.embed_texts(texts[start : start + TEXTS_PER_STEP]))
        progress(f"{what}: {min(start + TEXTS_PER_STEP, len(texts))} of {len(texts)} texts embedded")
    texts_nd, number = np.concatenate(parts), {text: index for index, text in enumerate(texts)}
    return np.stack([ensemble(texts_nd[[number[text] for text in caption]]) for caption in captions])


def build_share_row(task: str, right_n: BooleanArray, chance: float) -> dict[str, CellValue]:
    """Return a row: the share right with its interval, what a guess gets, and on which side of it the interval is."""
    share = Share.of(right_n)
    return {
        "task": task,
        "pictures": len(right_n),
        "right": share,
        "chance": chance,
        "verdict": compare_with_chance(share, chance),
    }


def compare_with_chance(share: Share, chance: float) -> str:
    """
    >>> compare_with_chance(Share(30, 60), 0.5), compare_with_chance(Share(50, 60), 0.5)
    ('at chance', 'above')
    """
    low, high = share.interval
    return ABOVE if low > chance else BELOW if high < chance else AT_CHANCE


def build_difference_row(what: str, ours_n: BooleanArray, theirs_n: BooleanArray) -> dict[str, CellValue]:
    """Return a row: the mean difference over the same pictures, from a paired bootstrap."""
    found = paired_bootstrap(ours_n, theirs_n)
    return {"difference": what, "value": found.mean, "low": found.low, "high": found.high, "p": found.p}
