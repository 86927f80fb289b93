"""What a search looks for: texts, images, stored images and vectors, each with a weight. D dimensions"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.pictures import Picture
from clip_vectorizer.query.prompts import plain
from clip_vectorizer.query.searching.blending import direction
from clip_vectorizer.query.searching.expression import SOMETHING, checked_weight, weighted_texts


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Shown:
    """An image that the sidecar is to look at: a path, a URL, a file's bytes, or a PIL image."""

    image: Picture


@dataclass(frozen=True, slots=True)
class InCollection:
    """An image of the collection, by its id or its path; `itself`: whether it may be among what is found."""

    key: str
    itself: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    vector: npt.NDArray[np.float32]  # (D,)


Source = Text | Shown | InCollection | Given


@dataclass(frozen=True, slots=True)
class Mixture:
    """Parts with weights: `text("horse") + text("stripes") - 0.5 * text("fruit")`.

    Its vector is the sum of weight x unit vector, made unit again. A bare str beside it is a text.
    """

    parts: tuple[tuple[float, Source], ...]
    __array_ufunc__ = None  # numpy's numbers leave `*` to us

    @classmethod
    def parse(cls, words: str) -> Self:
        """`Mixture.parse("horse + 2*stripes - fruit")`: texts, with spaces around + and -.

        Raises InputError where a text or a weight is missing.
        """
        return cls(tuple((weight, Text(part)) for weight, part in weighted_texts(words)))

    def __add__(self, other: "What") -> "Mixture":
        return Mixture(self.parts + mixture(other).parts)

    def __radd__(self, other: "What") -> "Mixture":
        if isinstance(other, int) and not other:  # where sum() begins
            return self
        return mixture(other) + self

    def __sub__(self, other: "What") -> "Mixture":
        return self + -1 * mixture(other)

    def __rsub__(self, other: "What") -> "Mixture":
        return mixture(other) - self

    def __mul__(self, weight: float) -> "Mixture":
        factor = checked_weight(weight)
        return Mixture(tuple((factor * each, source) for each, source in self.parts))

    __rmul__ = __mul__

    def __neg__(self) -> "Mixture":
        return -1 * self

    @property
    def only_text(self) -> str | None:
        """The text, where that is all there is."""
        match self.parts:
            case ((weight, Text(words)),) if weight > 0:
                return words
        return None

    @property
    def words(self) -> str:
        """All texts that are wanted, for a search by words."""
        return " ".join(source.text for weight, source in self.parts if isinstance(source, Text) and weight > 0)


What = str | Picture | Mixture | npt.NDArray[np.floating]


def mixture(what: What) -> Mixture:
    """A str is a text; a path, bytes or a PIL image an image; an array a vector."""
    if isinstance(what, Mixture):
        return what
    if isinstance(what, str):
        return text(what)
    return vector(what) if isinstance(what, np.ndarray) else image(what)


def text(words: str) -> Mixture:
    """`text("a red apple")`. Raises InputError for an empty one."""
    if not isinstance(words, str):
        raise InputError(f"a text is expected, not {words!r}")
    if not (one_line := plain(words)):
        raise InputError(f"the query is empty; {SOMETHING}")
    return Mixture(((1.0, Text(one_line)),))


def image(picture: Picture) -> Mixture:
    """`image("owl.png")`, `image("https://example.org/owl.png")`, a file's bytes, or a PIL image."""
    if not (isinstance(picture, str | bytes | Image.Image) or hasattr(picture, "__fspath__")):
        raise InputError(
            "an image is a path, an https:// address, a file's bytes or a PIL image, "
            f"not of type {type(picture).__name__}; a row of numbers goes into vector(...)"
        )
    return Mixture(((1.0, Shown(picture)),))


def stored(key: str, itself: bool = False) -> Mixture:
    """`stored("birds/owl.png")`: an image of the collection, by its path or id, with the vector it has there.

    It is not among what is found, unless `itself`.
    """
    if not (named := str(key).strip()):
        raise InputError("a stored image is named by its path in the collection or its id; this name is empty")
    plain(named)  # what is no UTF-8 cannot be sent
    return Mixture(((1.0, InCollection(named, itself)),))


def vector(values: npt.ArrayLike) -> Mixture:
    """`vector(numpy.load("owl.npy"))`: (D,) of the collection's model, any length but 0.

    Raises InputError for what has no direction: zeros, NaN, infinity, or what is no row of numbers.
    """
    return Mixture(((1.0, Given(direction(values))),))
