"""What `ground` returns: for each phrase its boxes, or that it is not in the picture."""

from collections.abc import Iterator
from dataclasses import dataclass

from clip_vectorizer.errors import InputError
from clip_vectorizer.near_strings import did_you_mean
from clip_vectorizer.query.grounding.phrases import Phrase
from clip_vectorizer.vectors import Box

NOT_IN_PICTURE = "not in the picture"


@dataclass(frozen=True, slots=True)
class PhraseBox:
    """One place of a phrase."""

    box: Box  # left, top, right, bottom as shares of the upright picture's width and height, 0..1
    pixels: Box | None  # the same in pixels of the upright picture; None where its size is not known
    similarity: float  # what the model compares: a cosine, or a logit of a fused model
    probability: float  # 0..1: the box is of the phrase


@dataclass(frozen=True, slots=True)
class Grounding:
    """A phrase and its boxes, the most probable first. No box: it is not in the picture.

    >>> cat = Grounding(Phrase("cat", (2, 5)), (), 0.04)
    >>> cat.present, len(cat.boxes), str(cat)
    (False, 0, 'cat: not in the picture')
    """

    phrase: Phrase
    boxes: tuple[PhraseBox, ...]
    probability: float  # the greatest of all regions, of those below the threshold too; 0 where there is none

    @property
    def present(self) -> bool:
        """Whether it is in the picture: "is there one?". How many there are is `len(boxes)`."""
        return bool(self.boxes)

    def __str__(self) -> str:
        if not self.boxes:
            return f"{self.phrase.text}: {NOT_IN_PICTURE}"
        return f"{self.phrase.text}: {len(self.boxes)} x, probability {self.probability:.2f}"


@dataclass(frozen=True, slots=True)
class PictureGroundings:
    """The groundings of one picture, in the order of the phrases. A sequence, and by text:

    `result["cat"].present`, `len(result["cat"].boxes)`.
    """

    path: str  # of the file or of the stored image; images[0] where the picture has no name
    sentence: str  # "" where phrases were listed
    groundings: tuple[Grounding, ...]
    threshold: float  # least probability of a box
    size: tuple[int, int] | None  # width and height of the upright picture in pixels; None for a stored image
    stored: bool  # whether the regions are those of the database

    def __len__(self) -> int:
        return len(self.groundings)

    def __iter__(self) -> Iterator[Grounding]:
        return iter(self.groundings)

    def __getitem__(self, key: int | str) -> Grounding:
        """The grounding at an index, or of a phrase (ignoring case). Raises InputError for a phrase there is not."""
        if isinstance(key, int):
            return self.groundings[key]
        for each in self.groundings:
            if each.phrase.text.casefold() == key.casefold():
                return each
        texts = [each.phrase.text for each in self.groundings]
        raise InputError(f"no phrase is {key!r}; {did_you_mean(key, texts)}there are {', '.join(texts)}")

    @property
    def missing(self) -> tuple[Phrase, ...]:
        """The phrases that are not in the picture."""
        return tuple(each.phrase for each in self.groundings if not each.present)
