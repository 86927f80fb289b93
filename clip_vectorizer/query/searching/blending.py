"""Several vectors become the one that is searched with. P parts · D dimensions"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from clip_vectorizer.errors import InputError
from clip_vectorizer.vectors import Vectors, unit

NOTHING_LEFT = 1e-5  # of the parts' own length: what float32 leaves where they cancel each other out
MIDDLING = (1e-9, 1e9)  # of the largest number of a vector: its square is a float32 then
HALF = 0.5  # Weaviate's own factor on a force (usecases/modulecomponents/arguments/nearText/searcher_movements.go)


def blend(weights: Sequence[float], vectors_pd: Vectors) -> Vectors:
    """The unit vector (D,) of the sum of weight x unit vector. Raises InputError when nothing is left of it."""
    weights_p = np.asarray(weights, dtype=np.float64)
    sum_d = weights_p @ unit(vectors_pd).astype(np.float64)
    if np.linalg.norm(sum_d) <= NOTHING_LEFT * np.abs(weights_p).sum():
        raise InputError("the parts cancel each other out, so nothing is looked for; change a weight or a part")
    return unit(sum_d.astype(np.float32))


def moved(vector_d: Vectors, to_d: Vectors, force: float) -> Vectors:
    """As nearText's moveTo: (D,), `force` 0..1. Not unit any more; a cosine does not ask for it."""
    share = np.float32(HALF * force)
    return (vector_d * (1 - share) + to_d * share).astype(np.float32)


def moved_away(vector_d: Vectors, from_d: Vectors, force: float) -> Vectors:
    """As nearText's moveAwayFrom: (D,), `force` 0 or more."""
    return (vector_d + np.float32(HALF * force) * (vector_d - from_d)).astype(np.float32)


def direction(values: npt.ArrayLike) -> Vectors:
    """(D,) as float32; shorter or longer by a power of 2, where its squares would be no float32.

    Raises InputError for what has no direction: zeros, NaN, infinity, or what is no row of numbers.
    """
    try:
        given_d = real(values)
    except (TypeError, ValueError) as error:
        raise InputError(f"a vector is a row of numbers ({error})") from None
    if not (np.isfinite(given_d).all() and given_d.any()):
        raise InputError("a vector of zeros, NaN or infinity has no direction; nothing is near it")
    largest = np.abs(given_d).max()
    if not MIDDLING[0] < largest < MIDDLING[1]:
        given_d = np.ldexp(given_d, -np.frexp(largest)[1])
    return given_d.astype(np.float32)


def real(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    given = np.asarray(values)
    if given.dtype.kind == "c":
        raise TypeError("these are complex")
    return given.astype(np.float64)
