"""Arrays of vectors: their types, and the two operations that all others use.

N rows · L labels · P prompts per label · D dimensions
"""

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]  # left, top, right, bottom in an image's pixels, as Pillow has them


def unit(rows_nd: Vectors) -> Vectors:
    """The rows scaled to length 1: (..., D) in, (..., D) out, float32. A row of zeros stays zero.

    >>> unit(np.array([[3, 4]], dtype=np.float32))
    array([[0.6, 0.8]], dtype=float32)
    """
    lengths: Vectors = np.linalg.norm(rows_nd, axis=-1, keepdims=True)
    return (rows_nd / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)


def ensemble(prompts_lpd: Vectors) -> Vectors:
    """One vector per label: (L, P, D) unit rows in, (L, D) unit rows out.

    Mean of unit vectors, then unit again, as in Radford et al. 2021, section 3.1.4.
    """
    return unit(prompts_lpd.mean(axis=-2))
