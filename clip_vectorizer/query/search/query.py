"""What a search looks for: texts, images, stored images and vectors, added up with weights.

P parts · D dimensions
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.image_inputs import ImageInput
from clip_vectorizer.query.prompts import normalize_text
from clip_vectorizer.query.search.arguments import parse_number
from clip_vectorizer.vectors import Vectors, unit

LARGEST_WEIGHT = 1e6  # past it, the other parts are lost in float32
QUERY_HINT = "name what the images should show, for example 'a red apple'"
SIGN = re.compile(r"(?:^| )([+-])(?= |$)")  # with spaces: c++ and x-ray are words
WEIGHTED = re.compile(r"(\S+?)\s*\*\s*(.*)")
NOTHING_LEFT = 1e-5  # of the parts' own length: what float32 leaves where they cancel each other out
SAFE_MAGNITUDES = (1e-9, 1e9)  # of the largest number of a vector: its square is a float32 then
HALF = 0.5  # Weaviate's own factor on a force (usecases/modulecomponents/arguments/nearText/searcher_movements.go)


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image for the sidecar to embed: a path, a URL, a file's bytes, or a PIL image."""

    image: ImageInput


@dataclass(frozen=True, slots=True)
class StoredPart:
    """An image of the collection, by its id or its path."""

    key: str
    include_self: bool = False  # whether the image itself may be a hit


@dataclass(frozen=True, slots=True, eq=False)
class VectorPart:
    vector: npt.NDArray[np.float32]  # (D,)


QueryPart = TextPart | ImagePart | StoredPart | VectorPart


@dataclass(frozen=True, slots=True)
class Query:
    """What to search for: texts, images, stored images and vectors, which can be added, subtracted and weighted.

    >>> what = Query.text("horse") + Query.text("stripes") - 0.5 * Query.text("fruit")
    >>> what == Query.parse("horse + stripes - 0.5*fruit")
    True
    >>> Query.text("horse") + "stripes" == Query.text("horse") + Query.text("stripes")  # a bare str is a text
    True

    The vector of a query is the sum of weight x unit vector, scaled to length 1: (D,) float32.
    """

    parts: tuple[tuple[float, QueryPart], ...]
    __array_ufunc__ = None  # makes numpy's numbers leave `*` to this class

    @classmethod
    def text(cls, text: str) -> Self:
        """Search by a text, in any language of the model: `Query.text("a red apple")`.

        Raises InputError for an empty text, or one that is not UTF-8.
        """
        if not isinstance(text, str):
            raise InputError(f"Query.text needs a str, not {text!r}")
        if not (one_line := normalize_text(text)):
            raise InputError(f"the query is empty; {QUERY_HINT}")
        return cls(((1.0, TextPart(one_line)),))

    @classmethod
    def image(cls, image: ImageInput) -> Self:
        """Search by an image: a path, an http:// or https:// address, a file's bytes, or a PIL image.

        >>> lemon = Query.image("fruit/lemon.png")

        The image is read when the query is searched with. Raises InputError for another type.
        """
        if not (isinstance(image, str | bytes | Image.Image) or hasattr(image, "__fspath__")):
            raise InputError(
                "an image is a path, an https:// address, a file's bytes or a PIL image, "
                f"not of type {type(image).__name__}; numbers go into Query.vector(...)"
            )
        return cls(((1.0, ImagePart(image)),))

    @classmethod
    def stored(cls, key: str, include_self: bool = False) -> Self:
        """Search by an image of the collection, given by its path there or its id, with the vector stored for it.

        >>> owl = Query.stored("birds/owl.png")

        The image itself is no hit, unless `include_self`. Raises InputError for an empty name.
        """
        if not (name := str(key).strip()):
            raise InputError("the name of a stored image is empty; give its path in the collection, or its id")
        normalize_text(name)  # raises for a name that cannot be sent as UTF-8
        return cls(((1.0, StoredPart(name, include_self)),))

    @classmethod
    def vector(cls, values: npt.ArrayLike) -> Self:
        """Search by a vector (D,) of the collection's model, of any length but 0.

        >>> Query.vector([0.5, 0.5, 0.0]).parts[0][1].vector.dtype
        dtype('float32')

        Raises InputError for zeros, NaN, infinity, and for anything but a row of real numbers.
        """
        return cls(((1.0, VectorPart(parse_vector(values))),))

    @classmethod
    def parse(cls, expression: str) -> Self:
        """Read texts with weights, with spaces around + and -: `Query.parse("horse + 2*stripes - fruit")`.

        Raises InputError where a text or a weight is missing.
        """
        return cls(tuple((weight, TextPart(part)) for weight, part in parse_weighted_texts(expression)))

    def __add__(self, other: "QueryInput") -> "Query":
        return Query(self.parts + to_query(other).parts)

    def __radd__(self, other: "QueryInput") -> "Query":
        if isinstance(other, int) and not other:  # where sum() begins
            return self
        return to_query(other) + self

    def __sub__(self, other: "QueryInput") -> "Query":
        return self + -1 * to_query(other)

    def __rsub__(self, other: "QueryInput") -> "Query":
        return to_query(other) - self

    def __mul__(self, weight: float) -> "Query":
        factor = check_weight(weight)
        return Query(tuple((factor * each, part) for each, part in self.parts))

    __rmul__ = __mul__

    def __neg__(self) -> "Query":
        return -1 * self

    @property
    def only_text(self) -> str | None:
        """The text of a query that is one text with a weight above 0, else None."""
        match self.parts:
            case ((weight, TextPart(text)),) if weight > 0:
                return text
        return None

    @property
    def keywords(self) -> str:
        """All texts with a weight above 0, for the keyword side of a hybrid search."""
        return " ".join(part.text for weight, part in self.parts if isinstance(part, TextPart) and weight > 0)


