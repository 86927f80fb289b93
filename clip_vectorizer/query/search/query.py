"""What a search looks for: texts, images, stored images and vectors, each with a weight. D dimensions

`horse + 2*stripes - fruit`: texts with weights, as one types them.

Several vectors become the one that is searched with. P parts · D dimensions
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
QUERY_HINT = "say what the images should show, for example 'a red apple'"
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
    """An image that the sidecar is to look at: a path, a URL, a file's bytes, or a PIL image."""

    image: ImageInput


@dataclass(frozen=True, slots=True)
class StoredPart:
    """An image of the collection, by its id or its path; `itself`: whether it may be among what is found."""

    key: str
    itself: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class VectorPart:
    vector: npt.NDArray[np.float32]  # (D,)


QueryPart = TextPart | ImagePart | StoredPart | VectorPart


@dataclass(frozen=True, slots=True)
class Query:
    """Parts with weights: `text("horse") + text("stripes") - 0.5 * text("fruit")`.

    Its vector is the sum of weight x unit vector, made unit again. A bare str beside it is a text.
    """

    parts: tuple[tuple[float, QueryPart], ...]
    __array_ufunc__ = None  # numpy's numbers leave `*` to us

    @classmethod
    def parse(cls, words: str) -> Self:
        """`Mixture.parse("horse + 2*stripes - fruit")`: texts, with spaces around + and -.

        Raises InputError where a text or a weight is missing.
        """
        return cls(tuple((weight, TextPart(part)) for weight, part in parse_weighted_texts(words)))

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
        return Query(tuple((factor * each, source) for each, source in self.parts))

    __rmul__ = __mul__

    def __neg__(self) -> "Query":
        return -1 * self

    @property
    def only_text(self) -> str | None:
        """The text, where that is all there is."""
        match self.parts:
            case ((weight, TextPart(words)),) if weight > 0:
                return words
        return None

    @property
    def words(self) -> str:
        """All texts that are wanted, for a search by words."""
        return " ".join(source.text for weight, source in self.parts if isinstance(source, TextPart) and weight > 0)


QueryInput = str | ImageInput | Query | npt.NDArray[np.floating]


def to_query(what: QueryInput) -> Query:
    """A str is a text; a path, bytes or a PIL image an image; an array a vector."""
    if isinstance(what, Query):
        return what
    if isinstance(what, str):
        return text(what)
    return vector(what) if isinstance(what, np.ndarray) else image(what)


def text(words: str) -> Query:
    """`text("a red apple")`. Raises InputError for an empty one."""
    if not isinstance(words, str):
        raise InputError(f"a text is expected, not {words!r}")
    if not (one_line := normalize_text(words)):
        raise InputError(f"the query is empty; {QUERY_HINT}")
    return Query(((1.0, TextPart(one_line)),))


def image(picture: ImageInput) -> Query:
    """`image("owl.png")`, `image("https://example.org/owl.png")`, a file's bytes, or a PIL image."""
    if not (isinstance(picture, str | bytes | Image.Image) or hasattr(picture, "__fspath__")):
        raise InputError(
            "an image is a path, an https:// address, a file's bytes or a PIL image, "
            f"not of type {type(picture).__name__}; a row of numbers goes into vector(...)"
        )
    return Query(((1.0, ImagePart(picture)),))


def stored(key: str, itself: bool = False) -> Query:
    """`stored("birds/owl.png")`: an image of the collection, by its path or id, with the vector it has there.

    It is not among what is found, unless `itself`.
    """
    if not (named := str(key).strip()):
        raise InputError("a stored image is named by its path in the collection or its id; this name is empty")
    normalize_text(named)  # what is no UTF-8 cannot be sent
    return Query(((1.0, StoredPart(named, itself)),))


def vector(values: npt.ArrayLike) -> Query:
    """`vector(numpy.load("owl.npy"))`: (D,) of the collection's model, any length but 0.

    Raises InputError for what has no direction: zeros, NaN, infinity, or what is no row of numbers.
    """
    return Query(((1.0, VectorPart(parse_vector(values))),))


def parse_weighted_texts(words: str) -> list[tuple[float, str]]:
    """`horse + 2*stripes - fruit` -> [(1, horse), (2, stripes), (-1, fruit)]. Raises InputError."""
    whole = normalize_text(words)
    if not whole:
        raise InputError(f"the query is empty; {QUERY_HINT}")
    first, *others = SIGN.split(whole)
    signed = [("+", first), *zip(others[::2], others[1::2], strict=True)]
    if not first and others:  # it begins with a sign
        signed = signed[1:]
    return [parse_weighted_text(sign, part.strip(), whole) for sign, part in signed]


def parse_weighted_text(sign: str, part: str, whole: str) -> tuple[float, str]:
    """One part of `whole`, `2*stripes`. A text may hold a * of its own: `M*A*S*H`."""
    if not part:
        raise InputError(f"{whole!r}: a text is missing beside + or -; {QUERY_HINT}")
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


def blend(weights: Sequence[float], vectors_pd: Vectors) -> Vectors:
    """The unit vector (D,) of the sum of weight x unit vector. Raises InputError when nothing is left of it."""
    weights_p = np.asarray(weights, dtype=np.float64)
    sum_d = weights_p @ unit(vectors_pd).astype(np.float64)
    if np.linalg.norm(sum_d) <= NOTHING_LEFT * np.abs(weights_p).sum():
        raise InputError("the parts cancel each other out, so nothing is looked for; change a weight or a part")
    return unit(sum_d.astype(np.float32))


def move_towards(vector_d: Vectors, to_d: Vectors, force: float) -> Vectors:
    """As nearText's moveTo: (D,), `force` 0..1. Not unit any more; a cosine does not ask for it."""
    share = np.float32(HALF * force)
    return (vector_d * (1 - share) + to_d * share).astype(np.float32)


def move_away_from(vector_d: Vectors, from_d: Vectors, force: float) -> Vectors:
    """As nearText's moveAwayFrom: (D,), `force` 0 or more."""
    return (vector_d + np.float32(HALF * force) * (vector_d - from_d)).astype(np.float32)


def parse_vector(values: npt.ArrayLike) -> Vectors:
    """(D,) as float32; shorter or longer by a power of 2, where its squares would be no float32.

    Raises InputError for what has no direction: zeros, NaN, infinity, or what is no row of numbers.
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
