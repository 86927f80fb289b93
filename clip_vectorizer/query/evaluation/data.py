"""What is evaluated: images with their vectors, classes and captions. N images · D dimensions"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.evaluation.metrics import Numbers
from clip_vectorizer.query.prompts import HAN
from clip_vectorizer.vectors import Vectors

DIVIDER = re.compile(r"\s+·\s+")  # between the languages of one caption
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Item:
    """One image before it has a vector."""

    path: str
    label: str
    caption: str  # "" where there is none


@dataclass(frozen=True, slots=True)
class Labelled:
    """Images of at least two classes."""

    source: str  # as the user named it
    items: tuple[Item, ...]
    vectors_nd: Vectors
    left_out: tuple[tuple[str, str], ...] = ()  # path and reason of those that could not be used

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted({item.label for item in self.items}))

    @property
    def class_n(self) -> Numbers:
        """(N,): the number of each image's class."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        return np.array([numbers[item.label] for item in self.items], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Captions:
    """The captions of one language, and whose they are."""

    language: str
    texts: tuple[str, ...]
    image_n: Numbers  # which image each belongs to

    @property
    def names(self) -> tuple[str, ...]:
        """Each different one once, in the order of their first image."""
        return tuple(dict.fromkeys(self.texts))

    @property
    def name_n(self) -> Numbers:
        """For each caption its number among `names`."""
        numbers = {name: number for number, name in enumerate(self.names)}
        return np.array([numbers[text] for text in self.texts], dtype=np.int64)


def checked(labelled: Labelled) -> Labelled:
    """Raises InputError unless there are images of two classes."""
    if not labelled.items:
        raise InputError(f"{labelled.source}: no image in it can be used; it needs a folder of images for every class")
    if len(labelled.classes) < 2:
        raise InputError(
            f"{labelled.source}: all images are of one class, {labelled.classes[0]!r}; "
            "an evaluation chooses between classes: give at least two"
        )
    return labelled


def captions_by_language(items: Sequence[Item]) -> list[Captions]:
    """`cat · 猫` is one caption in each of two languages. Images without a caption are left out."""
    found: dict[str, list[tuple[int, str]]] = {}
    for index, item in enumerate(items):
        for language, text in languages_of(item.caption).items():
            found.setdefault(language, []).append((index, text))
    return [
        Captions(language, tuple(text for _, text in pairs), np.array([index for index, _ in pairs], dtype=np.int64))
        for language, pairs in sorted(found.items())
    ]


def languages_of(caption: str) -> Mapping[str, str]:
    """By language, the first part in each. Which language it is, is told by the script alone: Han is Chinese."""
    parts = [part for part in DIVIDER.split(" ".join(caption.split())) if part]
    return {language_of(part): part for part in reversed(parts)}


def language_of(text: str) -> str:
    return "zh" if HAN.search(text) else "en"