QueryInput = str | ImageInput | Query | npt.NDArray[np.floating]


def to_query(what: QueryInput) -> Query:
    """Make a query of a str (a text), a path, bytes or a PIL image (an image), or an array (a vector)."""
    if isinstance(what, Query):
        return what
    if isinstance(what, str):
        return Query.text(what)
    return Query.vector(what) if isinstance(what, np.ndarray) else Query.image(what)


def parse_weighted_texts(expression: str) -> list[tuple[float, str]]:
    """Parse `horse + 2*stripes - fruit` into [(1, horse), (2, stripes), (-1, fruit)]. Raises InputError."""
    whole = normalize_text(expression)
    if not whole:
        raise InputError(f"the query is empty; {QUERY_HINT}")
    first, *others = SIGN.split(whole)
    signed = [("+", first), *zip(others[::2], others[1::2], strict=True)]
    if not first and others:  # it begins with a sign
        signed = signed[1:]
    return [parse_weighted_text(sign, part.strip(), whole) for sign, part in signed]


def parse_weighted_text(sign: str, part: str, whole: str) -> tuple[float, str]:
    """Parse one part of `whole`, `2*stripes`. A text may contain a * of its own: `M*A*S*H`."""
    if not part:
        raise InputError(f"{whole!r}: a text is missing next to + or -; {QUERY_HINT}")
    one = -1.0 if sign == "-" else 1.0
    parts = WEIGHTED.fullmatch(part)
    if parts and (weight := parse_weight(parts[1])) is not None:
        if not parts[2]:
            raise InputError(f"{part!r}: a text is missing after the *; write 2*stripes")
        return one * weight, parts[2]
    if " * " in part:
        raise InputError(f"{part!r}: {part.split(' * ')[0]!r} is no weight; write a number, as in 2*stripes")
    return one, part


def parse_weight(text: str) -> float | None:
    try:
        return check_weight(float(text))
    except ValueError:
        return None


def check_weight(weight: object) -> float:
    return parse_number("weight", weight, -LARGEST_WEIGHT, LARGEST_WEIGHT)


def parse_vector(values: npt.ArrayLike) -> Vectors:
    """Return (D,) float32, scaled by a power of 2 where its squares would overflow or vanish in float32.

    Raises InputError for zeros, NaN, infinity, and for anything but a row of real numbers.
    """
    try:
        given_d = parse_real_numbers(values)
    except (TypeError, ValueError) as error:
        raise InputError(f"a vector is a row of numbers ({error})") from None
    if not (np.isfinite(given_d).all() and given_d.any()):
        raise InputError("a vector of zeros, NaN or infinity has no direction; nothing is near it")
    largest = np.abs(given_d).max()
    if not SAFE_MAGNITUDES[0] < largest < SAFE_MAGNITUDES[1]:
        given_d = np.ldexp(given_d, -np.frexp(largest)[1])
    return given_d.astype(np.float32)


def parse_real_numbers(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    given = np.asarray(values)
    if given.dtype.kind == "c":
        raise TypeError("these are complex")
    return given.astype(np.float64)


def blend(weights: Sequence[float], vectors_pd: Vectors) -> Vectors:
    """Return the unit vector (D,) of the sum of weight x unit vector. Raises InputError when the sum vanishes."""
    weights_p = np.asarray(weights, dtype=np.float64)
    sum_d = weights_p @ unit(vectors_pd).astype(np.float64)
    if np.linalg.norm(sum_d) <= NOTHING_LEFT * np.abs(weights_p).sum():
        raise InputError("the parts cancel each other out, so there is nothing to look for; change a weight or a part")
    return unit(sum_d.astype(np.float32))


def move_towards(vector_d: Vectors, to_d: Vectors, force: float) -> Vectors:
    """Move (D,) as nearText's moveTo does, with `force` 0..1. The result is not of length 1."""
    share = np.float32(HALF * force)
    return (vector_d * (1 - share) + to_d * share).astype(np.float32)


def move_away_from(vector_d: Vectors, from_d: Vectors, force: float) -> Vectors:
    """Move (D,) as nearText's moveAwayFrom does, with `force` 0 or more. The result is not of length 1."""
    return (vector_d + np.float32(HALF * force) * (vector_d - from_d)).astype(np.float32)
